"""The background of the rings: sliding medians over the angle, from blocks of neighbouring rays.

Data flow: rays -> medians of five neighbouring rays -> slow waves along each ring taken off -> covered blocks bridged
-> medians over sectors -> waves put back. The median of block medians is as sure as that of all rays against any mark
that covers whole blocks, at a fifth of the numbers.
"""

from __future__ import annotations

import numpy as np

from records import NAN, Ellipse
from vision.geometry import unwrap
from vision.robust import SPREAD, nanmedian
from vision.settings import ResidualSettings

BLOCK = 5  # rays
HARMONIC_ROUNDS = 3
LEAST_SPREAD_GREY = 0.5  # of a ring: half a step of an 8-bit picture
LEAST_CORE_RIM_PX = 2.5
RIM_SHARE = (0.9, 1.06)  # of the cladding radius: where a mark goes on outwards


def background_profile(
    image: np.ndarray,
    ellipse: Ellipse,
    radii_px: np.ndarray,
    settings: ResidualSettings,
    marked: np.ndarray | None = None,
    core_radius_px: float = NAN,
) -> np.ndarray:
    """Sliding angular median, (sectors, radii) float32; near the centre the median of the whole ring."""
    per_sector = max(1, round(settings.angles / settings.sectors / BLOCK))  # blocks
    count = per_sector * settings.sectors
    blocks, covered = _blocks(image, ellipse, radii_px, count, marked)
    centre_px = settings.centre_share * ellipse.mean_radius_px
    harmonics = ring_harmonics(blocks, covered, settings.harmonics)
    harmonics *= np.clip(radii_px / centre_px - 1, 0, 1).astype(np.float32)[:, None]
    blocks = _bridged(blocks - harmonics, covered)
    ring = nanmedian(blocks)
    ring = np.where(np.isfinite(ring), ring, np.nanmedian(ring))
    ring = _continued_to_centre(ring, radii_px, centre_px, core_radius_px)
    inner_px = settings.inner_share * ellipse.mean_radius_px
    half = max(1, round(0.5 * settings.sector_width_deg / 360 * count))
    profile = _sliding_median(blocks, per_sector, half)
    # the same mark fills more of a sector further in: wider sectors there, and the whole ring at the centre
    near = int(np.searchsorted(radii_px, inner_px))
    share = np.clip(radii_px[:near] / inner_px * 2 - 1, 0, 1)[:, None]
    profile[:near] = share * profile[:near] + (1 - share) * _sliding_median(blocks[:near], per_sector, 2 * half)
    profile = np.where(np.isfinite(profile), profile, ring[:, None])
    blend = np.clip(radii_px / settings.ring_radius_px - 1, 0, 1)[:, None]
    profile = blend * profile + (1 - blend) * ring[:, None] + harmonics[:, ::per_sector]
    return np.ascontiguousarray(profile.T, np.float32)


def _blocks(
    image: np.ndarray, ellipse: Ellipse, radii_px: np.ndarray, count: int, marked: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Medians of blocks of rays, block k around the angle k / count turns, and whether a mark covers any of its rays.

    (radii, blocks) each: float32, NaN where a ray has left the image, and bool.
    """
    angles = (np.arange(count * BLOCK) - BLOCK // 2) * (2 * np.pi / (count * BLOCK))
    rays = unwrap(image, ellipse, radii_px, angles).reshape(count, BLOCK, -1)
    covered = np.zeros((count, len(radii_px)), bool)
    if marked is not None:
        covered = unwrap(marked.astype(np.float32), ellipse, radii_px, angles).reshape(rays.shape).max(axis=1) > 0.01
        covered = _continued_over_edge(covered, radii_px / ellipse.mean_radius_px)
    return np.ascontiguousarray(_median_of_five(rays).T), np.ascontiguousarray(covered.T)


def _median_of_five(rays: np.ndarray) -> np.ndarray:
    """Medians over the middle axis of (n, 5, m); NaN where any of the five is."""
    low, high = np.minimum, np.maximum
    a, b, c, d, e = (rays[:, k] for k in range(BLOCK))
    upper = high(low(a, b), low(c, d))
    lower = low(high(a, b), high(c, d))
    return high(low(e, upper), low(lower, high(e, upper)))


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
    """Slow waves of grey along each ring, (radii, angles) float32: cosines and sines up to ``order``, fitted robustly.

    Directional light is a wave of the first order, an off-centre core or a misfit of the ellipse one of the first or
    second at a boundary. A median over a sector flattens the crests of such waves; without them it does not have to.
    Rings of which a third is hidden have none.
    """
    radii, count = polar.shape
    angle = np.arange(count) * (2 * np.pi / count)
    waves = [f(k * angle) for k in range(1, order + 1) for f in (np.cos, np.sin)]
    basis = np.stack([np.ones(count), *waves], axis=1).astype(np.float32)
    size = basis.shape[1]
    products = (basis[:, :, None] * basis[:, None, :]).reshape(count, -1)
    seen = np.isfinite(polar) & ~covered
    values = np.where(seen, polar, np.float32(0))
    enough = seen.mean(axis=1) > 2 / 3
    fit = np.zeros((radii, size), np.float32)
    fit[:, 0] = np.nan_to_num(nanmedian(np.where(seen, polar, np.float32(NAN))))
    for _ in range(HARMONIC_ROUNDS):
        deviation = np.abs(values - fit @ basis.T)
        spread = SPREAD * nanmedian(np.where(seen, deviation, np.float32(NAN)))
        reach = 3 * np.maximum(np.nan_to_num(spread), LEAST_SPREAD_GREY).astype(np.float32)[:, None]
        weights = seen * np.clip(1 - (deviation / reach) ** 2, 0, None) ** 2
        normal = (weights @ products).reshape(radii, size, size) + np.float32(1e-4) * np.eye(size, dtype=np.float32)
        fit = np.linalg.solve(normal, ((weights * values) @ basis)[..., None])[..., 0]
    return (fit[:, 1:] @ basis[:, 1:].T) * enough[:, None].astype(np.float32)


def _bridged(polar: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """(radii, angles) with covered samples replaced by what lies beside them on the same ring (linear in the angle).

    A ring of which a quarter or less is free stays as it is.
    """
    free = np.isfinite(polar) & ~covered
    rings = np.flatnonzero(covered.any(axis=1) & (free.sum(axis=1) > 0.25 * polar.shape[1]))
    if not len(rings):
        return polar
    count = polar.shape[1]
    turn = np.arange(3 * count)
    known = np.tile(free[rings], 3)
    before = np.maximum.accumulate(np.where(known, turn, -1), axis=1)[:, count : 2 * count]
    after = np.minimum.accumulate(np.where(known, turn, 3 * count)[:, ::-1], axis=1)[:, ::-1][:, count : 2 * count]
    values = polar[rings]
    left = np.take_along_axis(values, before % count, axis=1)
    right = np.take_along_axis(values, after % count, axis=1)
    share = (turn[count : 2 * count] - before) / np.maximum(after - before, 1)
    bridged = polar.copy()
    bridged[rings] = np.where(covered[rings], left + share * (right - left), values)
    return bridged


def _sliding_median(polar: np.ndarray, per_sector: int, half: int) -> np.ndarray:
    """Median over ``2 half + 1`` blocks around every ``per_sector``-th block of (radii, blocks), (radii, sectors)."""
    count = polar.shape[1]
    window = (np.arange(0, count, per_sector)[:, None] + np.arange(-half, half + 1)[None, :]) % count
    return nanmedian(polar[:, window])
