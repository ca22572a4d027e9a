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
from vision.ring_frame import LEAST_SAMPLE, RingFrame
from vision.robust import order_statistics
from vision.settings import LeiSettings
from vision.significance import Significance

DOUBLINGS = 4
SAMPLE = 3000  # pixels of a part from which a detector's noise is estimated
LEAST_EDGE = 0.02  # boundary uncertainty, in sigmas, from which a line along the boundary is discounted
LEAST_LENGTH_PX = 9.0
MEDIAN_OF_ABS, TAIL_OF_ABS = 0.6745, 1.645  # 50 and 90 % quantiles of |x| of a normal distribution


@dataclass(frozen=True)
class _Detector:
    """Shifts (rows, columns) that make a line detector from a smoothed picture, and what it does to noise and lines."""

    doublings: tuple[tuple[int, int], ...]
    flank: tuple[int, int]
    norm: float = 1.0  # spread of the response to unit white noise
    gain: float = 1.0  # response to what is coherent along the line, over ``norm``


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
    dark, bright = _responses(z, edge, residual.frame, 1, length_px, own.widths_px[:1], own.angles)
    if len(own.widths_px) > 1:
        # white noise halves with the size; what is coherent stays
        size = ((z.shape[1] + 1) // 2, (z.shape[0] + 1) // 2)
        half_z, half_edge = (2 * cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (z, edge))
        widths = tuple(0.5 * width for width in own.widths_px[1:])
        wide = _responses(half_z, half_edge, residual.frame, 2, 0.5 * length_px, widths, own.angles)
        for target, response in zip((dark, bright), wide, strict=True):
            cv2.max(target, cv2.resize(response, z.shape[::-1], interpolation=cv2.INTER_LINEAR), target)
    inside = residual.inside.astype(np.float32)
    return dark * inside, bright * inside


def _responses(
    z: np.ndarray,
    edge: np.ndarray,
    frame: RingFrame,
    reduction: int,
    length_px: float,
    widths_px: tuple[float, ...],
    angles: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Largest dark and bright response in sigmas; ``reduction`` is how much smaller Z is than the frame."""
    shape = z.shape
    part = frame.part[::reduction, ::reduction]
    samples = [np.flatnonzero(part.ravel() == value) for value in (1, 2)]
    samples = [s[:: max(1, len(s) // SAMPLE)] for s in samples]
    along = np.flatnonzero(edge.ravel() > LEAST_EDGE)
    edge_there = edge.ravel()[along]
    angle_there = frame.angle_rad[::reduction, ::reduction].ravel()[along]
    highest, lowest = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for width_px in widths_px:
        smooth = cv2.GaussianBlur(z, (0, 0), 0.5 * width_px)
        for k in range(angles):
            detector = _detector(180.0 * k / angles, round(length_px), width_px)
            response = _apply(detector, smooth)
            flat = response.ravel()
            spreads = [_spread(flat[s]) / detector.norm if len(s) >= LEAST_SAMPLE else 1.0 for s in samples]
            gains = [1 / (detector.norm * max(spread, 1.0)) for spread in spreads]
            table = np.zeros(256, np.float32)
            table[1:3] = gains
            response *= cv2.LUT(part, table)
            across = edge_there * np.sin(angle_there - np.float32(math.pi * k / angles)) ** 2
            response.ravel()[along] /= np.sqrt(1 + (np.float32(detector.gain) * across) ** 2)
            cv2.max(highest, response, highest)
            cv2.min(lowest, response, lowest)
    return -lowest, highest


def _spread(sample: np.ndarray) -> float:
    """Robust sigma of a sample (n,) about zero, heavy tails counted."""
    middle, tail = order_statistics(np.abs(sample), (0.5, 0.9))
    return max(middle / MEDIAN_OF_ABS, tail / TAIL_OF_ABS)


def _apply(detector: _Detector, smooth: np.ndarray) -> np.ndarray:
    """Twice the sum along a line minus the sums along its flanks, (H, W) float32; the picture goes on as zeros."""
    whole = [sum(shift[axis] for shift in detector.doublings) for axis in (0, 1)]
    margin = max(abs(w) // 2 + abs(f) for w, f in zip(whole, detector.flank, strict=True)) + 1
    total = cv2.copyMakeBorder(smooth, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    for down, right in detector.doublings:
        rows, cols = total.shape[0] - abs(down), total.shape[1] - abs(right)
        first = total[max(0, -down) :, max(0, -right) :][:rows, :cols]
        second = total[max(0, down) :, max(0, right) :][:rows, :cols]
        total = cv2.add(first, second)
    # the sums start at one end of the line: half a line back, and as much as negative shifts have cut off
    starts = [margin - w // 2 - sum(max(0, -s[axis]) for s in detector.doublings) for axis, w in enumerate(whole)]

    def moved(sign: int) -> np.ndarray:
        top, left = (start + sign * f for start, f in zip(starts, detector.flank, strict=True))
        return total[top : top + smooth.shape[0], left : left + smooth.shape[1]]

    return cv2.addWeighted(moved(0), 2.0, cv2.add(moved(1), moved(-1)), -1.0, 0.0)


@lru_cache(maxsize=256)
def _detector(angle_deg: float, length_px: float, width_px: float) -> _Detector:
    """The detector of lines of one direction (degrees from +x towards +y), length and width."""
    angle = math.radians(angle_deg)
    points = 2**DOUBLINGS
    steps = [length_px / points * 2**k for k in range(DOUBLINGS)]
    doublings = tuple((round(s * math.sin(angle)), round(s * math.cos(angle))) for s in steps)
    offset_px = 1.5 * width_px + 0.5
    detector = _Detector(doublings, (round(offset_px * math.cos(angle)), round(-offset_px * math.sin(angle))))
    half = int(length_px) + 2 * int(offset_px) + 4
    dot = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    dot[half, half] = 1
    kernel = _apply(detector, cv2.GaussianBlur(dot, (0, 0), 0.5 * width_px))
    norm = float(np.sqrt(np.sum(kernel**2)))
    return replace(detector, norm=norm, gain=float(kernel[kernel > 0].sum()) / norm)
