"""The files of a calibration: calibration.json with what it held before, the matched dots, the history, dot lists."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from errors import CalibrationError, OutputError
from metrology.scale import MatchedMarks, TargetScale

HISTORY_NAME = "calibration_history.csv"
FLAT_FIELD_NAME = "flat_field.png"
HISTORY_COLUMNS = (
    "Date",
    "Um_Per_Px",
    "Uncertainty_Um_Per_Px",
    "Marks_Used",
    "Camera_Serial",
    "Operator",
    "Method",
    "Source",
    "Note",
)
MARK_COLUMNS = ("Column", "Row", "X_px", "Y_px", "Residual_X_px", "Residual_Y_px")


def content_of(found: TargetScale, *, spacing_um: float) -> dict[str, Any]:
    """What calibration.json says of a measured target."""
    return {
        "um_per_px": found.um_per_px,
        "uncertainty_um_per_px": found.uncertainty_um_per_px,
        "um_per_px_x": found.um_per_px_x,
        "um_per_px_y": found.um_per_px_y,
        "shear_deg": found.shear_deg,
        "rotation_deg": found.rotation_deg,
        "method": found.kind,
        "spacing_um": spacing_um,
        "marks_found": found.marks_found,
        "marks_used": found.marks_used,
        "rms_residual_px": found.rms_residual_px,
        "distortion_px": found.distortion_px,
        "image_size_px": list(found.image_size_px),
        "warnings": list(found.warnings),
    }


def json_bytes(content: dict[str, Any], before: dict[str, Any] | None) -> bytes:
    """The text of calibration.json; what it held before is kept under ``previous``, with its date."""
    if before is not None:
        content = {**content, "previous": before}
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def read_json(path: Path) -> dict[str, Any] | None:
    """What a calibration file holds, without its own ``previous``; None when it is absent or unusable."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return {key: value for key, value in data.items() if key != "previous"} if isinstance(data, dict) else None


def _finite(value: Any) -> Any:
    """A JSON tree whose infinite and undefined numbers are null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def marks_path(calibration_path: Path) -> Path:
    """Where the matched dots of a calibration are written: beside it."""
    return calibration_path.with_name(f"{calibration_path.stem}_dots.csv")


def marks_bytes(marks: MatchedMarks) -> bytes:
    """The table of the matched dots (or ticks), one row each."""
    columns = (marks.column, marks.row, marks.x_px, marks.y_px, marks.residual_x_px, marks.residual_y_px)
    table = pd.DataFrame(dict(zip(MARK_COLUMNS, columns, strict=True)))
    return table.to_csv(index=False, float_format="%.4f", lineterminator="\n").encode()


def append_history(path: Path, content: dict[str, Any]) -> None:
    """Add one line to the history of calibrations, with a header where the file is new; raises :class:`OutputError`."""
    values = (
        content.get("date", ""),
        f"{content['um_per_px']:.8g}",
        f"{content['uncertainty_um_per_px']:.3g}" if content.get("uncertainty_um_per_px") else "",
        content.get("marks_used", ""),
        (content.get("camera") or {}).get("serial", ""),
        content.get("operator", ""),
        content.get("method", ""),
        content.get("source", ""),
        content.get("note", ""),
    )
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    try:
        old = path.read_bytes() if path.exists() else b""
        if not old:
            writer.writerow(HISTORY_COLUMNS)
        elif not old.endswith(b"\n"):
            line.write("\n")
        writer.writerow(values)
        with path.open("a", encoding="utf-8", newline="", errors="backslashreplace") as file:
            file.write(line.getvalue())
    except OSError as error:
        remedy = "Close it in other programs, or choose another -o."
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.", remedy) from error


def check_writable(paths: Iterable[Path]) -> None:
    """Raise :class:`OutputError` for the first path that is a folder, or lies in none that takes files."""
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path} is a folder, not a file.", "Choose another name.")
        if not path.absolute().parent.is_dir():
            raise OutputError(f"There is no folder {path.absolute().parent}.", "Make it, or choose another name.")
        if path.exists() and not os.access(path, os.W_OK):
            raise OutputError(f"{path} cannot be written.", "Change its permissions, or choose another name.")


def read_points(path: Path) -> np.ndarray:
    """Centres of dots (N, 2) x, y in px from a CSV file with a column for x and one for y.

    The columns may be called x and y, X_px and Y_px, or the like; without a header the first two columns count.
    Raises :class:`CalibrationError`.
    """
    remedy = "It must hold one dot per line, with columns x and y in px."
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        separator = next((mark for mark in (";", "\t") if mark in first), ",")
        options = {"header": None, "dtype": str, "skipinitialspace": True, "skip_blank_lines": False}
        table = pd.read_csv(io.StringIO(text.rstrip()), sep=separator, **options)
        if separator != ",":  # as tables are exported where the decimal mark is a comma
            table = table.apply(lambda column: column.str.replace(",", "."))
    except OSError as error:
        raise CalibrationError(f"{path} cannot be read: {error.strerror or error}.", remedy) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path} is no table of dots.", remedy) from error
    names = [str(value).strip().lower().removesuffix("_px") for value in table.iloc[0]]
    if "x" in names and "y" in names:
        table = table.iloc[1:, [names.index("x"), names.index("y")]]
    elif table.shape[1] >= 2:
        table = table.iloc[:, :2]
    else:
        raise CalibrationError(f"{path} has only one column.", remedy)
    points = table.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise CalibrationError(f"{path}: line {int(table.index[bad[0]]) + 1} holds no two numbers.", remedy)
    return points
