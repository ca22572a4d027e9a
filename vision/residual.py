"""Remove what is radially symmetric and learn the noise of the rest.

Background: median over a sliding window of angles on rays of the fibre frame, which keeps every mark that covers less
than half of the window. Noise: robust spread per brightness, and separately the uncertainty of a boundary's position,
which is coherent along the boundary and so does not average out under smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from records import NAN
from vision.background import background_profile
from vision.ring_frame import FERRULE, FIBRE, RingFrame
from vision.robust import robust_spread
from vision.settings import ResidualSettings

QUANTISATION_GREY = 0.5
DITHER_GREY = 0.6  # noise from which on rounding to whole grey levels averages out
GREYS = np.arange(256, dtype=np.float32)
LEAST_FLAT = 200  # pixels from which noise is learnt per brightness
LEAST_BIN = 100
MOST_RADII = 32_000  # cv2.remap takes no longer rows


@dataclass(frozen=True)
class Residual:
    """Background-free image at working scale; all arrays (H, W)."""

    frame: RingFrame
    grey: np.ndarray  # float32, grey levels minus background, 0 outside
    background: np.ndarray  # float32
    noise: np.ndarray  # float32, spread of `grey` from noise alone, grey levels
    boundary: np.ndarray  # float32, coherent spread (position of boundaries, grey steps), in units of `noise`
    edge: np.ndarray  # float32, the part of `boundary` that runs along boundaries
    inside: np.ndarray  # bool, within the reach
    inner_px: float  # radius within which a mark may fill a large part of its ring

    @property
    def radius_px(self) -> np.ndarray:
        return self.frame.radius_px

    @property
    def angle_rad(self) -> np.ndarray:
        return self.frame.angle_rad


def radial_residual(
    image: np.ndarray,
    frame: RingFrame,
    settings: ResidualSettings,
    marked: np.ndarray | None = None,
    core_radius_px: float = NAN,
) -> Residual:
    """Residual and noise of a grey image (H, W) float32 within the frame's reach of the fibre's centre.

    ``marked`` (H, W) bool: pixels that are known not to be background. ``core_radius_px``: NaN = unknown.
    """
    step = max(1.0 / settings.radial_oversampling, (frame.reach_px + 2) / MOST_RADII)
    radii = np.arange(0, frame.reach_px + 2, step)
    profile = background_profile(image, frame.ellipse, radii, settings, marked, core_radius_px)
    slope = np.abs(cv2.sepFilter2D(profile, cv2.CV_32F, _slope_kernel(settings), np.ones(1, np.float32)))
    slope = cv2.dilate(slope, np.ones((1, 2 * settings.radial_oversampling + 1), np.uint8))
    column = frame.radius_px * np.float32(1 / step)
    row = frame.angle_rad * np.float32(settings.sectors / (2 * np.pi)) + 1
    both = _wrapped(cv2.merge([profile, slope]))
    background, gradient = cv2.split(cv2.remap(both, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    inside = frame.inside
    residual = (image - background) * inside
    noise = _noise_map(residual, background, gradient, frame, settings, marked)
    # 8-bit steps are islands of one grey level, unless the noise is large enough to dither them
    steps = QUANTISATION_GREY * np.clip(1 - noise / DITHER_GREY, 0, 1)
    noise = np.maximum(noise, np.float32(settings.sigma_floor_grey))
    edge = np.float32(settings.edge_position_px) * gradient / noise
    boundary = cv2.magnitude(edge, steps / noise)
    inner_px = settings.inner_share * frame.ellipse.mean_radius_px
    return Residual(frame, residual, background, noise, boundary, edge, inside > 0, inner_px)


def _wrapped(profile: np.ndarray) -> np.ndarray:
    """Profile with one row of overlap at both ends, so that interpolation over the angle closes."""
    return np.concatenate([profile[-1:], profile, profile[:1]])


def _slope_kernel(settings: ResidualSettings) -> np.ndarray:
    """Derivative per pixel over about one pixel on the oversampled radius."""
    n = settings.radial_oversampling
    kernel = np.zeros(2 * n + 1, np.float32)
    kernel[:n], kernel[n + 1 :] = -1.0, 1.0
    return kernel / (n + 1)


def _noise_map(
    residual: np.ndarray,
    background: np.ndarray,
    gradient: np.ndarray,
    frame: RingFrame,
    settings: ResidualSettings,
    marked: np.ndarray | None,
) -> np.ndarray:
    """Noise (grey levels) of every pixel by its part and its background's brightness, (H, W) float32; 1 outside."""
    flat = gradient.ravel() < settings.flat_slope_grey
    if marked is not None:
        flat &= ~marked.ravel()
    brightness = cv2.convertScaleAbs(background)
    noise = np.ones_like(residual)
    for part, sample in zip((FIBRE, FERRULE), frame.samples, strict=True):
        chosen = sample[flat[sample]]
        table = noise_by_brightness(
            residual.ravel()[chosen], background.ravel()[chosen], settings, tails=marked is not None
        )
        cv2.copyTo(cv2.LUT(brightness, table), (frame.part == part).view(np.uint8), noise)
    return noise


def noise_by_brightness(
    residual: np.ndarray, background: np.ndarray, settings: ResidualSettings, *, tails: bool
) -> np.ndarray:
    """Sigma (grey levels) for each background grey 0..255, (256,) float32.

    Learnt from flat pixels' residuals and backgrounds (n,) in bins of equal population.
    """
    if len(residual) < LEAST_FLAT:
        level = robust_spread(residual, tails=tails) if len(residual) > 20 else max(settings.sigma_floor_grey, 1.0)
        return np.full(256, level, np.float32)
    brightness = np.clip(background + 0.5, 0, 255).astype(np.uint8)
    order = np.argsort(brightness, kind="stable")  # of bytes this is a radix sort
    bins = np.array_split(order, settings.noise_bins)
    bins = [members for members in bins if len(members) >= LEAST_BIN] or [order]
    centres = [0.5 * (float(brightness[members[0]]) + float(brightness[members[-1]])) for members in bins]
    sigmas = [robust_spread(residual[members], tails=tails) for members in bins]
    return np.interp(GREYS, centres, sigmas).astype(np.float32)
