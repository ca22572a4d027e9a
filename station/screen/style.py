"""How the window looks: dark, high in contrast, readable from a metre; every target at least 44 px high."""

from __future__ import annotations

from dataclasses import dataclass

GROUND, PANEL, LINE = "#14181D", "#1F252C", "#3A444F"
TEXT, QUIET, ACCENT = "#FFFFFF", "#B9C4CF", "#2F81F7"
WARNING, GOOD, BAD = "#FFC94D", "#4CD07D", "#FF6B5E"
LEAST_TARGET_PX = 44
_DESIGN_SIZE = (1280, 800)


@dataclass(frozen=True)
class Sizes:
    """Everything in logical pixels, growing with the screen."""

    unit: float

    @classmethod
    def for_screen(cls, width: int, height: int) -> Sizes:
        """For a screen, or a window, of this size."""
        return cls(min(max(min(width / _DESIGN_SIZE[0], height / _DESIGN_SIZE[1]), 1.0), 2.0))

    def px(self, at_design_size: float) -> int:
        """A length that is so long on a screen of 1280 x 800."""
        return round(at_design_size * self.unit)

    @property
    def target(self) -> int:
        """Height of buttons, fields and rows."""
        return max(LEAST_TARGET_PX, self.px(48))

    @property
    def text(self) -> int:
        """Size of ordinary text."""
        return self.px(18)


def style_sheet(sizes: Sizes) -> str:
    """The style of every widget."""
    px, text, target = sizes.px, sizes.text, sizes.target
    return f"""
    * {{ font-family: "DejaVu Sans", "Segoe UI", sans-serif; font-size: {text}px; color: {TEXT}; }}
    QWidget#station, QStackedWidget, QScrollArea, QScrollArea > QWidget > QWidget {{ background: {GROUND}; border: 0; }}
    QFrame#bar, QFrame#card {{ background: {PANEL}; border-radius: {px(8)}px; }}
    QLabel#quiet {{ color: {QUIET}; font-size: {px(15)}px; }}
    QLabel#title {{ font-size: {px(26)}px; font-weight: bold; }}
    QLabel#verdict {{ font-size: {px(60)}px; font-weight: bold; border-radius: {px(8)}px; padding: {px(4)}px; }}
    QLabel#message {{ background: {PANEL}; border-radius: {px(8)}px; padding: 0 {px(12)}px; }}
    QPushButton {{ background: #2B3541; border: 2px solid {LINE}; border-radius: {px(8)}px; min-height: {target}px;
                   padding: 0 {px(8)}px; font-weight: bold; }}
    QPushButton:pressed {{ background: {ACCENT}; }}
    QPushButton:checked {{ background: #1D4E89; border-color: {ACCENT}; }}
    QPushButton:disabled {{ color: #6B7683; background: {PANEL}; }}
    QPushButton#main {{ background: #1D6FDB; border-color: #5AA2FF; min-height: {px(72)}px; font-size: {px(24)}px; }}
    QPushButton#action {{ min-height: {px(72)}px; }}
    QPushButton#main:disabled {{ background: {PANEL}; border-color: {LINE}; }}
    QLineEdit, QComboBox {{ background: #0B0E11; border: 2px solid {LINE}; border-radius: {px(8)}px;
                 min-height: {target - 4}px; padding: 0 {px(10)}px; }}
    QLineEdit:focus {{ border-color: {ACCENT}; }}
    QLineEdit:disabled {{ color: {QUIET}; background: {PANEL}; }}
    QLineEdit#serial {{ font-size: {px(24)}px; font-weight: bold; }}
    QComboBox::drop-down {{ width: {px(26)}px; border: 0; }}
    QLabel#warnings {{ color: {WARNING}; }}
    QComboBox QAbstractItemView {{ background: #0B0E11; border: 2px solid {ACCENT};
                 selection-background-color: #1D4E89; outline: 0; }}
    QComboBox QAbstractItemView::item {{ min-height: {target}px; }}
    QTableWidget {{ background: {PANEL}; border: 0; gridline-color: {LINE}; border-radius: {px(8)}px;
                 selection-background-color: #1D4E89; selection-color: {TEXT}; }}
    QHeaderView::section {{ background: #2B3541; border: 0; padding: {px(6)}px; font-weight: bold; color: {QUIET}; }}
    QTableCornerButton::section {{ background: {PANEL}; border: 0; }}
    QScrollBar:vertical {{ background: {PANEL}; width: {px(24)}px; }}
    QScrollBar::handle:vertical {{ background: #56626F; border-radius: {px(8)}px; min-height: {target}px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; }}
    """
