"""What is made of the database for programs that know no SQL: CSV tables, the split lists, and COCO's JSON."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from learning.database import SPLITS
from learning.labelling import KINDS
from learning.tidy import replaced_text

_TABLES = {
    "features/intensity_stats.csv": "SELECT image_id, filename, region, pixels, mean, std, min, max, q25, q50, q75"
    " FROM regions JOIN images USING (image_id) ORDER BY image_id, region",
    "features/trends.csv": "SELECT image_id, filename, region, pixels, gradient_mean, gradient_std, laplacian_mean,"
    " laplacian_std, local_variance_mean, local_variance_std"
    " FROM regions JOIN images USING (image_id) ORDER BY image_id, region",
    "features/correlations.csv": "SELECT image_a, image_b, a.filename AS filename_a, b.filename AS filename_b, pearson,"
    " spearman FROM correlations JOIN images a ON a.image_id = image_a JOIN images b ON b.image_id = image_b"
    " ORDER BY pearson DESC, image_a, image_b",
}
_GEOMETRY = (
    "SELECT image_id, filename, width_px, height_px, um_per_px, {} FROM geometry JOIN images USING (image_id)"
    " ORDER BY image_id"
)
_DEFECTS = "SELECT image_id, filename, {} FROM defects JOIN images USING (image_id) ORDER BY image_id, number"
_SPLIT = (
    "SELECT image_id, filename, verdict, label_source, face_group, 'images/' || image_id || '.png' AS image,"
    " 'masks/' || image_id || '.png' AS mask FROM images WHERE split = ? ORDER BY image_id"
)


def write_tables(connection: sqlite3.Connection, folder: Path) -> None:
    """Write ``features/*.csv`` and ``splits/*.csv``, row by row; raises :class:`errors.OutputError`."""
    for name, query in _TABLES.items():
        _write_csv(connection, folder / name, query)
    _write_csv(connection, folder / "features/geometry.csv", _GEOMETRY.format(_columns(connection, "geometry")))
    _write_csv(connection, folder / "features/defects.csv", _DEFECTS.format(_columns(connection, "defects")))
    for split in SPLITS:
        _write_csv(connection, folder / "splits" / f"{split}.csv", _SPLIT, (split,))


def write_coco(connection: sqlite3.Connection, folder: Path) -> None:
    """Write ``coco.json``: every image with a fibre, every mark as a mask in run lengths, boxes from the top left.

    Raises :class:`errors.OutputError`.
    """
    found = connection.execute(
        "SELECT image_id, filename, width_px, height_px, split, verdict, label_source FROM images"
        " JOIN geometry USING (image_id) ORDER BY image_id"
    ).fetchall()
    numbers = {row[0]: number for number, row in enumerate(found, start=1)}
    names = ("image_id", "original_name", "width", "height", "split", "verdict", "label_source")
    images = [
        {"id": numbers[row[0]], "file_name": f"images/{row[0]}.png", **dict(zip(names, row, strict=True))}
        for row in found
    ]
    categories = [{"id": k, "name": kind, "supercategory": "defect"} for k, kind in enumerate(KINDS, start=1)]
    info = {"description": "Fibre end faces", "contributor": "D-Scope Blink"}
    with replaced_text(folder / "coco.json") as file:
        file.write(f'{{"info": {_json(info)},\n"categories": {_json(categories)},\n"images": [')
        file.write(",\n".join(_json(image) for image in images))
        file.write('],\n"annotations": [')
        rows = connection.execute(
            "SELECT image_id, number, kind, source, box_left_px, box_top_px, box_width_px, box_height_px, area_px, rle,"
            " i.height_px, i.width_px FROM defects JOIN images i USING (image_id) ORDER BY image_id, number"
        )
        for number, row in enumerate(rows, start=1):
            file.write(",\n" * (number > 1) + _json(_annotation(number, numbers[row[0]], row)))
        file.write("]}\n")


def _annotation(number: int, image: int, row: Sequence[Any]) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": KINDS.index(row[2]) + 1,
        "bbox": list(row[4:8]),
        "area": row[8],
        "segmentation": {"size": list(row[10:12]), "counts": json.loads(row[9])},
        "iscrowd": 0,
        "source": row[3],
        "defect": row[1],
    }


def _columns(connection: sqlite3.Connection, table: str) -> str:
    """The columns of a table without the image and the run lengths, which no spreadsheet wants."""
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    return ", ".join(f"{table}.{name}" for name in names if name not in ("image_id", "rle"))


def _write_csv(connection: sqlite3.Connection, path: Path, query: str, values: Sequence[Any] = ()) -> None:
    with replaced_text(path) as file:
        cursor = connection.execute(query, values)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column[0] for column in cursor.description])
        writer.writerows([_short(value) for value in row] for row in cursor)


def _short(value: Any) -> Any:
    """Six digits say more than any camera does."""
    return f"{value:.6g}" if isinstance(value, float) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
