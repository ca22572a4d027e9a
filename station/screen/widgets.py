"""The small parts of the window: the picture, the focus bar, buttons and fields that fingers can hit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QDoubleValidator, QFont, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QPushButton, QSizePolicy, QWidget

from station.screen import style


class PictureView(QWidget):
    """Shows a BGR picture that was drawn for its size, or a text in its place."""

    def __init__(self, sizes: style.Sizes) -> None:
        super().__init__()
        self._image: QImage | None = None
        self._text = ""
        self._sizes = sizes
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 240)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height in pixels of the screen."""
        ratio = self.devicePixelRatioF()
        return max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))

    def show_picture(self, picture: np.ndarray) -> None:
        """Show a picture (H, W, 3) uint8 BGR; :attr:`pixels` is the size it should have."""
        height, width = picture.shape[:2]
        image = QImage(picture.data, width, height, picture.strides[0], QImage.Format.Format_BGR888)
        image.setDevicePixelRatio(self.devicePixelRatioF())
        self._image, self._text = image, ""
        self._kept = picture  # an image does not keep the memory it shows
        self.update()

    def show_text(self, text: str) -> None:
        """Show words instead of a picture."""
        if text != self._text:
            self._image, self._text = None, text
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Called by Qt."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("#202020"))
        if self._image is not None:
            painter.drawImage(0, 0, self._image)
            return
        font = QFont(self.font())
        font.setPixelSize(self._sizes.px(26))
        painter.setFont(font)
        painter.setPen(QColor(style.WARNING))
        margin = self._sizes.px(40)
        area: QRect = self.rect().adjusted(margin, margin, -margin, -margin)
        painter.drawText(area, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._text)


class FocusBar(QWidget):
    """The focus score as a bar with its two limits: below the lower one nothing is judged."""

    def __init__(self, sizes: style.Sizes) -> None:
        super().__init__()
        self._score, self._warns_below, self._judges_from = float("nan"), 0.0, 0.0
        self.setFixedSize(QSize(sizes.px(150), sizes.px(26)))

    def show_score(self, score: float, warns_below: float, judges_from: float) -> None:
        """``score`` 0..1, NaN without a fibre."""
        self._score, self._warns_below, self._judges_from = score, warns_below, judges_from
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Called by Qt."""
        painter, area = QPainter(self), self.rect()
        painter.fillRect(area, QColor("#0B0E11"))
        if self._score == self._score:
            color = style.GOOD if self._score >= self._warns_below else style.WARNING
            color = color if self._score >= self._judges_from else style.BAD
            filled = QRect(area)
            filled.setWidth(round(min(self._score, 1.0) * area.width()))
            painter.fillRect(filled, QColor(color))
        painter.setPen(QColor(style.TEXT))
        for limit in (self._warns_below, self._judges_from):
            x = round(limit * area.width())
            painter.drawLine(x, 0, x, area.height())
        painter.setPen(QColor(style.LINE))
        painter.drawRect(area.adjusted(0, 0, -1, -1))


class ChoiceBox(QComboBox):
    """A list to choose from, with an arrow that the style sheet would take away."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Called by Qt."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setPen(QColor(style.QUIET))
        area = self.rect().adjusted(0, 0, -self.height() // 5, 0)
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, "\u25be")


def button(text: str, action: Callable[[], None], *, name: str = "", checkable: bool = False) -> QPushButton:
    """A button that never gets the focus: keys reach it by their own names only."""
    made = QPushButton(text)
    made.setObjectName(name)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setCheckable(checkable)
    made.clicked.connect(lambda checked=False: action())
    return made


def label(text: str = "", name: str = "", *, wraps: bool = False) -> QLabel:
    """Plain text: what stands in it may come from anywhere, and is never read as HTML."""
    made = QLabel(text)
    made.setObjectName(name)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if wraps:
        made.setMinimumWidth(1)
    made.setWordWrap(wraps)
    return made


class NumberField(QWidget):
    """A number with a smaller and a larger step, each as large as a finger. ``chosen`` gets the new number."""

    def __init__(self, name: str, factor: float, chosen: Callable[[float], None], *, step: float = 0.0) -> None:
        super().__init__()
        self._factor, self._step, self._chosen = factor, step, chosen
        self.field = QLineEdit()
        self.field.setAccessibleName(name)
        self.field.setValidator(QDoubleValidator(0.0, 1e9, 3, self))
        self.field.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.field.editingFinished.connect(self._typed)
        self._shown = ""
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for each in (button("\u2212", self.less), self.field, button("+", self.more)):
            row.addWidget(each, 1 if each is self.field else 0)
            if each is not self.field:
                each.setMinimumWidth(2 * style.LEAST_TARGET_PX)

    @property
    def value(self) -> float:
        """The number in the field; NaN where there is none."""
        number, is_number = self.field.locale().toDouble(self.field.text())
        return number if is_number else float("nan")

    def show_value(self, value: float) -> None:
        """Show a number, unless somebody is typing one."""
        text = self.field.locale().toString(value, "g", 6) if value == value else ""
        if not self.field.hasFocus() and text != self.field.text():
            self.field.setText(text)
        self._shown = self.field.text() if not self.field.hasFocus() else self._shown

    def less(self) -> None:
        """One step down."""
        self._choose(self.value / self._factor - self._step)

    def more(self) -> None:
        """One step up."""
        self._choose(self.value * self._factor + self._step)

    def _typed(self) -> None:
        if self.field.text() != self._shown:
            self._choose(self.value)

    def _choose(self, value: float) -> None:
        if value == value:
            self.show_value(max(value, 0.0))
            self._chosen(max(value, 0.0))
