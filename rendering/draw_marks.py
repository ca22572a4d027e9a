"""Seeded random defects and clutter for a scene: what, where, how large and how strong."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rendering.marks import half_reach_px, outline_points_px
from rendering.optics import light_at
from rendering.scene import KINDS, ZONES, Mark, Scene, zone_at, zone_radii_px
from rendering.surface import grey_at, texture_sigma

_KIND_SHARES = (0.36, 0.28, 0.22, 0.05, 0.09)
_ZONE_SHARES = (0.3, 0.52, 0.08, 0.1)
_TRIES = 40
_GAP_PX = 7.0
_SMALLEST_PX = 3.0


def draw_marks(
    rng: np.random.Generator,
    scene: Scene,
    *,
    contrast_scale: float = 1.0,
    kinds: tuple[str, ...] | None = None,
    count: int | None = None,
) -> tuple[Mark, ...]:
    """Defects that do not touch each other and lie inside the frame; fewer than asked for when there is no room."""
    wanted = int(rng.choice([1, 2, 3, 4, 5, 7], p=[0.2, 0.25, 0.22, 0.16, 0.1, 0.07])) if count is None else count
    marks: list[Mark] = []
    for number in range(wanted):
        for _ in range(_TRIES):
            kind = KINDS[int(rng.choice(5, p=_KIND_SHARES))] if kinds is None else kinds[number % len(kinds)]
            mark = _propose(rng, scene, kind, contrast_scale)
            if mark is not None and _fits(mark, marks, scene):
                marks.append(mark)
                break
    return tuple(marks)


def draw_clutter(rng: np.random.Generator, scene: Scene) -> tuple[Mark, ...]:
    """Beads of the glue line and debris on the ferrule: real, but nothing that anyone is asked to find."""
    assert scene.fibre is not None
    radius = scene.fibre.radius_px
    clutter = []
    beads = scene.face.adhesive.beads if scene.face.adhesive else int(rng.integers(2, 9)) * int(rng.random() < 0.2)
    for _ in range(beads):
        clutter.append(_dot(rng, scene, radius * rng.uniform(1.0, 1.05), rng.uniform(2.5, 6.0)))
    for _ in range(int(rng.integers(2, 30)) if rng.random() < 0.4 else 0):
        clutter.append(_dot(rng, scene, radius * rng.uniform(1.3, 3.5), rng.uniform(2.5, 9.0)))
    return tuple(clutter)


def _dot(rng: np.random.Generator, scene: Scene, radius_px: float, size_px: float) -> Mark:
    angle = rng.uniform(0, 2 * np.pi)
    return Mark(
        kind="pit" if rng.random() < 0.6 else "contamination",
        polarity="dark" if scene.face.ferrule_grey > 70 and rng.random() < 0.8 else "bright",
        x_px=float(radius_px * math.cos(angle)),
        y_px=float(radius_px * math.sin(angle)),
        angle_deg=float(rng.uniform(0, 180)),
        length_px=float(size_px),
        width_px=float(size_px * rng.uniform(0.6, 1.0)),
        contrast_grey=float(rng.uniform(12, 60)),
        seed=int(rng.integers(2**31)),
        halo=float(rng.uniform(0.1, 0.5)),
        judged=False,
    )


def _propose(rng: np.random.Generator, scene: Scene, kind: str, contrast_scale: float) -> Mark | None:
    """A random defect of a kind; None when it does not suit the scene."""
    zone = "cladding" if kind == "chip" else ZONES[int(rng.choice(4, p=_ZONE_SHARES))]
    shape = {"scratch": _scratch, "pit": _pit, "contamination": _particle, "chip": _chip, "crack": _crack}[kind]
    draft = shape(rng, scene, zone)
    centre = _centre(rng, scene, zone, draft)
    if centre is None:
        return None
    if kind == "chip":
        draft = dataclasses.replace(draft, angle_deg=math.degrees(math.atan2(centre[1], centre[0])) + 90.0)
    draft = dataclasses.replace(draft, x_px=centre[0], y_px=centre[1], seed=int(rng.integers(2**31)))
    return _with_contrast(rng, scene, zone, draft, contrast_scale)


def _empty(kind: str, length_px: float, width_px: float, **more: Any) -> Mark:
    """A mark without place, polarity, strength and seed."""
    angle_deg = float(more.pop("angle_deg", 0.0))
    return Mark(kind, "dark", 0.0, 0.0, angle_deg, float(length_px), float(width_px), 1.0, 0, **more)


def _size_px(rng: np.random.Generator, scene: Scene, low_um: float, high_um: float) -> float:
    """Log-uniform size; fibres larger than 125 um carry larger marks, and nothing is smaller than the pixels show."""
    assert scene.fibre is not None
    growth = max(scene.fibre.kind.cladding_um / 125.0, 1.0)
    size_um = math.exp(rng.uniform(math.log(low_um), math.log(high_um))) * growth
    return max(size_um / scene.fibre.um_per_px, _SMALLEST_PX, 2.2 * scene.optics.blur_px)


def _scratch(rng: np.random.Generator, scene: Scene, zone: str) -> Mark:
    assert scene.fibre is not None
    core, clad, _ = zone_radii_px(scene.fibre, None)
    longest = {"core": max(1.6 * core, 18.0), "adhesive": 0.5 * clad, "contact": 1.5 * clad}.get(zone, 1.3 * clad)
    length = rng.uniform(18.0, max(longest, 24.0))
    width = np.clip(math.exp(rng.uniform(math.log(0.4), math.log(4.0))) / scene.fibre.um_per_px, 1.1, 0.12 * length)
    style = ("plain", "fading", "interrupted", "beaded")[int(rng.choice(4, p=[0.5, 0.18, 0.2, 0.12]))]
    bow = length * rng.choice([0.0, rng.uniform(-0.03, 0.03), rng.uniform(-0.1, 0.1)], p=[0.4, 0.4, 0.2])
    halo = rng.uniform(0.1, 0.5) if rng.random() < 0.25 else 0.0
    more = {"style": style, "bow_px": float(bow), "halo": float(halo), "angle_deg": rng.uniform(0, 180)}
    return _empty("scratch", length, width, **more)


def _pit(rng: np.random.Generator, scene: Scene, zone: str) -> Mark:
    size = _size_px(rng, scene, 2.0, 9.0)
    style = "hollow" if size > 9 and rng.random() < 0.3 else "plain"
    halo = rng.uniform(0.1, 0.6) if rng.random() < 0.7 else 0.0
    soft, angle = float(rng.uniform(0.4, 1.0)), rng.uniform(0, 180)
    width = size * rng.uniform(0.65, 1.0)
    return _empty("pit", size, width, style=style, halo=float(halo), softness_px=soft, angle_deg=angle)


def _particle(rng: np.random.Generator, scene: Scene, zone: str) -> Mark:
    style = ("plain", "strand", "film")[int(rng.choice(3, p=[0.6, 0.2, 0.2]))]
    low, high = {"plain": (4.0, 22.0), "strand": (9.0, 40.0), "film": (12.0, 40.0)}[style]
    size = max(_size_px(rng, scene, low, high), 7.0)
    narrow = {"plain": rng.uniform(0.5, 1.0), "strand": rng.uniform(0.2, 0.4), "film": rng.uniform(0.6, 1.0)}[style]
    soft = rng.uniform(2.0, 4.5) if style == "film" else rng.uniform(0.5, 3.0)
    halo = rng.uniform(0.05, 0.35) if style != "film" and rng.random() < 0.35 else 0.0
    more = {"style": style, "softness_px": float(soft), "halo": float(halo), "angle_deg": rng.uniform(0, 180)}
    return _empty("contamination", size, max(size * narrow, 4.0), **more)


def _chip(rng: np.random.Generator, scene: Scene, zone: str) -> Mark:
    assert scene.fibre is not None
    radius = scene.fibre.radius_px
    depth = max(rng.uniform(0.07, 0.22) * radius, 6.0)
    halo = rng.uniform(0.1, 0.4) if rng.random() < 0.4 else 0.0
    length = float(np.clip(depth * rng.uniform(1.2, 3.5), 9.0, 0.7 * radius))
    return _empty("chip", length, depth, softness_px=float(rng.uniform(0.6, 1.6)), halo=float(halo))


def _crack(rng: np.random.Generator, scene: Scene, zone: str) -> Mark:
    assert scene.fibre is not None
    core, clad, _ = zone_radii_px(scene.fibre, None)
    longest = {"core": max(1.2 * core, 24.0)}.get(zone, 0.9 * clad)
    length = rng.uniform(20.0, max(longest, 28.0))
    width = np.clip(rng.uniform(0.4, 2.2) / scene.fibre.um_per_px, 1.0, 0.08 * length + 0.6)
    halo = rng.uniform(0.1, 0.4) if rng.random() < 0.3 else 0.0
    return _empty("crack", length, width, halo=float(halo), angle_deg=rng.uniform(0, 180))


def _centre(rng: np.random.Generator, scene: Scene, zone: str, draft: Mark) -> tuple[float, float] | None:
    """Random centre in a zone; spots keep clear of the core's and the cladding's edge unless they are large."""
    assert scene.fibre is not None
    core, clad, glue = zone_radii_px(scene.fibre, scene.face.adhesive)
    lens = 3.0 if rng.random() < 0.8 else 1.3
    clear = 0.5 * draft.length_px + lens * scene.optics.blur_px + 1.0
    if draft.kind in ("scratch", "crack"):
        clear = 0.15 * draft.length_px
    core_edge = clear if scene.face.core.step_grey else 0.0
    low, high = {
        "core": (0.0, core - core_edge),
        "cladding": (core + core_edge, 0.955 * clad - clear),
        "adhesive": (clad + 1.0, glue - 1.0),
        "contact": (glue + clear, 2.0 * clad),
    }[zone]
    if draft.kind == "chip":
        low = high = clad
    elif draft.kind == "contamination" and zone in ("core", "cladding") and rng.random() < 0.2:
        low, high = 0.0, 0.9 * clad  # a particle may lie across the core's edge
    if high < low or high <= 0 or (zone == "core" and core < 8):
        return None
    radius = math.sqrt(rng.uniform(low * low, high * high))
    angle = rng.uniform(0, 2 * np.pi)
    return radius * math.cos(angle), radius * math.sin(angle)


def _with_contrast(rng, scene: Scene, zone: str, draft: Mark, contrast_scale: float) -> Mark | None:
    """Choose polarity and strength: a number of sigmas of the local noise, within what 8 bits leave room for."""
    level = _level(scene, zone, draft)
    sigma = math.hypot(scene.optics.sigma_grey(level), texture_sigma(zone, scene.face, scene.optics.blur_px))
    line = draft.kind in ("scratch", "crack")
    low, high, least = (5.5, 26.0, 6.0) if line else (12.0, 60.0, 14.0)
    if draft.style == "film":
        low, high = 9.0, 16.0
    contrast = max(math.exp(rng.uniform(math.log(low), math.log(high))) * sigma, least * rng.uniform(1.0, 2.2))
    contrast *= contrast_scale
    room = {"dark": 0.92 * level - 3, "bright": 246 - level}
    dark_share = 0.5 if line else 0.72
    first = "dark" if rng.random() < dark_share else "bright"
    for polarity in (first, "bright" if first == "dark" else "dark"):
        strongest = min(room[polarity], 120.0)
        if strongest >= max(low * sigma, least) * contrast_scale:
            return dataclasses.replace(draft, polarity=polarity, contrast_grey=float(min(contrast, strongest)))
    return None


def _level(scene: Scene, zone: str, draft: Mark) -> float:
    """Brightness of the clean picture at a mark's centre."""
    assert scene.fibre is not None
    place = scene.fibre.frame(scene.frame.pixel_aspect)
    ((x, y),) = place.to_image(np.array([[draft.x_px, draft.y_px]]))
    radius = math.hypot(draft.x_px, draft.y_px)
    return grey_at(radius, zone, scene.fibre, scene.face) * float(light_at(scene.frame, scene.light, x, y))


