"""The fibre frame: an area-preserving affine map between image pixels and a plane in which the cladding is a circle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FibreFrame:
    """Where the fibre lies in the image.

    ``radius_px`` is the cladding radius in the fibre frame; ``matrix`` (row major, determinant 1) turns fibre-frame
    offsets into image offsets, so that areas are equal in both.
    """

    x_px: float
    y_px: float
    radius_px: float
    matrix: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0)

    def coordinates(
        self, width_px: int, height_px: int, x0_px: int = 0, y0_px: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fibre-frame coordinates (u, v), each (height, width) float32, of a window of image pixels."""
        a, b, c, d = self.matrix  # determinant 1: the inverse needs no division
        x = np.arange(x0_px, x0_px + width_px, dtype=np.float32) - np.float32(self.x_px)
        y = np.arange(y0_px, y0_px + height_px, dtype=np.float32)[:, None] - np.float32(self.y_px)
        return np.float32(d) * x - np.float32(b) * y, np.float32(-c) * x + np.float32(a) * y

    def to_image(self, points_px: np.ndarray) -> np.ndarray:
        """Image points (N, 2) as (x, y) of fibre-frame points (N, 2)."""
        matrix = np.array(self.matrix).reshape(2, 2)
        return np.asarray(points_px, float) @ matrix.T + (self.x_px, self.y_px)

    def to_frame(self, points_px: np.ndarray) -> np.ndarray:
        """Fibre-frame points (N, 2) of image points (N, 2)."""
        a, b, c, d = self.matrix
        return (np.asarray(points_px, float) - (self.x_px, self.y_px)) @ np.array([[d, -b], [-c, a]]).T

    def ellipse(self) -> tuple[tuple[float, float], float]:
        """Full axes (minor, major) of the cladding in px and the direction of the *first* of them in degrees [0, 180).

        Angles run from +x towards +y, as in OpenCV's rotated rectangles.
        """
        vectors, values, _ = np.linalg.svd(np.array(self.matrix).reshape(2, 2))
        minor = vectors[:, 1]
        angle_deg = math.degrees(math.atan2(minor[1], minor[0])) % 180.0
        return (2 * self.radius_px * float(values[1]), 2 * self.radius_px * float(values[0])), angle_deg


def view_matrix(pixel_aspect: float, tilt_deg: float, tilt_direction_deg: float) -> tuple[float, float, float, float]:
    """Map of a tilted face seen by pixels that are ``pixel_aspect`` times wider than high, scaled to determinant 1."""
    phi = math.radians(tilt_direction_deg)
    along = np.array([[math.cos(phi), math.sin(phi)], [-math.sin(phi), math.cos(phi)]])
    tilt = along.T @ np.diag([math.cos(math.radians(tilt_deg)), 1.0]) @ along
    matrix = np.diag([1.0 / pixel_aspect, 1.0]) @ tilt
    matrix /= math.sqrt(float(np.linalg.det(matrix)))
    return tuple(float(value) for value in matrix.ravel())  # type: ignore[return-value]
