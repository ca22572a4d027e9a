"""What is measured of a true and of a reported mark alike: place, size and contrast, and the bands they fall into."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import polar_maps, to_frame
from vision.robust import robust_spread

SIZE_EDGES = (0.01, 0.02, 0.05, 0.10)  # diameter over the cladding's
SIZE_BANDS = ("< 1 %", "1-2 %", "2-5 %", "5-10 %", ">= 10 %")
CONTRAST_EDGES = (2.0, 4.0, 8.0)  # sigmas
CONTRAST_BANDS = ("< 2", "2-4", "4-8", ">= 8")
RING_PX = (3.0, 8.0)  # where the surroundings of a mark lie, from its edge
NOISE_BLUR_PX = 2.0
LEAST_NOISE_GREY = 0.3  # rounding to whole grey levels


@dataclass(frozen=True)
class Mark:
    """One label of a label image. Radii belong to the fibre frame, the box to the image (left, top, right, bottom)."""

    rows: np.ndarray
    cols: np.ndarray
    inner_px: float  # smallest and largest distance from the fibre's centre
    outer_px: float
    radius_px: float  # of the centroid
    contrast_grey: float
    contrast_sigma: float
    box_px: tuple[int, int, int, int]


def size_band(diameter_share: float) -> str:
    """Band of a diameter given as a share of the cladding's."""
    return SIZE_BANDS[bisect_right(SIZE_EDGES, diameter_share)]


def contrast_band(contrast_sigma: float) -> str:
    """Band of a contrast in sigmas of the picture's noise."""
    return CONTRAST_BANDS[bisect_right(CONTRAST_EDGES, abs(contrast_sigma))]


def noise_grey(grey: np.ndarray, cladding: Ellipse) -> float:
    """Noise of a pixel: robust spread of a high-pass of the image (H, W) inside the cladding, in grey levels."""
    values = grey.astype(np.float32)
    high = values - cv2.GaussianBlur(values, (0, 0), NOISE_BLUR_PX)
    inside = polar_maps(grey.shape, cladding)[0] < cladding.mean_radius_px
    sample = high[inside] if inside.any() else high.ravel()
    return max(LEAST_NOISE_GREY, robust_spread(sample, tails=False))


def measure_marks(
    values: Iterable[int], labels: np.ndarray, grey: np.ndarray, cladding: Ellipse, occupied: np.ndarray
) -> dict[int, Mark]:
    """Measure the labels ``values`` of a label image.

    ``occupied`` (H, W) bool: pixels of any mark, true or reported, which are no surroundings of another.
    """
    noise = noise_grey(grey, cladding)
    marks = {}
    for k in values:
        rows, cols = np.nonzero(labels == k)
        radius = np.hypot(*to_frame(cladding, cols, rows))
        contrast = _contrast_grey(rows, cols, grey, occupied)
        box = (int(cols.min()), int(rows.min()), int(cols.max()) + 1, int(rows.max()) + 1)
        centroid = float(np.hypot(*to_frame(cladding, cols.mean(), rows.mean())))
        marks[k] = Mark(rows, cols, float(radius.min()), float(radius.max()), centroid, contrast, contrast / noise, box)
    return marks


def outlines_of(rows: np.ndarray, cols: np.ndarray) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Image points (x, y) along the outer edge of every connected part of the pixels, straight runs shortened."""
    top, left = int(rows.min()), int(cols.min())
    mask = np.zeros((int(rows.max()) - top + 1, int(cols.max()) - left + 1), np.uint8)
    mask[rows - top, cols - left] = 1
    outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    return tuple(tuple((int(x) + left, int(y) + top) for x, y in part.reshape(-1, 2)) for part in outlines)


def _contrast_grey(rows: np.ndarray, cols: np.ndarray, grey: np.ndarray, occupied: np.ndarray) -> float:
    """Mean of the mark minus median of the ring around it; of what other marks leave of the ring, or else of all."""
    margin = int(RING_PX[1]) + 1
    top, left = max(0, rows.min() - margin), max(0, cols.min() - margin)
    window = np.s_[top : rows.max() + margin + 1, left : cols.max() + margin + 1]
    outside = np.ones(grey[window].shape, np.uint8)
    outside[rows - top, cols - left] = 0
    if not outside.any():  # the mark is all there is
        return 0.0
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    ring = (distance >= RING_PX[0]) & (distance <= RING_PX[1])
    free = ring & ~occupied[window]
    around = grey[window][free if free.any() else ring if ring.any() else outside > 0]
    return float(grey[rows, cols].mean()) - float(np.median(around))
