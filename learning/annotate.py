"""Files in which a person corrects the labels of an image: a label image, a table, and a picture to look at."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from errors import BlinkError, OutputError
from evaluation.truth import DO_NOT_JUDGE
from image_io import read_image, read_labels_png, write_bytes, write_png
from learning.database import transaction
from learning.extraction import IGNORE
from learning.features import mask_of
from learning.human_labels import (
    ANNOTATE_FOLDER,
    LABELS_ENDING,
    TABLE_ENDING,
    VIEW_ENDING,
    annotation_digest,
)
from reports.drawing import TextStyle, draw_text

_COLUMNS = ("id", "kind", "zone", "x_px", "y_px", "diameter_px", "source", "filename")
_VIEW_PX = 800  # of the view's shorter side, at least
_GREEN, _GREY = (60, 220, 60), (190, 190, 190)  # BGR


def written_annotations(connection: sqlite3.Connection) -> dict[str, str]:
    """For each image what its annotate files held when they were written."""
    return dict(connection.execute("SELECT image_id, written_sha256 FROM annotations"))


def write_annotations(
    connection: sqlite3.Connection, folder: Path, on_written: Callable[[str], None] = lambda name: None
) -> int:
    """Write the files of every image with a fibre; those that a person has changed stay. Returns how many do.

    Raises :class:`OutputError`.
    """
    place, written, changed = folder / ANNOTATE_FOLDER, written_annotations(connection), 0
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {place}: {error.strerror or error}.", "Choose another --out.") from error
    query = "SELECT image_id, filename FROM images JOIN geometry USING (image_id) ORDER BY image_id"
    for image_id, filename in connection.execute(query).fetchall():
        labels = place / f"{image_id}{LABELS_ENDING}"
        if labels.exists() and not _is_as_written(labels, written.get(image_id)):
            changed += 1
        else:
            _write_files(connection, folder, image_id, filename)
            with transaction(connection):
                connection.execute(
                    "INSERT INTO annotations VALUES (?, ?) ON CONFLICT (image_id) DO UPDATE SET"
                    " written_sha256 = excluded.written_sha256",
                    (image_id, annotation_digest(labels)),
                )
        on_written(filename)
    return changed


def _is_as_written(labels: Path, digest: str | None) -> bool:
    try:
        return annotation_digest(labels) == digest
    except BlinkError:  # its table is gone or cannot be read: somebody was here
        return False


def _write_files(connection: sqlite3.Connection, folder: Path, image_id: str, filename: str) -> None:
    grey = read_image(folder / "images" / f"{image_id}.png").grey
    labels = np.zeros(grey.shape, np.uint16)
    ignore = folder / "defects" / f"{image_id}_{IGNORE}.png"
    if ignore.exists():
        labels[read_labels_png(ignore) > 0] = DO_NOT_JUDGE
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    marks: dict[int, str] = {}
    rows = connection.execute(
        "SELECT number, kind, zone, centroid_x_px, centroid_y_px, diameter_px, source, rle FROM defects"
        " WHERE image_id = ? ORDER BY number",
        (image_id,),
    )
    for number, kind, zone, x, y, diameter, source, rle in rows:
        labels[mask_of(json.loads(rle), grey.shape)] = number
        marks[number] = kind
        writer.writerow([number, kind, zone, f"{x:.1f}", f"{y:.1f}", f"{diameter:.1f}", source, filename])
    place = folder / ANNOTATE_FOLDER
    write_bytes(place / f"{image_id}{TABLE_ENDING}", table.getvalue().encode())
    write_bytes(place / f"{image_id}{VIEW_ENDING}", _view(grey, labels, marks))
    write_png(place / f"{image_id}{LABELS_ENDING}", labels)


def _view(grey: np.ndarray, labels: np.ndarray, marks: Mapping[int, str]) -> bytes:
    """The image with every mark outlined and numbered, as JPEG: in the label image itself the eye sees nothing."""
    enlarged = -(-_VIEW_PX // min(grey.shape))
    size = (grey.shape[1] * enlarged, grey.shape[0] * enlarged)
    picture = cv2.cvtColor(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR)
    labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    width = max(1, min(picture.shape[:2]) // 800)
    style = TextStyle(0.5 * width, width)
    around = np.ones((4 * width + 1,) * 2, np.uint8)  # an outline on a thin mark would hide it
    for number in (DO_NOT_JUDGE, *marks):
        mask = cv2.dilate((labels == number).astype(np.uint8), around)
        outlines = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(picture, outlines, -1, _GREEN if number in marks else _GREY, width)
    for number, kind in marks.items():
        rows, cols = np.nonzero(labels == number)
        draw_text(picture, f"{number} {kind}", int(cols.max()) + 4 * width, int(rows.min()), style, _GREEN)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
