"""Small data sets for the tests of training: drawn disks with and without spots, entered without an inspection."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from image_io import write_png
from learning.database import DATABASE_NAME, ImageRows, open_database, store

_SPLITS = ("train", "train", "train", "train", "val", "test")


def face(seed: int, *, spots: int) -> tuple[np.ndarray, np.ndarray]:
    """A fibre at (50, 38), radius 30, in 96 x 80 px, and the mask of its spots."""
    rng = np.random.default_rng(seed)
    grey, mask = np.full((80, 96), 60, np.uint8), np.zeros((80, 96), np.uint8)
    cv2.circle(grey, (50, 38), 30, 150, -1)
    for _ in range(spots):
        centre = tuple(int(v) for v in np.array([50, 38]) + rng.integers(-14, 15, 2))
        cv2.circle(grey, centre, 3, 30, -1)
        cv2.circle(mask, centre, 3, 255, -1)
    return np.clip(grey + rng.normal(0, 2, grey.shape), 0, 255).astype(np.uint8), mask


def write_data_set(folder: Path, faces: int = 24) -> Path:
    """A data set as learning.build_dataset leaves it: every other face has pits."""
    for name in ("images", "masks", "defects"):
        (folder / name).mkdir(parents=True)
    connection = open_database(folder / DATABASE_NAME)
    y, x = np.mgrid[:80, :96]
    regions = np.where(np.hypot(x - 50, y - 38) < 30, 2, 0).astype(np.uint8)
    for number in range(faces):
        spots = 2 * (number % 2)
        image_id = hashlib.sha256(str(number).encode()).hexdigest()[:16]
        grey, mask = face(number, spots=spots)
        write_png(folder / f"images/{image_id}.png", grey)
        write_png(folder / f"masks/{image_id}.png", regions)
        if spots:
            write_png(folder / f"defects/{image_id}_pit.png", mask)
        store(connection, ImageRows(_image(image_id, "defective" if spots else "clean"), _geometry()))
        split = _SPLITS[number // 2 % len(_SPLITS)]
        connection.execute("UPDATE images SET split = ? WHERE image_id = ?", (split, image_id))
    connection.close()
    return folder


def write_class_folders(folder: Path, faces: int = 12) -> Path:
    """The folders good/ and spotted/ with as many images each."""
    for label, spots in (("good", 0), ("spotted", 2)):
        (folder / label).mkdir(parents=True)
        for number in range(faces):
            write_png(folder / label / f"face_{number:04}.png", face(100 * spots + number, spots=spots)[0])
    return folder


def piece(name: str, seed: int) -> np.ndarray:
    """A piece around a mark, 64 x 64 px: a line, a dot, a stain, or nothing (clean)."""
    rng = np.random.default_rng(seed)
    grey = np.full((64, 64), 150, np.uint8)
    x, y = (int(v) for v in 32 + rng.integers(-2, 3, 2))
    if name == "scratch":
        cv2.line(grey, (8, y + int(rng.integers(-6, 7))), (56, y), 60, 2)
    elif name == "pit":
        cv2.circle(grey, (x, y), 4, 40, -1)
    elif name == "contamination":
        cv2.circle(grey, (x, y), 13, 90, -1)
    return np.clip(grey + rng.normal(0, 2, grey.shape), 0, 255).astype(np.uint8)


def write_piece_folders(folder: Path, names: Sequence[str], pieces: int = 12) -> Path:
    """Folders named after classes with as many pieces each."""
    for place, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(pieces):
            write_png(folder / name / f"{name}_{number:04}.png", piece(name, 1000 * place + number))
    return folder


def write_crops(folder: Path) -> Path:
    """A data set of 24 faces with the pieces of a pit, an artifact and a clean place each; of defects no rows."""
    write_data_set(folder)
    connection = sqlite3.connect(folder / DATABASE_NAME)
    for (image_id,) in connection.execute("SELECT image_id FROM images").fetchall():
        for number, name in enumerate(("pit", "artifact", "clean"), start=1):
            file = f"crops/{name}/{image_id}_{number}.png"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            write_png(folder / file, piece(name, int(image_id, 16)))
            defect = 1 if name == "pit" else None
            row = (f"{image_id}_{number}", image_id, defect, name, file, 50.0, 38.0, 15.0)
            connection.execute("INSERT INTO crops VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    return folder


def change(folder: Path, statement: str) -> None:
    """Run a statement on the database of a data set."""
    connection = sqlite3.connect(folder / DATABASE_NAME)
    with connection:
        connection.execute(statement)
    connection.close()


def _image(image_id: str, verdict: str) -> dict[str, object]:
    texts = ("serial_number", "port", "fingerprint", "profile", "rule_set", "reasons", "warnings", "made_from")
    names = {"image_id": image_id, "filename": image_id, "path": image_id, "content_sha256": image_id}
    size = {"width_px": 96, "height_px": 80}
    return {**names, **size, "status": "PASS", "verdict": verdict, "label_source": "human", **dict.fromkeys(texts, "")}


def _geometry() -> dict[str, object]:
    outline = {"centre_x_px": 50.0, "centre_y_px": 38.0, "major_axis_px": 60.0, "minor_axis_px": 60.0, "angle_deg": 0.0}
    return {**outline, "core_source": "unknown", "cladding_radius_px": 30.0}
