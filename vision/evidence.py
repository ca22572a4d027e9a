"""The four detection algorithms, each a map of signed evidence in units of its own noise.

All of them look at the residual over its noise, in both polarities, and a response is divided by the robust spread
that it shows in the same part of the end face (fibre or ferrule), so that a threshold in config.json means the same
number of sigmas for every camera, exposure and zone.

Sources: DO2MR and LEI: Mei et al., Sensors 2018, 18(5), 1408; black-hat and skeleton: the user's blueprint.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from vision.residual import Residual
from vision.robust import robust_spread
from vision.settings import DetectionSettings
from vision.significance import Significance, sampled

LINE_SAMPLE = 6000


@dataclass(frozen=True)
class Evidence:
    """One algorithm's findings: ``dark`` and ``bright`` are (H, W) float32 significances (>= 0)."""

    name: str
    weight: float
    threshold: float
    dark: np.ndarray
    bright: np.ndarray

    def of(self, polarity: int) -> np.ndarray:
        return self.bright if polarity > 0 else self.dark


def unit_excess(response: np.ndarray, parts: tuple[np.ndarray, ...], white: tuple[float, float]) -> np.ndarray:
    """Scale a one-sided, skewed response by the upper half of its spread in each part (bool masks); 0 outside of them.

    A quieter picture (quantised, denoised) is not turned up: ``white`` is the response's median and upper spread on
    white noise, the least of both that is assumed.
    """
    out = np.zeros_like(response)
    for part in parts:
        sample = sampled(response, part)
        if len(sample) >= 50:
            middle, spread = _excess(sample)
            out[part] = (response[part] - max(middle, white[0])) / max(spread, white[1])
    return out


def _excess(values: np.ndarray) -> tuple[float, float]:
    middle, upper = np.quantile(values, [0.5, 0.8413])
    return float(middle), float(upper - middle)


@lru_cache
def _white_range(size: int, sigma_px: float) -> tuple[float, float]:
    """Median and upper spread of the DO2MR range on unit white noise."""
    return _excess(_range(_white_noise(), size, sigma_px)[2])


@lru_cache
def _white_hat(size: int, sigma_px: float) -> tuple[float, float]:
    """Median and upper spread of the top-hat on unit white noise."""
    return _excess(_hat(_white_noise(), size, sigma_px, cv2.MORPH_TOPHAT))


@lru_cache
def _white_noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)


def do2mr(found: Significance, parts: tuple[np.ndarray, ...], settings: DetectionSettings) -> Evidence:
    """Difference of min-max ranking filters: local maximum minus local minimum, in sigmas above its usual size.

    The range has no sign; it counts for the polarity of the larger extreme in the window.
    """
    own = settings.algorithms.do2mr
    dark, bright = np.zeros_like(found.z), np.zeros_like(found.z)
    for sigma_px in (settings.smoothing_px[0], settings.smoothing_px[-1]):
        size = max(3, int(own.window_px * sigma_px / settings.smoothing_px[0]) | 1)
        high, low, extent = _range(found.z, size, sigma_px)
        excess = cv2.medianBlur(unit_excess(extent, parts, _white_range(size, sigma_px)), own.median_kernel_px)
        upward = high > -low
        np.maximum(bright, np.where(upward, excess, 0), out=bright)
        np.maximum(dark, np.where(upward, 0, excess), out=dark)
    return Evidence("DO2MR", own.weight, own.threshold_sigma, dark, bright)


