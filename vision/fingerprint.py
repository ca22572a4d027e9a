"""A short text by which pictures of one end face know each other: what is left of it beside everything round and slow.

The face is sampled in the fibre frame, so that size, place and crop of the picture do not matter; on each ring the mean
and the slow waves are taken off, which clean faces of one kind of fibre under one light have in common. What remains
are marks, the grain of the ferrule and the picture's own noise, which a copy has and another picture has not.
"""

from __future__ import annotations

import base64
import binascii

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import scaled, unwrap

RADII = 12
ANGLES = 96  # a quarter turn is a whole number of them
CELLS = RADII * ANGLES
_REACH = (0.12, 0.93, 1.07, 1.4)  # of the cladding radius: inside the edge and outside, not where the fit decides
_FINE = 3  # samples per cell along both directions
_WORKING_RADIUS_PX = 56.0  # at least
_SLOW_WAVES = 4  # of a ring: light from one side, an off-centre core
_CLIP = 4.0  # robust deviations: a few strong marks, or a spot on the optics, must not stand for the whole
_STEPS = 31  # grey steps per robust deviation


def fingerprint(grey: np.ndarray, cladding: Ellipse) -> str:
    """The fingerprint of a face in a picture (H, W) uint8: base64 of CELLS signed bytes, ring by ring.

    0 is an ordinary place, or one outside the picture. Empty where the picture shows nothing but even grey.
    """
    polar = _sampled(grey, cladding)
    seen = np.isfinite(polar)
    waves = np.fft.rfft(np.where(seen, polar, _ring_means(polar, seen)), axis=1)
    waves[:, : _SLOW_WAVES + 1] = 0
    rest = np.where(seen, np.fft.irfft(waves, ANGLES, axis=1), 0.0)
    spread = np.sqrt((rest**2).sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1))
    if not spread.max() > 0:
        return ""
    rest = np.clip(rest / np.maximum(spread, 1e-3 * spread.max()), -_CLIP, _CLIP)
    return base64.b64encode(np.rint(rest * _STEPS).astype(np.int8).tobytes()).decode()


def cells_of(text: str) -> np.ndarray | None:
    """The cells of a fingerprint, (RADII, ANGLES) float32; None for a text that is none."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return np.frombuffer(data, np.int8).reshape(RADII, ANGLES).astype(np.float32) if len(data) == CELLS else None


def _sampled(grey: np.ndarray, cladding: Ellipse) -> np.ndarray:
    """Mean grey of each cell, (RADII, ANGLES) float32; NaN where less than the whole lies in the picture."""
    reach = round(0.5 * cladding.major_px * _REACH[-1]) + 2
    left, top = max(0, round(cladding.x_px) - reach), max(0, round(cladding.y_px) - reach)
    part = grey[top : round(cladding.y_px) + reach + 1, left : round(cladding.x_px) + reach + 1]
    step = max(1, int(cladding.mean_radius_px / _WORKING_RADIUS_PX))  # whole: OpenCV is five times as fast then
    part = part[: part.shape[0] // step * step, : part.shape[1] // step * step]
    small = cv2.resize(part, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    moved = Ellipse(cladding.x_px - left, cladding.y_px - top, cladding.major_px, cladding.minor_px, cladding.angle_deg)
    ellipse = scaled(moved, 1 / step)
    radius, (first, edge, beyond, last) = ellipse.mean_radius_px, _REACH
    inner = round(RADII * (edge - first) / (edge - first + last - beyond)) * _FINE
    radii = radius * np.concatenate([_middles(first, edge, inner), _middles(beyond, last, RADII * _FINE - inner)])
    polar = unwrap(small, ellipse, radii, (np.arange(ANGLES * _FINE) + 0.5) * (2 * np.pi / (ANGLES * _FINE)))
    return polar.reshape(ANGLES, _FINE, RADII, _FINE).mean(axis=(1, 3)).T


def _middles(low: float, high: float, count: int) -> np.ndarray:
    """The middles of ``count`` equal parts."""
    return low + (np.arange(count) + 0.5) * ((high - low) / count)


def _ring_means(polar: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return np.where(seen, polar, 0).sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
