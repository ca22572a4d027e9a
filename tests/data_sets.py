"""Data sets of small rendered faces, and what is in them, for the tests of learning/."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path

import cv2
import numpy as np
from faces import face_scene, pit

from errors import ExitCode
from learning import build_dataset
from rendering.engine import Rendering, render
from rendering.scene import FIBRE_KINDS, FibreView, Frame, Mark
from synthetic import write_rendering

TABLES = ("images", "geometry", "regions", "defects", "crops", "faces", "files", "correlations", "annotations")


def scene(*marks: Mark, seed: int) -> Rendering:
    """A small end face, off centre in 220 x 170 px."""
    fibre = FibreView(FIBRE_KINDS[0], x_px=111.0, y_px=83.0, radius_px=64.0)
    return render(face_scene(*marks, frame=Frame(220, 170), fibre=fibre, seed=seed))


def write_raw(folder: Path) -> Path:
    """Write a labelled set of two pitted and two clean faces."""
    for name, *marks in (("pitted", pit(30, 10)), ("dirty", pit(-28, 14), pit(10, -35)), ("clean",), ("bare",)):
        write_rendering(scene(*marks, seed=len(name)), folder, name)
    return folder


def build(raw: Path, folder: Path) -> Path:
    """The data set of these faces, by the inspector alone."""
    assert run(raw / "images", "-o", folder) == ExitCode.OK
    return folder


def run(*arguments: object) -> int:
    """Run the builder in this process; returns its exit code."""
    options = ("--no-progress", "--jobs", "1", "--profile", "fast_scan", "--cladding-um", "125")
    return build_dataset.main([*options, *(str(argument) for argument in arguments)])


def ask(folder: Path, query: str) -> list[tuple]:
    """The rows that the database of a data set answers with."""
    connection = sqlite3.connect(folder / "index.sqlite")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def dump(folder: Path) -> dict[str, object]:
    """Everything that a data set holds, apart from the bytes of the database."""
    rows = {table: sorted(map(repr, ask(folder, f"SELECT * FROM {table}"))) for table in TABLES}
    others = ("index.sqlite", ".running.lock")
    files = {path for path in folder.rglob("*") if path.is_file() and path.name not in others}
    return rows | {str(path.relative_to(folder)): path.read_bytes() for path in files}


def id_of(folder: Path, name: str) -> str:
    """The id of the image NAME.png."""
    return ask(folder, f"SELECT image_id FROM images WHERE filename = '{name}.png'")[0][0]


def png(array: np.ndarray) -> bytes:
    """An array as the bytes of a PNG file."""
    return cv2.imencode(".png", array)[1].tobytes()


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
