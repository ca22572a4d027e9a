"""One image of the data set: inspected, labelled, its files written, its rows made. Runs in the worker processes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from batch import inspect_safely, read_in_time
from cli.image_files import ImageFile
from configuration.name_pattern import serial_and_port
from errors import BlinkError, OutputError
from evaluation.assessment import settings_for
from image_io import write_png
from inspection_settings import InspectionSettings
from learning.correlations import reduced_face
from learning.crops import choose_crops
from learning.database import ImageRows
from learning.features import Row, defect_rows, geometry_row, region_rows
from learning.human_labels import HumanLabels, apply_labels
from learning.labelling import INSPECTOR, Labelled
from records import Inspection, InspectionRecord
from second_opinion.patch_input import CROP_SHARE, cut_out

IGNORE = "ignore"  # of the defect masks: where nobody has said what is there


@dataclass(frozen=True)
class Job:
    """What all images have in common; ``folder`` is the data set's."""

    settings: InspectionSettings
    folder: Path


@dataclass(frozen=True)
class Task:
    """One image; ``made_from`` names the settings and labels that its rows will be made from."""

    image: ImageFile
    image_id: str
    made_from: str
    human: HumanLabels | None = None


@dataclass(frozen=True)
class Extracted:
    """The rows of an image, its files written; None when it could not be used, and ``problem`` says why."""

    rows: ImageRows | None = None
    problem: str = ""


def extract(job: Job, task: Task) -> Extracted:
    """Inspect one image and write its files; raises :class:`OutputError`, everything else becomes a problem."""
    try:
        return _extract(job, task)
    except OutputError:
        raise
    except BlinkError as error:
        return Extracted(problem=str(error))
    except Exception as error:
        return Extracted(problem=f"Internal error ({type(error).__name__}: {error}).")


def image_id_of(data: bytes) -> str:
    """The name of a content in the data set: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def plain_text(text: str | os.PathLike[str]) -> str:
    """A file name as a database takes it: what is not Unicode becomes an escape."""
    return os.fspath(text).encode("utf-8", "backslashreplace").decode("utf-8")


def left_out(status: str, reasons: Sequence[str]) -> str:
    """Why an image belongs to no split, as a sentence."""
    return f"{status}. {'; '.join(reasons)}".strip()


def _extract(job: Job, task: Task) -> Extracted:
    data = read_in_time(task.image.path, job.settings.config.batch.read_timeout_s)
    if image_id_of(data) != task.image_id:
        return Extracted(problem="The file was changed while the data set was built. Run the same command again.")
    settings, human = job.settings, task.human
    if human is not None and human.truth is not None:
        settings = settings_for(human.truth, settings)
    inspection = inspect_safely(data, task.image, settings)
    serial, port = serial_and_port(task.image.path.stem, settings.config.file_names.pattern)
    record = replace(inspection.record, serial_number=serial, port=port)
    if inspection.grey is None:
        rows = ImageRows(_image_row(task, record, hashlib.sha256(data).hexdigest(), None))
        # without a hash the next try may end differently, as with more memory
        return Extracted(rows if record.content_sha256 else None, left_out(record.status, record.reasons))
    labelled = apply_labels(inspection, human, settings)
    rows = _write_and_describe(job.folder, task.image_id, inspection, labelled)
    image = _image_row(task, record, hashlib.sha256(data).hexdigest(), labelled)
    lost = labelled.fiber is None and human is None
    return Extracted(replace(rows, image=image), left_out(record.status, record.reasons) if lost else "")


def _image_row(task: Task, record: InspectionRecord, sha256: str, labelled: Labelled | None) -> Row:
    truth = task.human.truth if task.human else None
    return {
        "image_id": task.image_id,
        "filename": plain_text(task.image.path.name),
        "path": plain_text(task.image.path),
        "content_sha256": sha256,
        "width_px": record.image_width_px,
        "height_px": record.image_height_px,
        "status": record.status,
        "verdict": labelled.verdict if labelled else None,
        "label_source": labelled.source if labelled else INSPECTOR,
        "face": plain_text(truth.face) if truth and truth.face else None,
        "serial_number": plain_text(record.serial_number),
        "port": plain_text(record.port),
        "fingerprint": record.fingerprint,
        "um_per_px": labelled.um_per_px if labelled else None,
        "focus_score": record.focus_score,
        "profile": record.profile,
        "rule_set": record.rule_set,
        "reasons": json.dumps([plain_text(text) for text in record.reasons], ensure_ascii=False),
        "warnings": json.dumps([plain_text(text) for text in record.warnings], ensure_ascii=False),
        "made_from": task.made_from,
    }


def _write_and_describe(folder: Path, image_id: str, inspection: Inspection, labelled: Labelled) -> ImageRows:
    """Write the pictures of an image; returns its rows without the one of the image itself."""
    grey = inspection.grey
    pictures: dict[str, np.ndarray] = {f"images/{image_id}.png": grey}
    if labelled.fiber is None:
        _write(folder, pictures)
        return ImageRows({}, files=tuple(pictures))
    pictures[f"masks/{image_id}.png"] = labelled.regions
    for kind in sorted({*labelled.kinds.values()}):
        numbers = [number for number, other in labelled.kinds.items() if other == kind]
        pictures[f"defects/{image_id}_{kind}.png"] = np.where(np.isin(labelled.labels, numbers), 255, 0)
    if labelled.ignore.any():
        pictures[f"defects/{image_id}_{IGNORE}.png"] = np.where(labelled.ignore, 255, 0)
    cladding = labelled.fiber.cladding
    crops = []
    for number, crop in enumerate(choose_crops(labelled, image_id), start=1):
        name = f"{image_id}_{number}"
        file = f"crops/{crop.class_name}/{name}.png"
        pictures[file] = cut_out(grey, cladding, crop.x_px, crop.y_px)
        crops.append(
            {
                "crop_id": name,
                "defect": crop.number,
                "class": crop.class_name,
                "file": file,
                "centre_x_px": crop.x_px,
                "centre_y_px": crop.y_px,
                "side_px": CROP_SHARE * cladding.mean_radius_px,
            }
        )
    _write(folder, pictures)
    return ImageRows(
        {},
        geometry=geometry_row(labelled, inspection),
        regions=region_rows(grey, labelled.regions),
        defects=defect_rows(labelled, grey, inspection),
        crops=crops,
        cells=reduced_face(grey, cladding).tobytes(),
        files=tuple(pictures),
    )


def _write(folder: Path, pictures: dict[str, np.ndarray]) -> None:
    for name, picture in pictures.items():
        write_png(folder / name, picture.astype(np.uint8))
