"""Brightness of the clean end face: ferrule, glue line, cladding with its fringe and rings, core."""

from __future__ import annotations

import math

import cv2
import numpy as np

from rendering.geometry import FibreFrame
from rendering.scene import Face, FerruleLook, FibreView, Frame

_RADIAL_STEPS_PER_PX = 8
_ANGLE_BINS = 1440


def clean_face(frame: Frame, fibre: FibreView | None, face: Face, rng: np.random.Generator) -> np.ndarray:
    """Reflected brightness before light and lens, (H, W) float32 in grey levels."""
    shape = (frame.height_px, frame.width_px)
    ferrule = np.full(shape, face.ferrule_grey, np.float32)
    ferrule += _ferrule_texture(shape, face.ferrule, rng)
    if fibre is None:
        return ferrule
    place = fibre.frame(frame.pixel_aspect)
    outer_px = fibre.radius_px + (face.adhesive.width_px if face.adhesive else 0.0)
    x0, y0, x1, y1 = _window(place, 1.1 * outer_px + 12, shape)
    u, v = place.coordinates(x1 - x0, y1 - y0, x0, y0)
    radius = np.hypot(u, v)
    inside = _fibre_and_glue(u, v, radius, fibre, face, rng)
    share = np.clip(outer_px + 0.5 - radius, 0, 1)
    view = ferrule[y0:y1, x0:x1]
    view += share * (inside - view)
    view += _edge_lines(u, v, radius, fibre, face, rng)
    return ferrule


def grey_at(radius_px: float, zone: str, fibre: FibreView, face: Face) -> float:
    """Typical brightness at a distance from the fibre's centre, before light and lens."""
    if zone == "core":
        share = min(radius_px / fibre.core_radius_px, 1.2)
        return face.cladding_grey + face.core.step_grey * (1.0 + face.core.grading * (share**2 - 0.5))
    if zone == "cladding":
        return face.cladding_grey
    return face.adhesive.grey if zone == "adhesive" and face.adhesive else face.ferrule_grey


def texture_sigma(zone: str, face: Face, blur_px: float) -> float:
    """Deviation of a zone's own texture in grey levels, as a lens of that blur shows it."""
    if zone == "core":
        return face.core.speckle_grey
    if zone == "contact":
        grain_px = face.ferrule.grain_px
        return face.ferrule.grain_grey * grain_px / math.hypot(grain_px, blur_px)
    return 0.0


