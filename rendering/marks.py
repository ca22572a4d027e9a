"""Shapes of single defects: a signed field of unit strength on a local patch of the image.

+1 is the mark's own polarity, negative values are its halo or opposite flank. Shapes are evaluated in the fibre frame,
twice (compact marks) or four times (cracks) finer than the image and averaged down.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np

from rendering.geometry import FibreFrame
from rendering.scene import Mark
from rendering.surface import angle_bins, smooth_noise, wobble

_KNOTS = 96


@dataclass(frozen=True)
class Patch:
    """A window of the image, its top left pixel and the mark's field (h, w) float32 in it."""

    x0_px: int
    y0_px: int
    field: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        """Row and column slices of the window."""
        height, width = self.field.shape
        return slice(self.y0_px, self.y0_px + height), slice(self.x0_px, self.x0_px + width)


def outline_points_px(mark: Mark) -> np.ndarray:
    """Points (N, 2) in the fibre frame along the mark's length, for placing and for its window."""
    share = np.linspace(-1.0, 1.0, 13)
    phi = math.radians(mark.angle_deg)
    along, across = 0.5 * mark.length_px * share, mark.bow_px * (1.0 - share**2)
    x = mark.x_px + along * math.cos(phi) - across * math.sin(phi)
    y = mark.y_px + along * math.sin(phi) + across * math.cos(phi)
    return np.column_stack([x, y])


def half_reach_px(mark: Mark) -> float:
    """How far the mark extends around its outline points."""
    if mark.kind == "crack":  # jagged path and branches beside the straight line
        return 0.25 * mark.length_px + mark.width_px
    return (1.6 if mark.kind == "scratch" else 1.3) * mark.width_px


