"""Small rendered end faces for the tests of files, folders and the command line."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from rendering.engine import render
from rendering.scene import FIBRE_KINDS, CoreLook, Face, FibreView, Frame, Light, Mark, Optics, Scene

CLADDING_UM = 125.0


def face_scene(*marks: Mark) -> Scene:
    """A single-mode fibre with a lit core, off centre in a 400 x 300 frame."""
    fibre = FibreView(FIBRE_KINDS[0], x_px=211.0, y_px=143.0, radius_px=90.0)
    face = Face(ferrule_grey=165.0, cladding_grey=105.0, core=CoreLook(step_grey=70.0))
    return Scene(Frame(400, 300), fibre, face, Light(), Optics(), marks, seed=5)


@functools.cache
def clean_png() -> bytes:
    """PNG bytes of an end face without a defect."""
    return render(face_scene()).data


@functools.cache
def pitted_png() -> bytes:
    """PNG bytes of an end face with three large dark pits in the cladding."""
    places = ((40.0, 20.0), (-35.0, 30.0), (5.0, -50.0))
    pits = [
        Mark("pit", "dark", x, y, angle_deg=0.0, length_px=16.0, width_px=16.0, contrast_grey=60.0, seed=number)
        for number, (x, y) in enumerate(places)
    ]
    return render(face_scene(*pits)).data


@functools.cache
def clean_grey() -> np.ndarray:
    """The clean end face as (300, 400) uint8, read-only."""
    grey = render(face_scene()).image.copy()
    grey.setflags(write=False)
    return grey


def write(path: Path, data: bytes) -> Path:
    """Write a file with its folders and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
