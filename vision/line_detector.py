"""LEI, the linear enhancement inspector: oriented line detectors, put together from shifted copies of the picture.

Data flow: Z smoothed across a line's width -> for each angle sums along the line by doubling (a line of 16 points takes
four additions) -> twice the line minus its two flanks -> in sigmas of its own noise -> the largest over all angles.
Source: Mei et al., Sensors 2018, 18(5), 1408; the sums by doubling as in Brady's fast Radon transform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from vision.residual import Residual
from vision.ring_frame import LEAST_SAMPLE, RingFrame, halved
from vision.robust import SPREAD, TAIL, order_statistics
from vision.settings import LeiSettings
from vision.significance import Significance

DOUBLINGS = 4
SAMPLE = 1500  # pixels of a part from which a detector's noise is estimated
LEAST_EDGE = 0.1  # boundary uncertainty, in sigmas, from which a line along the boundary is discounted
LEAST_LENGTH_PX = 9.0
LEAST_ANGLES = 8


@dataclass(frozen=True)
class _Detector:
    """Shifts (rows, columns) that make a line detector from a smoothed picture, and what it does to noise and lines."""

    doublings: tuple[tuple[int, int], ...]
    flank: tuple[int, int]
    angle_rad: float
    norm: float = 1.0  # spread of the response to unit white noise
    gain: float = 1.0  # response to what is coherent along the line, over ``norm``

    @property
    def reach(self) -> tuple[int, int]:
        """From one end of the line to the other (rows, columns)."""
        return sum(s[0] for s in self.doublings), sum(s[1] for s in self.doublings)

    @property
    def margin(self) -> int:
        """How far beyond a pixel the detector looks, px."""
        return max(abs(r) // 2 + abs(f) for r, f in zip(self.reach, self.flank, strict=True)) + 1


def line_responses(
    found: Significance, residual: Residual, cladding_radius_px: float, own: LeiSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Largest dark and bright response over orientations and widths, in sigmas, (H, W) float32 each.

    Z is clipped, so that one hot pixel cannot fake a line. Lines of the finest width are looked for at working scale,
    wider ones on a copy of half the size. A line that runs along a boundary is discounted by the boundary's
    uncertainty, a line across it is not.
    """
    z = np.clip(found.z, -own.clip_sigma, own.clip_sigma)
    edge = np.minimum(residual.edge, np.float32(own.clip_sigma))
    length_px = max(LEAST_LENGTH_PX, own.length_share * cladding_radius_px)
    finest = own.widths_px[0]
    dark, bright = _responses(z, edge, residual.frame, length_px, {finest: own.angles})
    if len(own.widths_px) > 1:
        # white noise halves with the size, what is coherent stays; a wide line is seen from further off its direction
        widths = {0.5 * width: max(LEAST_ANGLES, round(own.angles * finest / width)) for width in own.widths_px[1:]}
        wide = _responses(2 * halved(z), 2 * halved(edge), residual.frame.halved, 0.5 * length_px, widths)
        for target, response in zip((dark, bright), wide, strict=True):
            cv2.max(target, cv2.resize(response, z.shape[::-1], interpolation=cv2.INTER_LINEAR), target)
    inside = residual.inside.astype(np.float32)
    return dark * inside, bright * inside


