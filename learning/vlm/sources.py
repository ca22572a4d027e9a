"""Where a model's lessons come from: OUTPUT folders of main.py, and data sets of learning.build_dataset.

Each source is read twice as a stream: first what images there are, then all that is known of those that were chosen.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Container, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from errors import DataSetError, NoImagesError
from evaluation.truth import CLASS_OF_KIND
from evaluation.verdicts import Placed, Ring, in_rings, place_rings
from grading.acceptance import judge
from learning.database import DATABASE_NAME, open_to_read
from learning.extraction import IGNORE, plain_text
from learning.labelling import CLEAN, DEFECTIVE, HUMAN, INSPECTOR
from learning.vlm.differences import inspectors_marks
from learning.vlm.outlines import outline_of, outline_of_pixels
from learning.vlm.targets import KnownFace, KnownMark, known_mark
from output_names import RESULTS_FILE
from records import FAIL, NAN, PASS, UNGRADED, ZONE_NAMES, Defect, Ellipse, Fiber, InspectionRecord, Scale, ZoneExtent
from records_file import stream_records
from settings import Config
from vision.geometry import to_frame
from vision.witness import NAME as SEGMENT_VOICE

RANKING_FILE = "disagreements.csv"  # a data set with it was made to be labelled: its splits bind nobody
INCONSISTENT = "with a verdict that does not follow from its marks"
BY_NETWORKS = "with marks that a network has made, changed or left out"


@dataclass(frozen=True)
class Candidate:
    """An image that a source knows, as far as choosing goes; ``split`` is one that must be kept, "" for none."""

    image_id: str
    is_human: bool
    verdict: str
    split: str
    serial_number: str
    face: str | None
    stem: str
    fingerprint: str


@dataclass(frozen=True)
class LeftOut:
    """An image that cannot be learned from, and why, in a few words."""

    image_id: str
    why: str


class Source(Protocol):
    """A folder with inspected images."""

    def candidates(self) -> Iterator[Candidate | LeftOut]:
        """What images there are."""

    def faces(self, chosen: Container[str]) -> Iterator[KnownFace | LeftOut]:
        """All that is known of the chosen ones."""


def open_sources(folders: Sequence[Path], config: Config) -> list[Source]:
    """A source for each folder; raises :class:`NoImagesError` for one that is none."""
    return [_open_source(folder, config) for folder in folders]


def _open_source(folder: Path, config: Config) -> Source:
    if (folder / DATABASE_NAME).is_file():
        return DataSet(folder, config)
    if (folder / RESULTS_FILE).is_file():
        return Results(folder)
    raise NoImagesError(
        f"{folder} holds neither {RESULTS_FILE} nor {DATABASE_NAME}.",
        "Name an OUTPUT folder of main.py or a data set of learning.build_dataset.",
    )


@dataclass(frozen=True)
class Results:
    """An OUTPUT folder of main.py: the inspector's findings, also where a model has decided since."""

    folder: Path

    def candidates(self) -> Iterator[Candidate | LeftOut]:
        for record in self._records():
            found = _face_of_record(record)
            if isinstance(found, LeftOut):
                yield found
                continue
            yield Candidate(
                found.image_id,
                is_human=False,
                verdict=DEFECTIVE if found.status == FAIL else CLEAN,
                split="",
                serial_number=plain_text(record.serial_number),
                face=None,
                stem=Path(found.filename).stem,
                fingerprint=record.fingerprint,
            )

    def faces(self, chosen: Container[str]) -> Iterator[KnownFace | LeftOut]:
        return (face for face in map(_face_of_record, self._records()) if face.image_id in chosen)

    def _records(self) -> Iterator[InspectionRecord]:
        return stream_records(self.folder / RESULTS_FILE)


def _face_of_record(record: InspectionRecord) -> KnownFace | LeftOut:
    image_id = record.content_sha256[:16] or record.image_path
    status = record.vlm.classical_status if record.vlm is not None else record.status
    if status not in (PASS, FAIL) or record.fiber is None or not record.content_sha256:
        return LeftOut(image_id, status)
    if record.vetoed or any(mark.rule_class or SEGMENT_VOICE in mark.detected_by for mark in inspectors_marks(record)):
        return LeftOut(image_id, BY_NETWORKS)  # a network must not learn from networks
    marks = tuple(known_mark(defect, outline_of(defect), defect.confidence) for defect in inspectors_marks(record))
    outline = record.fiber.cladding
    lengths = [*astuple(outline), record.scale.um_per_px, *(zone.outer_radius_px for zone in record.zones)]
    for mark in marks:
        lengths += [mark.confidence, *mark.outline.box, *(value for corner in mark.outline.corners for value in corner)]
    if not all(math.isfinite(value) for value in lengths) or min(outline.major_px, outline.minor_px) <= 0:
        return LeftOut(image_id, "with undefined lengths in its record")
    if (status == FAIL) != any(mark.reasons for mark in marks):
        return LeftOut(image_id, INCONSISTENT)
    return KnownFace(
        image_id,
        filename=plain_text(Path(record.image_path).name),
        picture=Path(record.image_path),
        content_sha256=record.content_sha256,
        label_source=INSPECTOR,
        status=status,
        cladding=outline,
        zones=record.zones,
        um_per_px=record.scale.um_per_px,
        rule_set=plain_text(record.rule_set),
        marks=tuple(replace(mark, reasons=tuple(map(plain_text, mark.reasons))) for mark in marks),
    )


