"""Ellipse geometry: the fibre frame, polar sampling and robust ellipse fits.

The fibre frame is the affine map that turns the cladding ellipse into a circle of equal area centred on the origin.
All points are (x, y) in pixels with pixel centres at whole numbers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from records import Ellipse

FIT_ROUNDS, SHRINKING_ROUNDS = 12, 5
CURVE_POINTS = 36  # of a fitted curve of second order; an ellipse through more is the same
SETTLED_PX = 1e-3  # a robust fit that moves less in a round has found its place
Box = tuple[int, int, int, int]  # top, bottom, left, right; half open


def frame_matrix(ellipse: Ellipse) -> np.ndarray:
    """Linear part of the fibre frame, (2, 2): pixel offset from the centre -> fibre-frame offset.

    Its determinant is 1, so areas are kept; its directions are kept too (stretching along the ellipse's own axes).
    """
    return _stretch(ellipse.angle_deg, math.sqrt(ellipse.minor_px / ellipse.major_px))


def _inverse_frame(ellipse: Ellipse) -> np.ndarray:
    return _stretch(ellipse.angle_deg, math.sqrt(ellipse.major_px / ellipse.minor_px))


def _stretch(angle_deg: float, factor: float) -> np.ndarray:
    """Stretch by ``factor`` along a direction and by its inverse across it, (2, 2)."""
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    across = (factor - 1 / factor) * cos * sin
    return np.array(
        [[factor * cos**2 + sin**2 / factor, across], [across, factor * sin**2 + cos**2 / factor]],
    )


def to_frame(ellipse: Ellipse, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map image points to fibre-frame points (u right, v down), in pixels."""
    m = frame_matrix(ellipse)
    dx, dy = np.asarray(x_px) - ellipse.x_px, np.asarray(y_px) - ellipse.y_px
    return m[0, 0] * dx + m[0, 1] * dy, m[1, 0] * dx + m[1, 1] * dy


def from_frame(ellipse: Ellipse, u_px: np.ndarray, v_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of :func:`to_frame`."""
    m = _inverse_frame(ellipse)
    u, v = np.asarray(u_px), np.asarray(v_px)
    return m[0, 0] * u + m[0, 1] * v + ellipse.x_px, m[1, 0] * u + m[1, 1] * v + ellipse.y_px


def polar_maps(shape: tuple[int, int], ellipse: Ellipse) -> tuple[np.ndarray, np.ndarray]:
    """Fibre-frame radius (px) and angle (radians, 0..2 pi, y down) of every pixel, two (H, W) float32 arrays."""
    m = frame_matrix(ellipse).astype(np.float32)
    dx = np.arange(shape[1], dtype=np.float32)[None, :] - np.float32(ellipse.x_px)
    dy = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(ellipse.y_px)
    return cv2.cartToPolar(m[0, 0] * dx + m[0, 1] * dy, m[1, 0] * dx + m[1, 1] * dy)


def unwrap(image: np.ndarray, ellipse: Ellipse, radii_px: np.ndarray, angles_rad: np.ndarray) -> np.ndarray:
    """Sample an image on rays of the fibre frame.

    Returns (len(angles), len(radii)) float32, NaN where the ray has left the image.
    """
    m = _inverse_frame(ellipse)
    cos, sin = np.cos(angles_rad), np.sin(angles_rad)
    x, y = (
        _sampled(centre, a * cos + b * sin, radii_px, size)
        for centre, (a, b), size in zip((ellipse.x_px, ellipse.y_px), m, image.shape[::-1], strict=True)
    )
    part = image[y.first : y.end, x.first : x.end].astype(np.float32, copy=False)
    polar = cv2.remap(part, x.at, y.at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    for axis, size in ((x, image.shape[1]), (y, image.shape[0])):
        if axis.leaves:
            polar[(axis.at < -axis.first) | (axis.at > size - 1 - axis.first)] = np.nan
    return polar


class _Samples(NamedTuple):
    """Where rays lie along one axis of an image."""

    first: int  # the pixels that they touch
    end: int
    at: np.ndarray  # (rays, radii) float32, in these
    leaves: bool  # whether a ray leaves the image


def _sampled(centre: float, along: np.ndarray, radii_px: np.ndarray, size: int) -> _Samples:
    """``along`` is how far each ray moves along this axis per px of radius, ``size`` the image's length."""
    ends = [float(a) * float(r) + centre for a in (along.min(), along.max()) for r in (radii_px[0], radii_px[-1])]
    lowest, highest = min(ends), max(ends)
    first = min(max(math.floor(lowest), 0), size - 1)
    end = min(max(math.floor(highest) + 2, first + 1), size)
    at = np.multiply.outer(along.astype(np.float32), np.asarray(radii_px, np.float32))
    at += np.float32(centre - first)
    return _Samples(first, end, at, lowest < 0 or highest > size - 1)


def rays_end_px(shape: tuple[int, int], ellipse: Ellipse, angles_rad: np.ndarray) -> np.ndarray:
    """Fibre-frame radius (px) at which each ray from the ellipse's centre leaves an image of ``shape``, (angles,)."""
    u, v = np.cos(angles_rad), np.sin(angles_rad)
    ends = []
    for centre, (a, b), size in zip((ellipse.x_px, ellipse.y_px), _inverse_frame(ellipse), shape[::-1], strict=True):
        along = a * u + b * v
        along = np.where(np.abs(along) < 1e-9, 1e-9, along)
        ends.append((np.where(along > 0, size - 1, 0) - centre) / along)
    return np.maximum(np.minimum(*ends), 0.0)


def scaled(ellipse: Ellipse, factor: float) -> Ellipse:
    """The same ellipse in an image resized by ``factor`` (pixel centres at whole numbers)."""
    return Ellipse(
        (ellipse.x_px + 0.5) * factor - 0.5,
        (ellipse.y_px + 0.5) * factor - 0.5,
        ellipse.major_px * factor,
        ellipse.minor_px * factor,
        ellipse.angle_deg,
    )


def grown(ellipse: Ellipse, factor: float) -> Ellipse:
    """A concentric ellipse with both axes multiplied by ``factor``."""
    return Ellipse(ellipse.x_px, ellipse.y_px, ellipse.major_px * factor, ellipse.minor_px * factor, ellipse.angle_deg)


def ellipse_through(x_px: np.ndarray, y_px: np.ndarray) -> Ellipse | None:
    """Least-squares ellipse through at least 6 points (``cv2.fitEllipseDirect``); None when it degenerates."""
    points = np.column_stack([x_px, y_px]).astype(np.float32)
    if len(points) < 6:
        return None
    (x, y), (first, second), angle = cv2.fitEllipseDirect(points.reshape(-1, 1, 2))
    values = (x, y, first, second, angle)
    if not all(math.isfinite(v) for v in values) or min(first, second) < 2:
        return None
    if second >= first:  # OpenCV's angle belongs to the first axis
        return Ellipse(x, y, second, first, (angle + 90.0) % 180.0)
    return Ellipse(x, y, first, second, angle % 180.0)


def fit_ring(
    ellipse: Ellipse, radii_px: np.ndarray, angles_rad: np.ndarray, weights: np.ndarray, *, scale_px: float
) -> tuple[Ellipse, np.ndarray] | None:
    """Refine an ellipse from edge radii measured on its own rays.

    The edge is modelled as r = c0 + c1 cos t + c2 sin t + c3 cos 2t + c4 sin 2t (a shifted, slightly elliptic circle),
    fitted by re-weighted least squares (Tukey, scale ``scale_px``), which stays stable on partial arcs.
    Returns the new ellipse and the residuals (px) of all rays, or None when too few rays carry an edge.
    """
    ok = np.isfinite(radii_px) & (weights > 0)
    if ok.sum() < 12:
        return None
    # a short arc cannot tell an ellipse from a shifted circle
    design = ring_waves(angles_rad)[:, : 5 if _largest_gap_rad(angles_rad[ok]) < 2.0 else 3]
    coefficients = _reweighted_fit(design[ok], radii_px[ok].astype(float), weights[ok].astype(float), scale_px)
    if coefficients is None:
        return None
    waves = ring_waves(np.arange(CURVE_POINTS) * (2 * np.pi / CURVE_POINTS))
    curve = waves[:, : len(coefficients)] @ coefficients
    if np.any(curve <= 1):
        return None
    fitted = ellipse_through(*from_frame(ellipse, curve * waves[:, 1], curve * waves[:, 2]))
    residual = np.where(ok, radii_px - design @ coefficients, 1e9)
    return None if fitted is None else (fitted, residual)


def ring_waves(angles_rad: np.ndarray) -> np.ndarray:
    """1, cos t, sin t, cos 2t, sin 2t of each angle, (angles, 5): what a slightly shifted and elliptic circle is of."""
    waves = [f(k * angles_rad) for k in (1, 2) for f in (np.cos, np.sin)]
    return np.stack([np.ones_like(angles_rad), *waves], axis=1)


def _reweighted_fit(design: np.ndarray, r: np.ndarray, weights: np.ndarray, scale_px: float) -> np.ndarray | None:
    """Coefficients of the columns of ``design`` (n, k) that follow most of ``r`` (n,); None when too few are left.

    Tukey's weights, whose reach shrinks in the first rounds to ``scale_px``.
    """
    columns = design.shape[1]
    products = (design[:, :, None] * design[:, None, :]).reshape(len(r), -1)
    ridge = 1e-6 * np.eye(columns)

    def solved(w: np.ndarray) -> np.ndarray:
        normal = (w @ products).reshape(columns, columns) + w.sum() * ridge
        return cv2.solve(normal, ((w * r) @ design)[:, None], flags=cv2.DECOMP_CHOLESKY)[1][:, 0]

    coefficients = solved(weights)
    for step in range(1, FIT_ROUNDS):
        limit = scale_px * max(1.0, SHRINKING_ROUNDS + 1.0 - step)
        closeness = np.maximum(1 - ((r - design @ coefficients) / limit) ** 2, 0)
        w = weights * closeness * closeness
        if np.count_nonzero(w) < 8:
            return None
        before, coefficients = coefficients, solved(w)
        if step > SHRINKING_ROUNDS and np.abs(coefficients - before).max() < SETTLED_PX:
            break
    return coefficients


def _largest_gap_rad(angles_rad: np.ndarray) -> float:
    """Largest angle between neighbouring rays, whose angles rise."""
    return float(max(np.diff(angles_rad).max(), angles_rad[0] + 2 * np.pi - angles_rad[-1]))
