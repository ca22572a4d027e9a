"""The window: the picture on the left, what is to be done on the right, the part and its settings on top."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from station import drawing, words
from station.calibrating import CalibrationGuide
from station.capture import LONGEST_SERIAL, tidy_serial
from station.screen import style
from station.screen.keys import Keys
from station.screen.settings_panel import CalibrationPanel, SettingsPanel
from station.screen.widgets import ChoiceBox, FocusBar, PictureView, button, label
from station.screen.work_panel import WorkPanel
from station.session import Phase, Session

_REFRESH_MS = 15
_NOT_GIVEN = "not given"


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
        key = Qt.Key
        on_work = self._on_work
        return {
            key.Key_F1: lambda: self.show_page(self.help),
            key.Key_F2: self.marks_switch.click,
            key.Key_F3: self.zones_switch.click,
            key.Key_Insert: self.zoom_switch.click,
            key.Key_F4: lambda: self._edit(self.serial_field),
            key.Key_F5: self.fiber_type.showPopup,
            key.Key_F6: self.profile.showPopup,
            key.Key_F7: lambda: self._edit(self.operator),
            key.Key_F8: lambda: on_work(self.session.again, self._discard_and_close),
            key.Key_F9: lambda: on_work(self.session.save, self._save_and_close),
            key.Key_F10: lambda: on_work(self.session.next, None),
            key.Key_F11: self.toggle_full_screen,
            key.Key_F12: lambda: self.show_page(self.settings),
        }

    def _on_work(self, action: Callable[[], None], when_closing: Callable[[], None] | None) -> None:
        """What a key does depends on the page, so that none does anything that cannot be seen."""
        page = self.pages.currentWidget()
        if page is self.work:
            action()
        elif page is self.closing and when_closing is not None:
            when_closing()
        elif page is self.calibration and action == self.session.save:
            self.calibration.put_in_force()

    def keyPressEvent(self, event: object) -> None:  # noqa: N802
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
        self._refresh_fields()
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
        self.pages.setCurrentWidget(page)
        self._redraw()

    def toggle_full_screen(self) -> None:
        """Full screen, or back."""
        self.showMaximized() if self.isFullScreen() else self.showFullScreen()

    def _refresh_fields(self) -> None:
        session = self.session
        self.serial_field.setEnabled(session.may_type_serial)
        if tidy_serial(self.serial_field.text()) != session.serial:
            self.serial_field.setText(session.serial)
        message = session.message
        if self.message.text() != message.text:
            self.message.setText(message.text)
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
        self._refresh_strip()

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

    def _refresh_strip(self) -> None:
        sight, limits = self.session.live.view.sight, self.session.setup.config.preprocessing
        score = float("nan") if sight is None else sight.focus_score
        self.focus_bar.show_score(score, limits.min_focus_score, limits.min_judged_focus_score)
        texts = ("", "", "")
        if sight is not None:
            texts = (
                f"Focus {words.focus_in_words(score, limits)}",
                words.light_in_words(sight),
                words.fiber_in_words(sight),
            )
        good = (
            sight is not None and score >= limits.min_focus_score,
            sight is not None and not sight.light.warning,
            sight is not None and sight.fiber is not None,
        )
        for text, is_good, where in zip(texts, good, (self.focus_text, self.light_text, self.fiber_text), strict=True):
            if where.text() != text:
                where.setText(text)
                where.setStyleSheet(f"color: {style.TEXT if is_good else style.WARNING};")

    def _redraw(self) -> None:
        self._shown_number, self._shown_still = -1, None

    def _switch(self) -> None:
        marks, zones, zoom = (each.isChecked() for each in (self.marks_switch, self.zones_switch, self.zoom_switch))
        self.switches = drawing.Switches(marks, zones, zoom)
        self._redraw()

    # --- fields ----------------------------------------------------------------------------------------------------

    def _edit(self, field: QLineEdit) -> None:
        if field.isEnabled():
            field.setFocus()
            field.selectAll()

    def _choose_fiber_type(self) -> None:
        self.session.choose(fiber_type=self.fiber_type.currentData())
        self._show_choice()

    def _choose_profile(self) -> None:
        self.session.choose(profile=self.profile.currentText())
        self._show_choice()

    def _choose_operator(self) -> None:
        self.session.choose(operator=" ".join(self.operator.text().split()))
        self._show_choice()

    def _show_choice(self) -> None:
        """What is in force, also where a choice was refused."""
        setup = self.session.setup
        self.fiber_type.setCurrentIndex(self.fiber_type.findData(setup.choice.fiber_type))
        self.profile.setCurrentText(setup.config.profile)
        self.operator.setText(setup.choice.operator)

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
        self.focus_bar = FocusBar(sizes)
        self.focus_text, self.light_text, self.fiber_text, self.message = (
            label(),
            label(wraps=True),
            label(wraps=True),
            label("", "message", wraps=True),
        )
        self.message.setMinimumHeight(sizes.px(56))
        self.serial_field = _field("Scan or type", "serial")
        self.serial_field.textEdited.connect(session.type_serial)
        self.operator = _field("Name")
        self.operator.editingFinished.connect(self._choose_operator)
        types = session.setup.config.fiber_types.values()
        self.fiber_type = _choice([(_NOT_GIVEN, None), *((each.title, each.name) for each in types)])
        self.fiber_type.activated.connect(lambda index: self._choose_fiber_type())
        self.profile = _choice([(name, name) for name in profiles])
        self.profile.activated.connect(lambda index: self._choose_profile())
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
        self.help = _keys_page(sizes, self.escape)
        self.closing = _closing_page(sizes, self._save_and_close, self._discard_and_close, self.escape)
        self._show_choice()

    def _lay_out(self) -> None:
        sizes = self._sizes
        self.pages = QStackedWidget()
        for page in (self.work, self.settings, self.calibration, self.help, self.closing):
            self.pages.addWidget(page)
        strip = QFrame()
        strip.setObjectName("bar")
        row = QHBoxLayout(strip)
        row.addWidget(self.focus_bar)
        for text, share in ((self.focus_text, 4), (self.light_text, 3), (self.fiber_text, 5)):
            row.addWidget(text, share)
        bottom = QHBoxLayout()
        bottom.addWidget(self.message, 1)
        for switch in (self.marks_switch, self.zones_switch, self.zoom_switch):
            bottom.addWidget(switch)
        left = QVBoxLayout()
        left.addWidget(self.picture, 1)
        left.addWidget(strip)
        left.addLayout(bottom)
        body = QHBoxLayout()
        body.addLayout(left, 62)
        body.addWidget(self.pages, 38)
        body.setSpacing(sizes.px(10))
        self.pages.setMinimumWidth(sizes.px(430))
        column = QVBoxLayout(self)
        column.setContentsMargins(*([sizes.px(10)] * 4))
        column.setSpacing(sizes.px(10))
        column.addLayout(self._top())
        column.addLayout(body, 1)

    def _top(self) -> QGridLayout:
        top = QGridLayout()
        top.setHorizontalSpacing(self._sizes.px(8))
        top.setVerticalSpacing(self._sizes.px(2))
        parts = (
            ("Serial number F4", self.serial_field, 6),
            ("Fibre type F5", self.fiber_type, 6),
            ("Profile F6", self.profile, 5),
            ("Operator F7", self.operator, 4),
        )
        for column, (title, widget, share) in enumerate(parts):
            top.addWidget(label(title, "quiet"), 0, column)
            top.addWidget(widget, 1, column)
            top.setColumnStretch(column, share)
        buttons = (
            ("Settings\nF12", lambda: self.show_page(self.settings)),
            ("Keys\nF1", lambda: self.show_page(self.help)),
            ("Close", self.close),
        )
        for column, (text, action) in enumerate(buttons, start=len(parts)):
            made = button(text, action)
            made.setMinimumHeight(self._sizes.px(68))
            top.addWidget(made, 0, column, 2, 1)
        return top

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Called by Qt: the picture is drawn for its size."""
        super().resizeEvent(event)
        self._redraw()


