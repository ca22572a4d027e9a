"""Drawing on BGR pictures: colours, text, shapes with sub-pixel positions, views of an image on a picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from records import Ellipse
from reports.layout import Box, Point

Color = tuple[int, int, int]  # BGR

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
PANEL: Color = (32, 32, 32)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # fractional bits of coordinates given to OpenCV
_FALLBACK = "#4A4A6A"


@dataclass(frozen=True)
class View:
    """An image, or a part of it, shown somewhere on a picture.

    ``area`` is the place on the picture; ``crop_x`` and ``crop_y`` the image pixel at its top left; ``scale`` picture
    pixels per image pixel.
    """

    area: Box
    crop_x: int
    crop_y: int
    scale: float

    def point(self, x_px: float, y_px: float) -> Point:
        """Picture position of an image position; pixel centres are whole numbers in both."""
        return (
            (x_px + 0.5 - self.crop_x) * self.scale - 0.5 + self.area.left,
            (y_px + 0.5 - self.crop_y) * self.scale - 0.5 + self.area.top,
        )

    def shows(self, x_px: float, y_px: float) -> bool:
        """Whether an image position lies in this view."""
        x, y = self.point(x_px, y_px)
        return self.area.left <= x < self.area.right and self.area.top <= y < self.area.bottom

    def window(self, picture: np.ndarray) -> np.ndarray:
        """The part of the picture that this view covers; writing to it draws, clipped to the view."""
        return picture[self.area.top : self.area.bottom, self.area.left : self.area.right]


@dataclass(frozen=True)
class TextStyle:
    """Hershey text: ``scale`` 1.0 has capitals about 21 px high; ``thickness`` in pixels."""

    scale: float
    thickness: int

    def width(self, text: str) -> int:
        """Width of the text in pixels."""
        return cv2.getTextSize(text, _FONT, self.scale, self.thickness)[0][0]

    @property
    def cap_px(self) -> int:
        """Height of a capital letter in pixels; OpenCV 4 and 5 measure text differently, but draw it this high."""
        return round(21 * self.scale)

    @property
    def line_px(self) -> int:
        """Distance between two base lines."""
        return round(33 * self.scale) + 2


def bgr(colors: Mapping[str, str], key: str) -> Color:
    """Colour of a key from a mapping to ``#RRGGBB``; slate when it has none."""
    text = colors.get(key, _FALLBACK).lstrip("#")
    red, green, blue = (int(text[i : i + 2], 16) for i in (0, 2, 4))
    return blue, green, red


def plain(text: str) -> str:
    """Text that OpenCV can draw: ASCII, accents dropped, micro sign as u, anything else as a question mark."""
    replaced = text.replace("\u00b5", "u").replace("\u03bc", "u").replace("\u00df", "ss")
    decomposed = unicodedata.normalize("NFKD", replaced)
    kept = "".join(char for char in decomposed if not unicodedata.combining(char))
    return kept.encode("ascii", "replace").decode("ascii")


def wrapped(text: str, width_px: int, style: TextStyle) -> list[str]:
    """The text in lines no wider than ``width_px``, broken between words; an overlong word is cut with "..."."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and style.width(joined) <= width_px:
            lines[-1] = joined
        else:
            lines.append(shortened(word, width_px, style))
    return lines


def shortened(text: str, width_px: int, style: TextStyle) -> str:
    """The text, cut with "..." until it is no wider than ``width_px``."""
    if style.width(text) <= width_px:
        return text
    while text and style.width(f"{text}...") > width_px:
        text = text[:-1]
    return f"{text}..."


def draw_text(picture: np.ndarray, text: str, left: int, baseline: int, style: TextStyle, color: Color) -> None:
    """Write one line, its base line's left end at (left, baseline)."""
    cv2.putText(picture, text, (left, baseline), _FONT, style.scale, color, style.thickness, cv2.LINE_AA)


def fill_box(picture: np.ndarray, box: Box, color: Color, opacity: float = 1.0) -> None:
    """Fill a box, mixed with what is there; parts outside the picture are ignored."""
    part = picture[max(box.top, 0) : max(box.bottom, 0), max(box.left, 0) : max(box.right, 0)]
    if part.size:
        filling = cv2.rectangle(np.empty_like(part), (0, 0), part.shape[1::-1], color, cv2.FILLED)
        cv2.addWeighted(part, 1 - opacity, filling, opacity, 0, dst=part)


def draw_name(picture: np.ndarray, text: str, middle: Point, style: TextStyle, color: Color, ground: Color) -> None:
    """Write one line around ``middle``, on a box of the colour ``ground`` that hardly lets anything through."""
    half, height = style.width(text) // 2, style.cap_px
    x, y = round(middle[0]), round(middle[1])
    fill_box(picture, Box(x - half - 3, y - height // 2 - 3, x + half + 4, y + height // 2 + 4), ground, 0.85)
    draw_text(picture, text, x - half, y + height // 2, style, color)


def draw_ellipse(picture: np.ndarray, view: View, ellipse: Ellipse, factor: float, color: Color, line_px: int) -> None:
    """Draw an ellipse of image pixels, its axes multiplied by ``factor``, clipped to the view."""
    center = _fixed([_inside(view, view.point(ellipse.x_px, ellipse.y_px))])[0]
    half = 0.5 * factor * view.scale * (1 << _SHIFT)
    axes = (round(ellipse.major_px * half), round(ellipse.minor_px * half))
    window = view.window(picture)
    cv2.ellipse(window, center, axes, ellipse.angle_deg, 0, 360, color, line_px, cv2.LINE_AA, _SHIFT)


def draw_outline(
    picture: np.ndarray, view: View, corners: Sequence[Point], color: Color, line_px: int, closed: bool = True
) -> None:
    """Draw a polygon of picture pixels, clipped to the view."""
    points = np.array(_fixed([_inside(view, corner) for corner in corners]), np.int32).reshape(-1, 1, 2)
    cv2.polylines(view.window(picture), [points], closed, color, line_px, cv2.LINE_AA, _SHIFT)


def padded_outline(corners: Sequence[Point], pad_px: float) -> tuple[Point, ...]:
    """A rectangle of picture pixels, rotated or not, with every side moved outwards by ``pad_px``."""
    center, (width, height), angle_deg = cv2.minAreaRect(np.asarray(corners, np.float32).reshape(-1, 1, 2))
    moved = cv2.boxPoints((center, (width + 2 * pad_px, height + 2 * pad_px), angle_deg))
    return tuple((float(x), float(y)) for x, y in moved)


def _inside(view: View, point: Point) -> Point:
    return point[0] - view.area.left, point[1] - view.area.top


def _fixed(points: Sequence[Point]) -> list[tuple[int, int]]:
    return [(round(x * (1 << _SHIFT)), round(y * (1 << _SHIFT))) for x, y in points]
