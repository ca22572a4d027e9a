"""The pictures of an image that a vision-language model is shown: the full frame and a crop around each zone.

A box is (left, top, width, height) in edges of pixels: the first pixel reaches from 0 to 1, of the image as of a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from records import Ellipse, ZoneExtent
from vision.geometry import frame_matrix

FULL, CORE, CLADDING, FERRULE = "full", "core", "cladding", "ferrule"
VIEWS = (FULL, FERRULE, CLADDING, CORE)
Box = tuple[float, float, float, float]
_MARGIN_SHARE = 0.1  # of a zone's radius: what a crop shows around it
_LEAST_SIDE_PX = 16
_LEAST_SEEN_SHARE = 0.25  # of a crop: less of it in the image is no view
_SAME_SHARE = 0.8  # of the full frame: a larger crop would only show it again


@dataclass(frozen=True)
class View:
    """One picture: a rectangle of the image in whole pixels, reduced to ``shown_width`` x ``shown_height``."""

    name: str
    left: int
    top: int
    width: int
    height: int
    shown_width: int
    shown_height: int

    @property
    def factor(self) -> float:
        """Pixels of the picture per pixel of the image, at most 1."""
        return max(self.shown_width, self.shown_height) / max(self.width, self.height)

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The picture, (shown_height, shown_width), of an image (H, W) uint8."""
        part = image[self.top : self.top + self.height, self.left : self.left + self.width]
        size = (self.shown_width, self.shown_height)
        return part if part.shape[::-1] == size else cv2.resize(part, size, interpolation=cv2.INTER_AREA)

    def to_view(self, box: Box) -> Box:
        """A box of the image in pixels of the picture, beyond its edges where the box leaves it."""
        across, down = self.shown_width / self.width, self.shown_height / self.height
        return (box[0] - self.left) * across, (box[1] - self.top) * down, box[2] * across, box[3] * down

    def to_image(self, box: Box) -> Box:
        """A box of the picture in pixels of the image."""
        across, down = self.width / self.shown_width, self.height / self.shown_height
        return self.left + box[0] * across, self.top + box[1] * down, box[2] * across, box[3] * down


def choose_views(
    cladding: Ellipse,
    zones: Sequence[ZoneExtent],
    shape: tuple[int, int],
    *,
    names: Sequence[str] = VIEWS,
    max_side_px: int,
) -> tuple[View, ...]:
    """The views of an image of ``shape`` (rows, cols), in the order of :data:`VIEWS`, of those that ``names`` allows.

    No side is longer than ``max_side_px``; nothing is enlarged. A crop that shows the whole frame again, or of which
    the image holds little, is none.
    """
    height, width = shape
    views = [_reduced(FULL, 0, 0, width, height, max_side_px)] if FULL in names else []
    reach_x, reach_y = np.hypot(*np.linalg.inv(frame_matrix(cladding)).T) * (1 + _MARGIN_SHARE)
    for name, radius in _radii(zones).items():
        x, y, half_width, half_height = cladding.x_px + 0.5, cladding.y_px + 0.5, reach_x * radius, reach_y * radius
        left, top = max(0, round(x - half_width)), max(0, round(y - half_height))
        wide, high = min(width, round(x + half_width)) - left, min(height, round(y + half_height)) - top
        is_seen = min(wide, high) >= _LEAST_SIDE_PX and wide * high >= _LEAST_SEEN_SHARE * 4 * half_width * half_height
        if name in names and is_seen and wide * high <= _SAME_SHARE * width * height:
            views.append(_reduced(name, left, top, wide, high, max_side_px))
    return tuple(views)


def _radii(zones: Sequence[ZoneExtent]) -> dict[str, float]:
    """Outer radius (px in the fibre frame) of what each crop is made around, the widest first."""
    ends = {zone.name: zone.outer_radius_px for zone in zones if zone.inspected}
    found = {CLADDING: ends.get("Cladding"), CORE: ends.get("Core")}
    around = max(ends.values(), default=0.0)
    if around > max(ends.get("Cladding", 0.0), ends.get("Core", 0.0)):
        found = {FERRULE: around, **found}
    return {name: radius for name, radius in found.items() if radius is not None}


def _reduced(name: str, left: int, top: int, width: int, height: int, max_side_px: int) -> View:
    factor = min(1.0, max_side_px / max(width, height))
    return View(name, left, top, width, height, max(1, round(width * factor)), max(1, round(height * factor)))
