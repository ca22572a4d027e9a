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

from station.scanning import QUIET_MS, Burst

_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_MOVES = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)
_MODIFIERS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
_MODIFIER_KEYS = (
    Qt.Key.Key_Shift,
    Qt.Key.Key_Control,
    Qt.Key.Key_Alt,
    Qt.Key.Key_AltGr,
    Qt.Key.Key_Meta,
    Qt.Key.Key_CapsLock,
    Qt.Key.Key_NumLock,
)


class Listener(Protocol):
    """What the window does with keys."""

    serial_field: QLineEdit

    def scanned(self, text: str) -> None:
        """A scanner has typed this."""

    def scan_broken(self) -> None:
        """A scanner's text has been cut in two, and the first part went elsewhere."""

    def space(self) -> None:
        """Space was pressed, and it was not part of a text."""

    def escape(self) -> None:
        """Escape was pressed."""

    def step(self, key: int) -> None:
        """One of the keys that move through the table."""


class Keys(QObject):
    """An event filter for the whole application. ``actions`` says what the function keys do."""

    def __init__(self, listener: Listener, actions: Mapping[int, Callable[[], None]]) -> None:
        super().__init__()
        self._listener, self._actions = listener, actions
        self._burst: Burst[QKeyEvent] = Burst()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET_MS)
        self._timer.timeout.connect(self._hand_on_all)

    def eventFilter(self, receiver: QObject, event: QEvent) -> bool:  # noqa: N802
        """True where the key press goes no further. Presses reach the window first, and only that time counts."""
        if event.type() != QEvent.Type.KeyPress or not isinstance(receiver, QWindow):
            return False
        if event.key() in _MODIFIER_KEYS:
            return False
        return self._holds(event) or self._ends_scan(event) or self._does(event)

    def _holds(self, event: QKeyEvent) -> bool:
        """Whether this is a character that may belong to a scan."""
        is_text = bool(event.text()) and event.text().isprintable() and not event.modifiers() & _MODIFIERS
        if not is_text or event.isAutoRepeat() or (self._burst.is_empty and event.key() == Qt.Key.Key_Space):
            return False
        self._hand_on(self._burst.add(event.text(), event.clone(), event.timestamp()))
        self._timer.start()
        return True

    def _ends_scan(self, event: QKeyEvent) -> bool:
        """Whether this key completes a scan; a person's characters that wait are handed on before it counts."""
        if event.key() in (*_ENTER, Qt.Key.Key_Tab):
            is_whole = not self._burst.continues
            # what continues a serial number that is being typed is typed, too
            if is_whole or not self._listener.serial_field.hasFocus():
                text = self._burst.scanned(event.timestamp())
                if text:
                    self._listener.scanned(text) if is_whole else self._listener.scan_broken()
                    return True
        self._hand_on_all()
        return False

    def _does(self, event: QKeyEvent) -> bool:
        """Keys that mean something of their own, wherever the focus is; lists that are open have theirs."""
        if QApplication.activePopupWidget() is not None:
            return False
        key, focus = event.key(), QApplication.focusWidget()
        in_text = isinstance(focus, QLineEdit)
        if key == Qt.Key.Key_Space and (not in_text or focus is self._listener.serial_field):
            if not event.isAutoRepeat():
                self._listener.space()
        elif key in (*_ENTER, Qt.Key.Key_Escape) and in_text:
            focus.clearFocus()
        elif key == Qt.Key.Key_Escape:
            self._listener.escape()
        elif key in _MOVES:
            self._listener.step(key)
        elif key in self._actions and not event.modifiers() & _MODIFIERS:
            if not event.isAutoRepeat():
                self._actions[key]()
        elif key not in _ENTER:
            return False
        return True

    def _hand_on_all(self) -> None:
        self._timer.stop()
        self._hand_on(self._burst.release())

    def _hand_on(self, events: list[QKeyEvent]) -> None:
        """Give the characters to the text field or list that has the focus; else they are a serial number by hand."""
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
