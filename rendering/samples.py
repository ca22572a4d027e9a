"""The named sample pictures: a few end faces of 125 um fibres that show what the inspector does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from rendering.draw import draw_scene
from rendering.engine import render
from rendering.optics import apply_optics, encode, expose, illumination
from rendering.scene import Face, FerruleLook, Frame, Light, Optics, Scene
from rendering.surface import smooth_noise

_SIZE_PX = (800, 600)


@dataclasses.dataclass(frozen=True)
class _Recipe:
    name: str
    seed: int
    fibre_kind: str
    radius_share: float
    kinds: tuple[str, ...] = ()
    jpeg_quality: int | None = None
    tilt_deg: float = 0.0


_RECIPES = (
    _Recipe("clean", 102, "single_mode_9_125", 0.62),
    _Recipe("scratch", 105, "single_mode_9_125", 0.7, ("scratch", "scratch")),
    _Recipe("pit", 103, "multimode_50_125", 0.55, ("pit", "pit", "pit")),
    _Recipe("contamination", 106, "multimode_62_125", 0.6, ("contamination", "contamination")),
    _Recipe("chip", 102, "multimode_50_125", 0.5, ("chip",)),
    _Recipe("crack", 104, "large_core_105_125", 0.6, ("crack",)),
    _Recipe("angled_polish", 100, "single_mode_9_125", 0.66, ("pit", "scratch"), 88, 14.0),
)


def write_samples(folder: Path) -> int:
    """Write the samples into a folder; returns how many. Raises OSError when a file cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    for recipe in _RECIPES:
        rendering = render(sample_scene(recipe))
        (folder / f"{recipe.name}{rendering.suffix}").write_bytes(rendering.data)
    (folder / "hopeless_frame.png").write_bytes(_hopeless_frame())
    return len(_RECIPES) + 1


def sample_scene(recipe: _Recipe) -> Scene:
    """Scene of a recipe, with little noise so that the files stay small."""
    rng = np.random.default_rng(recipe.seed)
    scene = draw_scene(
        rng,
        clean=not recipe.kinds,
        size_px=_SIZE_PX,
        fibre_kind=recipe.fibre_kind,
        radius_share=recipe.radius_share,
        defect_kinds=recipe.kinds or None,
        defect_count=len(recipe.kinds) or None,
    )
    assert scene.fibre is not None
    optics = dataclasses.replace(
        scene.optics, shot_gain=0.003, read_sigma=0.5, jpeg_quality=recipe.jpeg_quality, banding_grey=0.0
    )
    ferrule = dataclasses.replace(scene.face.ferrule, grain_grey=min(scene.face.ferrule.grain_grey, 1.5))
    fibre = dataclasses.replace(scene.fibre, tilt_deg=recipe.tilt_deg, tilt_direction_deg=25.0)
    return dataclasses.replace(
        scene, optics=optics, fibre=fibre, face=dataclasses.replace(scene.face, ferrule=ferrule), seed=recipe.seed
    )


def _hopeless_frame() -> bytes:
    """PNG of a frame without a fibre: defocused film and stains, as when the connector is not seated."""
    rng = np.random.default_rng(18)
    frame = Frame(*_SIZE_PX)
    optics = Optics(blur_px=6.0, shot_gain=0.003, read_sigma=0.5)
    face = Face(120.0, 120.0, ferrule=FerruleLook(grain_grey=0.0))
    field = np.full((frame.height_px, frame.width_px), face.ferrule_grey, np.float32)
    for scale_px, grey in ((150.0, 22.0), (60.0, 12.0), (20.0, 7.0)):
        field += np.float32(grey) * smooth_noise(field.shape, scale_px, rng)
    stains = smooth_noise(field.shape, 35.0, rng) > 1.3
    field -= 18.0 * cv2.GaussianBlur(stains.astype(np.float32), (0, 0), 5.0)
    field *= illumination(frame, Light(vignetting=0.4, centre_share=(0.58, 0.44)))
    picture = expose(apply_optics(field, frame, optics), frame, optics, rng)
    return encode(picture, None)[0]
