"""Small rendered end faces, and the shipped settings they are inspected with."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np

from cli.job_settings import choose_settings
from config_loader import load_config
from image_io import DecodedImage
from inspection import inspect_image
from records import Inspection
from rendering.engine import render
from rendering.scene import FIBRE_KINDS, CoreLook, Face, FibreView, Frame, Light, Mark, Optics, Scene
from settings import Config

CLADDING_UM = 125.0


def face_scene(*marks: Mark, **changes: object) -> Scene:
    """A single-mode fibre with a lit core, off centre in a 400 x 300 frame; ``changes`` replace fields of the scene."""
    fibre = FibreView(FIBRE_KINDS[0], x_px=211.0, y_px=143.0, radius_px=90.0)
    face = Face(ferrule_grey=165.0, cladding_grey=105.0, core=CoreLook(step_grey=70.0))
    return dataclasses.replace(Scene(Frame(400, 300), fibre, face, Light(), Optics(), marks, seed=5), **changes)


def pit(x_px: float, y_px: float, size_px: float = 16.0, polarity: str = "dark", seed: int = 0, grey: float = 60.0):
    """A round pit at a place of the fibre frame (y down)."""
    return Mark("pit", polarity, x_px, y_px, 0.0, size_px, size_px, contrast_grey=grey, seed=seed)


@functools.cache
def clean_png() -> bytes:
    """PNG bytes of an end face without a defect."""
    return render(face_scene()).data


@functools.cache
def pitted_png() -> bytes:
    """PNG bytes of an end face with three large dark pits in the cladding."""
    places = ((40.0, 20.0), (-35.0, 30.0), (5.0, -50.0))
    return render(face_scene(*(pit(x, y, seed=number) for number, (x, y) in enumerate(places)))).data


@functools.cache
def clean_grey() -> np.ndarray:
    """The clean end face as (300, 400) uint8, read-only."""
    grey = render(face_scene()).image.copy()
    grey.setflags(write=False)
    return grey


def touch(folder: Path, *names: str) -> list[Path]:
    """Write small files of these names and return their paths."""
    return [write(folder / name, b"x") for name in names]


def write(path: Path, data: bytes) -> Path:
    """Write a file with its folders and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@functools.cache
def shipped_config(profile: str | None = None) -> Config:
    """config.json as delivered."""
    return load_config(Path(__file__).parent.parent / "config.json", profile)


def inspect_grey(grey: np.ndarray, *, calibration=None, name: str = "face.png", **options: object) -> Inspection:
    """Inspect (H, W) uint8 with the shipped settings; ``options`` are those of a batch (``cladding_um``, ``zones``)."""
    return inspect_image(DecodedImage(name, grey), choose_settings(shipped_config(), calibration, **options))
