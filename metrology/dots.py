"""Dots in a picture: candidates by size and shape, and their centres to a few hundredths of a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from metrology.picture import standing_out, two_level_threshold

_LEAST_AREA_PX = 4
_SIZE_FACTOR = 1.6  # areas within this factor of the consensus belong to it
_MOST_ELONGATED = 1.7
_FILL = (0.55, 1.0)  # of a dot's bounding box; a disc fills 0.79
_ROUNDS = 4  # of centring the window upon the dot
_CHUNK_VALUES = 4_000_000


@dataclass(frozen=True)
class Candidates:
    """Compact marks of one polarity: ``points`` (N, 2) x, y in px; ``alike`` (N,): of the size that most have."""

    points: np.ndarray
    alike: np.ndarray
    radius_px: float  # of a disc of the consensus area


def find_candidates(flat: np.ndarray, *, bright: bool) -> Candidates:
    """Compact marks in an evenly lit picture (H, W); marks that touch the border are left out."""
    smooth = cv2.GaussianBlur(flat, (0, 0), 0.8)
    level = two_level_threshold(smooth)
    binary = (smooth > level) if bright else (smooth < level)
    _, _, stats, centres = cv2.connectedComponentsWithStats(binary.astype(np.uint8), connectivity=4)
    left, top, width, height, area = stats[1:].T
    inside = (left > 0) & (top > 0) & (left + width < flat.shape[1]) & (top + height < flat.shape[0])
    slack = np.where(area < 20, 1.0, 0.0)  # a dot of few pixels has no shape to speak of
    elongated = np.maximum(width, height) - slack > _MOST_ELONGATED * np.minimum(width, height)
    fill = area / np.maximum(width * height, 1)
    compact = inside & (area >= _LEAST_AREA_PX) & ~elongated & (fill >= _FILL[0]) & (fill <= _FILL[1])
    area, points = area[compact].astype(float), centres[1:][compact]
    if not len(area):
        return Candidates(np.zeros((0, 2)), np.zeros(0, bool), 0.0)
    common = _common_area(area)
    alike = np.abs(np.log(area / common)) <= np.log(_SIZE_FACTOR)
    return Candidates(points, alike, float(np.sqrt(common / np.pi)))


def _common_area(area: np.ndarray) -> float:
    """The area that most marks share, larger ones counting more: specks are many, but they are small."""
    logs = np.sort(np.log(area))
    reach = np.log(_SIZE_FACTOR)
    first, last = np.searchsorted(logs, logs - reach), np.searchsorted(logs, logs + reach, side="right")
    best = np.argmax((last - first) * np.exp(logs / 2))
    return float(np.exp(np.median(logs[first[best] : last[best]])))


def contrast(flat: np.ndarray, candidates: Candidates, *, window_px: float) -> tuple[np.ndarray, float]:
    """How far each pixel stands out against the ground: 0 between the dots, about 1 within, (H, W).

    Also the difference of both in the picture's values, as a share of the brighter one.
    """
    ground = np.ones(flat.shape, np.uint8)
    marks = np.zeros(flat.shape, np.uint8)
    core = max(0, int(0.6 * candidates.radius_px))
    for (x, y), alike in zip(candidates.points, candidates.alike, strict=True):
        at = round(x), round(y)
        cv2.circle(ground, at, math.ceil(window_px), 0, cv2.FILLED)
        if alike:
            cv2.circle(marks, at, core, 1, cv2.FILLED)
    ground, marks = ground > 0, marks > 0
    if not ground.any():
        ground = ~marks
    levels = float(np.median(flat[ground])), float(np.median(flat[marks]))
    share = abs(levels[0] - levels[1]) / max(*levels, 1e-9)
    return standing_out(flat, ground=ground, marks=marks), share


def window_radius(radius_px: float, spacing_px: float) -> float:
    """Radius of the window for a dot's centre: half way from its edge to the middle between two dots."""
    return 0.5 * (radius_px + 0.5 * spacing_px) + 0.5


def refine_centres(contrast_map: np.ndarray, points: np.ndarray, *, window_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres of mass (N, 2) in a soft round window that follows the dot; and which of them (N,) can be trusted.

    The weights are the contrast itself, without a threshold: noise then adds scatter but no bias. Not trusted: windows
    that reach over the border, and centres that wander away.
    """
    height, width = contrast_map.shape
    reach = int(np.ceil(window_px)) + 2
    trusted = (points >= reach).all(axis=1) & (points < np.array([width, height]) - 1 - reach).all(axis=1)
    centres = points.copy()
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    per_chunk = max(1, _CHUNK_VALUES // rows.size)
    numbers = np.flatnonzero(trusted)
    for start in range(0, len(numbers), per_chunk):
        chosen = numbers[start : start + per_chunk]
        base = np.rint(points[chosen]).astype(int)
        patch = contrast_map[base[:, 1, None, None] + rows, base[:, 0, None, None] + columns]
        shift = _centre_of_mass(patch, points[chosen] - base, rows, columns, window_px)
        centres[chosen] = base + shift
    wandered = np.hypot(*(centres - points).T)
    return centres, trusted & (wandered < max(1.0, 0.3 * window_px))


def _centre_of_mass(
    patch: np.ndarray, start: np.ndarray, rows: np.ndarray, columns: np.ndarray, window_px: float
) -> np.ndarray:
    at = start.copy()
    for _ in range(_ROUNDS):
        dx = columns[None] - at[:, 0, None, None]
        dy = rows[None] - at[:, 1, None, None]
        weight = patch * np.clip(window_px + 0.5 - np.sqrt(dx * dx + dy * dy), 0.0, 1.0)
        mass = weight.sum(axis=(1, 2))
        mass = np.where(mass > 1e-6, mass, np.inf)
        move = np.stack([(weight * dx).sum(axis=(1, 2)) / mass, (weight * dy).sum(axis=(1, 2)) / mass], axis=1)
        at += np.clip(move, -1.0, 1.0)
    return at


def edge_sigma(contrast_map: np.ndarray, points: np.ndarray, *, spacing_px: float) -> float:
    """Sigma in px of the dots' edges, from the steepest slope of their mean radial profile; inf without dots."""
    reach = int(np.ceil(spacing_px / 2))
    height, width = contrast_map.shape
    inner = (points >= reach + 1).all(axis=1) & (points < np.array([width, height]) - 2 - reach).all(axis=1)
    points = points[inner][:: max(1, int(inner.sum()) // 200)]
    if not len(points):
        return float("inf")
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    base = np.rint(points).astype(int)
    patch = contrast_map[base[:, 1, None, None] + rows, base[:, 0, None, None] + columns]
    offset = points - base
    radius = np.hypot(columns[None] - offset[:, 0, None, None], rows[None] - offset[:, 1, None, None])
    step = max(0.5, spacing_px / 40)
    bins = np.rint(radius / step).astype(int).ravel()
    count = np.bincount(bins)
    profile = np.bincount(bins, patch.ravel()) / np.maximum(count, 1)
    profile = profile[: int(spacing_px / 2 / step) + 1]
    # over two bins, because the pixels fall unevenly into the bins
    steepest = (profile[:-2] - profile[2:]).max() / (2 * step) if len(profile) > 2 else 0.0
    height = float(profile.max() - profile.min())
    return height / (steepest * np.sqrt(2 * np.pi)) if steepest > 0 else float("inf")
