"""The core's edge inside a located cladding."""

from __future__ import annotations

import math

import cv2
import numpy as np

from records import NAN, Ellipse
from vision.geometry import unwrap
from vision.settings import CoreSettings

SECTORS = 12


def measure_core_px(grey: np.ndarray, cladding: Ellipse, nominal_px: float, settings: CoreSettings) -> float:
    """Diameter (fibre-frame px) of the strongest step of the median radial profile inside the cladding, or NaN.

    A step is the difference of the levels on both sides, so that a deposition ring (a bump) does not count. It is
    accepted when it stands out of the profile's own unrest and most sectors show it. With a nominal diameter only
    steps near it are considered.
    """
    radius = cladding.mean_radius_px
    step = max(0.25, radius / 1200)
    radii = np.arange(0, 0.97 * radius, step)
    polar = unwrap(grey, cladding, radii, np.arange(360) * (2 * np.pi / 360))
    if np.isfinite(polar).mean() < 0.6:
        return NAN
    polar = np.where(np.isfinite(polar), polar, np.nanmedian(polar, axis=0)[None, :])
    polar = cv2.GaussianBlur(polar.astype(np.float32), (0, 0), sigmaX=max(1.0, 0.006 * radius) / step, sigmaY=0.1)
    sectors = np.median(polar.reshape(SECTORS, -1, len(radii)), axis=1)
    steps = _level_steps(np.median(polar, axis=0), radii, radius)
    sector_steps = np.stack([_level_steps(s, radii, radius) for s in sectors])
    allowed = (radii >= settings.min_radius_share * radius) & (radii <= settings.max_radius_share * radius)
    if math.isfinite(nominal_px):
        allowed &= np.abs(2 * radii / nominal_px - 1) <= settings.nominal_tolerance
    if not allowed.any():
        return NAN
    best = int(np.argmax(np.where(allowed, np.abs(steps), -1)))
    size = abs(steps[best])
    agree = np.mean(sector_steps[:, best] * np.sign(steps[best]) > 0.35 * size)
    unrest = 1.4826 * float(np.median(np.abs(steps[allowed] - np.median(steps[allowed])))) + 0.1
    stands_out = size >= settings.min_step_grey and size >= settings.min_step_sigma * unrest
    if not stands_out or agree < settings.min_sector_share:
        return NAN
    return 2 * _steepest_radius(np.median(polar, axis=0), radii, radii[best], radius)


def _level_steps(profile: np.ndarray, radii: np.ndarray, radius: float) -> np.ndarray:
    """Mean level just outside minus mean level just inside of every radius (windows of a few % of the cladding)."""
    step = radii[1] - radii[0]
    total = np.concatenate([[0.0], np.cumsum(profile)])
    index = np.arange(len(radii))
    values = []
    for inner, outer in ((0.006, 0.03), (0.015, 0.07)):
        near, far = max(1, round(inner * radius / step)), max(3, round(outer * radius / step))
        low = np.clip(index - far, 0, len(radii)), np.clip(index - near, 0, len(radii))
        high = np.clip(index + near + 1, 0, len(radii)), np.clip(index + far + 1, 0, len(radii))
        inside = (total[low[1]] - total[low[0]]) / np.maximum(low[1] - low[0], 1)
        outside = (total[high[1]] - total[high[0]]) / np.maximum(high[1] - high[0], 1)
        values.append(np.where((low[1] > low[0]) & (high[1] > high[0]), outside - inside, 0.0))
    # both windows must agree: a narrow bump gives opposite signs
    first, second = values
    smaller = np.where(np.abs(first) < np.abs(second), first, second)
    return np.where(first * second > 0, smaller, 0.0)


def _steepest_radius(profile: np.ndarray, radii: np.ndarray, near: float, radius: float) -> float:
    """Sub-sample radius of the steepest slope close to ``near``."""
    slope = np.abs(np.gradient(profile, radii))
    window = np.abs(radii - near) <= max(1.5, 0.03 * radius)
    i = int(np.argmax(np.where(window, slope, -1)))
    if 0 < i < len(slope) - 1:
        left, mid, right = slope[i - 1 : i + 2]
        bend = left - 2 * mid + right
        if bend < 0:
            return float(radii[i] + np.clip(0.5 * (left - right) / bend, -0.5, 0.5) * (radii[1] - radii[0]))
    return float(radii[i])
