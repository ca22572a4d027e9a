"""Which mark of an earlier picture is which of a later one: both in the fibre frame, the later one perhaps turned.

Positions agree within the uncertainty of the fit and a share of the marks' sizes. Lengths are in one unit for both
pictures, y points up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from records import Defect

_FIT_SHARE = 0.015  # of the cladding radius: how far a position may be off by itself
_SIZE_SHARE = 0.25  # of both diameters: outlines of one mark differ from picture to picture
_MAX_RATIO = 4.0  # of the sizes of one compact mark in two pictures
_MAX_ANGLE_DEG = 20.0  # between the directions of one line in two pictures
_LONG = 3.0  # length over width from which a mark has a direction
_LINES = ("Scratch", "Crack")
_LEAST_TURNING_SHARE = 0.15  # of the radius: marks further in hardly tell by how much the face is turned
_CLEAR_LEAD = 2.0  # of the best angle over any other, in marks; a long line counts as up to three
_ELSEWHERE_DEG = 10.0
_PROPOSALS = 8
_BIN_DEG = 2
Angles = TypeVar("Angles", float, np.ndarray)


@dataclass(frozen=True)
class Marks:
    """Marks of one face, (n,) each; positions relative to the fibre's centre, angles in radians."""

    x: np.ndarray
    y: np.ndarray
    diameter: np.ndarray
    length: np.ndarray
    width: np.ndarray
    direction: np.ndarray
    is_line: np.ndarray
    is_dark: np.ndarray

    @classmethod
    def of(cls, defects: Sequence[Defect], unit_per_px: float) -> Marks:
        """Marks of these defects, with lengths in units of which a pixel of the fibre frame has ``unit_per_px``."""

        def column(name: str) -> np.ndarray:
            return np.nan_to_num(np.array([getattr(defect, name) for defect in defects], float))

        radius, angle = column("radius_px") * unit_per_px, np.radians(column("angle_deg"))
        length, width = column("length_px") * unit_per_px, column("width_px") * unit_per_px
        long = length >= _LONG * width
        return cls(
            x=radius * np.cos(angle),
            y=radius * np.sin(angle),
            diameter=column("diameter_px") * unit_per_px,
            length=length,
            width=width,
            direction=np.radians(column("orientation_deg")),
            is_line=long & np.array([defect.kind in _LINES for defect in defects], bool),
            is_dark=np.array([defect.polarity == "dark" for defect in defects], bool),
        )

    def turned(self, angle_rad: float) -> Marks:
        """The same marks on a face turned counter-clockwise."""
        cos, sin = math.cos(angle_rad), math.sin(angle_rad)
        x, y = cos * self.x - sin * self.y, sin * self.x + cos * self.y
        rest = self.diameter, self.length, self.width, self.direction + angle_rad, self.is_line, self.is_dark
        return Marks(x, y, *rest)


@dataclass(frozen=True)
class Matching:
    """``pairs`` are (old, new) positions in the sequences of marks; a mark in several pieces is in several pairs."""

    turned_deg: float
    pairs: tuple[tuple[int, int], ...]


def match_marks(old: Marks, new: Marks, radius: float) -> Matching:
    """Match the marks of one face in two pictures; ``radius`` is that of the cladding in the unit of the marks."""
    slack = _FIT_SHARE * radius
    angle_rad = _turn_between(old, new, radius)
    old = old.turned(angle_rad)
    pairs = _assigned(old, new, slack)
    free_old = [i for i in range(len(old.x)) if i not in {pair[0] for pair in pairs}]
    free_new = [j for j in range(len(new.x)) if j not in {pair[1] for pair in pairs}]
    inside_old, inside_new = _distance_inside(new, old, slack), _distance_inside(old, new, slack)
    for j in free_new:
        if len(old.x) and np.isfinite(inside_old[j].min()):
            pairs.append((int(np.argmin(inside_old[j])), j))
    for i in free_old:
        if len(new.x) and np.isfinite(inside_new[i].min()):
            pairs.append((i, int(np.argmin(inside_new[i]))))
    return Matching(math.degrees(angle_rad), tuple(sorted(set(pairs))))


