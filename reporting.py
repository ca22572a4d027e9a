"""Inspection results in, files out: pictures, tables, records. Nothing is measured here.

python reporting.py OUTPUT [--pdf] [--excel]     rebuild the reports of an inspection without inspecting again

Every file is written completely or not at all; a folder that does not take it raises :class:`errors.OutputError`.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports: the command line says in one sentence which of them is missing
    import sys

    from cli.report import main

    sys.exit(main())

import dataclasses
import datetime
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import json_text
from comparison import Comparison
from errors import MissingDependency, OutputError, UnreadableImage, cannot_write
from findings import BatchFindings
from image_io import read_picture, write_bytes, write_png
from output_names import (
    ANNOTATED_ENDING,
    CERTIFICATE_ENDING,
    CERTIFICATE_FILE,
    COMPARISON_FILE,
    FACE_ENDING,
    LABELS_ENDING,
    MAP_ENDING,
    MATRIX_PICTURE_ENDING,
    MATRIX_TABLE_ENDING,
    POLAR_ENDING,
    RUN_FILE,
    SUMMARY_FILE,
    TABLE_ENDING,
    WORKBOOK_FILE,
    ZONES_ENDING,
    zone_ending,
)
from records import Inspection, InspectionRecord, ZoneExtent
from reports.annotate import annotated_picture
from reports.comparison_table import comparison_table
from reports.face_map import map_picture
from reports.face_picture import face_jpeg
from reports.html_report import write_html_report
from reports.matrix_plot import matrix_picture
from reports.polar_plot import polar_picture
from reports.tables import csv_bytes, detail_table, in_table_order, matrix_table, summary_table
from settings import ReportingSettings

_TAIL_BYTES = 1 << 16  # of a PDF, which hold its properties


@dataclass(frozen=True)
class ReportOptions:
    """Which reports on the whole batch are wanted besides those that are always written."""

    pdf: bool = False
    excel: bool = False


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
        pictures[ANNOTATED_ENDING] = annotated_picture(inspection, reporting)
    if reporting.plots:
        pictures[POLAR_ENDING] = polar_picture(record, reporting)
    if reporting.face_map:
        pictures[MAP_ENDING] = map_picture(inspection, reporting)
    pictures[MATRIX_PICTURE_ENDING] = matrix_picture(record)
    if save_masks:
        pictures[LABELS_ENDING] = _row_numbers(inspection)
        pictures[ZONES_ENDING] = inspection.zone_map
    if save_zones:
        pictures |= {zone_ending(zone.name): zone_image(inspection, zone) for zone in record.zones}
    for ending, picture in pictures.items():
        if picture is not None:
            write_png(details_dir / f"{stem}{ending}", picture, compression)
    if reporting.face_image and inspection.grey is not None:
        write_bytes(details_dir / f"{stem}{FACE_ENDING}", face_jpeg(inspection.grey))
    if record.matrix:
        write_bytes(details_dir / f"{stem}{MATRIX_TABLE_ENDING}", csv_bytes(matrix_table(record.matrix)))
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


def rewrite_image_tables(record: InspectionRecord, details_dir: Path, reporting: ReportingSettings) -> None:
    """Write again what a record alone tells of an image: its tables, and those of its plots that are there.

    Raises :class:`OutputError`.
    """
    stem = details_dir / record.result_name
    if record.matrix:
        write_bytes(Path(f"{stem}{MATRIX_TABLE_ENDING}"), csv_bytes(matrix_table(record.matrix)))
    write_bytes(Path(f"{stem}{TABLE_ENDING}"), csv_bytes(detail_table(record.defects)))
    drawn = {
        POLAR_ENDING: lambda: polar_picture(record, reporting),
        MATRIX_PICTURE_ENDING: lambda: matrix_picture(record),
    }
    for ending, draw in drawn.items():
        path = Path(f"{stem}{ending}")
        if path.exists() and (picture := draw()) is not None:
            write_png(path, picture, reporting.png_compression)


def write_certificate(record: InspectionRecord, details_dir: Path) -> None:
    """Write the certificate of one image, with its annotated picture where there is one; raises OutputError."""
    from reports.certificate import certificate_pdf

    try:
        picture = read_picture(details_dir / f"{record.result_name}{ANNOTATED_ENDING}")
    except UnreadableImage:
        picture = None
    write_bytes(details_dir / f"{record.result_name}{CERTIFICATE_ENDING}", certificate_pdf(record, picture))


def is_certified(record: InspectionRecord, details_dir: Path) -> bool:
    """Whether the certificate of this very record is there."""
    from reports.certificate import record_digest

    try:
        with open(details_dir / f"{record.result_name}{CERTIFICATE_ENDING}", "rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            return record_digest(record).encode() in file.read()
    except OSError:
        return False


def write_batch_reports(
    output_dir: Path,
    records: Callable[[], Iterable[InspectionRecord]],
    found: BatchFindings,
    compared: Comparison | None = None,
    options: ReportOptions = ReportOptions(),
) -> None:
    """Write every report on the whole batch; ``records`` gives its records, in order, anew for each report.

    A workbook or certificate that is there is brought up to date, so that none contradicts the results; a comparison
    is removed without ``compared``. Raises :class:`OutputError`, and :class:`MissingDependency` for a workbook without
    openpyxl.
    """
    write_summary(output_dir, records())
    write_html_report(output_dir, records(), found, compared)
    if compared is not None:
        write_bytes(output_dir / COMPARISON_FILE, csv_bytes(comparison_table(compared)))
    else:
        _remove(output_dir / COMPARISON_FILE)
    if options.excel or (output_dir / WORKBOOK_FILE).exists():
        write_workbook(output_dir, records)
    if options.pdf or (output_dir / CERTIFICATE_FILE).exists():
        from reports.batch_certificate import batch_certificate_pdf

        write_bytes(output_dir / CERTIFICATE_FILE, batch_certificate_pdf(records, found))


def check_excel() -> None:
    """Raise :class:`MissingDependency` when the library for workbooks is not there."""
    try:
        import reports.workbook  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"A workbook needs openpyxl ({error}).", "Run: pip install -r requirements.txt"
        ) from error


def write_workbook(output_dir: Path, records: Callable[[], Iterable[InspectionRecord]]) -> None:
    """Write ``summary_report.xlsx``: images, defects, and the run as run.json describes it."""
    check_excel()
    from reports.workbook import workbook_bytes

    path = output_dir / WORKBOOK_FILE
    run = {key: value for key, value in read_run_json(output_dir).items() if key != "config"}
    try:
        data = workbook_bytes(records, run)
    except OSError as error:
        place = f"{error.strerror or error} in the folder for temporary files, {tempfile.gettempdir()}"
        raise OutputError(f"Cannot write {path}: {place}.", "Make room there.") from error
    write_bytes(path, data)


def write_summary(output_dir: Path, records: Iterable[InspectionRecord]) -> None:
    """Write ``summary_report.csv``: one row per record, in their order; the header alone for none.

    Only the rows are kept in memory.
    """
    write_bytes(output_dir / SUMMARY_FILE, csv_bytes(summary_table(records)))


def write_run_json(output_dir: Path, mapping: Mapping[str, Any]) -> None:
    """Write ``run.json``. Paths, dates, dataclasses and NumPy numbers become JSON; an undefined number becomes null."""
    write_bytes(output_dir / RUN_FILE, _encoded(_json_text(_plain_json(mapping), indent=2) + "\n"))


def read_run_json(output_dir: Path) -> dict[str, Any]:
    """What run.json says; empty where there is none that can be read."""
    try:
        data = json_text.parse((output_dir / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


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


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
