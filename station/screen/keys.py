"""The keyboard of the station, and the barcode scanner that types like one.

Every key press comes through here before any widget sees it. Characters wait for a moment: when they come as fast as
only a scanner types and end with Enter, they are a serial number, whatever has the focus; else they are handed on.
No button ever has the focus, so that neither Enter nor Space can press one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QWindow
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

_SCAN_GAP_MS = 50  # people leave more between two characters, scanners less
_LEAST_SCAN = 3
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_MODIFIERS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier


class Listener(Protocol):
    """What the window does with keys."""

    serial_field: QLineEdit

    def scanned(self, text: str) -> None:
        """A scanner has typed this."""

    def space(self) -> None:
        """Space was pressed, and it was not part of a text."""

    def escape(self) -> None:
        """Escape was pressed."""

    def step(self, key: int) -> None:
        """One of the keys that move through the table."""


class Keys(QObject):
    """An event filter for the whole application. ``actions`` says what the function keys do."""

    _MOVES = (
        Qt.Key.Key_Up,
        Qt.Key.Key_Down,
        Qt.Key.Key_PageUp,
        Qt.Key.Key_PageDown,
    )

    def __init__(self, listener: Listener, actions: Mapping[int, Callable[[], None]]) -> None:
        super().__init__()
        self._listener, self._actions = listener, actions
        self._held: list[QKeyEvent] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SCAN_GAP_MS)
        self._timer.timeout.connect(self._hand_on)

    def eventFilter(self, receiver: QObject, event: QEvent) -> bool:  # noqa: N802
        """True where the key press goes no further. Presses reach the window first, and only that time counts."""
        if event.type() != QEvent.Type.KeyPress or not isinstance(receiver, QWindow):
            return False
        return self._takes(event)

    def _takes(self, event: QKeyEvent) -> bool:
        key, is_text = event.key(), bool(event.text()) and event.text().isprintable()
        plain = not event.modifiers() & _MODIFIERS
        if is_text and plain and (self._held or key != Qt.Key.Key_Space) and not event.isAutoRepeat():
            self._held.append(event.clone())
            self._timer.start()
            return True
        if key in (*_ENTER, Qt.Key.Key_Tab) and len(self._held) >= _LEAST_SCAN and plain:
            text = "".join(each.text() for each in self._held)
            self._let_go()
            self._listener.scanned(text)
            return True
        self._hand_on()
        if QApplication.activePopupWidget() is not None:
            return False
        return self._does(event)

    def _does(self, event: QKeyEvent) -> bool:
        """Keys that mean something of their own, wherever the focus is."""
        key, focus = event.key(), QApplication.focusWidget()
        in_text = isinstance(focus, QLineEdit)
        if key == Qt.Key.Key_Space and (not in_text or focus is self._listener.serial_field):
            if not event.isAutoRepeat():
                self._listener.space()
            return True
        if key in _ENTER:
            if in_text:
                focus.clearFocus()
            return True
        if key == Qt.Key.Key_Escape:
            focus.clearFocus() if in_text else self._listener.escape()
            return True
        if key in self._MOVES:
            self._listener.step(key)
            return True
        action = self._actions.get(key)
        if action is None or event.modifiers() & _MODIFIERS:
            return False
        if not event.isAutoRepeat():
            action()
        return True

    def _let_go(self) -> None:
        self._timer.stop()
        self._held.clear()

    def _hand_on(self) -> None:
        """Give the characters to the text field or list that has the focus; else they are a serial number by hand."""
        events = [*self._held]
        self._let_go()
        for event in events:
            target = _receiver() or self._listener.serial_field
            if target is self._listener.serial_field and not target.hasFocus() and target.isEnabled():
                target.setFocus()
                target.end(False)
            QApplication.sendEvent(target, event)


def _receiver() -> QWidget | None:
    popup = QApplication.activePopupWidget()
    if popup is not None:
        return popup.focusWidget() or popup
    focus = QApplication.focusWidget()
    return focus if isinstance(focus, QLineEdit) else None
