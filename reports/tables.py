"""The tables of a report: fixed columns, one row per image, defect or cell. An undefined number is an empty field."""

from __future__ import annotations

import csv
import functools
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from learning.vlm.sentences import shortened
from records import LOCALIZATION_FAILED, UNREADABLE, Defect, InspectionRecord, ZoneCell
from second_opinion.disagreements import disagreements

SUMMARY_COLUMNS = (
    "Image_Filename",
    "Pass/Fail_Status",
    "Processing_Time_s",
    "Total_Defect_Count",
    "Core_Defect_Count",
    "Cladding_Defect_Count",
    "Failure_Reason(s)",
    "Adhesive_Defect_Count",
    "Contact_Defect_Count",
    "Fiber_Center_X_px",
    "Fiber_Center_Y_px",
    "Cladding_Major_Axis_px",
    "Cladding_Minor_Axis_px",
    "Ellipse_Angle_deg",
    "Core_Diameter_px",
    "Core_Source",
    "Um_Per_Px",
    "Scale_Source",
    "Localization_Method",
    "Localization_Score",
    "Focus_Score",
    "Rule_Set",
    "Warnings",
    "Serial_Number",
    "Port",
    "Operator",
    "Marginal_Verdict",
    "torch_quality_label",
    "torch_quality_confidence",
    "Network_Disagreements",
    "VLM_Verdict",
    "VLM_Decided",
    "VLM_Explanation",
)

DETAIL_COLUMNS = (
    "Defect_ID",
    "Zone",
    "Classification",
    "Confidence_Score",
    "Centroid_X_um",
    "Centroid_Y_um",
    "Length_um",
    "Width_um",
    "Area_um2",
    "Diameter_um",
    "Centroid_X_px",
    "Centroid_Y_px",
    "Length_px",
    "Width_px",
    "Diameter_px",
    "Area_px",
    "Perimeter_px",
    "Circularity",
    "Aspect_Ratio",
    "Orientation_deg",
    "Contrast",
    "Polarity",
    "Radius_um",
    "Angle_deg",
    "Zones_Touched",
    "Detected_By",
    "Marginal",
    "Violates",
    "On_Optics",
    "ml_class",
    "ml_confidence",
    "rule_class",
)

MATRIX_COLUMNS = (
    "Zone",
    "Row",
    "Column",
    "Area_px",
    "Area_um2",
    "Mean_grey",
    "Spread_grey",
    "Gradient_X_grey_per_px",
    "Gradient_Y_grey_per_px",
    "Defect_Count",
    "Defect_Area_px",
    "Deviates",
)

_COUNT_COLUMNS = tuple(column for column in SUMMARY_COLUMNS if column.endswith("_Defect_Count"))
# decimals per unit: well below what the optics resolve, so that rounding never decides anything
_DECIMALS = {"_per_px": 5, "_um": 3, "_um2": 3, "_px": 2, "_deg": 1, "_s": 3, "_Score": 3}


Row = Sequence[Any]


def summary_table(records: Iterable[InspectionRecord]) -> Iterator[Row]:
    """The :data:`SUMMARY_COLUMNS`, then one row per record, in their order, made as they are asked for."""
    yield SUMMARY_COLUMNS
    for record in records:
        yield rounded_fields(SUMMARY_COLUMNS, _summary_row(record))


def detail_table(defects: Sequence[Defect]) -> Iterator[Row]:
    """The :data:`DETAIL_COLUMNS`, then one row per defect, by their labels."""
    yield DETAIL_COLUMNS
    for defect in in_table_order(defects):
        yield rounded_fields(DETAIL_COLUMNS, _detail_row(defect))


def matrix_table(cells: Sequence[ZoneCell]) -> Iterator[Row]:
    """The :data:`MATRIX_COLUMNS`, then one row per cell, in their order."""
    yield MATRIX_COLUMNS
    for cell in cells:
        yield rounded_fields(MATRIX_COLUMNS, {column: getattr(cell, column.lower()) for column in MATRIX_COLUMNS})


def in_table_order(defects: Sequence[Defect]) -> list[Defect]:
    """Defects in the order of the detail table: row k belongs to value k of the label image."""
    return sorted(defects, key=lambda defect: defect.label)