def _turn_between(old: Marks, new: Marks, radius: float) -> float:
    """By which angle (radians) the face is turned in the new picture; 0 unless the marks say clearly otherwise."""
    slack = _FIT_SHARE * radius
    votes_rad, weights = _angle_votes(old, new, radius)
    if not len(votes_rad):
        return 0.0
    scores = []
    for angle_rad in (0.0, *_peaks(votes_rad, weights)):
        if angle_rad:
            angle_rad = _refined(angle_rad, old, new, slack)
        pairs = _assigned(old.turned(angle_rad), new, slack)
        scores.append((sum(_weight(old, i, radius) for i, _ in pairs), len(pairs), angle_rad))
    best, count, angle_rad = max(scores, key=lambda item: (item[0], -abs(item[2])))
    elsewhere = [
        score for score, _, other in scores if abs(_within_half_turn(other - angle_rad)) > math.radians(_ELSEWHERE_DEG)
    ]
    return angle_rad if count >= 2 and best >= max(elsewhere, default=0.0) + _CLEAR_LEAD else 0.0


def _angle_votes(old: Marks, new: Marks, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """For each pair that may be one mark at another angle: that angle, and how much it counts."""
    slack = _FIT_SHARE * radius
    r_old, r_new = np.hypot(old.x, old.y), np.hypot(new.x, new.y)
    phi_old, phi_new = np.arctan2(old.y, old.x), np.arctan2(new.y, new.x)
    size = 0.5 * (old.diameter[:, None] + new.diameter[None, :])
    likely = np.abs(r_old[:, None] - r_new[None, :]) <= slack + 0.5 * _SIZE_SHARE * size
    likely &= (r_old[:, None] > _LEAST_TURNING_SHARE * radius) & (old.is_dark[:, None] == new.is_dark[None, :])
    ratio = _ratio(old.diameter, new.diameter)
    likely &= ratio <= 2
    leaning = (old.direction - phi_old)[:, None] - (new.direction - phi_new)[None, :]
    both_lines = old.is_line[:, None] & new.is_line[None, :]
    likely &= ~both_lines | (_between_directions(leaning) <= math.radians(_MAX_ANGLE_DEG))
    i, j = np.nonzero(likely)
    weights = np.array([_weight(old, number, radius) for number in i])
    return (phi_new[j] - phi_old[i]) % (2 * math.pi), weights


def _peaks(votes_rad: np.ndarray, weights: np.ndarray) -> list[float]:
    """The angles with most votes around them."""
    bins = 360 // _BIN_DEG
    histogram = np.bincount((votes_rad * (bins / (2 * math.pi))).astype(int) % bins, weights, bins)
    histogram = histogram + np.roll(histogram, 1) + np.roll(histogram, -1)
    peaks = []
    for _ in range(_PROPOSALS):
        top = int(np.argmax(histogram))
        if histogram[top] <= 0:
            break
        away = _within_half_turn(votes_rad - math.radians((top + 0.5) * _BIN_DEG))
        near = np.abs(away) <= math.radians(1.5 * _BIN_DEG)
        middle = math.radians((top + 0.5) * _BIN_DEG) + float(np.average(away[near], weights=weights[near]))
        peaks.append(float(_within_half_turn(middle)))
        histogram[(top + np.arange(-2, 3)) % bins] = 0
    return peaks


def _refined(angle_rad: float, old: Marks, new: Marks, slack: float) -> float:
    """The angle that most of the marks that it brings together agree on."""
    turned = old.turned(angle_rad)
    pairs = _assigned(turned, new, slack)
    if not pairs:
        return angle_rad
    i, j = np.array(pairs).T
    left = np.arctan2(new.y[j], new.x[j]) - np.arctan2(turned.y[i], turned.x[i])
    return float(_within_half_turn(angle_rad + np.median(_within_half_turn(left))))


def _weight(marks: Marks, number: int, radius: float) -> float:
    """How much a mark says about the angle: one, and a long line up to three."""
    return 1.0 + (min(2.0, 2.0 * marks.length[number] / radius) if marks.is_line[number] else 0.0)


def _assigned(old: Marks, new: Marks, slack: float) -> list[tuple[int, int]]:
    """Pairs, each mark in one at most, the closest first."""
    cost = _costs(old, new, slack)
    pairs, taken_old, taken_new = [], set(), set()
    for flat in np.argsort(cost, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(new.x))
        if not math.isfinite(cost[i, j]):
            break
        if i not in taken_old and j not in taken_new:
            pairs.append((i, j))
            taken_old.add(i)
            taken_new.add(j)
    return pairs


def _costs(old: Marks, new: Marks, slack: float) -> np.ndarray:
    """How badly each pair fits, (old, new); infinite where it cannot be one mark."""
    along, across = _offsets(old, new)
    distance, ratio = np.hypot(along, across), _ratio(old.diameter, new.diameter)
    share = distance / (slack + _SIZE_SHARE * (old.diameter[:, None] + new.diameter[None, :]))
    fits = (share <= 1) & (ratio <= _MAX_RATIO)
    lines = old.is_line[:, None] & new.is_line[None, :]
    tilt = _between_directions(old.direction[:, None] - new.direction[None, :])
    longer = np.maximum(old.length[:, None], new.length[None, :])
    line_share = np.maximum(
        np.abs(along) / (slack + 0.5 * longer),
        np.abs(across) / (slack + 0.5 * (old.width[:, None] + new.width[None, :]) + _strayed(along, longer)),
    )
    share = np.where(lines, line_share, share)
    fits = np.where(lines, (line_share <= 1) & (tilt <= math.radians(_MAX_ANGLE_DEG)), fits)
    cost = share + 0.25 * np.log2(np.maximum(ratio, 1)) + 0.3 * (old.is_dark[:, None] != new.is_dark[None, :])
    return np.where(fits, cost, np.inf)


def _distance_inside(pieces: Marks, wholes: Marks, slack: float) -> np.ndarray:
    """Distance of each piece from the middle of each mark that it lies in, (pieces, wholes); infinite outside."""
    along, across = (-values.T for values in _offsets(wholes, pieces))
    distance = np.hypot(along, across)
    in_disc = distance + 0.5 * pieces.diameter[:, None] <= 0.5 * wholes.diameter[None, :] + slack
    on_line = np.abs(along) + 0.5 * pieces.diameter[:, None] <= 0.5 * wholes.length[None, :] + slack
    on_line &= np.abs(across) <= 0.5 * wholes.width[None, :] + slack + _strayed(along, wholes.length[None, :])
    tilt = _between_directions(pieces.direction[:, None] - wholes.direction[None, :])
    narrow = pieces.diameter[:, None] <= 2 * wholes.width[None, :] + slack
    on_line &= np.where(pieces.is_line[:, None], tilt <= math.radians(_MAX_ANGLE_DEG), narrow)
    inside = np.where(wholes.is_line[None, :], on_line, in_disc)
    inside &= pieces.is_dark[:, None] == wholes.is_dark[None, :]
    return np.where(inside, distance, np.inf)


def _offsets(old: Marks, new: Marks) -> tuple[np.ndarray, np.ndarray]:
    """Where each new mark lies from each old one, (old, new): along the old one's direction, and across it."""
    dx, dy = new.x[None, :] - old.x[:, None], new.y[None, :] - old.y[:, None]
    cos, sin = np.cos(old.direction)[:, None], np.sin(old.direction)[:, None]
    return cos * dx + sin * dy, cos * dy - sin * dx


def _strayed(along: np.ndarray, length: np.ndarray) -> np.ndarray:
    """How far a part of a line may lie beside its course: directions are a little off, and lines a little bent."""
    return 0.1 * np.abs(along) + 0.03 * length


def _ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = np.maximum(one, 1e-9)[:, None], np.maximum(other, 1e-9)[None, :]
    return np.maximum(one / other, other / one)


def _between_directions(angle_rad: np.ndarray) -> np.ndarray:
    """The angle between two undirected lines, 0..pi/2."""
    return np.abs((angle_rad + math.pi / 2) % math.pi - math.pi / 2)


def _within_half_turn(angle_rad: Angles) -> Angles:
    """The same angle within -pi..pi."""
    return (angle_rad + math.pi) % (2 * math.pi) - math.pi
