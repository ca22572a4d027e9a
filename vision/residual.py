"""Remove what is radially symmetric and learn the noise of the rest.

Background: median over a sliding window of angles on rays of the fibre frame, which keeps every mark that covers less
than half of the window. Noise: robust spread per brightness, and separately the uncertainty of a boundary's position,
which is coherent along the boundary and so does not average out under smoothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from records import NAN, Ellipse
from vision.geometry import polar_maps, unwrap
from vision.robust import SPREAD, nanmedian, robust_spread
from vision.settings import ResidualSettings

QUANTISATION_GREY = 0.5
DITHER_GREY = 0.6  # noise from which on rounding to whole grey levels averages out
HARMONIC_ROUNDS = 4
LEAST_CORE_RIM_PX = 2.5
RIM_SHARE = (0.9, 1.06)  # of the cladding radius: where a mark goes on outwards


@dataclass(frozen=True)
class Residual:
    """Background-free image at working scale; all arrays (H, W)."""

    grey: np.ndarray  # float32, grey levels minus background, 0 outside
    background: np.ndarray  # float32
    noise: np.ndarray  # float32, spread of `grey` from noise alone, grey levels
    boundary: np.ndarray  # float32, coherent spread (position of boundaries, grey steps), in units of `noise`
    edge: np.ndarray  # float32, the part of `boundary` that runs along boundaries
    radius_px: np.ndarray  # float32, fibre-frame radius
    angle_rad: np.ndarray  # float32, fibre-frame angle, y down
    parts: tuple[np.ndarray, np.ndarray]  # bool: cladding and core, what lies outside of them
    inner_px: float  # radius within which a mark may fill a large part of its ring

    @property
    def inside(self) -> np.ndarray:
        return self.parts[0] | self.parts[1]


def radial_residual(
    grey: np.ndarray,
    ellipse: Ellipse,
    reach_px: float,
    settings: ResidualSettings,
    marked: np.ndarray | None = None,
    core_radius_px: float = NAN,
) -> Residual:
    """Residual and noise of a grey image (H, W) out to ``reach_px`` (fibre frame) from the fibre's centre.

    ``marked`` (H, W) bool: pixels that are known not to be background. ``core_radius_px``: NaN = unknown.
    """
    image = grey.astype(np.float32)
    radius, angle = polar_maps(image.shape, ellipse)
    inside = radius < reach_px
    step = 1.0 / settings.radial_oversampling
    profile = background_profile(image, ellipse, np.arange(0, reach_px + 2, step), settings, marked, core_radius_px)
    slope = np.abs(cv2.sepFilter2D(profile, cv2.CV_32F, _slope_kernel(settings), np.ones(1, np.float32)))
    slope = cv2.dilate(slope, np.ones((1, 2 * settings.radial_oversampling + 1), np.uint8))
    column = radius / step
    row = np.mod(angle, 2 * np.pi) * np.float32(settings.sectors / (2 * np.pi)) + 1
    background = cv2.remap(_wrapped(profile), column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gradient = cv2.remap(_wrapped(slope), column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    residual = np.where(inside, image - background, 0).astype(np.float32)
    fibre = radius <= ellipse.mean_radius_px
    parts = (inside & fibre, inside & ~fibre)
    noise = np.ones_like(residual)
    for part in parts:
        flat = part & (gradient < settings.flat_slope_grey)
        if marked is not None:
            flat &= ~marked
        noise[part] = noise_by_brightness(residual[flat], background[flat], settings, tails=marked is not None)(
            background[part]
        )
    # 8-bit steps are islands of one grey level, unless the noise is large enough to dither them
    steps = QUANTISATION_GREY * np.clip(1 - noise / DITHER_GREY, 0, 1)
    noise = np.maximum(noise, settings.sigma_floor_grey)
    edge = settings.edge_position_px * gradient / noise
    boundary = np.hypot(edge, steps / noise)
    return Residual(
        residual, background, noise, boundary, edge, radius, angle, parts, settings.inner_share * ellipse.mean_radius_px
    )


def background_profile(
    image: np.ndarray,
    ellipse: Ellipse,
    radii_px: np.ndarray,
    settings: ResidualSettings,
    marked: np.ndarray | None = None,
    core_radius_px: float = NAN,
) -> np.ndarray:
    """Sliding angular median, (sectors, radii) float32; near the centre the median of the whole ring."""
    per_sector = max(1, round(settings.angles / settings.sectors))
    count = per_sector * settings.sectors
    angles = np.arange(count) * (2 * np.pi / count)
    polar = unwrap(image, ellipse, radii_px, angles)
    centre_px = settings.centre_share * ellipse.mean_radius_px
    covered = np.zeros(polar.shape, bool)
    if marked is not None:
        covered = unwrap(marked.astype(np.float32), ellipse, radii_px, angles) > 0.01
        covered = _continued_over_edge(covered, radii_px / ellipse.mean_radius_px)
    harmonics = ring_harmonics(polar, covered, settings.harmonics)
    harmonics *= np.clip(radii_px / centre_px - 1, 0, 1).astype(np.float32)
    polar = _bridged(polar - harmonics, covered)
    ring = nanmedian(polar)
    ring = np.where(np.isfinite(ring), ring, np.nanmedian(polar))
    ring = _continued_to_centre(ring, radii_px, centre_px, core_radius_px)
    inner_px = settings.inner_share * ellipse.mean_radius_px
    narrow = _sliding_median(polar, per_sector, round(0.5 * settings.sector_width_deg / 360 * count))
    near = radii_px < inner_px
    wide = narrow.copy()
    wide[:, near] = _sliding_median(polar[:, near], per_sector, round(settings.sector_width_deg / 360 * count))
    # the same mark fills more of a sector further in: wider sectors there, and the whole ring at the centre
    share = np.clip(radii_px / inner_px * 2 - 1, 0, 1)[None, :]
    profile = share * narrow + (1 - share) * wide
    profile = np.where(np.isfinite(profile), profile, ring)
    blend = np.clip(radii_px / settings.ring_radius_px - 1, 0, 1)[None, :]
    return (blend * profile + (1 - blend) * ring[None, :] + harmonics[::per_sector]).astype(np.float32)


def _continued_over_edge(covered: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Covered samples (angles, radii), with marks that reach the rim continued over the cladding's edge.

    A chip goes on to the edge, where it does not stand out by itself; ``share`` is the radius over the cladding's.
    """
    rim = (share > RIM_SHARE[0]) & (share < RIM_SHARE[1])
    reached = covered & (share > RIM_SHARE[0]) & (share < 1)
    return covered | (np.logical_or.accumulate(reached, axis=1) & rim)


