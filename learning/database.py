"""index.sqlite: one relational database that joins all there is to know about the images of a data set."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errors import DataSetError, OutputError
from learning.features import Row

SCHEMA_VERSION = 1
DATABASE_NAME = "index.sqlite"
SPLITS = ("train", "val", "test")
_CHILDREN = ("geometry", "regions", "defects", "crops", "faces", "files")

_SCHEMA = """
CREATE TABLE schema (version INTEGER NOT NULL, program TEXT NOT NULL);
CREATE TABLE images (
  image_id TEXT PRIMARY KEY CHECK (length(image_id) = 16),
  filename TEXT NOT NULL,
  path TEXT NOT NULL,
  content_sha256 TEXT NOT NULL,
  width_px INTEGER NOT NULL,
  height_px INTEGER NOT NULL,
  status TEXT NOT NULL,
  verdict TEXT CHECK (verdict IN ('clean', 'defective')),
  label_source TEXT NOT NULL CHECK (label_source IN ('inspector', 'human')),
  face_group TEXT,
  face TEXT,
  serial_number TEXT NOT NULL DEFAULT '',
  port TEXT NOT NULL DEFAULT '',
  fingerprint TEXT NOT NULL,
  split TEXT CHECK (split IN ('train', 'val', 'test')),
  um_per_px REAL,
  focus_score REAL,
  profile TEXT NOT NULL,
  rule_set TEXT NOT NULL,
  reasons TEXT NOT NULL,
  warnings TEXT NOT NULL,
  made_from TEXT NOT NULL
);
CREATE TABLE geometry (
  image_id TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE,
  centre_x_px REAL NOT NULL,
  centre_y_px REAL NOT NULL,
  major_axis_px REAL NOT NULL,
  minor_axis_px REAL NOT NULL,
  angle_deg REAL NOT NULL,
  core_diameter_px REAL,
  core_source TEXT NOT NULL,
  core_radius_px REAL,
  cladding_radius_px REAL NOT NULL,
  inspected_radius_px REAL,
  core_diameter_um REAL,
  cladding_diameter_um REAL
);
CREATE TABLE regions (
  image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
  region TEXT NOT NULL CHECK (region IN ('core', 'cladding', 'ferrule')),
  pixels INTEGER NOT NULL CHECK (pixels > 0),
  mean REAL NOT NULL, std REAL NOT NULL, min INTEGER NOT NULL, max INTEGER NOT NULL,
  q25 REAL NOT NULL, q50 REAL NOT NULL, q75 REAL NOT NULL,
  gradient_mean REAL NOT NULL, gradient_std REAL NOT NULL,
  laplacian_mean REAL NOT NULL, laplacian_std REAL NOT NULL,
  local_variance_mean REAL NOT NULL, local_variance_std REAL NOT NULL,
  PRIMARY KEY (image_id, region)
);
CREATE TABLE defects (
  image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
  number INTEGER NOT NULL CHECK (number > 0),
  kind TEXT NOT NULL CHECK (kind IN ('scratch', 'pit', 'contamination', 'chip', 'crack')),
  zone TEXT,
  source TEXT NOT NULL CHECK (source IN ('inspector', 'human')),
  confidence REAL,
  box_left_px INTEGER NOT NULL, box_top_px INTEGER NOT NULL,
  box_width_px INTEGER NOT NULL, box_height_px INTEGER NOT NULL,
  centroid_x_px REAL NOT NULL, centroid_y_px REAL NOT NULL,
  area_px INTEGER NOT NULL, length_px REAL NOT NULL, width_px REAL NOT NULL, diameter_px REAL NOT NULL,
  perimeter_px REAL NOT NULL, circularity REAL NOT NULL, solidity REAL NOT NULL, orientation_deg REAL NOT NULL,
  contrast_grey REAL NOT NULL, contrast_sigma REAL NOT NULL, radius_share REAL NOT NULL, angle_deg REAL NOT NULL,
  length_um REAL, width_um REAL, diameter_um REAL, area_um2 REAL,
  rle TEXT NOT NULL,
  PRIMARY KEY (image_id, number)
);
CREATE TABLE crops (
  crop_id TEXT PRIMARY KEY,
  image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
  defect INTEGER,
  class TEXT NOT NULL
    CHECK (class IN ('scratch', 'pit', 'contamination', 'chip', 'crack', 'artifact', 'clean')),
  file TEXT NOT NULL UNIQUE,
  centre_x_px REAL NOT NULL,
  centre_y_px REAL NOT NULL,
  side_px REAL NOT NULL,
  CHECK ((defect IS NULL) = (class IN ('artifact', 'clean'))),
  FOREIGN KEY (image_id, defect) REFERENCES defects (image_id, number) ON DELETE CASCADE
);
CREATE TABLE faces (
  image_id TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE,
  cells BLOB NOT NULL
);
CREATE TABLE files (
  file TEXT PRIMARY KEY,
  image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE
);
CREATE TABLE annotations (
  image_id TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE,
  written_sha256 TEXT NOT NULL
);
CREATE TABLE correlations (
  image_a TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
  image_b TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
  pearson REAL NOT NULL CHECK (pearson BETWEEN -1 AND 1),
  spearman REAL NOT NULL CHECK (spearman BETWEEN -1 AND 1),
  PRIMARY KEY (image_a, image_b),
  CHECK (image_a < image_b)
);
CREATE INDEX images_by_split ON images (split, verdict);
CREATE INDEX defects_by_kind ON defects (kind);
CREATE INDEX crops_by_image ON crops (image_id);
CREATE INDEX files_by_image ON files (image_id);
CREATE INDEX correlations_by_second ON correlations (image_b);
"""


@dataclass(frozen=True)
class ImageRows:
    """All rows of one image, without its ``image_id`` but in ``image``; names of its files relative to the data set."""

    image: Row
    geometry: Row | None = None
    regions: list[Row] = field(default_factory=list)
    defects: list[Row] = field(default_factory=list)
    crops: list[Row] = field(default_factory=list)
    cells: bytes | None = None  # the reduced face, float16
    files: tuple[str, ...] = ()


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database of a data set, or make a new one; foreign keys are on.

    Raises :class:`OutputError` for a file that is none, or of another schema version.
    """
    remedy = "Choose another --out, or remove the data set and build it again."
    with _as_output_error(path):
        connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        is_new = version == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        connection.close()
        raise OutputError(f"{path} is no database of a data set ({error}).", remedy) from error
    if is_new:
        with _as_output_error(path):
            connection.executescript(
                f"BEGIN IMMEDIATE;{_SCHEMA}INSERT INTO schema VALUES ({SCHEMA_VERSION}, 'D-Scope Blink');"
                f"PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
            )
    elif version != SCHEMA_VERSION:
        connection.close()
        raise OutputError(f"{path} has schema version {version}, this program makes {SCHEMA_VERSION}.", remedy)
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the database of a data set, which stays as it is.

    Raises :class:`DataSetError` for a file that is none, or of another schema version.
    """
    remedy = "Build it with: python -m learning.build_dataset RAW --out DATASET"
    connection = None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        raise DataSetError(f"{path} is no database of a data set ({error}).", remedy) from error
    if version != SCHEMA_VERSION:
        connection.close()
        message = f"{path} has schema version {version}, this program reads {SCHEMA_VERSION}."
        raise DataSetError(message, "Build the data set again with this program's learning.build_dataset.")
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block or nothing of it; raises :class:`OutputError` when the database does not take it."""
    with _as_output_error(Path(DATABASE_NAME)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def store(connection: sqlite3.Connection, rows: ImageRows) -> None:
    """Add an image, or replace all that is known about it; its split and correlations are left as they are."""
    image_id = rows.image["image_id"]
    with transaction(connection):
        _upsert(connection, "images", rows.image)
        for table in _CHILDREN:
            connection.execute(f"DELETE FROM {table} WHERE image_id = ?", (image_id,))
        tables: list[tuple[str, Iterable[Row]]] = [
            ("geometry", [rows.geometry] if rows.geometry else []),
            ("regions", rows.regions),
            ("defects", rows.defects),
            ("crops", rows.crops),
            ("faces", [{"cells": rows.cells}] if rows.cells else []),
            ("files", [{"file": name} for name in rows.files]),
        ]
        for table, entries in tables:
            for row in entries:
                _insert(connection, table, {"image_id": image_id, **row})


def _insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any], ending: str = "") -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks}) {ending}", tuple(row.values()))


def _upsert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "image_id")
    _insert(connection, table, row, f"ON CONFLICT (image_id) DO UPDATE SET {changes}")


@contextlib.contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OutputError(
            f"Cannot write {path}: {error}.", "Check free space and permissions, or choose another --out."
        ) from error
