"""Labels that people have made for an image: a truth folder, or annotate files of the data set that they changed."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from errors import BlinkError, TruthError, UsageError
from evaluation.truth import DO_NOT_JUDGE, TruthImage, read_labels, read_truth
from image_io import file_bytes, read_labels_png
from inspection_settings import InspectionSettings
from learning.labelling import KINDS, Labelled, by_human, by_inspector, verdict_of
from records import Inspection

ANNOTATE_FOLDER = "annotate"
LABELS_ENDING, TABLE_ENDING, VIEW_ENDING = "_labels.png", ".csv", "_view.jpg"
NO_MARK = "artifact"  # what a person writes beside a report that is none
FROM_TRUTH, FROM_ANNOTATION = "labels", "annotation"


@dataclass(frozen=True)
class HumanLabels:
    """Where the labels of an image are; ``digest`` changes with them."""

    digest: str
    truth: TruthImage | None = None
    annotation: Path | None = None  # the label image

    @property
    def origin(self) -> str:
        return FROM_TRUTH if self.annotation is None else FROM_ANNOTATION


def check_labels_folder(folder: Path) -> None:
    """Raise :class:`UsageError` unless ``folder`` is a labelled set."""
    if not (folder / "truth").is_dir():
        raise UsageError(
            f"There is no folder {folder / 'truth'}.", "See README.md, section Rendered scenes and ground truth."
        )


def find_labels(
    image: Path, image_id: str, *, folder: Path | None, data_set: Path, written: Mapping[str, str]
) -> HumanLabels | None:
    """The labels that people have made for an image; None when there are none.

    ``folder`` is the labelled set; ``written`` says for each image what the annotate files were when they were made:
    only changed ones count. Raises :class:`TruthError` for labels that cannot be used.
    """
    truth, digests = None, []
    if folder is not None and (folder / "truth" / f"{image.stem}.json").exists():
        truth = read_truth(image, folder / "truth")
        digests.append(_digest(folder / "truth" / f"{image.stem}.json", truth.labels_path))
    annotation = data_set / ANNOTATE_FOLDER / f"{image_id}{LABELS_ENDING}"
    if annotation.exists():
        digest = annotation_digest(annotation)
        if digest != written.get(image_id):
            return HumanLabels("+".join([digest, *digests]), truth, annotation)
    return HumanLabels(digests[0], truth) if truth else None


def annotation_digest(annotation: Path) -> str:
    """What a label image and its table hold, as a short text; raises :class:`TruthError`."""
    return _digest(annotation, _table_of(annotation))


def apply_labels(inspection: Inspection, human: HumanLabels | None, settings: InspectionSettings) -> Labelled:
    """What an inspected image shows by the best that is known: annotation before truth before inspection.

    Raises :class:`TruthError` for labels that cannot be used.
    """
    if human is None:
        return by_inspector(inspection)
    truth, record = human.truth, inspection.record
    if truth is not None and human.annotation is None:
        labels = read_labels(truth, inspection.grey.shape)
        if truth.fiber is None:
            return by_human(inspection, labels, {}, fiber=None, verdict=truth.verdict)
        kinds = {defect.id: defect.kind for defect in truth.defects}
        scale = truth.fiber.um_per_px or record.scale.um_per_px
        fiber = truth.fiber.as_found()
        return by_human(inspection, labels, kinds, fiber=fiber, verdict=truth.verdict, um_per_px=scale)
    kinds, labels = read_annotation(human.annotation, inspection.grey.shape)
    fiber = truth.fiber.as_found() if truth and truth.fiber else record.fiber
    if fiber is None:
        raise TruthError(f"{human.annotation.name} has labels, but the image has no fibre.", "Remove the file.")
    scale = (truth.fiber.um_per_px if truth and truth.fiber else None) or record.scale.um_per_px
    marks = np.where(labels == DO_NOT_JUDGE, 0, labels)
    verdict = verdict_of(marks, fiber)
    return by_human(inspection, labels, kinds, fiber=fiber, verdict=verdict, um_per_px=scale, judged_share=float("inf"))


def read_annotation(annotation: Path, shape: tuple[int, int]) -> tuple[dict[int, str], np.ndarray]:
    """Kinds and label image, (H, W) uint16, that a person has edited; marks that the table calls none are gone.

    Raises :class:`TruthError` with one sentence for what cannot be used.
    """
    table, name = _table_of(annotation), annotation.name
    try:
        labels = read_labels_png(annotation)
        text = file_bytes(table).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TruthError(f"{table.name} is not UTF-8 text.", "Save it as CSV in UTF-8.") from error
    except BlinkError as error:
        raise TruthError(f"{name} or its table cannot be used: {error.message}", error.remedy) from error
    if labels.shape != shape:
        sizes = f"{labels.shape[1]} x {labels.shape[0]} pixels, the image {shape[1]} x {shape[0]}"
        raise TruthError(f"{name} has {sizes}.", "Keep the size of the image.")
    kinds = _read_kinds(text, table.name)
    unknown = sorted({int(k) for k in np.unique(labels)} - {0, DO_NOT_JUDGE, *kinds})
    if unknown:
        raise TruthError(f"{name} has the value {unknown[0]}, but {table.name} has no such id.", "Add a row for it.")
    labels = np.where(np.isin(labels, [number for number, kind in kinds.items() if kind == NO_MARK]), 0, labels)
    return {number: kind for number, kind in kinds.items() if kind != NO_MARK}, labels.astype(np.uint16)


def _read_kinds(text: str, name: str) -> dict[int, str]:
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)  # office programs write semicolons in some countries
    reader = csv.DictReader(io.StringIO(text), delimiter=separator)
    if not {"id", "kind"} <= {*(reader.fieldnames or ())}:
        raise TruthError(f"{name} has no columns id and kind.", "Keep its first line.")
    kinds: dict[int, str] = {}
    try:
        for row in reader:
            if not any(value for key, value in row.items() if key is not None):
                continue
            number, kind = (row["id"] or "").strip(), (row["kind"] or "").strip().lower()
            where = f"line {reader.line_num} of {name}"
            if not (number.isascii() and number.isdigit()) or not 0 < int(number) < DO_NOT_JUDGE:
                raise TruthError(f"The id in {where} must be a whole number from 1 to {DO_NOT_JUDGE - 1}.")
            if int(number) in kinds:
                raise TruthError(f"The id {number} is in {name} twice.", "Give every mark a number of its own.")
            if kind not in (*KINDS, NO_MARK):
                raise TruthError(f"The kind in {where} must be one of {', '.join((*KINDS, NO_MARK))}, not {kind!r}.")
            kinds[int(number)] = kind
    except csv.Error as error:
        raise TruthError(f"{name} is no CSV table ({error}).", "Save it as CSV again.") from error
    return kinds


def _table_of(annotation: Path) -> Path:
    return annotation.with_name(annotation.name.removesuffix(LABELS_ENDING) + TABLE_ENDING)


def _digest(*paths: Path | None) -> str:
    content = hashlib.sha256()
    for path in paths:
        if path is not None:
            try:
                content.update(hashlib.sha256(file_bytes(path)).digest())
            except BlinkError as error:
                raise TruthError(f"{path.name} cannot be used: {error.message}", error.remedy) from error
    return content.hexdigest()[:16]
