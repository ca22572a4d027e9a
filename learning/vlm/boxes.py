"""The boxes of a vision-language model as ordinary defects: measured, in zones, with pixels in a label image.

A box says less than the pixels of a mark. A compact mark is taken as the ellipse in its box, which is right where it is
round. A scratch or crack is taken as a line through the whole box: as long as its diagonal, which is right where it is
straight, and as wide as the box's area over that, which is right along rows or columns and too wide askew: it is
rejected rather than passed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from analysis import measured_defect
from grading.measurement import Shape
from learning.vlm.views import Box
from records import NAN, Defect, Ellipse, Scale, VlmDefect, ZoneExtent
from vision.geometry import frame_matrix, to_frame

DETECTED_BY = "vlm"
_LINES = ("Scratch", "Crack")
_RING_PX = 4  # around a box: what its contrast is measured against
_TAILS = (5, 95)  # per cent: the stronger of them says whether a mark is dark or bright


def as_defect(
    mark: VlmDefect,
    label: int,
    *,
    grey: np.ndarray,
    zone_map: np.ndarray,
    zones: Sequence[ZoneExtent],
    cladding: Ellipse,
    scale: Scale,
) -> Defect | None:
    """A mark in an image (H, W) uint8 as a defect without ID; None where its pixels touch no inspected zone."""
    window, pixels = _pixels(mark)
    touched = np.bincount(zone_map[window][pixels], minlength=1)
    touched[0] = 0
    if not any(zone.inspected and zone.label in np.flatnonzero(touched) for zone in zones):
        return None
    contrast = _contrast(grey, window, pixels)
    return measured_defect(
        _shape(mark, cladding),
        touched,
        zones,
        scale,
        label=label,
        kind=mark.kind,
        confidence=mark.confidence,
        contrast_grey=contrast,
        is_dark=contrast < 0,
        detected_by=(DETECTED_BY,),
    )


def draw_labels(marks: Sequence[tuple[int, VlmDefect]], shape: tuple[int, int]) -> np.ndarray:
    """A label image (H, W) uint16 with these values; where marks overlap the smaller one is on top."""
    labels = np.zeros(shape, np.uint16)
    for label, mark in sorted(marks, key=lambda item: -item[1].box_px[2] * item[1].box_px[3]):
        window, pixels = _pixels(mark)
        labels[window][pixels] = label
    return labels


def _pixels(mark: VlmDefect) -> tuple[tuple[slice, slice], np.ndarray]:
    """Where the box lies in the image, and which of the pixels there are the mark's, bool; at least one is."""
    left, top, wide, high = mark.box_px
    columns = slice(int(left), max(int(left) + 1, round(left + wide)))
    rows = slice(int(top), max(int(top) + 1, round(top + high)))
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    if mark.kind in _LINES or min(shape) < 3:
        return (rows, columns), np.ones(shape, bool)
    x = (np.arange(columns.start, columns.stop) + 0.5 - left - wide / 2) / (wide / 2)
    y = (np.arange(rows.start, rows.stop) + 0.5 - top - high / 2) / (high / 2)
    return (rows, columns), x[None, :] ** 2 + y[:, None] ** 2 <= 1


def _shape(mark: VlmDefect, cladding: Ellipse) -> Shape:
    left, top, wide, high = mark.box_px
    corners = _corners(mark.box_px)
    x, y = left + wide / 2 - 0.5, top + high / 2 - 0.5
    centre = tuple(float(value) for value in to_frame(cladding, np.float64(x), np.float64(y)))
    if mark.kind in _LINES:
        u, v = to_frame(cladding, *np.array(corners).T)
        points = np.column_stack([u, v]).astype(np.float32)
        _, sides, angle = cv2.minAreaRect(points)
        length, width = max(sides), min(sides)
        angle += 90.0 if sides[1] > sides[0] else 0.0
        diameter, perimeter = 2 * cv2.minEnclosingCircle(points)[1], 2 * (length + width)
        area = wide * high  # the frame keeps areas
    else:
        axes, (length, width), _ = np.linalg.svd(frame_matrix(cladding) @ np.diag([wide, high]))
        angle = math.degrees(math.atan2(axes[1, 0], axes[0, 0]))
        diameter, area = length, math.pi / 4 * wide * high
        perimeter = math.pi * math.sqrt((length**2 + width**2) / 2)
    radius = math.hypot(*centre)
    return Shape(
        centroid_px=(x, y),
        centroid_frame_px=centre,
        length_px=float(length),
        width_px=float(width),
        diameter_px=float(diameter),
        area_px=area,
        perimeter_px=float(perimeter),
        circularity=min(1.0, float(4 * math.pi * area / perimeter**2)),
        solidity=1.0,
        orientation_deg=float(-angle % 180.0),
        path_px=float(diameter),  # counts for lines alone: the diagonal
        jaggedness=1.0,
        inner_radius_px=max(0.0, radius - float(diameter) / 2),
        outer_radius_px=radius + float(diameter) / 2,
        box_px=corners,
    )


def _corners(box: Box) -> tuple[tuple[float, float], ...]:
    """Corners of a box in image pixels, whose centres are at whole numbers."""
    left, top, right, bottom = box[0] - 0.5, box[1] - 0.5, box[0] + box[2] - 0.5, box[1] + box[3] - 0.5
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _contrast(grey: np.ndarray, window: tuple[slice, slice], pixels: np.ndarray) -> float:
    """Mean of the stronger half of a mark's pixels less the median around its box, in grey levels; NaN without any."""
    rows, columns = window
    top, left = max(0, rows.start - _RING_PX), max(0, columns.start - _RING_PX)
    around = grey[top : rows.stop + _RING_PX, left : columns.stop + _RING_PX]
    outside = np.ones(around.shape, bool)
    outside[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = False
    if not outside.any():
        return NAN
    values = np.sort(grey[window][pixels].astype(np.float32)) - np.float32(np.median(around[outside]))
    low, high = np.percentile(values, _TAILS)
    half = (len(values) + 1) // 2
    return float(values[:half].mean() if -low > high else values[-half:].mean())
