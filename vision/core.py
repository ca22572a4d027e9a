"""The core's edge inside a located cladding."""

from __future__ import annotations

import math

import cv2
import numpy as np

from records import NAN, Ellipse
from vision.geometry import unwrap
from vision.robust import SPREAD, medians, nanmedian
from vision.settings import CoreSettings

SECTORS = 12
OUTERMOST_SHARE = 0.95  # of the cladding radius: farther out its own edge begins
LEAST_ROOM = 0.06  # of the radius, for a plateau outside the step
NARROW = ((0.01, 0.7), (0.04, 2.5))  # where a plateau beside an edge begins and ends: share of the radius, at least px
WIDE = ((0.08, 3.0), (0.20, 10.0))  # begins beyond a deposition ring, and is longer than one
SAMPLES = 15  # of a plateau
LEAST_AGREEMENT = 0.45  # of the smaller with the larger of the two steps, and of a sector's step with the profile's
DECENTRED = 0.025  # of the radius, by how much the edge may lie elsewhere in a sector


def measure_core_px(grey: np.ndarray, cladding: Ellipse, nominal_px: float, settings: CoreSettings) -> float:
    """Diameter (fibre-frame px) of the strongest step of the median radial profile inside the cladding, or NaN.

    A step is the difference of the plateaus on both sides, so that a deposition ring (a bump) does not count. It is
    accepted when it stands out of the profile's own unrest and most sectors show it. With a nominal diameter only
    steps near it are considered; the unrest is that of the whole profile all the same.
    """
    radius = cladding.mean_radius_px
    spacing = max(0.25, radius / 1200)
    radii = np.arange(0, OUTERMOST_SHARE * radius, spacing)
    polar = unwrap(grey, cladding, radii, np.arange(360) * (2 * np.pi / 360))
    if len(radii) < 2 * SAMPLES or np.isfinite(polar).mean() < 0.6:
        return NAN
    hidden = np.isnan(polar)
    if hidden.any():
        polar = np.where(hidden, nanmedian(polar)[None, :].astype(np.float32), polar)
    polar = cv2.GaussianBlur(polar, (0, 0), sigmaX=max(1.0, 0.006 * radius) / spacing, sigmaY=0.1)
    rings = cv2.transpose(polar)
    profile = medians(rings)
    outermost = min(settings.max_radius_share, OUTERMOST_SHARE - LEAST_ROOM) * radius
    considered = (radii >= settings.min_radius_share * radius) & (radii <= outermost)
    steps = np.where(considered, _level_steps(profile, radii, radii, radius), 0.0)
    allowed = considered
    if math.isfinite(nominal_px):
        allowed = considered & (np.abs(2 * radii / nominal_px - 1) <= settings.nominal_tolerance)
    if not allowed.any():
        return NAN
    best = int(np.argmax(np.where(allowed, np.abs(steps), -1)))
    size = abs(steps[best])
    spread = np.abs(steps[considered] - np.median(steps[considered]))
    unrest = SPREAD * float(np.median(spread)) + 0.1
    if size < settings.min_step_grey or size < settings.min_step_sigma * unrest:
        return NAN
    sectors = medians(rings.reshape(len(radii) * SECTORS, -1)).reshape(len(radii), SECTORS).T
    around = radii[best] + radius * np.linspace(-DECENTRED, DECENTRED, 5)
    rises = [np.max(_level_steps(np.sign(steps[best]) * s, radii, around, radius)) for s in sectors]
    if np.mean(np.array(rises) > LEAST_AGREEMENT * size) < settings.min_sector_share:
        return NAN
    core_px = _steepest_radius(np.sign(steps[best]) * profile, radii, radii[best], radius)
    return 2 * core_px if core_px >= settings.min_radius_share * radius else NAN


def _level_steps(profile: np.ndarray, radii: np.ndarray, at: np.ndarray, radius: float) -> np.ndarray:
    """Level outside minus level inside of the radii ``at``: geometric mean of a narrow and a wide comparison.

    0 where the two disagree: beside a narrow bump the wide one sees nothing, on a gentle slope the narrow one.
    """
    narrow, wide = (_plateau_step(profile, radii, at, radius, window) for window in (NARROW, WIDE))
    smaller, larger = np.sort(np.abs([narrow, wide]), axis=0)
    agree = (narrow * wide > 0) & (smaller >= LEAST_AGREEMENT * larger)
    return np.where(agree, np.sign(narrow) * np.sqrt(smaller * larger), 0.0)


def _plateau_step(profile: np.ndarray, radii: np.ndarray, at: np.ndarray, radius: float, window: tuple) -> np.ndarray:
    """Median level of the window outside ``at`` minus that inside; windows shrink where the profile ends."""
    near, far = (max(share * radius, least_px) for share, least_px in window)
    levels = []
    for direction, room in ((1, radii[-1] - at), (-1, at)):
        first, last = np.minimum(near, 0.5 * room), np.minimum(far, room)
        distance = first[:, None] + (last - first)[:, None] * np.linspace(0, 1, SAMPLES)
        index = np.rint((at[:, None] + direction * distance) / (radii[1] - radii[0])).astype(int)
        levels.append(np.median(profile[np.clip(index, 0, len(radii) - 1)], axis=1))
    return levels[0] - levels[1]


def _steepest_radius(profile: np.ndarray, radii: np.ndarray, near: float, radius: float) -> float:
    """Sub-sample radius of the steepest rise close to ``near``."""
    slope = np.gradient(profile, radii)
    window = np.abs(radii - near) <= max(1.5, min(0.03 * radius, 0.25 * near))
    i = int(np.argmax(np.where(window, slope, -np.inf)))
    if 0 < i < len(slope) - 1:
        left, mid, right = slope[i - 1 : i + 2]
        bend = left - 2 * mid + right
        if bend < 0:
            return float(radii[i] + np.clip(0.5 * (left - right) / bend, -0.5, 0.5) * (radii[1] - radii[0]))
    return float(radii[i])
