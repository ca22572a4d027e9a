"""The top of the window: which part is inspected, as what, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLineEdit, QWidget

from station.capture import LONGEST_SERIAL, tidy_serial
from station.screen import style
from station.screen.widgets import ChoiceBox, button, label
from station.session import Session

_NOT_GIVEN = "not given"


class PartBar(QWidget):
    """Serial number, fibre type, profile and operator; ``buttons`` are texts with what they do."""

    def __init__(
        self, session: Session, profiles: Sequence[str], buttons: Mapping[str, Callable[[], None]], sizes: style.Sizes
    ) -> None:
        super().__init__()
        self._session = session
        self.serial_field = _field("Scan or type", "serial")
        self.serial_field.textEdited.connect(session.type_serial)
        self.operator = _field("Name")
        self.operator.editingFinished.connect(self._choose_operator)
        types = session.setup.config.fiber_types.values()
        self.fiber_type = _choice([(_NOT_GIVEN, None), *((each.title, each.name) for each in types)])
        self.fiber_type.activated.connect(lambda index: self._choose_fiber_type())
        self.profile = _choice([(name, name) for name in profiles])
        self.profile.activated.connect(lambda index: self._choose_profile())
        self._lay_out(buttons, sizes)
        self._show_choice()

    def refresh(self) -> None:
        """Show the serial number of the session, which also changes by scans and for the next part."""
        self.serial_field.setEnabled(self._session.may_type_serial)
        if tidy_serial(self.serial_field.text()) != self._session.serial:
            self.serial_field.setText(self._session.serial)

    def edit(self, field: QLineEdit) -> None:
        """Let a person type into one of the fields."""
        if field.isEnabled():
            field.setFocus()
            field.selectAll()

    def _choose_fiber_type(self) -> None:
        self._session.choose(fiber_type=self.fiber_type.currentData())
        self._show_choice()

    def _choose_profile(self) -> None:
        self._session.choose(profile=self.profile.currentText())
        self._show_choice()

    def _choose_operator(self) -> None:
        self._session.choose(operator=" ".join(self.operator.text().split()))
        self._show_choice()

    def _show_choice(self) -> None:
        """What is in force, also where a choice was refused."""
        setup, kind = self._session.setup, self._session.setup.settings.fiber_type
        self.fiber_type.setCurrentIndex(self.fiber_type.findData(None if kind is None else kind.name))
        self.profile.setCurrentText(setup.config.profile)
        self.operator.setText(setup.choice.operator)

    def _lay_out(self, buttons: Mapping[str, Callable[[], None]], sizes: style.Sizes) -> None:
        top = QGridLayout(self)
        top.setContentsMargins(0, 0, 0, 0)
        top.setHorizontalSpacing(sizes.px(8))
        top.setVerticalSpacing(sizes.px(2))
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
        for column, (text, action) in enumerate(buttons.items(), start=len(parts)):
            top.addWidget(button(text, action, name="action"), 0, column, 2, 1)


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
