"""One end face in several pictures: by the same bytes, or by fingerprints that agree (:mod:`vision.fingerprint`)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from vision.fingerprint import ANGLES, CELLS, RADII, cells_of

_BLOCK = 512  # fingerprints compared with as many others at once
_COMMON_SAMPLE = 999
_COMMON_SHARES = (0.3, 0.7)  # one face may be in up to so many of the pictures, and is not taken for their pattern
_COMMON_MIN_IMAGES = 8  # so many tell what the pictures of one microscope have in common


@dataclass(frozen=True)
class SameFace:
    """Images that show the same end face: one picture handed in more than once."""

    images: tuple[str, ...]
    similarity: float  # of the least similar pair that was recognised, 0..1; 1 = the same file


class Faces:
    """Gathers fingerprints, a kilobyte each, and finds those that agree."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._cells = bytearray()
        self._has_cells: list[bool] = []
        self._by_content: dict[str, list[int]] = defaultdict(list)

    def add(self, name: str, fingerprint: str, content_sha256: str = "") -> None:
        """Take note of one face; without a fingerprint it can only be found by its file's content."""
        if content_sha256:
            self._by_content[content_sha256].append(len(self._names))
        cells = cells_of(fingerprint)
        self._names.append(name)
        self._has_cells.append(cells is not None)
        self._cells += bytes(CELLS) if cells is None else cells.astype(np.int8).tobytes()

    def groups(self, min_similarity: float) -> tuple[SameFace, ...]:
        """The faces that are in several images, in the order in which they were added.

        In a small batch, where nothing tells what all pictures of the microscope have in common, twice as much
        agreement is asked for: the limit lies half way to 1.
        """
        group = np.arange(len(self._names))
        least = np.ones(len(self._names))
        for members in self._by_content.values():
            group[members] = members[0]
        cells = np.frombuffer(self._cells, np.int8).reshape(-1, CELLS)
        known = np.flatnonzero(self._has_cells)
        common = np.zeros(CELLS, np.float32)
        if len(known) >= _COMMON_MIN_IMAGES:
            common = _common(cells[known[:: 1 + len(known) // _COMMON_SAMPLE]])
        else:
            min_similarity = 0.5 * (1 + min_similarity)
        for start in range(0, len(known), _BLOCK):
            one = known[start : start + _BLOCK]
            turned = _variants(_normalised(cells[one], common))
            for other_start in range(start, len(known), _BLOCK):
                other = known[other_start : other_start + _BLOCK]
                flat = _normalised(cells[other], common)
                similarity = np.max([variant @ flat.T for variant in turned], axis=0)
                _unite(one, other, similarity, min_similarity, group, least)
        members = defaultdict(list)
        for number, key in enumerate(group):
            members[int(key)].append(number)
        return tuple(
            SameFace(tuple(self._names[number] for number in numbers), round(float(least[numbers].min()), 3))
            for numbers in members.values()
            if len(numbers) > 1
        )


def _common(cells: np.ndarray) -> np.ndarray:
    """What most of the fingerprints (n, CELLS) have at least, (CELLS,): the pattern of the camera and its light."""
    low, high = np.quantile(cells, _COMMON_SHARES, axis=0).astype(np.float32)
    return np.maximum(low, 0) + np.minimum(high, 0)


def _normalised(cells: np.ndarray, common: np.ndarray) -> np.ndarray:
    """(n, CELLS) float32 of length 1, without what is common to all."""
    rest = cells - common
    return rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-6)


def _variants(flat: np.ndarray) -> list[np.ndarray]:
    """As they are, in quarter turns, and mirrored; (n, CELLS) each."""
    polar = flat.reshape(-1, RADII, ANGLES)
    return [
        np.roll(side, quarter * ANGLES // 4, axis=2).reshape(flat.shape)
        for side in (polar, polar[:, :, ::-1])
        for quarter in range(4)
    ]


def _unite(
    one: np.ndarray, other: np.ndarray, similarity: np.ndarray, limit: float, group: np.ndarray, least: np.ndarray
) -> None:
    """Join the groups of all pairs that are similar enough; ``group`` and ``least`` are changed."""
    similar = similarity >= limit
    similar &= other[None, :] > one[:, None]
    for row in np.flatnonzero(similar.any(axis=1)):
        partners = np.append(other[similar[row]], one[row])
        least[partners] = np.minimum(least[partners], similarity[row, similar[row]].min())
        joined = np.unique(group[partners])
        group[np.isin(group, joined)] = joined[0]
