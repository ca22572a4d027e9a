"""Sizes and shape of one confirmed region, measured in the fibre frame at full resolution.

Tilt and non-square pixels do not distort lengths there (see `vision.geometry`). A pixel counts with its footprint, so a
single pixel is 1 px long, wide and across.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import from_frame, to_frame

OVERSAMPLING = 3  # frame pixels per image pixel when a shape is drawn in the fibre frame
LEAST_SLICE_PX = 4.0  # of a centre line: in shorter ones of a thin line the noise of its pixels looks jagged


@dataclass(frozen=True)
class Shape:
    """Geometry of a region; lengths in fibre-frame px, angles in degrees counter-clockwise with y up."""

    centroid_px: tuple[float, float]  # image (x, y)
    centroid_frame_px: tuple[float, float]  # fibre frame (u right, v down)
    length_px: float  # longer side of the smallest rotated rectangle
    width_px: float  # its shorter side
    diameter_px: float  # smallest enclosing circle
    area_px: float
    perimeter_px: float
    circularity: float  # 4 pi area / perimeter^2, 0..1
    solidity: float  # area over area of the convex hull, 0..1
    orientation_deg: float  # of the longer side, 0..180
    path_px: float  # length along the (curved) centre line
    jaggedness: float  # path over that of a smooth (quadratic) course, >= 1
    inner_radius_px: float  # smallest and largest distance from the fibre's centre
    outer_radius_px: float
    box_px: tuple[tuple[float, float], ...]  # corners of the rotated rectangle in image pixels

    @property
    def mean_width_px(self) -> float:
        """Area over length: narrower than the rectangle when the outline is ragged or the mark is bent."""
        return self.area_px / self.length_px

    @property
    def line_width_px(self) -> float:
        """Mean width of a line-like mark: area over length along the centre line."""
        return self.area_px / max(self.path_px, 1.0)

    def length_and_width_px(self, kind: str) -> tuple[float, float]:
        """Length and width as they are reported: those of scratches and cracks follow the centre line."""
        if kind in ("Scratch", "Crack"):
            return self.path_px, min(self.line_width_px, self.width_px)
        return self.length_px, self.width_px


def measure_shape(rows: np.ndarray, cols: np.ndarray, cladding: Ellipse) -> Shape:
    """Measure the region made of the image pixels (rows, cols)."""
    u, v = to_frame(cladding, cols, rows)
    radius = np.hypot(u, v)
    mask = _frame_mask(rows, cols, u, v, cladding)
    area = float(len(rows))  # the frame keeps areas
    outline = max(cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
    points = np.column_stack([u, v]).astype(np.float32)
    (bu, bv), (a, b), angle = cv2.minAreaRect(points)
    if b > a:
        a, b, angle = b, a, angle + 90.0
    length, width = a + 1.0, b + 1.0
    _, enclosing = cv2.minEnclosingCircle(points)
    perimeter = cv2.arcLength(outline, True) / OVERSAMPLING + 0.5
    hull_area = cv2.contourArea(cv2.convexHull(outline.reshape(-1, 1, 2)))
    filled = float(np.count_nonzero(mask))
    path, jaggedness = _centre_line(points, length, area)
    box = _box_corners(bu, bv, length, width, angle, cladding)
    return Shape(
        centroid_px=(float(np.mean(cols)), float(np.mean(rows))),
        centroid_frame_px=(float(np.mean(u)), float(np.mean(v))),
        length_px=length,
        width_px=width,
        diameter_px=2 * enclosing + 1.0,
        area_px=area,
        perimeter_px=perimeter,
        circularity=min(1.0, 4 * math.pi * area / perimeter**2),
        solidity=min(1.0, filled / max(hull_area, filled, 1.0)),
        orientation_deg=float(-angle % 180.0),
        path_px=path,
        jaggedness=jaggedness,
        inner_radius_px=float(radius.min()),
        outer_radius_px=float(radius.max()),
        box_px=box,
    )


def _frame_mask(rows: np.ndarray, cols: np.ndarray, u: np.ndarray, v: np.ndarray, cladding: Ellipse) -> np.ndarray:
    """The region drawn in the fibre frame with oversampling, for its outline; uint8."""
    top, left = rows.min() - 1, cols.min() - 1
    patch = np.zeros((rows.max() - top + 2, cols.max() - left + 2), np.uint8)
    patch[rows - top, cols - left] = 255
    u0, v0 = float(u.min()) - 1.0, float(v.min()) - 1.0
    grid_u = u0 + np.arange(int((u.max() - u0 + 1.5) * OVERSAMPLING)) / OVERSAMPLING
    grid_v = v0 + np.arange(int((v.max() - v0 + 1.5) * OVERSAMPLING)) / OVERSAMPLING
    in_patch = replace(cladding, x_px=cladding.x_px - left, y_px=cladding.y_px - top)
    x, y = from_frame(in_patch, grid_u[None, :], grid_v[:, None])
    drawn = cv2.remap(patch, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    mask = cv2.threshold(drawn, 127, 1, cv2.THRESH_BINARY)[1]
    if not mask.any():
        mask[mask.shape[0] // 2, mask.shape[1] // 2] = 1
    return mask


def _centre_line(points: np.ndarray, length: float, area: float) -> tuple[float, float]:
    """Path length (px) and jaggedness of the centre line along the longest direction.

    The centre line is the mean across the principal axis in slices of about a width; its path is compared with
    that of a quadratic fit: a bow is not jagged.
    """
    mean_width = max(1.0, area / length)
    if length < 3 * mean_width or len(points) < 8:
        return length, 1.0
    centred = points - points.mean(axis=0, dtype=float)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    along, across = centred @ vectors[:, 1], centred @ vectors[:, 0]
    count = int(np.clip((along.max() - along.min()) / max(LEAST_SLICE_PX, mean_width), 3, 200))
    index = np.minimum(((along - along.min()) / (np.ptp(along) + 1e-9) * count).astype(int), count - 1)
    members = np.bincount(index, minlength=count)
    used = members > 0
    s = np.bincount(index, along, count)[used] / members[used]
    t = np.bincount(index, across, count)[used] / members[used]
    chord = float(np.hypot(s[-1] - s[0], t[-1] - t[0]))
    own_path = float(np.sum(np.hypot(np.diff(s), np.diff(t))))
    path = length if chord <= 0 else length * max(1.0, own_path / chord)
    powers = np.vander(s / np.abs(s).max(), 3 if len(s) >= 5 else 2)
    fit = cv2.solve(powers.T @ powers, (powers.T @ t)[:, None], flags=cv2.DECOMP_CHOLESKY)[1]
    course = (powers @ fit)[:, 0]
    smooth_path = float(np.sum(np.hypot(np.diff(s), np.diff(course))))
    return path, max(1.0, own_path / max(smooth_path, 1e-6))


def _box_corners(
    u: float, v: float, length: float, width: float, angle_deg: float, cladding: Ellipse
) -> tuple[tuple[float, float], ...]:
    corners = cv2.boxPoints(((u, v), (length, width), angle_deg))
    x, y = from_frame(cladding, corners[:, 0], corners[:, 1])
    return tuple((float(a), float(b)) for a, b in zip(x, y, strict=True))