_CANDIDATES = (
    "SELECT image_id, label_source, verdict, split, serial_number, face, filename, fingerprint"
    " FROM images JOIN geometry USING (image_id) ORDER BY image_id"
)
_OUTLINE = ("centre_x_px", "centre_y_px", "major_axis_px", "minor_axis_px", "angle_deg")
_IMAGES = (
    "SELECT image_id, filename, label_source, status, rule_set, um_per_px, core_diameter_px,"
    f" {', '.join(_OUTLINE)} FROM images JOIN geometry USING (image_id)"
    " ORDER BY image_id"
)
_DEFECTS = "SELECT defects.*, height_px FROM defects JOIN images USING (image_id) WHERE image_id = ? ORDER BY number"
_LOST = "SELECT image_id, status FROM images WHERE image_id NOT IN (SELECT image_id FROM geometry) ORDER BY image_id"


@dataclass(frozen=True)
class DataSet:
    """A data set: labels by people where there are any, judged by the rule set that the images were inspected with."""

    folder: Path
    config: Config

    def candidates(self) -> Iterator[Candidate | LeftOut]:
        is_binding = not (self.folder / RANKING_FILE).exists()
        for row in self._rows(_LOST):
            yield LeftOut(row["image_id"], row["status"])
        for row in self._rows(_CANDIDATES):
            yield Candidate(
                row["image_id"],
                is_human=row["label_source"] == HUMAN,
                verdict=row["verdict"] or "",
                split=(row["split"] or "") if is_binding else "",
                serial_number=row["serial_number"],
                face=row["face"],
                stem=Path(row["filename"]).stem,
                fingerprint=row["fingerprint"],
            )

    def faces(self, chosen: Container[str]) -> Iterator[KnownFace | LeftOut]:
        for row in self._rows(_IMAGES):
            if row["image_id"] in chosen:
                yield self._face(row)

    def _face(self, row: sqlite3.Row) -> KnownFace | LeftOut:
        image_id, is_human = row["image_id"], row["label_source"] == HUMAN
        rule_set = self.config.rule_sets.get(row["rule_set"])
        if not is_human and row["status"] not in (PASS, FAIL):
            return LeftOut(image_id, row["status"])
        if rule_set is None:
            return LeftOut(image_id, "with a rule set that is not in config.json")
        core_px = NAN if row["core_diameter_px"] is None else row["core_diameter_px"]
        outline = Ellipse(*(row[name] for name in _OUTLINE))
        scale = Scale(NAN if row["um_per_px"] is None else row["um_per_px"])
        rings = place_rings(rule_set, Fiber(outline, core_px), scale)
        if not rings or not scale.known:
            return LeftOut(image_id, UNGRADED)
        rows = {entry["number"]: entry for entry in self._rows(_DEFECTS, image_id)}
        placed = (in_rings(_placed(entry, outline), rings) for entry in rows.values())
        judgement = judge(
            [defect for defect in placed if defect is not None],
            rule_set=rule_set,
            scale_known=True,
            judged_zones=[ring.name for ring in rings if ring.inspected],
            size_uncertainty_um=self.config.measurement.size_uncertainty_px * scale.um_per_px,
        )
        unjudged = self.folder / f"defects/{image_id}_{IGNORE}.png"
        return KnownFace(
            image_id,
            filename=row["filename"],
            picture=self.folder / f"images/{image_id}.png",
            content_sha256="",
            label_source=row["label_source"],
            status=judgement.status,
            cladding=outline,
            zones=_extents(rings),
            um_per_px=scale.um_per_px,
            rule_set=rule_set.name,
            marks=tuple(_mark(defect, rows[defect.label]) for defect in judgement.defects),
            unjudged=unjudged if unjudged.exists() else None,
        )

    def _rows(self, query: str, *values: Any) -> Iterator[sqlite3.Row]:
        path = self.folder / DATABASE_NAME
        try:
            with closing(open_to_read(path)) as connection:
                connection.row_factory = sqlite3.Row
                yield from connection.execute(query, values)
        except sqlite3.DatabaseError as error:
            raise DataSetError(f"{path} cannot be read ({error}).", "Build the data set again.") from error


def _pixels(row: sqlite3.Row) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of a row of the table defects."""
    counts = json.loads(row["rle"])
    flat = np.flatnonzero(np.repeat(np.arange(len(counts)) % 2 == 1, counts))
    return flat % row["height_px"], flat // row["height_px"]


def _placed(row: sqlite3.Row, outline: Ellipse) -> Placed:
    """A row of the table defects as a defect to be judged."""
    rows, cols = _pixels(row)
    radii = np.hypot(*to_frame(outline, cols, rows))
    unused = {item.name: NAN for item in fields(Defect) if item.type == "float"}
    used = {
        name: NAN if row[name] is None else row[name] for name in ("length_um", "width_um", "diameter_um", "area_um2")
    }
    defect = Defect(
        defect_id=str(row["number"]),
        label=row["number"],
        zone="",
        kind=CLASS_OF_KIND[row["kind"]],
        polarity="dark" if row["contrast_grey"] < 0 else "bright",
        **{**unused, **used},
    )
    return Placed(defect, float(radii.min()), float(radii.max()), row["radius_share"] * outline.mean_radius_px)


def _extents(rings: Sequence[Ring]) -> tuple[ZoneExtent, ...]:
    return tuple(
        ZoneExtent(ring.name, ZONE_NAMES.index(ring.name) + 1, ring.inner_px, ring.outer_px, ring.inspected)
        for ring in rings
    )


def _mark(defect: Defect, row: sqlite3.Row) -> KnownMark:
    confidence = 1.0 if row["confidence"] is None else row["confidence"]
    return known_mark(defect, outline_of_pixels(*_pixels(row)), confidence)
