"""A4 pages of text, tables, boxes and pictures as PDF: laid out first, so that their number is known, then drawn.

Lengths are points (1/72 inch) from the top left corner of the page. The bytes depend on the content alone: no clock,
no font of the machine.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.transforms import Affine2D

WIDTH_PT, HEIGHT_PT = 595.28, 841.89
MARGIN_PT = 48.0
RIGHT_PT = WIDTH_PT - MARGIN_PT
BOTTOM_PT = HEIGHT_PT - 62.0  # below it is the foot
LINE = 1.32  # distance of lines over the size of the text
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_MEASURED_PT = 100  # the size at which characters are measured


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    baseline: float
    text: str
    size: float
    bold: bool
    color: str


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle; one of no height or width is drawn as a hairline."""

    x: float
    top: float
    width: float
    height: float
    color: str


@dataclass(frozen=True, slots=True)
class Picture:
    x: float
    top: float
    width: float
    height: float
    pixels: np.ndarray  # (H, W, 3) uint8 RGB


@dataclass(frozen=True)
class Column:
    title: str
    width: float
    align: str = "left"  # left | right


@dataclass(frozen=True)
class Row:
    """The cells of a table's row; each is wrapped to its column. ``shade`` is the colour behind it, "" for none."""

    cells: tuple[str, ...]
    bold: bool = False
    shade: str = ""


@dataclass
class Flow:
    """Pages that are filled from top to bottom. ``top`` is where the next thing goes on the last page.

    ``heading`` stands at the top of every page but the first.
    """

    heading: str = ""
    pages: list[list[Text | Box | Picture]] = field(default_factory=lambda: [[]])
    top: float = MARGIN_PT

    def add(self, *items: Text | Box | Picture) -> None:
        """Put items on the page under way, where they say."""
        self.pages[-1].extend(items)

    def need(self, height: float) -> bool:
        """Begin a new page where less than this height is left; whether it did."""
        if self.top + height <= BOTTOM_PT:
            return False
        self.pages.append([])
        self.top = MARGIN_PT
        if self.heading:
            self.line(self.heading, size=9, bold=True)
            self.space(6)
        return True

    def space(self, height: float) -> None:
        self.top += height

    def line(self, text: str, *, x: float = MARGIN_PT, size: float = 9, bold: bool = False, color: str = "#000000"):
        """One line of text, cut where it does not fit."""
        self.need(size * LINE)
        self.add(Text(x, self.top + size, shortened(text, RIGHT_PT - x, size, bold), size, bold, color))
        self.space(size * LINE)

    def paragraph(self, text: str, *, x: float = MARGIN_PT, size: float = 9, bold: bool = False) -> None:
        """Text in as many lines as it takes."""
        for part in wrapped(text, RIGHT_PT - x, size, bold):
            self.line(part, x=x, size=size, bold=bold)

    def title(self, text: str, *, size: float = 11, followed_by: float = 36) -> None:
        """The title of a section, kept with so much of what follows."""
        if self.top > MARGIN_PT:
            self.space(10)
        self.need(size * LINE + followed_by)
        self.line(text, size=size, bold=True)
        self.space(2)

    def table(self, columns: Sequence[Column], rows: Iterable[Row], *, size: float = 7.5, max_lines: int = 4) -> None:
        """A table whose head is repeated on every page; a cell has at most ``max_lines`` lines, the rest is cut."""
        pad, pitch = 2.5, size * LINE
        self._table_head(columns, size)
        for row in rows:
            cells = [
                wrapped(cell, column.width - 2 * pad, size, row.bold, max_lines=max_lines)
                for cell, column in zip(row.cells, columns, strict=True)
            ]
            height = max(len(lines) for lines in cells) * pitch + pad
            if self.need(height):
                self._table_head(columns, size)
            if row.shade:
                self.add(Box(MARGIN_PT, self.top, sum(column.width for column in columns), height, row.shade))
            x = MARGIN_PT
            for lines, column in zip(cells, columns, strict=True):
                for index, text in enumerate(lines):
                    place = _aligned(text, x + pad, column.width - 2 * pad, column.align, size, row.bold)
                    self.add(Text(place, self.top + size + index * pitch, text, size, row.bold, "#000000"))
                x += column.width
            self.space(height)
            self.add(Box(MARGIN_PT, self.top, x - MARGIN_PT, 0, "#BBBBBB"))

    def _table_head(self, columns: Sequence[Column], size: float) -> None:
        x, pad = MARGIN_PT, 2.5
        for column in columns:
            text = shortened(column.title, column.width - 2 * pad, size, True)
            place = _aligned(text, x + pad, column.width - 2 * pad, column.align, size, True)
            self.add(Text(place, self.top + size, text, size, True, "#000000"))
            x += column.width
        self.space(size * LINE + 1)
        self.add(Box(MARGIN_PT, self.top, x - MARGIN_PT, 0.8, "#000000"))
        self.space(2)

    def foot(self, text: str) -> None:
        """Close every page with a line: the text on the left, "Page x of y" on the right."""
        for number, page in enumerate(self.pages, start=1):
            count = f"Page {number} of {len(self.pages)}"
            left = RIGHT_PT - text_width(count, 7.5)
            baseline = HEIGHT_PT - 34
            page.append(Box(MARGIN_PT, baseline - 11, RIGHT_PT - MARGIN_PT, 0, "#888888"))
            page.append(Text(MARGIN_PT, baseline, shortened(text, left - MARGIN_PT - 12, 7.5), 7.5, False, "#444444"))
            page.append(Text(left, baseline, count, 7.5, False, "#444444"))


