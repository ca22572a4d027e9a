"""Measure rings: the edge along rays from a centre, a robust ellipse through them, and resolved adhesive rings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import fit_ring, grown, unwrap
from vision.robust import SPREAD, medians, nanmedian
from vision.settings import LocalizationSettings, RaySettings

NOISE_STRIPS, NOISE_ROWS, NOISE_SAMPLE = 8, 12, 30_000
UNANIMOUS_SHARE = 0.98  # of the rays: a narrower band would show them the same edges
LEAST_SLOPE = 1e-3  # grey levels per px: less is rounding, no edge
HALO_SHARE = 0.3  # of an edge's slope: a weaker one right outside of it is its overshoot
SLOW_EDGE = 2.5  # width of an edge over that of the one outside of it
RESOLVED_DIP = 0.7  # slope between two edges of one sign over the weaker edge's


@dataclass(frozen=True)
class Ring:
    """A fitted ring: its ellipse, the share of rays that agree, the sign and the strength of its edge."""

    ellipse: Ellipse
    share: float  # rays whose edge lies on the ellipse, among the rays inside the image, 0..1
    visible: float  # rays that reach the ring inside the image, 0..1
    sign: int  # +1 brighter outside
    step_grey: float  # median edge step
    snr: float  # median edge slope over the slope noise


def rays_around(count: int) -> np.ndarray:
    """Evenly spread ray angles (radians)."""
    return np.arange(count) * (2 * np.pi / count)


def acceptable(ring: Ring, settings: LocalizationSettings) -> bool:
    """Whether a ring is consistent and strong enough to be believed."""
    rays = settings.rays
    return ring.share >= rays.min_share and ring.visible >= rays.min_visible and ring.snr >= rays.min_snr


def slope_along_rays(
    image: np.ndarray, ellipse: Ellipse, radii_px: np.ndarray, angles_rad: np.ndarray, sigma_px: float
) -> np.ndarray:
    """Smoothed radial derivative (grey levels per px) on rays, NaN outside the image; (rays, radii) float32."""
    polar = unwrap(image, ellipse, radii_px, angles_rad)
    step = radii_px[1] - radii_px[0]
    outside = np.isnan(polar)
    partial = outside.any()
    if partial:
        polar[outside] = 0.0
    size = int(np.ceil(4 * sigma_px / step)) | 1
    t = (np.arange(2 * size + 1) - size) * step
    kernel = (t / sigma_px**2 * np.exp(-0.5 * (t / sigma_px) ** 2)).astype(np.float32)
    kernel /= np.sum(kernel * t)  # unit response to a unit slope
    slope = cv2.filter2D(polar, cv2.CV_32F, kernel[None, :], borderType=cv2.BORDER_REPLICATE)
    if partial:
        near_outside = cv2.dilate(outside.astype(np.uint8), np.ones((1, 2 * size + 1), np.uint8)) > 0
        slope[near_outside] = np.nan
    return slope


def slope_noise(image: np.ndarray) -> float:
    """Robust spread of the horizontal grey slope (grey levels per px) of an image, floored for noiseless ones.

    Tall images are judged by evenly spread strips of rows, and all by a share of their pixels.
    """
    if len(image) > NOISE_STRIPS * NOISE_ROWS:
        starts = np.linspace(0, len(image) - NOISE_ROWS, NOISE_STRIPS).astype(int)
        image = np.concatenate([image[start : start + NOISE_ROWS] for start in starts])
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    slope = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    sample = slope.ravel()[:: max(1, slope.size // NOISE_SAMPLE)]
    return max(SPREAD * float(medians(np.abs(sample)[None, :])[0]), 0.1)


def measure_ring(
    image: np.ndarray,
    ellipse: Ellipse,
    band: float,
    sign: int,
    noise_slope: float,
    settings: LocalizationSettings,
    *,
    max_rays: int | None = None,
    least_band_px: float = 3.0,
) -> Ring | None:
    """Find the strongest edge of one sign per ray, and the ring through these edges; None when there is none.

    ``band`` is how far from the ellipse edges are looked for, in share of its radius.
    """
    radius = ellipse.mean_radius_px
    rays = settings.rays
    angles = rays_around(int(np.clip(2 * np.pi * radius, 60, max_rays or rays.count)))
    half = max(band * radius, least_band_px)
    sigma = float(np.clip(rays.smoothing_share * radius, 0.8, 3.0))
    edge, height, seen = _edge_per_ray(image, ellipse, half, sign, angles, sigma)
    if seen.sum() < 12:
        return None
    usable = seen & (height > LEAST_SLOPE)
    weights = np.where(usable, np.clip(height / (np.median(height[seen]) + 1e-6), 0, 1.5), 0.0)
    fitted = fit_ring(
        ellipse, np.where(usable, edge, np.nan), angles, weights, scale_px=max(1.0, rays.max_residual_share * radius)
    )
    if fitted is None:
        return None
    new, residual = fitted
    on_ring = usable & (np.abs(residual) < max(0.8, rays.max_residual_share * radius))
    strength = float(np.median(height[on_ring])) if on_ring.any() else 0.0
    if not 0.5 < new.mean_radius_px / radius < 2.0 or new.major_px > settings.rays.max_axis_ratio * new.minor_px:
        return None
    firm = on_ring & (height > 0.15 * strength)
    return Ring(
        new, float(firm.sum() / seen.sum()), float(seen.mean()), sign, strength * sigma * 2.5, strength / noise_slope
    )


def _edge_per_ray(
    image: np.ndarray, ellipse: Ellipse, half_px: float, sign: int, angles: np.ndarray, sigma_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radius and slope of the steepest place per ray within ``half_px`` of an ellipse, and whether the ray is seen."""
    radius = ellipse.mean_radius_px
    step = min(0.5, half_px / 8)
    margin = 4 * sigma_px + 2 * step
    radii = np.arange(max(radius - half_px - margin, 0.5), radius + half_px + margin, step)
    within = (radii >= radius - half_px) & (radii <= radius + half_px)
    slope = sign * slope_along_rays(image, ellipse, radii, angles, sigma_px)[:, within]
    radii = radii[within]
    known = np.isfinite(slope)
    seen = known.sum(axis=1) > 0.8 * (2 * half_px / step)
    flat = np.where(known, slope, -np.inf)
    peak = np.argmax(flat, axis=1)
    height = np.take_along_axis(flat, peak[:, None], 1)[:, 0]
    return radii[peak] + step * _parabola_offset(flat, peak), height, seen