def csv_bytes(table: Iterable[Row]) -> bytes:
    """The table as UTF-8 CSV; text is quoted where CSV needs it, and never changed.

    A file name that is not valid Unicode keeps its odd bytes as escapes.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _summary_row(record: InspectionRecord) -> dict[str, Any]:
    row: dict[str, Any] = {
        "Image_Filename": record.image_filename,
        "Pass/Fail_Status": record.status,
        "Processing_Time_s": record.processing_time_s,
        "Failure_Reason(s)": "; ".join(record.reasons),
        "Um_Per_Px": float(f"{record.scale.um_per_px:.6g}") if record.scale.known else None,
        "Scale_Source": record.scale.source if record.fiber is not None else None,
        "Focus_Score": record.focus_score,
        "Rule_Set": _rule_set(record),
        "Warnings": "; ".join(record.warnings),
        "Serial_Number": record.serial_number,
        "Port": record.port,
        "Operator": record.provenance.operator,
        "Marginal_Verdict": record.marginal,
        "torch_quality_label": record.torch_quality_label,
        "torch_quality_confidence": record.torch_quality_confidence,
        "Network_Disagreements": "; ".join(disagreements(record)),
    }
    if record.vlm is not None:
        row |= {
            "VLM_Verdict": record.vlm.verdict if record.vlm.usable else "unusable",
            "VLM_Decided": record.vlm.decided,
            "VLM_Explanation": shortened(record.vlm.explanation if record.vlm.usable else record.vlm.problem),
        }
    row |= _counts(record)
    if record.fiber is not None:
        cladding = record.fiber.cladding
        row |= {
            "Fiber_Center_X_px": cladding.x_px,
            "Fiber_Center_Y_px": cladding.y_px,
            "Cladding_Major_Axis_px": cladding.major_px,
            "Cladding_Minor_Axis_px": cladding.minor_px,
            "Ellipse_Angle_deg": cladding.angle_deg,
            "Core_Diameter_px": record.fiber.core_diameter_px,
            "Core_Source": record.fiber.core_source,
            "Localization_Method": record.fiber.method,
            "Localization_Score": record.fiber.score,
        }
    return row


def _counts(record: InspectionRecord) -> dict[str, int]:
    """Defects per zone, by centroid; none at all, rather than zero, for an image that could not be inspected."""
    if record.status in (LOCALIZATION_FAILED, UNREADABLE):
        return {}
    zones = [defect.zone for defect in record.counted_defects]
    return {"Total_Defect_Count": len(zones)} | {
        column: zones.count(column.removesuffix("_Defect_Count")) for column in _COUNT_COLUMNS[1:]
    }


def _rule_set(record: InspectionRecord) -> str:
    unverified = bool(record.rule_set) and not record.rule_set_verified
    return f"{record.rule_set} (not verified)" if unverified else record.rule_set


def _detail_row(defect: Defect) -> dict[str, Any]:
    row: dict[str, Any] = {
        "Defect_ID": defect.defect_id,
        "Zone": defect.zone,
        "Classification": defect.kind,
        "Confidence_Score": defect.confidence,
        "Polarity": defect.polarity,
        "Zones_Touched": ";".join(defect.zones_touched),
        "Detected_By": ";".join(defect.detected_by),
        "Marginal": defect.marginal,
        "Violates": "; ".join(defect.violates),
        "On_Optics": defect.on_optics,
    }
    # every other column is the field of the same name in lower case
    row |= {column: getattr(defect, column.lower()) for column in DETAIL_COLUMNS if column not in row}
    return row


def rounded_fields(columns: Sequence[str], row: Mapping[str, Any]) -> list[Any]:
    """The values in the order of the columns; one that is missing or undefined is None, an empty field."""
    return [_rounded(column, row.get(column)) for column in columns]


def _rounded(column: str, value: Any) -> Any:
    if not isinstance(value, float) or column == "Um_Per_Px":
        return value
    if not math.isfinite(value):
        return None
    return round(value, _decimals(column))


@functools.cache
def _decimals(column: str) -> int:
    return next((number for unit, number in _DECIMALS.items() if column.endswith(unit)), 3)
