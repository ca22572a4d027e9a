"""The four detection algorithms, each a map of signed evidence in units of its own noise.

All of them look at the residual over its noise, in both polarities, and a response is divided by the robust spread
that it shows in the same part of the end face (fibre or ferrule), so that a threshold in config.json means the same
number of sigmas for every camera, exposure and zone.

Sources: DO2MR and LEI: Mei et al., Sensors 2018, 18(5), 1408; black-hat and skeleton: the user's blueprint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from vision.line_detector import line_responses
from vision.residual import Residual
from vision.ring_frame import LEAST_SAMPLE, RingFrame, halved
from vision.robust import order_statistics
from vision.settings import DetectionSettings
from vision.significance import Significance

HAT_PX = 9  # a kernel of about this size is looked with, on a reduced copy where it has to be larger
MOST_HALVINGS = 2


@dataclass(frozen=True)
class Evidence:
    """One algorithm's findings: ``dark`` and ``bright`` are (H, W) float32 significances (>= 0)."""

    name: str
    weight: float
    threshold: float
    dark: np.ndarray
    bright: np.ndarray
    odds: float = 0.0  # above 0, dark and bright are probabilities, whose log odds count so much in the likelihood

    def of(self, polarity: int) -> np.ndarray:
        return self.bright if polarity > 0 else self.dark


def unit_excess(response: np.ndarray, frame: RingFrame, white: tuple[float, float]) -> np.ndarray:
    """Scale a one-sided, skewed response by the upper half of its spread in each part; 0 outside of them.

    A quieter picture (quantised, denoised) is not turned up: ``white`` is the response's median and upper spread on
    white noise, the least of both that is assumed.
    """
    middles, gains = [], []
    for sample in frame.sampled(response):
        middle, spread = _excess(sample) if len(sample) >= LEAST_SAMPLE else (0.0, 0.0)
        usable = len(sample) >= LEAST_SAMPLE and max(spread, white[1]) > 0  # else it is the same everywhere
        middles.append(max(middle, white[0]))
        gains.append(1 / max(spread, white[1]) if usable else 0.0)
    return (response - frame.spread_over_parts(*middles)) * frame.spread_over_parts(*gains)


def _excess(values: np.ndarray) -> tuple[float, float]:
    middle, upper = order_statistics(values, (0.5, 0.8413))
    return middle, upper - middle


@lru_cache
def _white_range(size: int, sigma_px: float) -> tuple[float, float]:
    """Median and upper spread of the DO2MR range on unit white noise."""
    high, low = _range(_white_noise(), size, sigma_px)
    return _excess((high - low).ravel())


@lru_cache
def _white_hat(size: int, sigma_px: float, halvings: int) -> tuple[float, float]:
    """Median and upper spread of the top-hat on unit white noise."""
    return _excess(_hats(_white_noise(), size, sigma_px, halvings)[0].ravel())


@lru_cache
def _white_noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)


def do2mr(found: Significance, residual: Residual, settings: DetectionSettings) -> Evidence:
    """Difference of min-max ranking filters: local maximum minus local minimum, in sigmas above its usual size.

    The range has no sign; it counts for the polarity of the larger extreme in the window.
    """
    own = settings.algorithms.do2mr
    dark, bright = np.zeros_like(found.z), np.zeros_like(found.z)
    for sigma_px in dict.fromkeys((settings.smoothing_px[0], settings.smoothing_px[-1])):
        size = max(3, int(own.window_px * sigma_px / settings.smoothing_px[0]) | 1)
        high, low = _range(found.z, size, sigma_px)
        excess = unit_excess(high - low, residual.frame, _white_range(size, sigma_px))
        excess = cv2.medianBlur(excess, own.median_kernel_px)
        upward = (high > -low).astype(np.float32)
        np.maximum(bright, excess * upward, out=bright)
        np.maximum(dark, excess * (1 - upward), out=dark)
    return Evidence("DO2MR", own.weight, own.threshold_sigma, dark, bright)


def _range(z: np.ndarray, size: int, sigma_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Maximum and minimum over a square window of smoothed Z."""
    smooth = cv2.GaussianBlur(z, (0, 0), sigma_px)
    window = cv2.getStructuringElement(cv2.MORPH_RECT, (size, size))
    return cv2.dilate(smooth, window), cv2.erode(smooth, window)


def black_hat(
    found: Significance, residual: Residual, cladding_radius_px: float, settings: DetectionSettings
) -> Evidence:
    """Black-hat (dark marks) and top-hat (bright marks) at several kernel sizes, the larger ones on smoother copies.

    What a large kernel looks for is large: it works on a copy of half or a quarter of the size.
    """
    own = settings.algorithms.blackhat
    sizes = [max(3, int(share * cladding_radius_px) | 1) for share in own.kernels_share]
    dark, bright = np.zeros_like(found.z), np.zeros_like(found.z)
    for size in sizes:
        sigma_px = settings.smoothing_px[0] * max(1.0, size / sizes[0]) ** 0.5
        halvings = min(MOST_HALVINGS, max(0, round(math.log2(size / HAT_PX))))
        frame = residual.frame
        for _ in range(halvings):
            frame = frame.halved
        white = _white_hat(size, sigma_px, halvings)
        for target, hat in zip((bright, dark), _hats(found.z, size, sigma_px, halvings), strict=True):
            excess = unit_excess(hat, frame, white)
            if halvings:
                excess = cv2.resize(excess, target.shape[::-1], interpolation=cv2.INTER_LINEAR)
            np.maximum(target, excess, out=target)
    return Evidence("BlackHat", own.weight, own.threshold_sigma, dark, bright)


def _hats(z: np.ndarray, size: int, sigma_px: float, halvings: int) -> tuple[np.ndarray, np.ndarray]:
    """Top-hat and black-hat of smoothed Z with a round kernel of ``size`` px, on a copy halved so many times."""
    for _ in range(halvings):
        z = halved(z)
    smooth = cv2.GaussianBlur(z, (0, 0), sigma_px / 2**halvings)
    size = max(3, round(size / 2**halvings) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.morphologyEx(smooth, cv2.MORPH_TOPHAT, kernel), cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, kernel)


def lei(found: Significance, residual: Residual, cladding_radius_px: float, settings: DetectionSettings) -> Evidence:
    """Linear enhancement inspector: the largest response of line detectors of many directions and some widths."""
    own = settings.algorithms.lei
    dark, bright = line_responses(found, residual, cladding_radius_px, own)
    return Evidence("LEI", own.weight, own.threshold_sigma, dark, bright)


def edge_skeleton(found: Significance, inside: np.ndarray, settings: DetectionSettings) -> np.ndarray:
    """Canny edges of smoothed Z, thinned, short pieces dropped, slightly dilated; (H, W) bool."""
    own = settings.algorithms.skeleton
    per_sigma = 8.0  # grey levels per sigma in the 8-bit copy that Canny wants
    grey = np.clip(128 + per_sigma * found.fine, 0, 255).astype(np.uint8)
    sobel = 4 * per_sigma  # Sobel answers 4 to a unit step between neighbours
    edges = cv2.Canny(grey, own.low_sigma * sobel, own.high_sigma * sobel)
    edges[~inside] = 0
    thin = cv2.ximgproc.thinning(edges, thinningType=cv2.ximgproc.THINNING_ZHANGSUEN)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(thin, connectivity=8)
    keep = np.zeros(count, bool)
    keep[1:] = stats[1:, cv2.CC_STAT_AREA] >= own.min_length_px
    return cv2.dilate(keep[labels].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