def wobble(rng: np.random.Generator, orders: int, bins: int = _ANGLE_BINS) -> np.ndarray:
    """Smooth periodic curve over the full turn, (bins,) float32 within -1..1."""
    angle = np.linspace(0, 2 * np.pi, bins, endpoint=False)
    curve = np.zeros(bins)
    for order in range(1, orders + 1):
        curve += rng.normal() / math.sqrt(order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    return (curve / max(np.abs(curve).max(), 1e-9)).astype(np.float32)


def angle_bins(u: np.ndarray, v: np.ndarray, bins: int = _ANGLE_BINS) -> np.ndarray:
    """Index into a :func:`wobble` curve for fibre-frame coordinates."""
    return ((np.arctan2(v, u) * np.float32(bins / (2 * np.pi))).astype(np.int32)) % bins


def smooth_noise(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of unit deviation with a correlation length, (H, W) float32; coarse noise is made small first."""
    factor = max(1, int(scale_px / 2))
    small = (max(2, shape[0] // factor + 2), max(2, shape[1] // factor + 2))
    noise = cv2.GaussianBlur(rng.standard_normal(small, dtype=np.float32), (0, 0), max(scale_px / factor, 0.3))
    noise /= max(float(noise.std()), 1e-6)
    return noise if small == shape else cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _window(place: FibreFrame, radius_px: float, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    reach = radius_px * float(np.linalg.norm(np.array(place.matrix).reshape(2, 2), 2)) + 2
    x0, x1 = int(max(place.x_px - reach, 0)), int(min(place.x_px + reach + 1, shape[1]))
    y0, y1 = int(max(place.y_px - reach, 0)), int(min(place.y_px + reach + 1, shape[0]))
    return x0, y0, x1, y1


def _step(distance_px: np.ndarray, softness_px: float) -> np.ndarray:
    """0..1 across an edge, one half at 0, about Gaussian with the given sigma."""
    return 0.5 * (1.0 + np.tanh(0.8 * distance_px / softness_px))


def _bump(distance_px: np.ndarray, sigma_px: float) -> np.ndarray:
    return np.exp(-0.5 * (distance_px / sigma_px) ** 2)


def _look_up(radius: np.ndarray, grid_values: np.ndarray) -> np.ndarray:
    """Value of a radial curve sampled at _RADIAL_STEPS_PER_PX, by rounding: 1/8 px is finer than any lens here."""
    index = (radius * np.float32(_RADIAL_STEPS_PER_PX) + np.float32(0.5)).astype(np.int32)
    return grid_values.astype(np.float32)[np.minimum(index, len(grid_values) - 1)]


def _radial_grid(reach_px: float) -> np.ndarray:
    return np.arange(int(reach_px * _RADIAL_STEPS_PER_PX) + 2) / _RADIAL_STEPS_PER_PX


def _fibre_and_glue(u, v, radius, fibre: FibreView, face: Face, rng: np.random.Generator) -> np.ndarray:
    """Brightness of everything inside the ferrule's bore."""
    grid = _radial_grid(float(radius.max()))
    curve = np.full(grid.shape, face.cladding_grey)
    for ring in face.rings:
        curve += ring.step_grey * _step(ring.radius_px - grid, 0.6) + ring.line_grey * _bump(
            grid - ring.radius_px, ring.width_px
        )
    inside = _look_up(radius, curve)
    inside += _core(u, v, fibre, face, rng)
    if face.adhesive is not None:
        uneven = 1.0 + face.adhesive.unevenness * wobble(rng, 9)
        glue = face.cladding_grey + (face.adhesive.grey - face.cladding_grey) * uneven
        share = np.clip(radius - fibre.radius_px + 0.5, 0, 1)
        inside += share * (glue[angle_bins(u, v)] - inside)
    return inside


def _core(u, v, fibre: FibreView, face: Face, rng: np.random.Generator) -> np.ndarray:
    """What the core adds to the cladding's brightness."""
    look, core_px = face.core, fibre.core_radius_px
    radius = np.hypot(u - np.float32(fibre.core_offset_px[0]), v - np.float32(fibre.core_offset_px[1]))
    grid = _radial_grid(float(radius.max()))
    share = grid / core_px
    body = _step(core_px - grid, max(look.softness_px, 0.4))
    profile = look.step_grey * (1.0 + look.grading * (np.minimum(share, 1.2) ** 2 - 0.5))
    profile += look.ripple_grey * np.cos(2 * np.pi * look.ripple_count * share) * np.minimum(share * 2, 1.0)
    curve = body * profile
    curve += look.glow_grey * np.exp(-np.maximum(grid - core_px, 0) / look.glow_px) * (1 - body)
    curve -= look.dip_grey * _bump(grid, look.dip_radius_px)
    added = _look_up(radius, curve)
    if look.speckle_grey > 0:
        pattern = smooth_noise(radius.shape, max(core_px / 7.0, 2.5), rng)
        added += np.float32(look.speckle_grey) * pattern * _look_up(radius, body)
    return added


def _edge_lines(u, v, radius, fibre: FibreView, face: Face, rng: np.random.Generator) -> np.ndarray:
    """Fringe lines and relief shading along the cladding's edge."""
    edge = face.edge
    grid = _radial_grid(float(radius.max()))
    away = grid - fibre.radius_px
    dark = -edge.dark_grey * _bump(away + edge.dark_offset_px, edge.width_px)
    bright = edge.bright_grey * _bump(away - edge.bright_offset_px, edge.width_px)
    relief = edge.relief_grey * _bump(away, 1.2 * edge.width_px)
    second = edge.second_grey * _bump(away + edge.second_offset_px, edge.width_px)
    near = np.flatnonzero(np.abs(radius.ravel() - fibre.radius_px) < edge.second_offset_px + 8 * edge.width_px + 4)
    ru, rv, rr = u.ravel()[near], v.ravel()[near], radius.ravel()[near]
    bins = angle_bins(ru, rv)
    turn = np.linspace(0, 2 * np.pi, _ANGLE_BINS, endpoint=False) - math.radians(edge.relief_direction_deg)
    lines = _look_up(rr, dark) * (1 + edge.unevenness * wobble(rng, 12))[bins]
    lines += _look_up(rr, bright) * (1 + edge.unevenness * wobble(rng, 12))[bins]
    lines += _look_up(rr, relief) * np.cos(turn).astype(np.float32)[bins]
    lines += _look_up(rr, second) * np.maximum(wobble(rng, 4), 0)[bins]
    out = np.zeros(radius.size, np.float32)
    out[near] = lines
    return out.reshape(radius.shape)


def _ferrule_texture(shape: tuple[int, int], look: FerruleLook, rng: np.random.Generator) -> np.ndarray:
    """Grain, slow mottle and polishing marks of the ferrule."""
    texture = np.float32(look.grain_grey) * smooth_noise(shape, look.grain_px, rng)
    if look.mottle_grey > 0:
        texture += np.float32(look.mottle_grey) * smooth_noise(shape, 0.12 * shape[0], rng)
    if look.polish_lines:
        texture += _polish(shape, look, rng)
    return texture


def _polish(shape: tuple[int, int], look: FerruleLook, rng: np.random.Generator) -> np.ndarray:
    """Fine straight polishing marks of both signs."""
    layers = [np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)]
    height, width = shape
    for _ in range(look.polish_lines):
        direction = look.polish_direction_deg
        phi = math.radians(rng.uniform(0, 180) if direction is None else direction + rng.normal(0, 4))
        x, y, half = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.05, 0.5) * width
        ends = [(x + s * half * math.cos(phi), y + s * half * math.sin(phi)) for s in (-1, 1)]
        a, b = (tuple(round(16 * value) for value in end) for end in ends)
        cv2.line(layers[int(rng.integers(2))], a, b, int(rng.integers(40, 200)), 1, cv2.LINE_AA, 4)
    return np.float32(look.polish_grey / 120.0) * (layers[0].astype(np.float32) - layers[1])