def _fits(mark: Mark, others: list[Mark], scene: Scene) -> bool:
    """Whether a mark lies inside the picture, in its part of the face and clear of the other defects."""
    assert scene.fibre is not None
    place = scene.fibre.frame(scene.frame.pixel_aspect)
    points = outline_points_px(mark)
    reach = half_reach_px(mark)
    if not _in_picture(place.to_image(points), reach, scene) or not _in_face(mark, points, reach, scene):
        return False
    for other in others:
        theirs = outline_points_px(other)
        nearest = np.hypot(*(points[:, None] - theirs[None]).transpose(2, 0, 1)).min()
        half_steps = (mark.length_px + other.length_px) / 24.0
        if nearest < 0.5 * (mark.width_px + other.width_px) + half_steps + _GAP_PX + 2 * scene.optics.blur_px:
            return False
    return True


def _in_picture(points: np.ndarray, reach_px: float, scene: Scene) -> bool:
    left, top, right, bottom = scene.frame.border_px
    margin = min(reach_px, 20.0) + 5.0
    low = np.array([left + margin, top + margin])
    high = np.array([scene.frame.width_px - right - margin, scene.frame.height_px - bottom - margin])
    return bool((points >= low).all() and (points <= high).all())


def _in_face(mark: Mark, points: np.ndarray, reach_px: float, scene: Scene) -> bool:
    """Marks that begin inside the cladding mostly end inside it; outside marks stay outside."""
    assert scene.fibre is not None
    radii = zone_radii_px(scene.fibre, scene.face.adhesive)
    distance = np.hypot(points[:, 0], points[:, 1])
    zone = zone_at(math.hypot(mark.x_px, mark.y_px), radii)
    inner = radii[1]
    if mark.kind == "chip":
        return True
    if zone in ("core", "cladding"):
        crosses = mark.kind == "scratch" and mark.seed % 7 == 0  # one in seven may run out into the ferrule
        return crosses or bool(distance.max() + 0.4 * min(reach_px, mark.width_px) < 0.94 * inner)
    return bool(distance.min() - 0.5 * mark.width_px > inner + (2.0 if zone == "contact" else -1.0))
