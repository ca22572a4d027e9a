"""The two fields that detection works on: the fibre at working scale, the ferrule around it at half of it.

What lies beside the fibre is judged by its limits for large marks only, but it is by far the larger part of the
picture. Regions of both fields come together in the pixels of the working crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from records import Ellipse, ZoneExtent
from vision.geometry import Box, scaled
from vision.regions import Region, united
from vision.residual import Residual

FIBRE_SHARE = 1.12  # of the cladding radius: up to here the fibre's field is searched ...
FERRULE_SHARE = 1.06  # ... and from here on the ferrule's: a mark across the border is whole in one of them
BACKGROUND_SHARE = 1.06  # of the cladding radius: the background of the fibre needs both sides of the edge
LEAST_RADIUS_PX = 100.0  # at working scale: smaller fibres are one field
MARGIN_PX = 6
LEAST_SIDE_PX = 8  # of a crop: in less nothing can be seen
JOIN_PX = 3  # at working scale: pieces of one mark in both fields are no further apart


@dataclass(frozen=True)
class WorkingCrop:
    """The inspected box at working scale, without the frame's margins."""

    grey: np.ndarray  # (H, W) float32
    ellipse: Ellipse  # the cladding in it
    factor: float  # working px per image px
    offset: tuple[float, float]  # x, y of its first pixel in the whole image at working scale
    reach_px: float  # fibre-frame radius, working px


def working_crop(
    grey: np.ndarray, box: Box, cladding: Ellipse, reach_px: float, working_radius_px: float
) -> WorkingCrop:
    """Crop an image (H, W) uint8 to ``reach_px`` (image px, fibre frame) and reduce it to ``working_radius_px``.

    ``box`` is the picture without black margins. Both sides of the crop are even.
    """
    factor = min(1.0, working_radius_px / cladding.mean_radius_px)
    half = reach_px * math.sqrt(cladding.major_px / cladding.minor_px) + MARGIN_PX / factor
    top, bottom, left, right = box
    x0, y0 = max(left, int(cladding.x_px - half)), max(top, int(cladding.y_px - half))
    x1, y1 = min(right, int(cladding.x_px + half) + 1), min(bottom, int(cladding.y_px + half) + 1)
    work = grey[y0:y1, x0:x1].astype(np.float32)
    if factor < 1:
        work = cv2.resize(work, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    rows, cols = (side - side % 2 for side in work.shape)
    ellipse = scaled(cladding, factor)
    moved = replace(ellipse, x_px=ellipse.x_px - x0 * factor, y_px=ellipse.y_px - y0 * factor)
    return WorkingCrop(work[:rows, :cols], moved, factor, (x0 * factor, y0 * factor), reach_px * factor)


def halved(crop: WorkingCrop) -> WorkingCrop:
    """The same crop at half the scale."""
    rows, cols = crop.grey.shape
    grey = cv2.resize(crop.grey, (cols // 2, rows // 2), interpolation=cv2.INTER_AREA)
    offset = (0.5 * crop.offset[0], 0.5 * crop.offset[1])
    return WorkingCrop(grey, scaled(crop.ellipse, 0.5), 0.5 * crop.factor, offset, 0.5 * crop.reach_px)


def has_ferrule_field(crop: WorkingCrop) -> bool:
    """Whether the crop reaches so far beyond a fibre so large that the ferrule is a field of its own."""
    radius_px = crop.ellipse.mean_radius_px
    return crop.reach_px > FIBRE_SHARE * radius_px and radius_px >= LEAST_RADIUS_PX


def fibre_window(crop: WorkingCrop) -> tuple[slice, slice]:
    """The part of a crop (rows, columns) that holds the fibre's field."""
    ellipse = crop.ellipse
    half = FIBRE_SHARE * 0.5 * ellipse.major_px + 3 * MARGIN_PX
    rows, cols = crop.grey.shape
    return (
        slice(max(0, int(ellipse.y_px - half)), min(rows, int(ellipse.y_px + half) + 1)),
        slice(max(0, int(ellipse.x_px - half)), min(cols, int(ellipse.x_px + half) + 1)),
    )


def windowed(crop: WorkingCrop, window: tuple[slice, slice], reach_px: float) -> WorkingCrop:
    """A part of a crop, with a reach (working px) of its own."""
    top, left = window[0].start, window[1].start
    ellipse = replace(crop.ellipse, x_px=crop.ellipse.x_px - left, y_px=crop.ellipse.y_px - top)
    offset = (crop.offset[0] + left, crop.offset[1] + top)
    return WorkingCrop(crop.grey[window], ellipse, crop.factor, offset, reach_px)


def inspected_pixels(
    residual: Residual,
    zones: tuple[ZoneExtent, ...],
    factor: float,
    *,
    within_px: float = 0.0,
    beyond_px: float = math.inf,
) -> np.ndarray:
    """Pixels (H, W) bool of inspected zones between two radii (working px); ``factor`` scales the zones' radii."""
    radius = residual.radius_px
    inspected = np.zeros(radius.shape, bool)
    for zone in zones:
        low, high = max(zone.inner_radius_px * factor, within_px), min(zone.outer_radius_px * factor, beyond_px)
        if zone.inspected and low < high:
            inspected |= (radius >= low) & (radius < high)
    return inspected & residual.inside


def moved(regions: list[Region], top: int, left: int) -> list[Region]:
    """Regions in the pixels of a crop that begins ``top`` and ``left`` earlier."""
    return [replace(r, rows=r.rows + top, cols=r.cols + left) for r in regions]


def doubled(regions: list[Region]) -> list[Region]:
    """Regions at twice the scale."""
    down, right = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    return [
        replace(r, rows=(2 * r.rows[:, None] + down).ravel(), cols=(2 * r.cols[:, None] + right).ravel())
        for r in regions
    ]


def united_over_border(inner: list[Region], outer: list[Region]) -> list[Region]:
    """The regions of both fields; what meets in one polarity is one mark."""
    merged = list(inner)
    for region in outer:
        near = [k for k, other in enumerate(merged) if other.polarity == region.polarity and _meet(region, other)]
        parts = [region, *(merged[k] for k in near)]
        merged = [other for k, other in enumerate(merged) if k not in near]
        merged.append(united(parts, []))
    return merged


def _meet(a: Region, b: Region) -> bool:
    """Whether two regions come within :data:`JOIN_PX`."""
    top, left = min(a.rows.min(), b.rows.min()), min(a.cols.min(), b.cols.min())
    overlap = max(a.rows.min(), b.rows.min()) - JOIN_PX <= min(a.rows.max(), b.rows.max()) and max(
        a.cols.min(), b.cols.min()
    ) - JOIN_PX <= min(a.cols.max(), b.cols.max())
    if not overlap:
        return False
    free = np.ones((max(a.rows.max(), b.rows.max()) - top + 1, max(a.cols.max(), b.cols.max()) - left + 1), np.uint8)
    free[a.rows - top, a.cols - left] = 0
    distance = cv2.distanceTransform(free, cv2.DIST_L2, 5)
    return bool(distance[b.rows - top, b.cols - left].min() <= JOIN_PX)
