"""The line under the picture: focus, light, and whether the fibre is found."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout

from settings import Preprocessing
from station import words
from station.screen import style
from station.screen.widgets import FocusBar, label
from station.tracking import Sight

NAN = float("nan")


class StatusStrip(QFrame):
    """What the live picture is like, also while a result is shown."""

    def __init__(self, sizes: style.Sizes) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.focus_bar = FocusBar(sizes)
        self.focus, self.light, self.fiber = (label(wraps=True) for _ in range(3))
        row = QHBoxLayout(self)
        row.addWidget(self.focus_bar)
        for text, share in ((self.focus, 4), (self.light, 3), (self.fiber, 5)):
            row.addWidget(text, share)

    def refresh(self, sight: Sight | None, limits: Preprocessing) -> None:
        """Show what is seen now; amber is what needs attention."""
        score = NAN if sight is None else sight.focus_score
        self.focus_bar.show_score(score, limits.min_focus_score, limits.min_judged_focus_score)
        shown = (("", True), ("", True), ("", True))
        if sight is not None:
            shown = (
                (words.focus_in_words(score, limits), score >= limits.min_focus_score),
                (words.light_in_words(sight), not sight.light.warning),
                (words.fiber_in_words(sight), sight.fiber is not None),
            )
        for where, (text, is_good) in zip((self.focus, self.light, self.fiber), shown, strict=True):
            if where.text() != text:
                where.setText(text)
                where.setStyleSheet(f"color: {style.TEXT if is_good else style.WARNING};")