def _responses(
    z: np.ndarray, edge: np.ndarray, frame: RingFrame, length_px: float, angles: dict[float, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Largest dark and bright response in sigmas; ``angles``: in how many directions each width (px) is looked for."""
    boundary = _Boundary.of(edge, frame)
    samples = [sample[:: max(1, len(sample) // SAMPLE)] for sample in frame.samples]
    highest, lowest = np.zeros(z.shape, np.float32), np.zeros(z.shape, np.float32)
    for width_px, count in angles.items():
        detectors = [_detector(180.0 * k / count, round(length_px), width_px) for k in range(count)]
        margin = max(detector.margin for detector in detectors)
        smooth = cv2.GaussianBlur(z, (0, 0), 0.5 * width_px)
        smooth = cv2.copyMakeBorder(smooth, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
        for detector in detectors:
            response = _apply(detector, smooth, margin)
            flat = response.ravel()
            spreads = [_spread(flat[sample]) if len(sample) >= LEAST_SAMPLE else 0.0 for sample in samples]
            response *= frame.spread_over_parts(*(1 / max(spread, detector.norm) for spread in spreads))
            boundary.discount(response, detector)
            cv2.max(highest, response, highest)
            cv2.min(lowest, response, lowest)
    return -lowest, highest


@dataclass(frozen=True)
class _Boundary:
    """Where boundaries of the fibre are uncertain, as flat indices, how much, and in which direction they run."""

    places: np.ndarray
    edge: np.ndarray
    cosine: np.ndarray  # of twice the angle
    sine: np.ndarray

    @classmethod
    def of(cls, edge: np.ndarray, frame: RingFrame) -> _Boundary:
        places = np.flatnonzero(edge > LEAST_EDGE)
        twice = 2 * frame.angle_rad.ravel()[places]
        return cls(places, edge.ravel()[places], np.cos(twice), np.sin(twice))

    def discount(self, response: np.ndarray, detector: _Detector) -> None:
        """Divide a response, in place, by what the uncertainty of boundaries along the detector adds to the noise."""
        twice = 2 * detector.angle_rad
        # the squared sine of the angle between the line and the ray: 1 along a boundary
        along = 0.5 - np.float32(0.5 * math.cos(twice)) * self.cosine - np.float32(0.5 * math.sin(twice)) * self.sine
        coherent = np.float32(detector.gain) * self.edge * along
        response.ravel()[self.places] /= np.sqrt(1 + coherent * coherent)


def _spread(sample: np.ndarray) -> float:
    """Robust sigma of a sample (n,) about zero, heavy tails counted."""
    middle, tail = order_statistics(np.abs(sample), (0.5, 0.9))
    return max(SPREAD * middle, tail / TAIL)


def _apply(detector: _Detector, padded: np.ndarray, margin: int) -> np.ndarray:
    """Twice the sum along a line minus the sums along its flanks, (H, W) float32, of a picture padded by ``margin``."""
    total = padded
    for down, right in detector.doublings:
        rows, cols = total.shape[0] - abs(down), total.shape[1] - abs(right)
        first = total[max(0, -down) :, max(0, -right) :][:rows, :cols]
        second = total[max(0, down) :, max(0, right) :][:rows, :cols]
        total = cv2.add(first, second)
    # the sums start at one end of the line: half a line back, and as much as negative shifts have cut off
    starts = [
        margin - r // 2 - sum(max(0, -shift[axis]) for shift in detector.doublings)
        for axis, r in enumerate(detector.reach)
    ]
    height, width = (side - 2 * margin for side in padded.shape)

    def moved(sign: int) -> np.ndarray:
        top, left = (start + sign * f for start, f in zip(starts, detector.flank, strict=True))
        return total[top : top + height, left : left + width]

    return cv2.addWeighted(moved(0), 2.0, cv2.add(moved(1), moved(-1)), -1.0, 0.0)


@lru_cache(maxsize=256)
def _detector(angle_deg: float, length_px: float, width_px: float) -> _Detector:
    """The detector of lines of one direction (degrees from +x towards +y), length and width."""
    angle = math.radians(angle_deg)
    points = 2**DOUBLINGS
    steps = [length_px / points * 2**k for k in range(DOUBLINGS)]
    doublings = tuple((round(s * math.sin(angle)), round(s * math.cos(angle))) for s in steps)
    offset_px = 1.5 * width_px + 0.5
    flank = (round(offset_px * math.cos(angle)), round(-offset_px * math.sin(angle)))
    detector = _Detector(doublings, flank, angle)
    half = 3 * detector.margin
    dot = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    dot[half, half] = 1
    kernel = _apply(detector, cv2.GaussianBlur(dot, (0, 0), 0.5 * width_px), detector.margin)
    norm = float(np.sqrt(np.sum(kernel**2)))
    return replace(detector, norm=norm, gain=float(kernel[kernel > 0].sum()) / norm)
