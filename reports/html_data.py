"""The records of a batch as the compact JSON that report.html carries.

A row is a list of values in the order of :data:`ROW_FIELDS`, a mark one in the order of :data:`MARK_FIELDS`; the lists
of names go along. Texts that repeat are kept once, and rows hold their numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from comparison import Comparison, FaceComparison
from findings import BatchFindings, optics_sentences
from learning.vlm.sentences import model_in_words
from output_names import details_endings
from records import CLASS_LETTERS, DEFECT_CLASSES, STATUSES, TOO_BLURRED, ZONE_NAMES, Defect, InspectionRecord
from second_opinion.disagreements import disagreements

ROW_FIELDS = (
    "name",
    "stem",  # what the names of its files start with, as it is: half of a surrogate pair is a byte
    "status",
    "serial",
    "port",
    "reasons",
    "warnings",
    "marginal",
    "blurred",
    "files",  # endings of the names of its files
    "size",  # [width, height] in px
    "fiber",  # [x, y, major, minor, angle], the ellipse of the cladding in px, or null
    "scale",  # um per px of the fibre frame, null where it is not known
    "scaleSource",
    "zones",  # [zone, outer radius in px of the fibre frame, inspected] from the centre outwards
    "focus",
    "at",
    "seconds",
    "ruleSet",
    "profile",
    "operator",
    "onOptics",  # how many marks are left out, as they lie on the optics
    "quality",  # what the quality network says, empty where it was not asked
    "model",  # what the vision-language model says, empty where it was not asked
    "disagreements",  # between rules and networks, sentences
    "marks",
)
BLURRED = ("Out of focus", TOO_BLURRED)  # what such a warning or reason begins with
# sizes and places in um of the fibre frame, y up, or in px where no scale is known; contrast in grey levels
MARK_FIELDS = (
    "id", "kind", "zone", "x", "y", "length", "width", "diameter", "area", "contrast", "confidence", "marginal",
    "violates", "network", "box",
)  # fmt: skip


@dataclass
class Texts:
    """Texts that are kept once; what stands for them is their number."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        return self.numbers.setdefault(shown(text), len(self.numbers))


def shown(text: str) -> str:
    r"""Text for the screen: half of a surrogate pair, from a name that is not Unicode, as in the tables, \udcXX."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def script_json(value: Any) -> str:
    """JSON that is safe inside a script element: pure ASCII, and nothing in it can end the element or start a tag."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def row(record: InspectionRecord, files: Container[str], texts: Texts) -> list[Any]:
    """The values of one image; ``files`` are the names of all files in details/."""
    fiber = record.fiber
    messages = (*record.reasons, *record.warnings)
    values = {
        "name": shown(record.image_filename),
        "stem": record.result_name,
        "status": STATUSES.index(record.status),
        "serial": shown(record.serial_number),
        "port": shown(record.port),
        "reasons": [texts.number(text) for text in record.reasons],
        "warnings": [texts.number(text) for text in record.warnings],
        "marginal": int(record.marginal),
        "blurred": int(any(text.startswith(BLURRED) for text in messages)),
        "files": [texts.number(ending) for ending in details_endings(files, record.result_name)],
        "size": [record.image_width_px, record.image_height_px],
        "fiber": None,
        "scale": _number(record.scale.um_per_px, 6),
        "scaleSource": texts.number(record.scale.source),
        "zones": [
            [ZONE_NAMES.index(zone.name), _number(zone.outer_radius_px, 2), int(zone.inspected)]
            for zone in record.zones
        ],
        "focus": _number(record.focus_score, 3),
        "at": shown(record.inspected_at),
        "seconds": _number(record.processing_time_s, 3),
        "ruleSet": texts.number(record.rule_set + ("" if record.rule_set_verified else " (unverified)")),
        "profile": texts.number(record.profile),
        "operator": texts.number(record.provenance.operator),
        "onOptics": len(record.defects) - len(record.counted_defects),
        "quality": shown(_opinion(record.torch_quality_label, record.torch_quality_confidence)),
        "model": shown(model_in_words(record)),
        "disagreements": [texts.number(text) for text in disagreements(record)],
        "marks": [_mark(defect, record.scale.known, texts) for defect in record.counted_defects],
    }
    if fiber is not None:
        outline = fiber.cladding
        sides = (outline.x_px, outline.y_px, outline.major_px, outline.minor_px, outline.angle_deg)
        values["fiber"] = [_number(value, 2) for value in sides]
    return [values[name] for name in ROW_FIELDS]


