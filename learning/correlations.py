"""How alike the end faces of a data set are: correlations of pictures that are registered to the fibre and reduced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import scaled, unwrap

RINGS, ANGLES = 16, 64
CELLS = RINGS * ANGLES  # as many as a picture of 32 x 32 has
_REACH_SHARE = 0.97  # of the cladding radius: the edge itself is the same in all of them
_FINE = 3  # samples per cell along both directions
_WORKING_RADIUS_PX = RINGS * _FINE  # at least: the picture is reduced so that no pixel is skipped
_BLOCK = 512  # images compared with as many others at once


@dataclass(frozen=True)
class Pair:
    """Two images, ``first`` before ``second`` in their order, and how alike they are, -1..1."""

    first: int
    second: int
    pearson: float
    spearman: float


def reduced_face(grey: np.ndarray, cladding: Ellipse) -> np.ndarray:
    """The inside of the cladding in rings and angles, (CELLS,) float16, without the mean of each ring.

    Size, place and tilt of the fibre do not matter, nor what is round: core, rings and vignetting, which all faces of
    one kind share. Cells outside the picture are 0, as a ring's mean is.
    """
    step = max(1, int(cladding.mean_radius_px / _WORKING_RADIUS_PX))
    height, width = (max(1, size // step) * step for size in grey.shape)
    small = cv2.resize(grey[:height, :width], None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    outline = scaled(cladding, 1 / step)
    radii = _REACH_SHARE * outline.mean_radius_px * (np.arange(RINGS * _FINE) + 0.5) / (RINGS * _FINE)
    angles = (np.arange(ANGLES * _FINE) + 0.5) * (2 * np.pi / (ANGLES * _FINE))
    cells = unwrap(small, outline, radii, angles).reshape(ANGLES, _FINE, RINGS, _FINE).mean(axis=(1, 3)).T
    seen = np.isfinite(cells)
    means = np.where(seen, cells, 0).sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    return np.where(seen, cells - means, 0).astype(np.float16).ravel()


def most_alike(faces: np.ndarray, neighbours: int) -> list[Pair]:
    """The pairs in which one image is among the ``neighbours`` that correlate most (Pearson) with the other.

    ``faces`` is (N, CELLS). Memory grows with N times ``neighbours``, not with the square of N.
    """
    count = len(faces)
    kept = min(neighbours, count - 1)
    if kept < 1:
        return []
    flat = _standardised(faces)
    pairs: dict[tuple[int, int], float] = {}
    for start in range(0, count, _BLOCK):
        partners, values = _nearest(flat, start, kept)
        for row, (others, found) in enumerate(zip(partners, values, strict=True), start=start):
            pairs |= {(min(row, j), max(row, j)): v for j, v in zip(others.tolist(), found.tolist(), strict=True)}
    keys = sorted(pairs)
    del flat
    spearman = _of_pairs(_standardised(_ranks(faces)), keys)
    return [Pair(*key, _bounded(pairs[key]), _bounded(value)) for key, value in zip(keys, spearman, strict=True)]


def _nearest(flat: np.ndarray, start: int, kept: int) -> tuple[np.ndarray, np.ndarray]:
    """For the images of a block the best ``kept`` of all others, (rows, kept) numbers and correlations."""
    block = flat[start : start + _BLOCK]
    rows = np.arange(len(block))
    best = np.full((len(block), kept), -np.inf, np.float32)
    who = np.zeros((len(block), kept), np.int64)
    for other in range(0, len(flat), _BLOCK):
        found = block @ flat[other : other + _BLOCK].T
        own = rows + start - other
        inside = (own >= 0) & (own < found.shape[1])
        found[rows[inside], own[inside]] = -np.inf
        candidates = np.concatenate([best, found], axis=1)
        numbers = np.concatenate([who, np.broadcast_to(np.arange(other, other + found.shape[1]), found.shape)], axis=1)
        order = np.argsort(-candidates, axis=1, kind="stable")[:, :kept]
        best, who = (np.take_along_axis(values, order, axis=1) for values in (candidates, numbers))
    return who, best


def _of_pairs(flat: np.ndarray, keys: Sequence[tuple[int, int]]) -> list[float]:
    values: list[float] = []
    for start in range(0, len(keys), _BLOCK):
        first, second = np.array(keys[start : start + _BLOCK]).T
        values += np.einsum("ij,ij->i", flat[first], flat[second]).tolist()
    return values


def _standardised(values: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and length 1, float32; a row without any contrast becomes 0 and is like nothing."""
    flat = values.astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    for row in flat:
        row /= max(float(np.linalg.norm(row)), 1e-6)
    return flat


def _ranks(values: np.ndarray) -> np.ndarray:
    """Twice the rank of each value in its row, equal values sharing their mean rank, uint16."""
    ranks = np.empty(values.shape, np.uint16)
    for row, result in zip(values, ranks, strict=True):
        _, inverse, counts = np.unique(row, return_inverse=True, return_counts=True)
        result[:] = (2 * np.cumsum(counts) - counts + 1)[inverse]
    return ranks


def _bounded(value: float) -> float:
    return max(-1.0, min(1.0, float(value)))
