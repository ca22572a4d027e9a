"""A mark as a network sees it: a square piece of the end face around it, outward at the top.

A piece spans a fixed share of the cladding's radius, 31 um of a 125 um fibre, not the mark: so sizes, sharpness and
grain mean the same in every piece, whatever the microscope enlarges, and a network sees how large a mark is. It is
taken in the fibre frame, where a tilted fibre is round, and turned so that outward is up: what is concentric lies
level in every piece, and only marks do not care where the fibre's edge is.

Used for training and for inference, so that both see the same; nothing here needs an optional library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import from_frame, to_frame

CROP_PX = 256
CROP_SHARE = 0.5  # of the cladding radius
_LEAST_SIGMA_GREY = 0.5  # rounding to whole grey levels hides less
_CLIPPED_AT_SIGMA, _UNIT_SIGMA = 16.0, 4.0
_SMOOTH_SHARE = 1 / 12  # of the piece's side: what changes more slowly is background
_COARSE_PX = 32


@dataclass(frozen=True)
class PatchForm:
    """What a network takes of a piece: a square of ``size`` px in three channels.

    The grey image less its mean, over its spread; and the darkest and the brightest of the residual, what is left
    without the background, in units of four times the noise, at most 4.
    """

    size: int

    @property
    def channels(self) -> int:
        return 3


def cut_out(grey: np.ndarray, cladding: Ellipse, x_px: float, y_px: float) -> np.ndarray:
    """The piece around a point, (256, 256) uint8, outward up; beyond the image its edge goes on."""
    side = CROP_SHARE * cladding.mean_radius_px
    fine = max(1, math.ceil(side / CROP_PX))  # samples per pixel of the piece, so that none of the image is skipped
    offsets = ((np.arange(CROP_PX * fine) + 0.5) / (CROP_PX * fine) - 0.5) * side
    u, v = (float(value) for value in to_frame(cladding, np.float64(x_px), np.float64(y_px)))
    radius = math.hypot(u, v)
    up = (u / radius, v / radius) if radius > 0 else (0.0, -1.0)
    along, outward = offsets[None, :], -offsets[:, None]
    x, y = from_frame(cladding, u - along * up[1] + outward * up[0], v + along * up[0] + outward * up[1])
    piece = cv2.remap(
        grey, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return piece if fine == 1 else cv2.resize(piece, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA)


def middle_of(rows: np.ndarray, cols: np.ndarray) -> tuple[float, float]:
    """The pixel (x, y) of a mark that is nearest to its centroid: of a bent mark the centroid lies beside it."""
    nearest = int(np.argmin((rows - rows.mean()) ** 2 + (cols - cols.mean()) ** 2))
    return float(cols[nearest]), float(rows[nearest])


def patch_input(piece: np.ndarray, form: PatchForm) -> np.ndarray:
    """The input (3, size, size) float32 of a piece (S, S) uint8."""
    side = len(piece)
    grey = piece.astype(np.float32)
    residual = grey - _background(grey)
    sigma = 1.4826 * float(np.median(np.abs(residual)))
    limit = _CLIPPED_AT_SIGMA / _UNIT_SIGMA
    residual = np.clip(residual / (_UNIT_SIGMA * max(sigma, _LEAST_SIGMA_GREY)), -limit, limit)
    grey = (grey - grey.mean()) / max(float(grey.std()), 1.0)
    size = (form.size, form.size)
    if side < form.size:
        grey, residual = (cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR) for picture in (grey, residual))
        return np.stack([grey, residual, residual])
    shown = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    window = np.ones((math.ceil(side / form.size),) * 2, np.uint8)
    at = np.minimum(((np.arange(form.size) + 0.5) * side / form.size).astype(int), side - 1)
    dark, bright = cv2.erode(residual, window)[np.ix_(at, at)], cv2.dilate(residual, window)[np.ix_(at, at)]
    return np.stack([shown, dark, bright])


def _background(grey: np.ndarray) -> np.ndarray:
    """A piece (S, S) float32 without what is small; blurred on a reduced copy, which is ten times as fast."""
    coarse = (_COARSE_PX, _COARSE_PX)
    blurred = cv2.GaussianBlur(
        cv2.resize(grey, coarse, interpolation=cv2.INTER_AREA), (0, 0), _COARSE_PX * _SMOOTH_SHARE
    )
    return cv2.resize(blurred, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
