"""Ellipse geometry: the fibre frame, polar sampling and robust ellipse fits.

The fibre frame is the affine map that turns the cladding ellipse into a circle of equal area centred on the origin.
All points are (x, y) in pixels with pixel centres at whole numbers.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from records import Ellipse


def frame_matrix(ellipse: Ellipse) -> np.ndarray:
    """Linear part of the fibre frame, (2, 2): pixel offset from the centre -> fibre-frame offset.

    Its determinant is 1, so areas are kept; its directions are kept too (stretching along the ellipse's own axes).
    """
    angle = math.radians(ellipse.angle_deg)
    axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    mean = math.sqrt(ellipse.major_px * ellipse.minor_px)
    stretch = np.diag([mean / ellipse.major_px, mean / ellipse.minor_px])
    return axes.T @ stretch @ axes


def to_frame(ellipse: Ellipse, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map image points to fibre-frame points (u right, v down), in pixels."""
    m = frame_matrix(ellipse)
    dx, dy = np.asarray(x_px) - ellipse.x_px, np.asarray(y_px) - ellipse.y_px
    return m[0, 0] * dx + m[0, 1] * dy, m[1, 0] * dx + m[1, 1] * dy


def from_frame(ellipse: Ellipse, u_px: np.ndarray, v_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of :func:`to_frame`."""
    m = np.linalg.inv(frame_matrix(ellipse))
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
    u = np.outer(np.cos(angles_rad), radii_px)
    v = np.outer(np.sin(angles_rad), radii_px)
    x, y = from_frame(ellipse, u, v)
    rows, cols = image.shape
    x32, y32 = x.astype(np.float32), y.astype(np.float32)
    polar = cv2.remap(image.astype(np.float32), x32, y32, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    polar[(x < 0) | (y < 0) | (x > cols - 1) | (y > rows - 1)] = np.nan
    return polar


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
    full = np.column_stack(
        [
            np.ones_like(angles_rad),
            np.cos(angles_rad),
            np.sin(angles_rad),
            np.cos(2 * angles_rad),
            np.sin(2 * angles_rad),
        ]
    )
    r = np.where(ok, radii_px, 0.0)
    spread = _largest_gap_rad(angles_rad[ok])
    columns = 5 if spread < 2.0 else 3  # a short arc cannot tell an ellipse from a shifted circle
    design = full[:, :columns]
    w = np.where(ok, weights, 0.0)
    residual = np.where(ok, r - np.median(r[ok]), 1e9)
    for step in range(12):
        limit = scale_px * max(1.0, 6.0 - step)
        if step:
            w = np.where(ok & (np.abs(residual) < limit), weights * (1 - (residual / limit) ** 2) ** 2, 0.0)
        if (w > 0).sum() < 8:
            return None
        ridge = 1e-6 * w.sum() * np.eye(columns)
        coefficients = np.linalg.solve(design.T @ (design * w[:, None]) + ridge, design.T @ (w * r))
        residual = np.where(ok, r - design @ coefficients, 1e9)
    curve_angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    basis = np.column_stack(
        [np.ones(72), np.cos(curve_angles), np.sin(curve_angles), np.cos(2 * curve_angles), np.sin(2 * curve_angles)]
    )
    curve = basis[:, :columns] @ coefficients
    if np.any(curve <= 1):
        return None
    fitted = ellipse_through(*from_frame(ellipse, curve * np.cos(curve_angles), curve * np.sin(curve_angles)))
    return None if fitted is None else (fitted, residual)


def _largest_gap_rad(angles_rad: np.ndarray) -> float:
    ordered = np.sort(angles_rad)
    return float(np.max(np.diff(np.concatenate([ordered, ordered[:1] + 2 * np.pi]))))
