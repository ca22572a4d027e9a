"""An end face as a network sees it: registered to the fibre, without what is round, in numbers of the order of 1.

Used for training and for inference, so that both see the same; nothing here needs an optional library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import from_frame

REACH_SHARE = 1.1  # of the cladding radius: how far from the centre a network sees; beyond, everything is 0
GREY, RINGS = "grey", "rings"
_RING_PX = 2.0
_CLIPPED_AT_SIGMA, _UNIT_SIGMA = 16.0, 4.0
_LEAST_SIGMA_GREY = 0.5  # rounding to whole grey levels hides less


@dataclass(frozen=True)
class InputForm:
    """What a network takes of a face: a square of ``size`` px across 2.2 cladding radii.

    ``grey``: one channel, 0..1. ``rings``: the grey image less its mean, over its spread; and the residual, what is
    left of each ring without its median, in units of four times the ring's noise, at most 4. With ``fine`` above 1 it
    is made of so many times more pixels along each side, and the darkest and the brightest of them are two channels,
    so that a mark of one fine pixel is not averaged away.
    """

    size: int
    normalisation: str = RINGS
    fine: int = 1

    @property
    def fine_size(self) -> int:
        """Side in px of the picture that the input is made of."""
        return self.size * self.fine

    @property
    def channels(self) -> int:
        if self.normalisation == GREY:
            return 1
        return 2 if self.fine == 1 else 3


class FaceCrop(NamedTuple):
    """A registered face, two (S, S) arrays: uint8 grey, and bool where the image holds a pixel within reach."""

    grey: np.ndarray
    seen: np.ndarray


def network_input(grey: np.ndarray, cladding: Ellipse, form: InputForm) -> np.ndarray:
    """The input (channels, size, size) float32 that an image (H, W) uint8 with a located fibre gives."""
    return prepare(crop_face(grey, cladding, form.fine_size), form)


def crop_face(grey: np.ndarray, cladding: Ellipse, size: int) -> FaceCrop:
    """The square of ``size`` px around the fibre in the fibre frame: tilt taken out, no pixel of the image skipped."""
    x, y, fine = _sample_points(cladding, size)
    picture = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    x, y = x[fine // 2 :: fine, fine // 2 :: fine], y[fine // 2 :: fine, fine // 2 :: fine]
    inside = (x >= 0) & (y >= 0) & (x <= grey.shape[1] - 1) & (y <= grey.shape[0] - 1)
    return FaceCrop(_reduced(picture, size), inside & (_radius_px(size) <= size / 2))


def crop_mask(mask: np.ndarray, cladding: Ellipse, size: int, least_share: float) -> np.ndarray:
    """Where a mask (H, W) uint8 0/255 covers at least ``least_share`` of a pixel of :func:`crop_face`, bool."""
    x, y, _ = _sample_points(cladding, size)
    covered = cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return _reduced(covered, size) >= 255 * least_share


def prepare(crop: FaceCrop, form: InputForm) -> np.ndarray:
    """The input (channels, size, size) float32 of a crop of ``form.fine_size`` px."""
    if form.normalisation == GREY:
        return np.where(crop.seen, crop.grey / np.float32(255), np.float32(0)).astype(np.float32)[None]
    grey = crop.grey.astype(np.float32)
    residual = _ring_residual(grey, crop.seen)
    if crop.seen.any():
        within = grey[crop.seen]
        grey = np.where(crop.seen, (grey - within.mean()) / max(float(within.std()), 1.0), np.float32(0))
    if form.fine == 1:
        return np.stack([grey, residual]).astype(np.float32)
    shape = (form.size, form.fine, form.size, form.fine)
    blocks, residuals = grey.reshape(shape), residual.reshape(shape)
    return np.stack([blocks.mean((1, 3)), residuals.min((1, 3)), residuals.max((1, 3))]).astype(np.float32)


def _ring_residual(grey: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """A picture (S, S) float32 less the median of each ring, in units of its noise times four; 0 where unseen."""
    order, ends = _rings(len(grey))
    residual = np.zeros(grey.size, np.float32)
    flat, known = grey.ravel(), seen.ravel()
    sigmas: list[tuple[np.ndarray, float]] = []
    for start, end in pairwise(ends):
        ring = order[start:end]
        ring = ring[known[ring]]
        if len(ring):
            values = flat[ring] - np.median(flat[ring])
            residual[ring] = values
            sigmas.append((ring, 1.4826 * float(np.median(np.abs(values)))))
    usual = float(np.median([sigma for _, sigma in sigmas])) if sigmas else 0.0
    for ring, sigma in sigmas:
        residual[ring] /= max(sigma, 0.5 * usual, _LEAST_SIGMA_GREY)
    limit = _CLIPPED_AT_SIGMA
    return (np.clip(residual, -limit, limit) / _UNIT_SIGMA).reshape(grey.shape)


def _sample_points(cladding: Ellipse, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Where the image is sampled, x and y (n, n) float32, and how many samples a pixel of the crop has along a side."""
    side = 2 * REACH_SHARE * cladding.mean_radius_px
    fine = max(1, math.ceil(side / size))
    offsets = ((np.arange(size * fine) + 0.5) / (size * fine) - 0.5) * side
    x, y = from_frame(cladding, offsets[None, :], offsets[:, None])
    return x.astype(np.float32), y.astype(np.float32), fine


def _reduced(picture: np.ndarray, size: int) -> np.ndarray:
    return picture if len(picture) == size else cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)


@lru_cache(maxsize=4)
def _radius_px(size: int) -> np.ndarray:
    middle = np.arange(size) - (size - 1) / 2
    return np.hypot(middle[None, :], middle[:, None])


@lru_cache(maxsize=4)
def _rings(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels (flat) of a square of ``size`` px within reach, ring by ring, and where the rings begin and end."""
    ring = (_radius_px(size).ravel() / _RING_PX).astype(np.int64)
    count = int(size / 2 / _RING_PX)
    order = np.argsort(ring, kind="stable")
    return order, np.searchsorted(ring[order], np.arange(count + 1))