def _field(hint: str, name: str = "") -> QLineEdit:
    field = QLineEdit()
    field.setObjectName(name)
    field.setPlaceholderText(hint)
    field.setMaxLength(LONGEST_SERIAL)
    return field


def _choice(items: Sequence[tuple[str, str | None]]) -> ChoiceBox:
    box = ChoiceBox()
    box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    box.setMinimumContentsLength(8)
    box.setSizeAdjustPolicy(ChoiceBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    for text, data in items:
        box.addItem(text, data)
    return box


def _keys_page(sizes: style.Sizes, leave: Callable[[], None]) -> QWidget:
    page = QWidget()
    grid = QGridLayout(page)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.addWidget(label("Keys", "title"), 0, 0, 1, 2)
    for row, (key, meaning) in enumerate(words.KEYS, start=1):
        grid.addWidget(label(key), row, 0)
        grid.addWidget(label(meaning, wraps=True), row, 1)
    grid.setColumnStretch(1, 1)
    grid.setRowStretch(len(words.KEYS) + 1, 1)
    grid.addWidget(button("Back\nEsc", leave, name="main"), len(words.KEYS) + 2, 0, 1, 2)
    return page


def _closing_page(
    sizes: style.Sizes, save: Callable[[], None], discard: Callable[[], None], stay: Callable[[], None]
) -> QWidget:
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(sizes.px(14))
    column.addWidget(label("This capture is not saved", "title", wraps=True))
    column.addWidget(label("Close the station all the same?", wraps=True))
    column.addWidget(button("Save it, then close\nF9", save, name="main"))
    column.addWidget(button("Close without it\nF8", discard, name="action"))
    column.addWidget(button("Stay\nEsc", stay, name="action"))
    column.addStretch(1)
    return page