def _parabola_offset(values: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Sub-sample position of row maxima, -0.5..0.5."""
    rows = np.arange(len(values))
    inner = np.clip(peak, 1, values.shape[1] - 2)
    left, mid, right = values[rows, inner - 1], values[rows, inner], values[rows, inner + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        offset = 0.5 * (left - right) / (left - 2 * mid + right)
    return np.where((inner == peak) & np.isfinite(offset), np.clip(offset, -0.5, 0.5), 0.0)


def refine_full(grey: np.ndarray, ellipse: Ellipse, ring: Ring, settings: LocalizationSettings) -> Ring:
    """Measure the chosen ring at full resolution; the coarse one (scaled) when that fails."""
    noise_slope = slope_noise(grey)
    result = replace(ring, ellipse=ellipse)
    for band in (0.03, 0.02):
        finer = measure_ring(grey, result.ellipse, band, ring.sign, noise_slope, settings)
        if finer is None or finer.share < 0.5 * ring.share:
            break
        result = finer
        if finer.share >= UNANIMOUS_SHARE:
            break
    return result


def inside_adhesive(grey: np.ndarray, ring: Ring, settings: LocalizationSettings) -> Ring:
    """Step inwards from the ferrule's hole to the cladding when a resolved ring of adhesive lies between them.

    An edge fringe looks like a thin dark or bright ring too, but it is not wider than the optics' blur: a ring counts
    as adhesive when its two edges are clearly further apart than they are wide. A ring wider than
    ``adhesive_max_share`` is the cladding of a large-core fibre instead.
    """
    radius = ring.ellipse.mean_radius_px
    step = min(0.25, radius / 400)
    radii = np.arange((1 - 2 * settings.rays.adhesive_max_share) * radius, 1.05 * radius, step)
    slope = slope_along_rays(grey, ring.ellipse, radii, rays_around(180), max(0.7, 0.003 * radius))
    median = median_over_rays(slope, 12)
    strength = np.abs(median)
    outer = int(np.argmax(np.where(np.abs(radii - radius) < 0.015 * radius, strength, 0)))
    floor = settings.rays.adhesive_min_edge * strength[outer]
    peaks = [i for i in local_maxima(strength) if i < outer and strength[i] > floor]
    while len(peaks) > 1 and strength[peaks[-1]] < HALO_SHARE * strength[peaks[-2]]:
        peaks.pop()  # the overshoot of the edge before it
    for peak in reversed(peaks):
        gap_px = (outer - peak) * step
        if gap_px > settings.rays.adhesive_max_share * radius or not _resolved(median, peak, outer, settings.rays):
            break
        found = measure_ring(
            grey,
            grown(ring.ellipse, radii[peak] / radius),
            min(0.015, 0.5 * gap_px / radius),
            int(np.sign(median[peak])),
            slope_noise(grey),
            settings,
            least_band_px=min(3.0, 0.5 * gap_px),
        )
        if found is not None and acceptable(found, settings):
            return found
    return ring


def _resolved(slope: np.ndarray, inner: int, outer: int, rays: RaySettings) -> bool:
    """Whether two peaks of a radial slope are two edges and not both sides of one blurred line.

    Edges of opposite sign (a dark or bright ring) must be further apart than wide, and neither tail may outweigh the
    other edge in the middle: the sides of a mere line are one and a quarter widths apart. Edges of one sign (a ring
    of middle grey) merge unless the slope sinks between them. A cladding ends as abruptly as a ferrule's hole; a slow
    step inside is the rim of a large core.
    """
    if _edge_width(slope, inner) > SLOW_EDGE * _edge_width(slope, outer):
        return False
    gap, weaker = outer - inner, min(abs(slope[inner]), abs(slope[outer]))
    between = np.abs(slope[inner + int(0.35 * gap) : inner + int(0.65 * gap) + 1])
    if slope[inner] * slope[outer] > 0:
        return between.min() < RESOLVED_DIP * weaker
    width = max(_edge_width(slope, inner), _edge_width(slope, outer))
    return gap >= rays.adhesive_min_separation * width and between.max() < weaker


def median_over_rays(slope: np.ndarray, least_rays: float) -> np.ndarray:
    """Median of (rays, radii) over the rays that see a radius; 0 where fewer than ``least_rays`` do."""
    seen = np.isfinite(slope).sum(axis=0)
    return np.where(seen >= least_rays, nanmedian(slope.T), 0.0)


def local_maxima(values: np.ndarray) -> np.ndarray:
    """Indices of the inner local maxima of a vector."""
    middle = values[1:-1]
    return np.flatnonzero((middle >= values[:-2]) & (middle > values[2:])) + 1


def _edge_width(slope: np.ndarray, peak: int) -> float:
    """Full width at half maximum of a slope peak, in samples, interpolated."""
    height = slope * np.sign(slope[peak])
    half = 0.5 * height[peak]
    width = 0.0
    for side in (height[peak::-1], height[peak:]):
        below = np.flatnonzero(side <= half)
        k = below[0] if len(below) else len(side)
        width += k - 1 + ((side[k - 1] - half) / (side[k - 1] - side[k]) if len(below) else 0.0)
    return width