def pdf_bytes(
    pages: Sequence[Sequence[Text | Box | Picture]], *, title: str, made: datetime | None, keywords: str = ""
) -> bytes:
    """The pages as a PDF file with its fonts inside; ``made`` is its date, None for none."""
    date = made.astimezone(UTC) if made else None  # matplotlib writes the sign of other offsets wrongly
    about = {"Title": title, "Keywords": keywords, "Creator": "D-Scope Blink", "CreationDate": date}
    file = io.BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 3, "pdf.compression": 6, "text.usetex": False, "savefig.bbox": None}):
        with PdfPages(file, metadata=about) as pdf:
            for items in pages:
                figure = Figure(figsize=(WIDTH_PT / 72, HEIGHT_PT / 72), dpi=72)
                figure.add_artist(_Drawing(items))
                pdf.savefig(figure)
        return file.getvalue()


class _Drawing(Artist):
    """What stands on one page, drawn without the layout that matplotlib would do for every single text."""

    def __init__(self, items: Sequence[Text | Box | Picture]) -> None:
        super().__init__()
        self._items = items

    def draw(self, renderer: RendererBase) -> None:
        gc = renderer.new_gc()
        for item in self._items:
            if isinstance(item, Text):
                gc.set_foreground(item.color)
                place = item.x, HEIGHT_PT - item.baseline
                renderer.draw_text(gc, *place, item.text, _font(item.size, item.bold), 0)
            elif isinstance(item, Box):
                _draw_box(renderer, gc, item)
            else:
                _draw_picture(renderer, gc, item)
        gc.restore()


def _draw_box(renderer: RendererBase, gc: Any, box: Box) -> None:
    width, height = max(box.width, 0.4), max(box.height, 0.4)
    place = Affine2D().scale(width, height).translate(box.x, HEIGHT_PT - box.top - height)
    gc.set_linewidth(0)
    renderer.draw_path(gc, matplotlib.path.Path.unit_rectangle(), place, matplotlib.colors.to_rgba(box.color))


def _draw_picture(renderer: RendererBase, gc: Any, picture: Picture) -> None:
    height_px, width_px = picture.pixels.shape[:2]
    opaque = np.dstack([picture.pixels, np.full((height_px, width_px), 255, np.uint8)])
    place = Affine2D().scale(picture.width, picture.height)
    place.translate(picture.x, HEIGHT_PT - picture.top - picture.height)
    renderer.draw_image(gc, 0, 0, opaque[::-1], place)


# --- text ----------------------------------------------------------------------------------------------------------


def printable(text: str) -> str:
    """One line that the fonts can show: white space as blanks, what is no character of theirs as a question mark."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    known = _characters()
    return "".join(
        char if char in known and char.isprintable() else " " if char.isspace() else _UNKNOWN
        for char in unicodedata.normalize("NFC", plain)
    )


def text_width(text: str, size: float, bold: bool = False) -> float:
    """How wide a printable text is drawn, in points."""
    return sum(_advance(char, bold) for char in text) * size


def shortened(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text made printable, cut with an ellipsis where it is wider than ``width``."""
    text = printable(text)
    if text_width(text, size, bold) <= width:
        return text
    kept, left = [], width - text_width("…", size, bold)
    for char in text:
        left -= _advance(char, bold) * size
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def wrapped(text: str, width: float, size: float, bold: bool = False, *, max_lines: int | None = None) -> list[str]:
    """The text made printable, in lines of at most ``width``: broken at blanks, and inside a word that is too long.

    What goes beyond ``max_lines`` is cut, with an ellipsis.
    """
    lines = [""]
    for word in printable(text).split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if text_width(joined, size, bold) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        used = 0.0
        for char in word:
            used += _advance(char, bold) * size
            if lines[-1] and used > width:
                lines.append("")
                used = _advance(char, bold) * size
            lines[-1] += char
    if max_lines is None or len(lines) <= max_lines:
        return lines
    return [*lines[: max_lines - 1], shortened(f"{lines[max_lines - 1]}…", width, size, bold)]


def _aligned(text: str, x: float, width: float, align: str, size: float, bold: bool) -> float:
    return x if align == "left" else x + width - text_width(text, size, bold)


@cache
def _font_file(bold: bool) -> Path:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"  # of matplotlib itself
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name


@cache
def _font(size: float, bold: bool) -> FontProperties:
    return FontProperties(fname=_font_file(bold), size=size)


@cache
def _face(bold: bool) -> FT2Font:
    face = FT2Font(str(_font_file(bold)))
    face.set_size(_MEASURED_PT, 72)
    return face


@cache
def _characters() -> frozenset[str]:
    """What both fonts can show."""
    return frozenset(map(chr, _face(False).get_charmap().keys() & _face(True).get_charmap().keys()))


@cache
def _advance(char: str, bold: bool) -> float:
    """How far a character moves on, over the size of the text."""
    return _face(bold).load_char(ord(char)).linearHoriAdvance / 65536 / _MEASURED_PT
