"""The pictures of the benchmark: rendered end faces that fill the frame, every third one clean."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from rendering.draw import draw_scene
from rendering.engine import render
from synthetic import scene_rng

CLADDING_UM = 125.0
_SEED = 5
_FIBRE_KINDS = ("single_mode_9_125", "multimode_50_125", "multimode_62_125")
_RADIUS_SHARES = (0.62, 0.7, 0.78, 0.86)  # cladding diameter / frame height, as microscopes show it


def render_pictures(folder: Path, size_px: tuple[int, int], count: int) -> list[Path]:
    """Write ``count`` PNG files of ``size_px`` (width, height) into a new folder; same arguments, same bytes."""
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        scene = draw_scene(
            scene_rng(_SEED, number),
            clean=number % 3 == 0,
            size_px=size_px,
            fibre_kind=_FIBRE_KINDS[number % len(_FIBRE_KINDS)],
            radius_share=_RADIUS_SHARES[number % len(_RADIUS_SHARES)],
        )
        scene = dataclasses.replace(scene, optics=dataclasses.replace(scene.optics, jpeg_quality=None))
        path = folder / f"{size_px[0]}x{size_px[1]}_{number:03d}.png"
        path.write_bytes(render(scene).data)
        paths.append(path)
    return paths


def repeat_pictures(pictures: list[Path], folder: Path, count: int) -> Path:
    """A new folder with ``count`` files, copies of the pictures in turn."""
    folder.mkdir(parents=True)
    for number in range(count):
        shutil.copyfile(pictures[number % len(pictures)], folder / f"face_{number:05d}.png")
    return folder