def page_data(
    rows: Iterable[str], texts: Texts, findings: BatchFindings, comparison: Comparison | None
) -> Iterable[str]:
    """The whole JSON text in pieces; ``rows`` are rows as :func:`script_json` gives them."""
    tables = {
        "statuses": STATUSES,
        "zones": ZONE_NAMES,
        "classes": DEFECT_CLASSES,
        "letters": [CLASS_LETTERS[kind] for kind in DEFECT_CLASSES],
        "rowFields": ROW_FIELDS,
        "markFields": MARK_FIELDS,
        "findings": _findings(findings),
        "comparison": comparison and _comparison(comparison, texts),
        "texts": list(texts.numbers),
    }
    yield script_json(tables)[:-1] + ',"rows":['
    for number, text in enumerate(rows):
        yield f",\n{text}" if number else text
    yield "]}"


def _mark(defect: Defect, scale_known: bool, texts: Texts) -> list[Any]:
    if scale_known:
        x, y = defect.centroid_x_um, defect.centroid_y_um
        sizes = (defect.length_um, defect.width_um, defect.diameter_um, defect.area_um2)
    else:
        angle = math.radians(defect.angle_deg)
        x, y = defect.radius_px * math.cos(angle), defect.radius_px * math.sin(angle)
        sizes = (defect.length_px, defect.width_px, defect.diameter_px, defect.area_px)
    return [
        shown(defect.defect_id),
        DEFECT_CLASSES.index(defect.kind),
        ZONE_NAMES.index(defect.zone),
        _number(x, 2),
        _number(y, 2),
        *(_number(size, 3) for size in sizes),
        _number(defect.contrast, 1),
        _number(defect.confidence, 3),
        int(defect.marginal),
        [texts.number(text) for text in defect.violates],
        _opinion(defect.ml_class, defect.ml_confidence),
        [_number(value, 1) for corner in _corners(defect) for value in corner],
    ]


def _opinion(name: str, confidence: float) -> str:
    return f"{name} {confidence:.2f}" if name else ""


def _corners(defect: Defect) -> tuple[tuple[float, float], ...]:
    """The rotated rectangle; around the enclosing circle where it is not known, and nothing where that is not."""
    x, y, half = defect.centroid_x_px, defect.centroid_y_px, defect.diameter_px / 2
    if len(defect.box_px) == 4 or not math.isfinite(x + y + half):
        return defect.box_px
    return ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half))


def _findings(found: BatchFindings) -> dict[str, Any]:
    return {
        "optics": [
            {
                "x": _number(spot.x_px, 1),
                "y": _number(spot.y_px, 1),
                "diameter": _number(spot.diameter_px, 1),
                "sentence": sentence,
                "images": [shown(name) for name in spot.images],
            }
            for spot, sentence in zip(found.optics, optics_sentences(found), strict=True)
        ],
        "sameFaces": [
            {"images": [shown(name) for name in same.images], "similarity": _number(same.similarity, 3)}
            for same in found.same_faces
        ],
    }


def _comparison(comparison: Comparison, texts: Texts) -> dict[str, Any]:
    return {
        "oldFolder": shown(comparison.old_folder),
        "faces": [_face(face, texts) for face in comparison.faces],
        "onlyOld": [shown(name) for name in comparison.only_old],
        "onlyNew": [shown(name) for name in comparison.only_new],
    }


def _face(face: FaceComparison, texts: Texts) -> dict[str, Any]:
    return {
        "key": shown(face.key),
        "oldImage": shown(face.old_image),
        "newImage": shown(face.new_image),
        "oldStatus": shown(face.old_status),
        "newStatus": shown(face.new_status),
        "turned": _number(face.turned_deg, 1),
        "problem": shown(face.problem),
        "marks": [
            {"change": mark.change}
            | {
                age: _mark(defect, math.isfinite(defect.length_um), texts)
                for age, defect in (("old", mark.old), ("new", mark.new))
                if defect is not None
            }
            for mark in face.marks
        ],
    }


def _number(value: float, decimals: int) -> float | int | None:
    """Rounded, without a needless ".0"; None where it is undefined."""
    if not math.isfinite(value):
        return None
    rounded = round(value, decimals)
    return int(rounded) if rounded == int(rounded) else rounded
