"""Scene in, picture and truth out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rendering.marks import Patch, draw_mark
from rendering.optics import apply_optics, encode, expose, illumination, picture_mask, reach_px
from rendering.scene import Mark, Scene, zone_at, zone_radii_px
from rendering.surface import clean_face, texture_sigma
from rendering.truth import VisibleMark, build_truth


@dataclass(frozen=True)
class Rendering:
    """A rendered end face.

    ``image`` (H, W) uint8 is the picture as its file reads back, ``labels`` (H, W) uint16 holds 0, the defects' ids and
    65535 (do not judge), ``truth`` is JSON-ready, ``data`` are the file's bytes and ``suffix`` its extension.
    """

    image: np.ndarray
    labels: np.ndarray
    truth: dict
    data: bytes
    suffix: str


def render(scene: Scene) -> Rendering:
    """Render a scene; the same scene gives the same bytes."""
    rng = np.random.default_rng([scene.seed, 1])
    light = illumination(scene.frame, scene.light)
    field = clean_face(scene.frame, scene.fibre, scene.face, rng)
    field *= light
    added = _add_marks(field, light, scene)
    clean = apply_optics(field, scene.frame, scene.optics)
    image, data, suffix = _photograph(clean, scene, rng)
    seen = [_visible(mark, patch, clean, scene) for mark, patch in added]
    labels, truth = build_truth(scene, [item for item in seen if item is not None])
    return Rendering(image=image, labels=labels, truth=truth, data=data, suffix=suffix)


def _photograph(clean: np.ndarray, scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, bytes, str]:
    shot = expose(clean, scene.frame, scene.optics, rng)
    data, suffix, image = encode(shot, scene.optics.jpeg_quality)
    return image, data, suffix


def _add_marks(field: np.ndarray, light: np.ndarray, scene: Scene) -> list[tuple[Mark, Patch]]:
    """Add every mark to the field in place; returns the marks with their contributions *after* the optics."""
    if scene.fibre is None:
        return []
    place = scene.fibre.frame(scene.frame.pixel_aspect)
    added = []
    for mark in scene.marks:
        patch = draw_mark(mark, place, field.shape, reach_px(scene.optics))
        if patch is None:
            continue
        lit = patch.field * light[patch.window]
        shown = apply_optics(lit, scene.frame, scene.optics, patch.x0_px, patch.y0_px)
        scale = mark.sign * mark.contrast_grey / max(_reference(shown, mark), 1e-3)
        field[patch.window] += np.float32(scale) * lit
        added.append((mark, Patch(patch.x0_px, patch.y0_px, np.float32(scale) * shown)))
    return added


def _reference(shown: np.ndarray, mark: Mark) -> float:
    """The level of a unit mark that its contrast refers to: the peak of a spot, the typical ridge of a line."""
    peak = float(shown.max())
    if mark.kind not in ("scratch", "crack") or peak <= 0:
        return peak
    ridge = shown == cv2.dilate(shown, np.ones((3, 3), np.uint8))
    return float(np.median(shown[ridge & (shown > 0.35 * peak)]))


def _visible(mark: Mark, patch: Patch, clean: np.ndarray, scene: Scene) -> VisibleMark | None:
    """What the mark changes in the noise-free 8-bit picture; None when nothing can be seen of it."""
    assert scene.fibre is not None
    here = clean[patch.window]
    shown = np.clip(here, 0, 255)
    delta = (shown - np.clip(here - patch.field, 0, 255)) * picture_mask(scene.frame, patch.window)
    if float((delta * mark.sign).max()) < 0.5:
        return None
    zone = zone_at(math.hypot(mark.x_px, mark.y_px), zone_radii_px(scene.fibre, scene.face.adhesive))
    camera = scene.optics.sigma_grey(float(np.median(shown)))
    sigma = math.hypot(camera, texture_sigma(zone, scene.face, scene.optics.blur_px))
    return VisibleMark(mark, patch.x0_px, patch.y0_px, delta, sigma)
