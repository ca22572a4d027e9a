"""The residual in sigmas: what noise, boundaries and the unrest of each ring explain is divided out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vision.residual import Residual
from vision.ring_frame import LEAST_SAMPLE, RingFrame
from vision.robust import order_statistic, robust_spread
from vision.settings import DetectionSettings, ResidualSettings
from vision.unrest import ring_statistics

MOST_MARKED = 0.3  # of a crop: marks that cover more are no marks


@dataclass(frozen=True)
class Significance:
    """Residual in sigmas at several smoothings, the input of every algorithm; (H, W) float32, > 0 bright."""

    z: np.ndarray  # unsmoothed, boundaries discounted
    peak: np.ndarray  # the smoothing that stands out most, per pixel
    fine: np.ndarray  # at the finest smoothing
    coarse: np.ndarray  # at the coarsest smoothing
    extent: np.ndarray  # at the finest smoothing, with little regard to unrest: how far a confirmed mark reaches


def unit_noise(response: np.ndarray, frame: RingFrame, least: float) -> np.ndarray:
    """Scale a response to zero median and unit robust spread in each part; 0 outside of them.

    ``least`` is the response's spread on white noise: a quieter picture (quantised, denoised) is not turned up.
    """
    middles, gains = [], []
    for sample in frame.sampled(response):
        usable = len(sample) >= LEAST_SAMPLE
        middles.append(order_statistic(sample, 0.5) if usable else 0.0)
        gains.append(1 / max(robust_spread(sample), least) if usable else 0.0)
    return (response - frame.spread_over_parts(*middles)) * frame.spread_over_parts(*gains)


def significance(residual: Residual, settings: DetectionSettings, marked: np.ndarray | None = None) -> Significance:
    """Residual in sigmas: noise, boundary positions and the unrest of each ring (fringes, modal pattern) counted in.

    Smoothing by sigma s lowers white noise by 2 s sqrt(pi), but not the misfit along a boundary, which therefore
    weighs that much more against a smoothed residual. ``marked`` (H, W) bool: marks that do not count as unrest.
    """
    own, frame = settings.residual, residual.frame
    raw = np.clip(residual.grey / residual.noise, -own.clip_sigma, own.clip_sigma)
    ferrule = frame.spread_over_parts(1.0, own.ferrule_factor, 1.0)
    rings = ring_statistics(residual, own, marked)
    maps = []
    for sigma_px in settings.smoothing_px:
        gain = np.float32(2 * sigma_px * np.sqrt(np.pi))
        blurred = unit_noise(cv2.GaussianBlur(raw, (0, 0), sigma_px), frame, 1 / gain)
        blurred /= _discount(gain, residual.boundary)
        unrest = np.maximum(rings.unrest(blurred), np.float32(own.least_unrest)) * ferrule
        if not maps:
            extent = blurred / np.minimum(unrest, np.float32(own.extent_unrest) * ferrule)
            z = raw / (_discount(2, residual.boundary) * unrest)
        maps.append(blurred / unrest)
    return Significance(z, _strongest(maps), maps[0], maps[-1], extent)


def _discount(gain: float, boundary: np.ndarray) -> np.ndarray:
    """What the coherent part of the noise, amplified by ``gain``, adds to unit white noise; (H, W) float32."""
    return cv2.magnitude(np.float32(gain) * boundary, np.ones_like(boundary))


def _strongest(maps: list[np.ndarray]) -> np.ndarray:
    """Per pixel the value of largest magnitude."""
    if len(maps) == 1:
        return maps[0]
    high, low = maps[0], maps[0]
    for other in maps[1:]:
        high, low = np.maximum(high, other), np.minimum(low, other)
    return cv2.copyTo(low, cv2.compare(-low, high, cv2.CMP_GT), high)


def strong_marks(found: Significance, settings: ResidualSettings) -> np.ndarray:
    """Pixels (H, W) bool that certainly belong to a mark, with a rim; empty when they would cover most of the image."""
    strong = (np.abs(found.peak) >= settings.mark_sigma).astype(np.uint8)
    strong = cv2.morphologyEx(strong, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    outlines, _ = cv2.findContours(strong, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(strong, outlines, -1, 1, cv2.FILLED)
    marks = cv2.dilate(strong, np.ones((3, 3), np.uint8)) > 0
    return marks if marks.mean() < MOST_MARKED else np.zeros_like(marks)
