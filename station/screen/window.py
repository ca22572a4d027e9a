"""The window: the picture on the left, what is to be done on the right, the part and its settings on top."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from station import drawing, words
from station.calibrating import CalibrationGuide
from station.screen import style
from station.screen.keys import Keys
from station.screen.pages import closing_page, keys_page
from station.screen.part_bar import PartBar
from station.screen.settings_panel import CalibrationPanel, SettingsPanel
from station.screen.strip import StatusStrip
from station.screen.widgets import PictureView, button, label
from station.screen.work_panel import WorkPanel
from station.session import Phase, Session

_REFRESH_MS = 15


class StationWindow(QWidget):
    """Shows a session until it is closed; ``profiles`` are those that can be chosen."""

    def __init__(self, session: Session, profiles: Sequence[str], sizes: style.Sizes) -> None:
        super().__init__()
        self.session, self.guide, self._sizes = session, CalibrationGuide(session), sizes
        self.switches = drawing.Switches()
        self._shown_number, self._shown_still = -1, None
        self._is_closing = False
        self.setObjectName("station")
        self.setWindowTitle("D-Scope Blink station")
        self.setStyleSheet(style.style_sheet(sizes))
        self._make_parts(profiles)
        self._lay_out()
        self.keys = Keys(self, self._actions())
        QApplication.instance().installEventFilter(self.keys)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(_REFRESH_MS)

    # --- keys ------------------------------------------------------------------------------------------------------

    def scanned(self, text: str) -> None:
        """A barcode scanner has typed this, wherever the focus is."""
        self.session.scan(text)
        self.serial_field.clearFocus()

    def scan_broken(self) -> None:
        """Half of a scan went elsewhere before the rest came."""
        self.session.say("The scan came in pieces and was not taken: scan again.", is_warning=True)

    def space(self) -> None:
        """Capture; on the page of the calibration, measure. On the others Space does nothing."""
        if self.pages.currentWidget() is self.work:
            self.serial_field.clearFocus()
            self.session.capture()
        elif self.pages.currentWidget() is self.calibration:
            self.calibration.start()

    def escape(self) -> None:
        """Back to the inspection."""
        self.show_page(self.work)

    def step(self, key: int) -> None:
        """Move through the table of marks."""
        if self.pages.currentWidget() is self.work:
            self.work.step(key)

    def _actions(self) -> Mapping[int, Callable[[], None]]:
        key, session, closing = Qt.Key, self.session, self.closing
        again = {self.work: session.again, closing: self._discard_and_close}
        save = {
            self.work: session.save,
            closing: self._save_and_close,
            self.calibration: self.calibration.put_in_force,
        }
        return {
            key.Key_F1: lambda: self.show_page(self.help),
            key.Key_F2: self.marks_switch.click,
            key.Key_F3: self.zones_switch.click,
            key.Key_Insert: self.zoom_switch.click,
            key.Key_F4: lambda: self.part.edit(self.serial_field),
            key.Key_F5: self.part.fiber_type.showPopup,
            key.Key_F6: self.part.profile.showPopup,
            key.Key_F7: lambda: self.part.edit(self.part.operator),
            key.Key_F8: lambda: self._do_on_page(again),
            key.Key_F9: lambda: self._do_on_page(save),
            key.Key_F10: lambda: self._do_on_page({self.work: session.next}),
            key.Key_F11: self.toggle_full_screen,
            key.Key_F12: lambda: self.show_page(self.settings),
        }

    def _do_on_page(self, actions: Mapping[QWidget, Callable[[], None]]) -> None:
        """What a key does depends on the page, so that none does anything that cannot be seen."""
        if (action := actions.get(self.pages.currentWidget())) is not None:
            action()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Called by Qt: Ctrl+Q closes."""
        if event.key() == Qt.Key.Key_Q and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.close()

    # --- what is shown -----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what is new; called many times a second."""
        self.session.poll()
        self.guide.poll()
        self.work.refresh()
        for page in (self.settings, self.calibration):
            if self.pages.currentWidget() is page:
                page.refresh()
        self.part.refresh()
        self.strip.refresh(self.session.live.view.sight, self.session.setup.config.preprocessing)
        self._refresh_message()
        self._refresh_picture()
        if self._is_closing and self.session.phase is Phase.SAVED:
            self.close()
        elif self._is_closing and self.session.phase is Phase.RESULT:  # saving failed: the message says why
            self.show_page(self.work)

    def show_page(self, page: QWidget) -> None:
        """Show another right side; the same once more leads back to the inspection."""
        if page is self.pages.currentWidget():
            page = self.work
        if page is not self.calibration:
            self.guide.forget()
        self._is_closing = False
        self.strip.setVisible(page is not self.calibration)  # it speaks of a fibre
        self.pages.setCurrentWidget(page)
        self._redraw()

    def toggle_full_screen(self) -> None:
        """Full screen, or back."""
        self.showMaximized() if self.isFullScreen() else self.showFullScreen()

    def _refresh_message(self) -> None:
        message = self.session.message
        text = words.breakable(message.text)
        if self.message.text() != text:
            self.message.setText(text)
            self.message.setStyleSheet(f"color: {style.WARNING if message.is_warning else style.TEXT};")

    def _refresh_picture(self) -> None:
        view, reporting = self.session.live.view, self.session.setup.config.reporting
        still = self._still()
        if still is not None:
            if self._shown_still is not still:
                self._show_still(still)
        elif view.number != self._shown_number or self._shown_still is not None:
            self._shown_number, self._shown_still = view.number, None
            if view.sight is None:
                self.picture.show_text(view.trouble)
            else:
                is_target = self.pages.currentWidget() is self.calibration
                switches = drawing.Switches(marks=False) if is_target else self.switches
                self.picture.show_picture(drawing.live_picture(view.sight, self.picture.pixels, switches, reporting))

    def _still(self) -> object | None:
        """What stands still in the picture's place; None where the live picture is to be seen."""
        if self.pages.currentWidget() is self.calibration:
            return self.guide.measured
        return self.session.inspected

    def _show_still(self, still: object) -> None:
        self._shown_still = still
        size = self.picture.pixels
        if still is self.guide.measured:
            self.picture.show_picture(drawing.target_picture(still.picture.grey, still.found.marks, size))
            return
        reporting = still.capture.setup.config.reporting
        drawn = drawing.result_picture(still.inspection, size, self.switches, reporting, self.work.selected)
        if drawn is None:
            self.picture.show_text("\n".join(still.inspection.record.reasons))
        else:
            self.picture.show_picture(drawn)

    def _redraw(self) -> None:
        self._shown_number, self._shown_still = -1, None

    def _switch(self) -> None:
        marks, zones, zoom = (each.isChecked() for each in (self.marks_switch, self.zones_switch, self.zoom_switch))
        self.switches = drawing.Switches(marks, zones, zoom)
        self._redraw()

    # --- closing ---------------------------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Called by Qt: a capture that is not saved is asked about first."""
        if self.session.is_unsaved and self.pages.currentWidget() is not self.closing:
            self.show_page(self.closing)
        if self.session.is_unsaved or self.session.phase is Phase.SAVING:
            event.ignore()
            return
        self._timer.stop()
        QApplication.instance().removeEventFilter(self.keys)
        self.guide.close()
        event.accept()

    def _save_and_close(self) -> None:
        self._is_closing = True
        self.session.save()

    def _discard_and_close(self) -> None:
        self.session.discard()
        self.close()

    # --- parts -----------------------------------------------------------------------------------------------------

    def _make_parts(self, profiles: Sequence[str]) -> None:
        sizes, session = self._sizes, self.session
        self.picture = PictureView(sizes)
        self.strip = StatusStrip(sizes)
        self.message = label("", "message", wraps=True)
        self.message.setMinimumHeight(sizes.px(56))
        self.marks_switch = button("Marks F2", self._switch, checkable=True)
        self.zones_switch = button("Zones F3", self._switch, checkable=True)
        self.zoom_switch = button("Magnify Ins", self._switch, checkable=True)
        self.marks_switch.setChecked(True)
        self.zones_switch.setChecked(True)
        self.work = WorkPanel(session, sizes, self._redraw)
        self.settings = SettingsPanel(
            session, sizes, calibrate=lambda: self.show_page(self.calibration), leave=self.escape
        )
        self.calibration = CalibrationPanel(self.guide, sizes, leave=lambda: self.show_page(self.settings))
        self.help = keys_page(self.escape)
        self.closing = closing_page(sizes, self._save_and_close, self._discard_and_close, self.escape)
        buttons = {
            "Settings\nF12": lambda: self.show_page(self.settings),
            "Keys\nF1": lambda: self.show_page(self.help),
            "Close": self.close,
        }
        self.part = PartBar(session, profiles, buttons, sizes)
        self.serial_field = self.part.serial_field

    def _lay_out(self) -> None:
        sizes = self._sizes
        self.pages = QStackedWidget()
        self.pages.setMinimumWidth(sizes.px(490))
        for page in (self.work, self.settings, self.calibration, self.help, self.closing):
            self.pages.addWidget(page)
        bottom = QHBoxLayout()
        bottom.addWidget(self.message, 1)
        for switch in (self.marks_switch, self.zones_switch, self.zoom_switch):
            bottom.addWidget(switch)
        left = QVBoxLayout()
        left.addWidget(self.picture, 1)
        left.addWidget(self.strip)
        left.addLayout(bottom)
        body = QHBoxLayout()
        body.setSpacing(sizes.px(10))
        body.addLayout(left, 59)
        body.addWidget(self.pages, 41)
        column = QVBoxLayout(self)
        column.setContentsMargins(*([sizes.px(10)] * 4))
        column.setSpacing(sizes.px(10))
        column.addWidget(self.part)
        column.addLayout(body, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Called by Qt: the picture is drawn for its size."""
        super().resizeEvent(event)
        self._redraw()
