"""Right sides of the window that only show text and a few buttons: the list of keys, the question before closing."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from station import words
from station.screen import style
from station.screen.widgets import button, label


def keys_page(leave: Callable[[], None]) -> QWidget:
    """Every key and what it does."""
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


def closing_page(
    sizes: style.Sizes, save: Callable[[], None], discard: Callable[[], None], stay: Callable[[], None]
) -> QWidget:
    """What is to become of a capture that is not saved."""
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