def _range(z: np.ndarray, size: int, sigma_px: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximum, minimum and their difference over a square window of smoothed Z."""
    smooth = cv2.GaussianBlur(z, (0, 0), sigma_px)
    window = cv2.getStructuringElement(cv2.MORPH_RECT, (size, size))
    high, low = cv2.dilate(smooth, window), cv2.erode(smooth, window)
    return high, low, high - low


def black_hat(
    found: Significance, parts: tuple[np.ndarray, ...], cladding_radius_px: float, settings: DetectionSettings
) -> Evidence:
    """Black-hat (dark marks) and top-hat (bright marks) at several kernel sizes, the larger ones on smoother copies."""
    own = settings.algorithms.blackhat
    sizes = [max(3, int(share * cladding_radius_px) | 1) for share in own.kernels_share]
    dark, bright = np.zeros_like(found.z), np.zeros_like(found.z)
    for size in sizes:
        sigma_px = settings.smoothing_px[0] * max(1.0, size / sizes[0]) ** 0.5
        white = _white_hat(size, sigma_px)
        np.maximum(bright, unit_excess(_hat(found.z, size, sigma_px, cv2.MORPH_TOPHAT), parts, white), out=bright)
        np.maximum(dark, unit_excess(_hat(found.z, size, sigma_px, cv2.MORPH_BLACKHAT), parts, white), out=dark)
    return Evidence("BlackHat", own.weight, own.threshold_sigma, dark, bright)


def _hat(z: np.ndarray, size: int, sigma_px: float, operation: int) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.morphologyEx(cv2.GaussianBlur(z, (0, 0), sigma_px), operation, kernel)


def line_kernel(angle_deg: float, length_px: float, width_px: float) -> np.ndarray:
    """Oriented line detector: twice the centre line minus its two flanks; zero sum, unit energy (source: LEI)."""
    half = int(np.ceil(0.5 * length_px + 1))
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    angle = np.deg2rad(angle_deg)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    taper = np.clip(0.5 * length_px + 0.5 - np.abs(along), 0, 1)
    offset = 1.5 * width_px + 0.5
    centre = np.exp(-0.5 * (across / (0.5 * width_px)) ** 2) * taper
    flanks = np.exp(-0.5 * ((np.abs(across) - offset) / (0.5 * width_px)) ** 2) * taper
    kernel = 2 * centre / centre.sum() - 2 * flanks / flanks.sum()
    return (kernel / np.sqrt(np.sum(kernel**2))).astype(np.float32)


def lei(found: Significance, residual: Residual, cladding_radius_px: float, settings: DetectionSettings) -> Evidence:
    """Linear enhancement inspector: maximum over orientations and widths of line detectors on clipped Z.

    Clipping keeps one hot pixel from faking a line. Lines of the finest width are looked for at working scale, wider
    ones on a copy of half the size. A line that runs along a boundary is discounted by the boundary's uncertainty, a
    line across it is not.
    """
    own = settings.algorithms.lei
    z = np.clip(found.z, -own.clip_sigma, own.clip_sigma)
    edge = np.minimum(residual.edge, own.clip_sigma)
    length = max(9.0, own.length_share * cladding_radius_px)
    parts = residual.parts
    dark, bright = _line_responses(z, edge, residual.angle_rad, parts, length, own.widths_px[:1], own.angles)
    if len(own.widths_px) > 1:
        # white noise halves with the size; what is coherent stays
        size = ((z.shape[1] + 1) // 2, (z.shape[0] + 1) // 2)
        half_z, half_edge = (2 * cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (z, edge))
        half_angle = cv2.resize(residual.angle_rad, size, interpolation=cv2.INTER_NEAREST)
        half_parts = tuple(
            cv2.resize(part.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for part in parts
        )
        widths = tuple(0.5 * width for width in own.widths_px[1:])
        wide = _line_responses(half_z, half_edge, half_angle, half_parts, 0.5 * length, widths, own.angles)
        for target, response in zip((dark, bright), wide, strict=True):
            np.maximum(target, cv2.resize(response, z.shape[::-1], interpolation=cv2.INTER_LINEAR), out=target)
    return Evidence("LEI", own.weight, own.threshold_sigma, dark * residual.inside, bright * residual.inside)


def _line_responses(
    z: np.ndarray,
    edge: np.ndarray,
    angle_rad: np.ndarray,
    parts: tuple[np.ndarray, ...],
    length_px: float,
    widths_px: tuple[float, ...],
    angles: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Largest dark and bright response of line detectors in sigmas, (H, W) float32 each.

    Convolutions share one Fourier transform of the image.
    """
    rows, cols = z.shape
    half = int(np.ceil(0.5 * length_px + 1))
    height, width = cv2.getOptimalDFTSize(rows + half), cv2.getOptimalDFTSize(cols + half)
    padded = np.zeros((height, width), np.float32)
    padded[:rows, :cols] = z
    spectrum = cv2.dft(padded)
    samples = [np.flatnonzero(part.ravel()) for part in parts]
    samples = [s[:: max(1, len(s) // LINE_SAMPLE)] for s in samples]
    dark, bright = np.zeros_like(z), np.zeros_like(z)
    for k in range(angles):
        along_edge = edge * np.sin(angle_rad - np.float32(np.pi * k / angles)) ** 2
        for width_px in widths_px:
            kernel = line_kernel(180.0 * k / angles, length_px, width_px)
            response = _convolve(spectrum, kernel, (height, width))[:rows, :cols]
            scale = np.ones_like(response)
            for part, sample in zip(parts, samples, strict=True):
                if len(sample) >= 50:
                    scale[part] = max(robust_spread(response.ravel()[sample]), 1.0)
            response = response / (scale * np.sqrt(1 + (kernel[kernel > 0].sum() * along_edge) ** 2))
            np.maximum(bright, response, out=bright)
            np.maximum(dark, -response, out=dark)
    return dark, bright


def _convolve(spectrum: np.ndarray, kernel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Circular correlation of an image, given by its packed spectrum, with a small symmetric kernel."""
    size = kernel.shape[0]
    placed = np.zeros(shape, np.float32)
    placed[:size, :size] = kernel
    placed = np.roll(placed, (-(size // 2), -(size // 2)), (0, 1))
    product = cv2.mulSpectrums(spectrum, cv2.dft(placed), 0, conjB=True)
    return cv2.idft(product, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)


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
