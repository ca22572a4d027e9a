"""Whether a flat field can be used at all, and whether it still fits the light of an image."""

from __future__ import annotations

from dataclasses import astuple

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import polar_maps

BLACK_GREY, MAX_BLACK_SHARE = 10, 0.5
SATURATED_GREY, MAX_SATURATED_SHARE = 250, 0.25
MAX_DETAIL, MAX_DETAIL_SHARE = 0.06, 0.02  # deviation from the wide surroundings, and the share that may exceed it
CELLS = 64  # along the longer side: large enough to leave out marks, small enough for the light
NEAR_FIBRE = 1.15  # the ring of adhesive and the blurred edge end within this many cladding radii
MIN_OUTSIDE_SHARE = 0.1  # of the cells; less ferrule than that says nothing about the light
MAX_GROWTH, MIN_GROWTH = 1.25, 0.05


def flat_field_flaw(flat_field: np.ndarray) -> str:
    """Why a flat field (H, W) uint8 would spoil every image, as the end of a sentence; empty for a sound one."""
    if np.mean(flat_field < BLACK_GREY) > MAX_BLACK_SHARE:
        return "is mostly black"
    if np.mean(flat_field >= SATURATED_GREY) > MAX_SATURATED_SHARE:
        return "is overexposed"
    return "shows edges or marks of its own" if _detail_share(flat_field) > MAX_DETAIL_SHARE else ""


def _detail_share(flat_field: np.ndarray) -> float:
    """Share of the lit pixels, 0..1, that differ from their wide surroundings more than uneven light does."""
    factor = min(1.0, 512 / max(flat_field.shape))
    small = cv2.resize(flat_field, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA).astype(np.float32)
    fine = cv2.GaussianBlur(small, (0, 0), 5 * factor)  # what the correction leaves of the field
    sigma = max(small.shape) / 24
    wide = cv2.GaussianBlur(small, (0, 0), sigma)
    reach = 2 * int(2 * sigma) + 1  # the surroundings of these pixels lie in the lit field altogether
    lit = (fine > 0.3 * fine.max()).astype(np.uint8)
    lit = cv2.erode(lit, np.ones((reach, reach), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    return float(np.mean(np.abs(fine[lit] / wide[lit] - 1) > MAX_DETAIL)) if lit.any() else 0.0


def misfit_warnings(before: np.ndarray, after: np.ndarray, cladding: Ellipse) -> list[str]:
    """A warning when the flat field has made the light uneven: the images (H, W) before and after the correction."""
    levels = outside_levels((before, after), cladding)
    if levels is None:
        return []
    uneven_before, uneven_after = (_unevenness(level) for level in levels)
    if uneven_after <= max(MAX_GROWTH * uneven_before, uneven_before + MIN_GROWTH):
        return []
    return [
        f"The flat-field image does not fit this image: outside of the fibre the light varies by {uneven_after:.0%} "
        f"with its correction and by {uneven_before:.0%} without: capture it again."
    ]


def outside_levels(images: tuple[np.ndarray, ...], cladding: Ellipse) -> list[np.ndarray] | None:
    """Smoothed grey levels of the ferrule in each image, 1-D over the same coarse cells; None when it hardly shows.

    Cells far darker or brighter than the first image's median are no ferrule: a hole, the dark beyond its edge.
    """
    step = max(1, max(images[0].shape) // (8 * CELLS))  # every pixel of a large image would cost a second
    images = tuple(image[::step, ::step] for image in images)
    rows, cols = images[0].shape
    factor = min(1.0, CELLS / max(rows, cols))
    size = max(1, round(cols * factor)), max(1, round(rows * factor))
    fibre = Ellipse(*(length / step for length in astuple(cladding)[:4]), cladding.angle_deg)
    radius, _ = polar_maps((rows, cols), fibre)
    outside = (radius > NEAR_FIBRE * fibre.mean_radius_px).astype(np.float32)
    weight = cv2.resize(outside, size, interpolation=cv2.INTER_AREA)
    cells = [cv2.resize(image * outside, size, interpolation=cv2.INTER_AREA) for image in images]
    first = cells[0] / np.maximum(weight, 1e-6)
    use = weight > 0.5
    if not use.any():
        return None
    middle = float(np.median(first[use]))
    use &= (first >= 0.4 * middle) & (first <= 2.5 * middle)
    if np.mean(use) < MIN_OUTSIDE_SHARE:
        return None
    total = cv2.GaussianBlur(np.where(use, weight, 0), (0, 0), 3)
    return [cv2.GaussianBlur(np.where(use, cell, 0), (0, 0), 3)[use] / total[use] for cell in cells]


def _unevenness(levels: np.ndarray) -> float:
    """Range of the middle 90 % as a share of the mean."""
    low, high = np.percentile(levels, [5, 95])
    return float(high - low) / max(float(levels.mean()), 1.0)