def draw_mark(mark: Mark, place: FibreFrame, shape: tuple[int, int], margin_px: int) -> Patch | None:
    """Field of a mark with ``margin_px`` of empty space around it; None when it lies outside the image."""
    points = place.to_image(outline_points_px(mark))
    reach = half_reach_px(mark) * 1.1 + margin_px + 3
    x0, y0 = (int(max(math.floor(value), 0)) for value in points.min(axis=0) - reach)
    x1 = int(min(math.ceil(points[:, 0].max() + reach), shape[1]))
    y1 = int(min(math.ceil(points[:, 1].max() + reach), shape[0]))
    if x1 - x0 < 4 or y1 - y0 < 4:
        return None
    rng = np.random.default_rng(mark.seed)
    if mark.kind == "crack":
        field = _crack(mark, place, (x0, y0, x1, y1), rng)
    else:
        finer = 1 if mark.kind == "scratch" and (x1 - x0) * (y1 - y0) > 90_000 else 2
        u, v = _fine_coordinates(place, (x0, y0, x1, y1), finer)
        shapes = {"scratch": _scratch, "pit": _pit, "contamination": _contamination}
        field = _chip(mark, place, u, v, rng) if mark.kind == "chip" else shapes[mark.kind](mark, u, v, rng)
        if finer > 1:
            field = cv2.resize(field, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    return Patch(x0, y0, field.astype(np.float32))


def _fine_coordinates(place: FibreFrame, box: tuple[int, int, int, int], finer: int) -> tuple[np.ndarray, np.ndarray]:
    """Fibre-frame coordinates of sub-pixels; the average of a pixel's sub-pixels lies at its centre."""
    x0, y0, x1, y1 = box
    a, b, c, d = place.matrix
    x = (np.arange((x1 - x0) * finer, dtype=np.float32) + 0.5) / finer - 0.5 + x0 - place.x_px
    y = ((np.arange((y1 - y0) * finer, dtype=np.float32) + 0.5) / finer - 0.5 + y0 - place.y_px)[:, None]
    x, y = x.astype(np.float32), y.astype(np.float32)
    return np.float32(d) * x - np.float32(b) * y, np.float32(-c) * x + np.float32(a) * y


def _local(mark: Mark, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    phi = math.radians(mark.angle_deg)
    cos, sin = np.float32(math.cos(phi)), np.float32(math.sin(phi))
    du, dv = u - np.float32(mark.x_px), v - np.float32(mark.y_px)
    return cos * du + sin * dv, cos * dv - sin * du


def _smoothstep(value: np.ndarray) -> np.ndarray:
    value = np.clip(value, 0.0, 1.0)
    return value * value * (3.0 - 2.0 * value)


def _strength_along(mark: Mark, rng: np.random.Generator) -> np.ndarray:
    """Strength of a line along its length, (_KNOTS,), 0 at both ends."""
    share = np.linspace(-1.0, 1.0, _KNOTS)
    noise = np.convolve(rng.normal(size=_KNOTS + 24), np.hanning(25), "valid")[:_KNOTS]
    strength = np.clip(0.85 + 0.2 * noise / max(float(noise.std()), 1e-6), 0.5, 1.2)
    if mark.style == "beaded":
        beads = np.clip(rng.normal(0.35, 0.45, max(4, int(mark.length_px / 5))), 0.12, 1.0)
        strength *= np.interp(share, np.linspace(-1, 1, len(beads)), beads)
        strength /= max(float(np.quantile(strength, 0.8)), 1e-6)
    if mark.style == "interrupted":
        for _ in range(int(rng.integers(1, 4))):
            centre, half_px = rng.uniform(-0.7, 0.7), rng.uniform(1.5, 4.0)
            gap = np.abs(share - centre) * mark.length_px / 2 < half_px
            strength[gap] *= 0.05
    if mark.style == "fading":
        strength *= np.linspace(1.15, 0.45, _KNOTS)
    taper_px = np.minimum(share + 1, 1 - share) * mark.length_px / 2
    return (strength * _smoothstep(taper_px / min(4.0, 0.2 * mark.length_px))).astype(np.float32)


def _scratch(mark: Mark, u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A straight or slightly bent groove, with a bright flank where the light comes from the side."""
    along, across = _local(mark, u, v)
    share = along * np.float32(2.0 / mark.length_px)
    across = across - np.float32(mark.bow_px) * (1.0 - share * share)
    knots = _strength_along(mark, rng)
    place = (share + 1.0) * np.float32((_KNOTS - 1) / 2.0)
    inside = (place >= 0) & (place < _KNOTS - 1)
    index = np.where(inside, place, 0).astype(np.int32)
    rest = np.where(inside, place - index, 0)
    strength = np.where(inside, knots[index] + rest * (knots[np.minimum(index + 1, _KNOTS - 1)] - knots[index]), 0)
    half = np.float32(0.5 * mark.width_px)
    soft = np.float32(max(0.35, 0.3 * mark.width_px))
    profile = 0.5 * (np.tanh((across + half) / soft) - np.tanh((across - half) / soft))
    profile /= math.tanh(float(half / soft))
    if mark.halo > 0:
        flank = (across - np.float32(1.4 * mark.width_px + 0.6)) / np.float32(0.5 * mark.width_px + 0.4)
        profile -= np.float32(mark.halo) * np.exp(-0.5 * flank * flank)
    return strength * profile


def _pit(mark: Mark, u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A compact hole with an irregular outline and a rim of the opposite brightness."""
    along, across = _local(mark, u, v)
    across = across * np.float32(mark.length_px / mark.width_px)
    radius = np.hypot(along, across)
    angle = angle_bins(along, across)
    size = np.float32(0.5 * mark.length_px) * (1.0 + np.float32(rng.uniform(0.05, 0.22)) * wobble(rng, 4))[angle]
    core = 0.5 * (1.0 - np.tanh((radius - size) / np.float32(mark.softness_px)))
    if mark.style == "hollow":  # a bright glint in the hole
        core -= np.float32(rng.uniform(0.5, 1.1)) * np.exp(-0.5 * (radius / (0.4 * size)) ** 2)
    if mark.halo > 0:
        one_sided = 1.0 if rng.random() < 0.4 else np.maximum(0.35 + 0.65 * wobble(rng, 1), 0)[angle]
        ring = (radius - 1.3 * size - np.float32(mark.softness_px)) / (0.3 * size + np.float32(0.5 * mark.softness_px))
        core -= np.float32(mark.halo) * one_sided * np.exp(-0.5 * ring * ring)
    return core.astype(np.float32)


def _lobes(mark: Mark, rng: np.random.Generator) -> np.ndarray:
    """Lobes (x, y, radius) of a particle or film in its own frame, px."""
    half_l, half_w = 0.5 * mark.length_px, 0.5 * mark.width_px
    if mark.style == "strand":
        share = np.linspace(-0.8, 0.8, 9)
        bend = rng.uniform(-0.5, 0.5) * half_l
        radius = half_w * rng.uniform(0.35, 0.6) * np.linspace(1.5, 0.6, 9) * rng.uniform(0.8, 1.2, 9)
        return np.column_stack([share * half_l, bend * (1 - share**2), radius])
    count = int(rng.integers(3, 8))
    angle, reach = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.0, 0.6, count)
    reach[0] = 0.1
    radius = rng.uniform(0.22, 0.42, count) * math.sqrt(half_l * half_w)
    return np.column_stack([half_l * reach * np.cos(angle), half_w * reach * np.sin(angle), radius])


def _contamination(mark: Mark, u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An irregular particle, strand or film: lobes, ragged soft outline, texture inside."""
    along, across = _local(mark, u, v)
    scale = 2.0 * max(0.12 * mark.width_px, 1.0)
    ragged = smooth_noise(u.shape, scale, rng)
    total = np.zeros(u.shape, np.float32)
    for x, y, radius in _lobes(mark, rng).astype(np.float32):
        total += np.exp(-((along - x) ** 2 + (across - y) ** 2) / (2 * radius * radius))
    reach = _smoothstep(1.6 - np.hypot(along / (0.5 * mark.length_px), across / (0.5 * mark.width_px + 1.0)))
    total += np.float32(0.16) * ragged * np.minimum(total * 2, 1.0)
    soft = np.float32(0.25 + 0.12 * mark.softness_px)
    body = _smoothstep((total - 0.5) / soft + 0.5) * (reach if mark.style != "strand" else 1.0)
    texture = smooth_noise(u.shape, max(0.16 * mark.width_px * 2, 1.6), rng)
    if mark.style == "film":
        rim = np.exp(-0.5 * ((total - 0.55) / 0.18) ** 2) * reach
        body = body * (0.75 + 0.12 * texture) + np.float32(0.3) * rim
    else:
        body = body * np.clip(0.82 + 0.2 * texture, 0.35, 1.2)
    if mark.halo > 0:
        body -= np.float32(mark.halo) * np.exp(-0.5 * ((total - 0.2) / 0.08) ** 2) * reach
    return body


def _chip(mark: Mark, place: FibreFrame, u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A bite out of the cladding: ``length`` along the edge, ``width`` deep, ragged, with facets."""
    radius = np.hypot(u, v)
    middle = math.atan2(mark.y_px, mark.x_px)
    turn = np.angle(np.exp(1j * (np.arctan2(v, u) - np.float32(middle)))).astype(np.float32)
    share = turn * np.float32(place.radius_px / (0.5 * mark.length_px))
    knots = np.linspace(-1, 1, 24)
    bite = np.sqrt(np.maximum(1 - np.abs(knots) ** rng.uniform(1.4, 3.0), 0)) * rng.uniform(0.65, 1.0, 24)
    bite[8:16] = np.maximum(bite[8:16], 0.8)
    depth = np.interp(share, knots, np.float32(mark.width_px) * bite / bite.max(), left=-9, right=-9).astype(np.float32)
    inward = np.float32(place.radius_px) - radius
    soft = np.float32(0.5 * mark.softness_px)
    body = 0.25 * (1 + np.tanh((depth - inward) / soft)) * (1 + np.tanh((inward + 0.6) / soft))
    facets = np.clip(0.85 + 0.2 * smooth_noise(u.shape, max(0.3 * mark.width_px, 1.5), rng), 0.45, 1.15)
    body *= facets
    if mark.halo > 0:
        lip = (inward - depth - np.float32(1.2)) / np.float32(1.0)
        body -= np.float32(mark.halo) * np.exp(-0.5 * lip * lip) * (np.abs(share) < 0.95)
    return body


def _walk(start: np.ndarray, heading: float, length_px: float, rng: np.random.Generator) -> np.ndarray:
    """Jagged path (N, 2) of a given chord length."""
    steps = max(4, int(length_px / rng.uniform(4.0, 8.0)))
    turns = heading + np.clip(np.cumsum(rng.normal(0, 0.25, steps)), -0.5, 0.5) + rng.normal(0, 0.45, steps)
    stride = rng.uniform(0.5, 1.5, steps)
    moves = np.column_stack([np.cos(turns), np.sin(turns)]) * stride[:, None]
    path = np.vstack([np.zeros(2), np.cumsum(moves, axis=0)])
    chord = max(float(np.hypot(*path[-1])), 1e-6)
    return start + path * (length_px / chord)


def crack_paths_px(mark: Mark, rng: np.random.Generator) -> list[np.ndarray]:
    """Trunk and branches of a crack in the fibre frame, centred on the mark."""
    phi = math.radians(mark.angle_deg)
    trunk = _walk(np.zeros(2), phi, mark.length_px, rng)
    trunk += (mark.x_px, mark.y_px) - trunk[[0, -1]].mean(axis=0)
    paths = [trunk]
    for _ in range(int(rng.integers(0, 4))):
        knot = trunk[int(rng.integers(1, max(2, len(trunk) - 1)))]
        side = rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.1)
        paths.append(_walk(knot, phi + side, mark.length_px * rng.uniform(0.12, 0.3), rng))
    return paths


def _crack(mark: Mark, place: FibreFrame, box: tuple[int, int, int, int], rng: np.random.Generator) -> np.ndarray:
    """A jagged, branching line, thinner towards its far end."""
    finer = 4
    x0, y0, x1, y1 = box
    canvas = np.zeros(((y1 - y0) * finer, (x1 - x0) * finer), np.uint8)
    for number, path in enumerate(crack_paths_px(mark, rng)):
        pixels = (place.to_image(path) - (x0 - 0.5, y0 - 0.5)) * finer - 0.5
        for step, (a, b) in enumerate(itertools.pairwise(pixels)):
            thin = (0.75 if number else 1.0) * (1.0 - 0.45 * step / len(pixels)) * rng.uniform(0.75, 1.15)
            ends = [tuple(round(16 * value) for value in end) for end in (a, b)]
            thickness = max(1, round(mark.width_px * finer * thin))
            cv2.line(canvas, ends[0], ends[1], 255, thickness, cv2.LINE_AA, 4)
    field = cv2.resize(canvas, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    if mark.halo > 0:
        field -= np.float32(mark.halo) * np.maximum(cv2.GaussianBlur(field, (0, 0), 1.5) * 1.5 - field, 0)
    return field
