"""The crop that detection works on, seen from the fibre: radius, angle and part of every pixel, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import polar_maps, scaled

FIBRE, FERRULE = 1, 2  # values of `part`; 0 outside of the reach
SAMPLE = 8000  # pixels of a part from which its statistics are estimated
LEAST_SAMPLE = 50


@dataclass(frozen=True)
class RingFrame:
    """Where every pixel of a crop lies in the fibre frame; arrays (H, W)."""

    ellipse: Ellipse
    reach_px: float  # fibre-frame radius up to which the crop is looked at
    radius_px: np.ndarray  # float32
    angle_rad: np.ndarray  # float32, 0..2 pi, y down
    part: np.ndarray  # uint8: outside of the reach, cladding and core, what lies outside of them
    samples: tuple[np.ndarray, np.ndarray]  # flat indices of evenly taken pixels of fibre and ferrule

    @property
    def inside(self) -> np.ndarray:
        """(H, W) uint8: 1 within the reach."""
        return np.minimum(self.part, 1)

    @cached_property
    def halved(self) -> RingFrame:
        """The frame of a copy of half the size, whose pixels are those of even rows and columns."""
        part = np.ascontiguousarray(self.part[::2, ::2])
        angle = np.ascontiguousarray(self.angle_rad[::2, ::2])
        samples = (_sample(part, FIBRE), _sample(part, FERRULE))
        return RingFrame(
            scaled(self.ellipse, 0.5), 0.5 * self.reach_px, 0.5 * self.radius_px[::2, ::2], angle, part, samples
        )

    def spread_over_parts(self, fibre: float, ferrule: float, outside: float = 0.0) -> np.ndarray:
        """One number per part as a map, (H, W) float32."""
        table = np.full(256, outside, np.float32)
        table[FIBRE], table[FERRULE] = fibre, ferrule
        return cv2.LUT(self.part, table)

    def sampled(self, response: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (n,) of a response (H, W) at the samples of fibre and ferrule."""
        flat = response.ravel()
        return flat[self.samples[0]], flat[self.samples[1]]


def halved(image: np.ndarray) -> np.ndarray:
    """A copy of half the size (rounded up) that fits :attr:`RingFrame.halved`; (H, W), means of four pixels."""
    rows, cols = image.shape
    return cv2.resize(image, ((cols + 1) // 2, (rows + 1) // 2), interpolation=cv2.INTER_AREA)


def ring_frame(shape: tuple[int, int], ellipse: Ellipse, reach_px: float) -> RingFrame:
    """The fibre frame of a crop of ``shape`` around ``ellipse``."""
    radius, angle = polar_maps(shape, ellipse)
    part = cv2.compare(radius, float(reach_px), cv2.CMP_LT)
    part = np.where(radius <= np.float32(ellipse.mean_radius_px), np.uint8(FIBRE), np.uint8(FERRULE)) * (part >> 7)
    return RingFrame(ellipse, reach_px, radius, angle, part, (_sample(part, FIBRE), _sample(part, FERRULE)))


def _sample(part: np.ndarray, value: int) -> np.ndarray:
    indices = np.flatnonzero(part.ravel() == value)
    return indices[:: max(1, len(indices) // SAMPLE)]
