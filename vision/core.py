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
RAYS = 360
SMOOTHING_PX, SMOOTHING_SHARE = 1.0, 0.006  # of each ray: at least px, share of the radius
SPACING_PX, SPACING_SHARE = 0.25, 1 / 600  # of the profile: less than a third of its smoothing
FINE_SPACING_SHARE = 1 / 1200  # close to the edge
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
    radii = np.arange(0, OUTERMOST_SHARE * radius, max(SPACING_PX, SPACING_SHARE * radius))
    polar = unwrap(grey, cladding, radii, np.arange(RAYS) * (2 * np.pi / RAYS))
    if len(radii) < 2 * SAMPLES or np.isfinite(polar).mean() < 0.6:
        return NAN
    rings = _smooth_rings(polar, radii, radius)
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
    sign = np.sign(steps[best])
    around = radii[best] + radius * np.linspace(-DECENTRED, DECENTRED, 5)
    compared = np.abs(radii - radii[best]) <= DECENTRED * radius + max(WIDE[1][0] * radius, WIDE[1][1]) + SPACING_PX
    sectors = np.zeros((SECTORS, len(radii)), np.float32)
    sectors[:, compared] = medians(rings[compared].reshape(-1, RAYS // SECTORS)).reshape(-1, SECTORS).T
    rises = _level_steps(sign * sectors, radii, around, radius).max(axis=-1)
    if np.mean(rises > LEAST_AGREEMENT * size) < settings.min_sector_share:
        return NAN
    core_px = _steepest_radius(grey, cladding, sign, radii[best])
    return 2 * core_px if core_px >= settings.min_radius_share * radius else NAN


def _smooth_rings(polar: np.ndarray, radii: np.ndarray, radius: float) -> np.ndarray:
    """Rays (rays, radii) smoothed along the radius, as rings (radii, rays); hidden parts have their ring's median."""
    hidden = np.isnan(polar)
    if hidden.any():
        polar = np.where(hidden, nanmedian(polar.T)[None, :].astype(np.float32), polar)
    sigma_px = max(SMOOTHING_PX, SMOOTHING_SHARE * radius)
    return cv2.transpose(cv2.GaussianBlur(polar, (0, 0), sigmaX=sigma_px / (radii[1] - radii[0]), sigmaY=0.1))


def _level_steps(profile: np.ndarray, radii: np.ndarray, at: np.ndarray, radius: float) -> np.ndarray:
    """Level outside minus level inside of the radii ``at``: geometric mean of a narrow and a wide comparison.

    ``profile`` is (radii,) or (profiles, radii), the result (at,) or (profiles, at).
    0 where the two disagree: beside a narrow bump the wide one sees nothing, on a gentle slope the narrow one.
    """
    narrow, wide = (_plateau_step(profile, radii, at, radius, window) for window in (NARROW, WIDE))
    size = np.abs(narrow), np.abs(wide)
    smaller, larger = np.minimum(*size), np.maximum(*size)
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
        plateaus = profile[..., np.clip(index, 0, len(radii) - 1)]
        levels.append(medians(plateaus.reshape(-1, SAMPLES)).reshape(plateaus.shape[:-1]))
    return levels[0] - levels[1]


def _steepest_radius(grey: np.ndarray, cladding: Ellipse, sign: float, near: float) -> float:
    """Sub-sample radius of the steepest rise (``sign`` 1) or fall (-1) close to ``near``, on a finer profile."""
    radius = cladding.mean_radius_px
    reach = max(1.5, min(0.03 * radius, 0.25 * near))
    spacing = max(SPACING_PX, FINE_SPACING_SHARE * radius)
    margin = reach + 4 * max(SMOOTHING_PX, SMOOTHING_SHARE * radius)  # the smoothing's reach
    first, end = max(0, int((near - margin) / spacing)), int(min(near + margin, OUTERMOST_SHARE * radius) / spacing) + 1
    radii = np.arange(first, end) * spacing
    polar = unwrap(grey, cladding, radii, np.arange(RAYS) * (2 * np.pi / RAYS))
    slope = np.gradient(sign * medians(_smooth_rings(polar, radii, radius)), spacing)
    i = int(np.argmax(np.where(np.abs(radii - near) <= reach, slope, -np.inf)))
    if 0 < i < len(slope) - 1:
        left, mid, right = slope[i - 1 : i + 2]
        bend = left - 2 * mid + right
        if bend < 0:
            return float(radii[i] + np.clip(0.5 * (left - right) / bend, -0.5, 0.5) * spacing)
    return float(radii[i])
