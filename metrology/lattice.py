"""Which mark is which: numbering marks on a lattice that turns, bends, has gaps and lies among dust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ANCHORS = 250  # marks whose surroundings vote for the neighbour vectors
_NEIGHBOURHOOD = 2.3  # nearest distances: how far a vote reaches
_BIN_SHARE = 0.1  # of the nearest distance
_STRONG_SHARE = 0.4  # of the strongest vote: a vector that so many voted for may span the lattice
_RATIO = (0.78, 1.28)  # of the lengths of the two vectors of a square grid, pixels not being square
_SQUARE_COSINE = 0.35  # of the angle between them, at most
_SEEDS = 8
_GROWTH = 1.35  # of the numbered region per round
_NEAR = 0.2  # index units: how close to a whole number a mark has to be
_GOOD_SHARE = 0.9  # of the marks numbered: no further seed is tried


@dataclass(frozen=True)
class Numbering:
    """``index`` (N, D) whole numbers, valid where ``known`` (N,)."""

    index: np.ndarray
    known: np.ndarray


def find_basis(points: np.ndarray) -> np.ndarray | None:
    """The two neighbour vectors of a square grid as columns (2, 2), in px; None when there are none.

    The first points to the right as far as possible, the second down.
    Differences between marks and their surroundings vote in a plane; a grid shows as few sharp peaks.
    """
    if len(points) < 5:
        return None
    random = np.random.default_rng(0)
    anchors = points[random.permutation(len(points))[:_ANCHORS]]
    steps = points[None] - anchors[:, None]
    distance = np.hypot(steps[..., 0], steps[..., 1])
    distance[distance < 1e-9] = np.inf
    nearest = float(np.median(distance.min(axis=1)))
    if not np.isfinite(nearest):
        return None
    steps = steps[distance < _NEIGHBOURHOOD * nearest]
    half = (steps[:, 1] > 0) | ((steps[:, 1] == 0) & (steps[:, 0] > 0))
    steps = np.where(half[:, None], steps, -steps)
    peaks, votes = _peaks(np.concatenate([steps, -steps]), nearest)
    return _square_pair(peaks, votes)


def _peaks(steps: np.ndarray, nearest: float) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (K, 2) that many of ``steps`` agree on, shortest first, and their votes (K,)."""
    reach = _NEIGHBOURHOOD * nearest
    bins = 2 * int(np.ceil(_NEIGHBOURHOOD / _BIN_SHARE)) + 1
    table, *_ = np.histogram2d(steps[:, 0], steps[:, 1], bins=bins, range=[[-reach, reach]] * 2)
    padded = np.pad(table, 1)
    around = [padded[1 + i : 1 + i + bins, 1 + j : 1 + j + bins] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    votes = np.sum(around, axis=0)
    padded = np.pad(votes, 1)
    around = [padded[1 + i : 1 + i + bins, 1 + j : 1 + j + bins] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    at = np.argwhere((votes >= np.max(around, axis=0)) & (votes >= _STRONG_SHARE * votes.max()))
    rough = ((at + 0.5) / bins * 2 - 1) * reach
    sharp, strength = [], []
    for vector in rough:
        near = np.hypot(*(steps - vector).T) < 1.6 * _BIN_SHARE * nearest
        if near.any():
            sharp.append(np.median(steps[near], axis=0))
            strength.append(near.sum())
    sharp, strength = np.reshape(sharp, (-1, 2)), np.array(strength)
    order = np.argsort(np.hypot(sharp[:, 0], sharp[:, 1]))
    return sharp[order], strength[order]


def _square_pair(peaks: np.ndarray, votes: np.ndarray) -> np.ndarray | None:
    length = np.hypot(peaks[:, 0], peaks[:, 1])
    for first in range(len(peaks)):
        cross = peaks[first, 0] * peaks[:, 1] - peaks[first, 1] * peaks[:, 0]
        cosine = np.abs(peaks @ peaks[first]) / np.maximum(length * length[first], 1e-9)
        ratio = length / max(length[first], 1e-9)
        fits = (cross > 0) & (cosine < _SQUARE_COSINE) & (ratio > _RATIO[0]) & (ratio < _RATIO[1])
        if fits.any():
            second = np.flatnonzero(fits)[np.argmax(votes[fits])]
            one, other = peaks[first], peaks[second]
            turns = [(one, other), (other, -one), (-one, -other), (-other, one)]
            return np.stack(max(turns, key=lambda pair: pair[0][0]), axis=1)
    return None


def number_marks(points: np.ndarray, to_index: np.ndarray, *, unit_px: float) -> Numbering:
    """Number marks (N, 2) from a seed outwards; ``to_index`` (D, 2) turns a step in px into index units near the seed.

    The region that is numbered predicts its surroundings by a polynomial, so that distortion does not break the
    count and gaps are crossed. Several seeds compete; the one that numbers most marks wins.
    """
    if not len(points):
        return Numbering(np.zeros((0, len(to_index)), int), np.zeros(0, bool))
    middle = points.mean(axis=0)
    by_distance = np.argsort(np.hypot(*(points - middle).T))
    seeds = by_distance[np.unique(np.linspace(0, 0.8 * (len(points) - 1), _SEEDS).astype(int))]
    best = None
    for seed in seeds:
        numbering = _grow(points, points[seed], to_index, unit_px)
        if best is None or numbering.known.sum() > best.known.sum():
            best = numbering
        if best.known.mean() >= _GOOD_SHARE:
            break
    return best


def _grow(points: np.ndarray, seed: np.ndarray, to_index: np.ndarray, unit_px: float) -> Numbering:
    local = (points - seed) / unit_px
    distance = np.hypot(local[:, 0], local[:, 1])
    predicted = local @ (to_index * unit_px).T
    radius = 1.6
    while True:
        inside = distance <= radius
        index = np.rint(predicted)
        known = inside & (np.abs(predicted - index).max(axis=1) < _NEAR)
        if radius > distance.max() or known.sum() < 3:
            return Numbering(index.astype(int), known)
        if (np.ptp(index[known], axis=0) >= 2).all():  # a polynomial through one tick would make all marks that tick
            predicted = _extrapolate(local, index, known, radius)
        radius *= _GROWTH


def _extrapolate(local: np.ndarray, index: np.ndarray, known: np.ndarray, radius: float) -> np.ndarray:
    """Predict the index of every mark by a polynomial through the known ones; its order grows with their number."""
    spread = np.ptp(index[known], axis=0).min() + 1
    order = 3 if known.sum() >= 60 and spread >= 7 else 1
    x, y = (local / radius).T
    terms = [x**i * y**j for i in range(order + 1) for j in range(order + 1 - i)]
    design = np.stack(terms, axis=1)
    weights, *_ = np.linalg.lstsq(design[known], index[known], rcond=1e-4)
    return design @ weights


def without_doubles(index: np.ndarray, known: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """Of marks with the same index keep the one of least ``doubt`` (N,); returns the reduced ``known``."""
    order = np.lexsort((doubt, *index.T))
    order = order[known[order]]
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(index[order], axis=0) != 0).any(axis=1)
    kept = np.zeros_like(known)
    kept[order[first]] = True
    return kept
