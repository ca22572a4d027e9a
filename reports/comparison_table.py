"""comparison.csv: one row per mark that was removed, stayed or is new, and one per image that was not compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comparison import Comparison, FaceComparison, MarkChange
from records import Defect
from reports.tables import Row, rounded_fields

COMPARISON_COLUMNS = (
    "Face",
    "Old_Image",
    "New_Image",
    "Change",
    "Classification",
    "Zone",
    "Old_Defect_ID",
    "New_Defect_ID",
    "Old_Length_um",
    "New_Length_um",
    "Old_Diameter_um",
    "New_Diameter_um",
    "Old_Diameter_px",
    "New_Diameter_px",
    "Centroid_X_um",
    "Centroid_Y_um",
    "Centroid_X_px",
    "Centroid_Y_px",
    "Turned_deg",
    "Note",
)
_SIZES = ("length_um", "diameter_um", "diameter_px")
_PLACES = ("centroid_x_um", "centroid_y_um", "centroid_x_px", "centroid_y_px")


def comparison_table(comparison: Comparison) -> Iterator[Row]:
    """The :data:`COMPARISON_COLUMNS`, then the rows, face by face."""
    yield COMPARISON_COLUMNS
    for face in comparison.faces:
        for mark in face.marks:
            yield rounded_fields(COMPARISON_COLUMNS, _mark_row(face, mark))
        if not face.marks:
            yield rounded_fields(COMPARISON_COLUMNS, _face_row(face) | {"Note": face.problem or "No marks."})
    for name in comparison.only_new:
        yield rounded_fields(COMPARISON_COLUMNS, {"New_Image": name, "Note": "No earlier image of this face."})
    for name in comparison.only_old:
        yield rounded_fields(COMPARISON_COLUMNS, {"Old_Image": name, "Note": "No later image of this face."})


def _face_row(face: FaceComparison) -> dict[str, Any]:
    return {"Face": face.key, "Old_Image": face.old_image, "New_Image": face.new_image, "Turned_deg": face.turned_deg}


def _mark_row(face: FaceComparison, mark: MarkChange) -> dict[str, Any]:
    latest: Defect = mark.new or mark.old
    row = _face_row(face) | {"Change": mark.change, "Classification": latest.kind, "Zone": latest.zone}
    row |= {_column(name): getattr(latest, name) for name in _PLACES}
    for when, defect in (("Old", mark.old), ("New", mark.new)):
        if defect is not None:
            row[f"{when}_Defect_ID"] = defect.defect_id
            row |= {f"{when}_{_column(name)}": getattr(defect, name) for name in _SIZES}
    return row


def _column(name: str) -> str:
    """ "centroid_x_um" -> "Centroid_X_um": the unit stays as it is."""
    words, unit = name.rsplit("_", 1)
    return f"{words.title()}_{unit}"
