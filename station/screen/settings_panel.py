"""The right side of the window for settings: camera, calibration in force, rules; and the guided calibration."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from station import words
from station.calibrating import CalibrationGuide
from station.screen import style
from station.screen.widgets import NumberField, button, label
from station.session import Session

_EXPOSURE_STEP = 1.25
_GAIN_STEP_DB = 1.0
_SPACING_STEP_UM = 5.0
_STEPS = (
    "1. Put the target under the microscope, in the middle of the picture, and focus on it.",
    "2. Say how far its dots, or neighbouring ticks, are apart.",
    "3. Measure, and look at the crosses: one on every dot.",
    "4. Use the new scale. It is written to calibration.json and holds from then on.",
)


class SettingsPanel(QWidget):
    """Camera, calibration, rules and results folder, as they are now."""

    def __init__(
        self, session: Session, sizes: style.Sizes, *, calibrate: Callable[[], None], leave: Callable[[], None]
    ) -> None:
        super().__init__()
        self._session = session
        live = session.live
        self.exposure = NumberField(
            "exposure", _EXPOSURE_STEP, lambda value: live.ask(lambda feed: feed.set_exposure_us(value))
        )
        self.gain = NumberField(
            "gain", 1.0, lambda value: live.ask(lambda feed: feed.set_gain_db(value)), step=_GAIN_STEP_DB
        )
        self.automatic = button("Find the exposure", lambda: live.ask(lambda feed: feed.find_exposure()))
        self._texts = {name: label(wraps=True) for name in ("Camera", "Calibration in force", "Rules", "Results")}
        knobs = QGridLayout()
        for row, (title, field) in enumerate((("Exposure, us", self.exposure), ("Gain, dB", self.gain))):
            knobs.addWidget(label(title), row, 0)
            knobs.addWidget(field, row, 1)
        knobs.addWidget(self.automatic, 2, 0, 1, 2)
        extras = {"Camera": knobs, "Calibration in force": _boxed(button("Calibrate step by step", calibrate))}
        cards = QWidget()
        column = QVBoxLayout(cards)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(sizes.px(8))
        for name, text in self._texts.items():
            column.addWidget(_card(name, text, extras.get(name), sizes))
        column.addStretch(1)
        area = QScrollArea()
        area.setWidget(cards)
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area, 1)
        layout.addWidget(button("Back to the inspection\nEsc", leave, name="main"))

    def refresh(self) -> None:
        """Show what is in force now."""
        view, setup = self._session.live.view, self._session.setup
        has_camera = view.camera is not None
        for each in (self.exposure, self.gain, self.automatic):
            each.setEnabled(has_camera)
        if has_camera:
            self.exposure.show_value(view.camera.exposure_us)
            self.gain.show_value(view.camera.gain)
        texts = {
            "Camera": words.camera_in_words(view.camera, view.title, view.trouble, view.rate_hz),
            "Calibration in force": words.calibration_in_words(setup),
            "Rules": words.rules_in_words(setup),
            "Results": [str(self._session.folder), f"{len(self._session.saved)} saved in this session"],
        }
        for name, lines in texts.items():
            text = words.breakable("\n".join(lines))
            if text != self._texts[name].text():
                self._texts[name].setText(text)


class CalibrationPanel(QWidget):
    """The guided calibration."""

    def __init__(self, guide: CalibrationGuide, sizes: style.Sizes, *, leave: Callable[[], None]) -> None:
        super().__init__()
        self._guide = guide
        self.spacing = NumberField("spacing", 1.0, lambda value: None, step=_SPACING_STEP_UM)
        self.spacing.show_value(10.0)
        self.result = label(wraps=True)
        self.measure = button("Measure\nSpace", self.start, name="main")
        self.use = button("Use the new scale\nF9", self.put_in_force, name="main")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(sizes.px(10))
        layout.addWidget(label("Calibration", "title"))
        layout.addWidget(label("\n".join(_STEPS), wraps=True))
        spacing = QHBoxLayout()
        spacing.addWidget(label("Spacing, um"))
        spacing.addWidget(self.spacing, 1)
        layout.addLayout(spacing)
        layout.addWidget(self.measure)
        layout.addWidget(_card("Measured", self.result, None, sizes), 1)
        layout.addWidget(self.use)
        layout.addWidget(button("Back\nEsc", leave))

    def start(self) -> None:
        """Measure the target in the live picture."""
        if not self._guide.is_busy:
            self._guide.measure(self.spacing.value)

    def put_in_force(self) -> None:
        """Use what was measured."""
        self._guide.put_in_force()

    def refresh(self) -> None:
        """Show what was measured."""
        guide = self._guide
        text = guide.message.text if guide.measured is None else "\n".join(guide.measured.in_words())
        self.result.setText(text or "Nothing yet.")
        self.result.setStyleSheet(f"color: {style.WARNING};" if guide.message.is_warning else "")
        self.use.setEnabled(guide.measured is not None)
        self.measure.setEnabled(not guide.is_busy)


def _card(title: str, text: QWidget, extra: QGridLayout | QHBoxLayout | None, sizes: style.Sizes) -> QFrame:
    card = QFrame()
    card.setObjectName("card")
    column = QVBoxLayout(card)
    column.setContentsMargins(*([sizes.px(12)] * 4))
    column.addWidget(label(title, "quiet"))
    column.addWidget(text, 1)
    text.setAlignment(Qt.AlignmentFlag.AlignTop)
    if extra is not None:
        column.addLayout(extra)
    return card


def _boxed(widget: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(widget)
    return row
