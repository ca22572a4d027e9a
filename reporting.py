"""Inspection results in, files out: pictures, tables, records. Nothing is measured here.

Every file is written completely or not at all; a folder that does not take it raises :class:`errors.OutputError`.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from errors import OutputError
from image_io import write_bytes, write_png
from records import Inspection, InspectionRecord, ZoneExtent
from reports.annotate import annotated_picture
from reports.face_map import map_picture
from reports.matrix_plot import matrix_picture
from reports.polar_plot import polar_picture
from reports.tables import csv_bytes, detail_table, in_table_order, matrix_table, summary_table
from settings import ReportingSettings

SUMMARY_NAME = "summary_report.csv"
RUN_NAME = "run.json"
TABLE_ENDING = "_report.csv"
MATRIX_ENDING = "_matrix.csv"


def write_image_files(
    inspection: Inspection,
    details_dir: Path,
    stem: str,
    reporting: ReportingSettings,
    *,
    save_masks: bool = False,
    save_zones: bool = False,
) -> None:
    """Write the files of one image into ``details_dir``, all named ``<stem>_...``; the folder is made when missing.

    Its parent is not: where it was removed in mid-run, a new one would hold only part of the results. Always the table
    of defects, and table and heat map of the matrix that the record has; the annotated picture, the polar plot and the
    map of the end face as ``reporting`` says; label image and zone map with ``save_masks``, each zone as a sub-image
    with ``save_zones``. What the inspection has no data for is left out: an unreadable image has only an empty table.
    Raises :class:`OutputError`.
    """
    _make_folder(details_dir)
    record, compression = inspection.record, reporting.png_compression
    pictures: dict[str, np.ndarray | None] = {}
    if reporting.annotated_image:
        pictures["annotated"] = annotated_picture(inspection, reporting)
    if reporting.plots:
        pictures["polar"] = polar_picture(record, reporting)
    if reporting.face_map:
        pictures["map"] = map_picture(inspection, reporting)
    pictures["matrix"] = matrix_picture(record)
    if save_masks:
        pictures["labels"] = _row_numbers(inspection)
        pictures["zones"] = inspection.zone_map
    if save_zones:
        pictures |= {zone.name.lower(): zone_image(inspection, zone) for zone in record.zones}
    for suffix, picture in pictures.items():
        if picture is not None:
            write_png(details_dir / f"{stem}_{suffix}.png", picture, compression)
    if record.matrix:
        write_bytes(details_dir / f"{stem}{MATRIX_ENDING}", csv_bytes(matrix_table(record.matrix)))
    # the last one, because --resume takes it as proof that all are there
    write_bytes(details_dir / f"{stem}{TABLE_ENDING}", csv_bytes(detail_table(record.defects)))


def zone_image(inspection: Inspection, zone: ZoneExtent) -> np.ndarray | None:
    """The zone alone, cropped: (h, w, 4) uint8, transparent black around it; None when none of it is in the image."""
    if inspection.grey is None or inspection.zone_map is None:
        return None
    mask = inspection.zone_map == zone.label
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    crop = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    alpha = np.where(mask[crop], 255, 0).astype(np.uint8)
    grey = np.where(mask[crop], inspection.grey[crop], 0).astype(np.uint8)
    return np.dstack([grey, grey, grey, alpha])


def write_batch_reports(output_dir: Path, records: Callable[[], Iterable[InspectionRecord]]) -> None:
    """Write every report on the whole batch; ``records`` gives its records, in order, anew for each report."""
    write_summary(output_dir, records())


def write_summary(output_dir: Path, records: Iterable[InspectionRecord]) -> None:
    """Write ``summary_report.csv``: one row per record, in their order; the header alone for none.

    Only the rows are kept in memory.
    """
    write_bytes(output_dir / SUMMARY_NAME, csv_bytes(summary_table(records)))


def write_run_json(output_dir: Path, mapping: Mapping[str, Any]) -> None:
    """Write ``run.json``. Paths, dates, dataclasses and NumPy numbers become JSON; an undefined number becomes null."""
    write_bytes(output_dir / RUN_NAME, _encoded(_json_text(_plain_json(mapping), indent=2) + "\n"))


def _row_numbers(inspection: Inspection) -> np.ndarray | None:
    """The label image, (H, W) uint16, with the number of the row in the defect table instead of the label."""
    labels = inspection.labels
    if labels is None:
        return None
    table = np.zeros(max(int(labels.max(initial=0)), *(d.label for d in inspection.record.defects), 0) + 1, np.uint16)
    for row, defect in enumerate(in_table_order(inspection.record.defects), start=1):
        table[defect.label] = row
    return table[labels]


def _plain_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return [_plain_json(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _json_text(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def _encoded(text: str) -> bytes:
    r"""UTF-8; half of a surrogate pair, from a file name that is not Unicode, becomes \udcXX, which JSON reads back."""
    return text.encode("utf-8", "backslashreplace")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise _output_error(path, error) from error


def _output_error(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"Cannot write {path}: {error.strerror or error}.", "Check free space and permissions, or choose another -o."
    )