def _continued_to_centre(ring: np.ndarray, radii_px: np.ndarray, centre_px: float, core_px: float) -> np.ndarray:
    """Ring medians whose innermost part follows a parabola through the rest of the core.

    Any small mark at the centre covers most of the innermost rings, so their medians say nothing about the core. A
    core that is hardly larger than these is left as it is.
    """
    outer_px = min(3 * centre_px, 0.75 * core_px) if np.isfinite(core_px) else 2.2 * centre_px
    if not outer_px >= centre_px + LEAST_CORE_RIM_PX:
        return ring
    known = (radii_px >= centre_px) & (radii_px <= outer_px)
    curve = np.polynomial.Polynomial.fit(radii_px[known] ** 2, ring[known], 1)
    return np.where(radii_px < centre_px, curve(radii_px**2), ring)


def ring_harmonics(polar: np.ndarray, covered: np.ndarray, order: int) -> np.ndarray:
    """Slow waves of grey along each ring, (angles, radii) float32: cosines and sines up to ``order``, fitted robustly.

    Directional light is a wave of the first order, an off-centre core or a misfit of the ellipse one of the first or
    second at a boundary. A median over a sector flattens the crests of such waves; without them it does not have to.
    Rings of which a third is hidden have none.
    """
    count, radii = polar.shape
    angle = np.arange(count) * (2 * np.pi / count)
    waves = [f(k * angle) for k in range(1, order + 1) for f in (np.cos, np.sin)]
    basis = np.stack([np.ones(count), *waves], axis=1)
    products = (basis[:, :, None] * basis[:, None, :]).reshape(count, -1)
    seen = np.isfinite(polar) & ~covered
    values = np.where(seen, polar, 0)
    enough = seen.mean(axis=0) > 2 / 3
    size = basis.shape[1]
    fit = np.zeros((size, radii))
    fit[0] = np.nan_to_num(nanmedian(np.where(seen, polar, np.nan)))
    for _ in range(HARMONIC_ROUNDS):
        deviation = np.abs(values - basis @ fit)
        spread = SPREAD * nanmedian(np.where(seen, deviation, np.nan))
        reach = 3 * np.maximum(np.nan_to_num(spread), QUANTISATION_GREY)
        weights = seen * np.clip(1 - (deviation / reach) ** 2, 0, None) ** 2
        normal = (products.T @ weights).T.reshape(radii, size, size) + 1e-6 * np.eye(size)
        fit = np.linalg.solve(normal, (basis.T @ (weights * values)).T[..., None])[..., 0].T
    return ((basis[:, 1:] @ fit[1:]) * enough).astype(np.float32)


