"""Untangle two rings that lie close together, which a fit to the strongest edge of each ray takes for one.

Around a cladding there may be a ring of adhesive, a few per cent wide. Where light or noise makes now the inner, now
the outer edge the stronger, a robust ellipse swings from one to the other. Here every edge of a ray counts, and the
ellipse is the one that most rays agree on closely: random sample consensus.
"""

from __future__ import annotations

import numpy as np

from vision.geometry import fit_ring, ring_waves
from vision.rings import Ring, acceptable, measure_ring, rays_around, slope_along_rays, slope_noise
from vision.settings import LocalizationSettings

RAYS = 180
BAND_SHARE = 0.05  # of the radius: where edges are looked for
NEAR_SHARE, NEAR_PX = 0.004, 0.8  # how closely a ray has to agree
FIRM_SHARE = 0.92  # of the rays: a ring that so many agree on, within the residual that is allowed, needs no help
GAIN_SHARE = 0.1  # more rays than before have to agree
LEAST_HEIGHT = 0.2  # of the strongest edge of a ray
EDGES = 4  # per ray
SAMPLES = 600
LEAST_DETERMINANT = 0.05  # below, the rays of a sample are too close together to tell a ring
MAX_SWING_SHARE = 0.04  # of the radius: how far an untangled ring may wander over the tangled one


def untangled(grey: np.ndarray, ring: Ring, settings: LocalizationSettings) -> Ring:
    """The ring that most rays agree on near ``ring``; ``ring`` itself when few more agree than on that."""
    if ring.share >= FIRM_SHARE:
        return ring
    radius = ring.ellipse.mean_radius_px
    near = max(NEAR_SHARE * radius, NEAR_PX)
    angles = rays_around(RAYS)
    edges, heights = _edges(grey, ring, angles, settings)
    seen = np.isfinite(edges).any(axis=1)
    if seen.sum() < RAYS // 3:
        return ring
    before = (np.abs(edges - radius) <= near).any(axis=1).sum() / seen.sum()
    course, after = _consensus(edges, heights, angles, radius, near)
    if course is None or after / seen.sum() < before + GAIN_SHARE:
        return ring
    distance = np.where(np.isfinite(edges), np.abs(edges - course[:, None]), np.inf)
    nearest = np.take_along_axis(edges, np.argmin(distance, axis=1)[:, None], axis=1)[:, 0]
    on_ring = distance.min(axis=1) <= 2 * near
    fitted = fit_ring(
        ring.ellipse, np.where(on_ring, nearest, np.nan), angles, on_ring.astype(float), scale_px=max(near, 1.0)
    )
    if fitted is None:
        return ring
    measured = measure_ring(grey, fitted[0], 2 * near / radius, ring.sign, slope_noise(grey), settings)
    worse = measured is None or not acceptable(measured, settings) or measured.share < ring.share - GAIN_SHARE
    return ring if worse else measured


def _edges(
    grey: np.ndarray, ring: Ring, angles: np.ndarray, settings: LocalizationSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Radii (px) and slopes of the strongest edges of the ring's sign on each ray, (rays, EDGES); NaN where fewer."""
    radius = ring.ellipse.mean_radius_px
    step = max(radius / 800, 0.25)
    radii = np.arange((1 - BAND_SHARE) * radius, (1 + BAND_SHARE) * radius, step)
    sigma = float(np.clip(0.5 * settings.rays.smoothing_share * radius, 0.8, 3.0))
    slope = ring.sign * np.nan_to_num(slope_along_rays(grey, ring.ellipse, radii, angles, sigma))
    peak = np.zeros(slope.shape, bool)
    peak[:, 1:-1] = (slope[:, 1:-1] >= slope[:, :-2]) & (slope[:, 1:-1] > slope[:, 2:]) & (slope[:, 1:-1] > 0)
    peak &= slope >= LEAST_HEIGHT * slope.max(axis=1, keepdims=True)
    height = np.where(peak, slope, 0)
    order = np.argsort(-height, axis=1)[:, :EDGES]
    heights = np.take_along_axis(height, order, axis=1)
    return np.where(heights > 0, radii[order], np.nan), heights


def _consensus(
    edges: np.ndarray, heights: np.ndarray, angles: np.ndarray, radius: float, near: float
) -> tuple[np.ndarray | None, int]:
    """Radius per ray of the shifted, slightly elliptic circle with most rays within ``near``, and how many they are."""
    basis = ring_waves(angles)
    usable = np.flatnonzero(np.isfinite(edges).any(axis=1))
    rng = np.random.default_rng(0)
    draws = [(rng.choice(usable, basis.shape[1], replace=False), rng.random(basis.shape[1])) for _ in range(SAMPLES)]
    rays, share = (np.array(drawn) for drawn in zip(*draws, strict=True))
    counts = np.isfinite(edges[rays]).sum(axis=2)
    chosen = edges[rays, (share * counts).astype(int)]
    apart = np.abs(np.linalg.det(basis[rays])) >= LEAST_DETERMINANT
    coefficients = np.linalg.solve(basis[rays][apart], chosen[apart][..., None])[..., 0]
    coefficients = coefficients[np.abs(coefficients[:, 1:]).max(axis=1) <= MAX_SWING_SHARE * radius]
    if not len(coefficients):
        return None, 0
    curves = coefficients @ basis.T
    close = np.abs(np.nan_to_num(edges, nan=-1e6) - curves[..., None]) <= near
    agreeing = close.any(axis=2).sum(axis=1)
    height = (heights * close).sum(axis=(1, 2))
    best = np.lexsort((height, agreeing))[-1]
    return curves[best], int(agreeing[best])
