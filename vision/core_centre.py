"""Where the core's centre lies, by the course of its edge around the cladding's centre."""

from __future__ import annotations

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import fit_ring, unwrap
from vision.robust import medians

RAYS = 90
REACH_SHARE, REACH_PX = 0.05, 3.0  # how far from its mean radius the edge is looked for: of the cladding's, at least px
SPACING_PX, SPACING_SHARE = 0.25, 1 / 400
SMOOTHING_PX, SMOOTHING_SHARE = 1.0, 0.008  # along the ray
SMOOTHING_RAYS = 1.0
TOLERANCE_PX, TOLERANCE_SHARE = 0.4, 0.004  # how far the edge may lie off the fitted ring
LEAST_AGREEMENT = 0.6  # of the rays must lie on it


def measure_core_centre(grey: np.ndarray, cladding: Ellipse, core_diameter_px: float) -> tuple[float, float] | None:
    """Centre (x, y) of the core in image pixels; None where its edge is too uneven or too hidden to tell.

    ``core_diameter_px`` is its measured diameter in the fibre frame. On each ray from the cladding's centre the
    steepest place near that radius is taken, and a ring is fitted that ignores outliers.
    """
    radius, core_px = cladding.mean_radius_px, 0.5 * core_diameter_px
    reach = min(max(REACH_PX, REACH_SHARE * radius), 0.8 * core_px)
    spacing, smoothing = max(SPACING_PX, SPACING_SHARE * radius), max(SMOOTHING_PX, SMOOTHING_SHARE * radius)
    radii = np.arange(max(0.0, core_px - reach - 3 * smoothing), core_px + reach + 3 * smoothing, spacing)
    angles = np.arange(RAYS) * (2 * np.pi / RAYS)
    polar = unwrap(grey, cladding, radii, angles)
    visible = np.isfinite(polar).all(axis=1)
    if visible.mean() < LEAST_AGREEMENT:
        return None
    if not visible.all():
        polar[~visible] = medians(np.ascontiguousarray(polar[visible].T))
    around = cv2.copyMakeBorder(polar, 4, 4, 0, 0, cv2.BORDER_WRAP)
    smooth = cv2.GaussianBlur(around, (0, 0), sigmaX=smoothing / spacing, sigmaY=SMOOTHING_RAYS)[4:-4]
    slope = np.gradient(smooth, spacing, axis=1)
    middle = int(np.argmin(np.abs(radii - core_px)))
    slope *= np.sign(np.median(slope[:, middle]))
    slope[:, np.abs(radii - core_px) > reach] = -np.inf
    edge = radii[np.argmax(slope, axis=1)]
    tolerance = max(TOLERANCE_PX, TOLERANCE_SHARE * radius)
    fitted = fit_ring(cladding, edge, angles, visible.astype(float), scale_px=3 * tolerance)
    if fitted is None or np.mean(np.abs(fitted[1]) < tolerance) < LEAST_AGREEMENT:
        return None
    return fitted[0].x_px, fitted[0].y_px