def _bridged(polar: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Replace covered samples by what lies beside them on the same ring (linear in the angle)."""
    turn = np.arange(len(polar))
    for column in np.flatnonzero(covered.any(axis=0)):
        free = np.isfinite(polar[:, column]) & ~covered[:, column]
        if free.sum() > 0.25 * len(polar):
            hidden = covered[:, column]
            polar[hidden, column] = np.interp(turn[hidden], turn[free], polar[free, column], period=len(polar))
    return polar


def _sliding_median(polar: np.ndarray, per_sector: int, half: int) -> np.ndarray:
    """Median over ``2 half + 1`` rays around every ``per_sector``-th ray, (sectors, radii)."""
    half = max(1, half)
    wrapped = np.concatenate([polar[-half:], polar, polar[: half + 1]])
    starts = range(0, len(polar), per_sector)
    return np.stack([nanmedian(wrapped[k : k + 2 * half + 1]) for k in starts])


def _wrapped(profile: np.ndarray) -> np.ndarray:
    """Profile with one row of overlap at both ends, so that interpolation over the angle closes."""
    return np.concatenate([profile[-1:], profile, profile[:1]])


def _slope_kernel(settings: ResidualSettings) -> np.ndarray:
    """Derivative per pixel over about one pixel on the oversampled radius."""
    n = settings.radial_oversampling
    kernel = np.zeros(2 * n + 1, np.float32)
    kernel[:n], kernel[n + 1 :] = -1.0, 1.0
    return kernel / (n + 1)


def noise_by_brightness(
    residual: np.ndarray, background: np.ndarray, settings: ResidualSettings, *, tails: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """Function background grey -> sigma (grey levels), from flat pixels' residuals in bins of equal population."""
    if len(residual) < 200:
        level = robust_spread(residual, tails=tails) if len(residual) > 20 else max(settings.sigma_floor_grey, 1.0)
        return lambda grey: np.full_like(grey, level)
    edges = np.unique(np.quantile(background, np.linspace(0, 1, settings.noise_bins + 1)))
    centres, sigmas = [], []
    for low, high in pairwise(edges):
        values = residual[(background >= low) & (background <= high)]
        if len(values) >= 100:
            centres.append(0.5 * (low + high))
            sigmas.append(robust_spread(values, tails=tails))
    if not centres:
        centres, sigmas = [0.0], [robust_spread(residual, tails=tails)]
    return lambda grey: np.interp(grey, centres, sigmas).astype(np.float32)
