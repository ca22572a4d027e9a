"""The work on many images: inspect one and write its files, anywhere; append its record, here.

One bad image never ends the batch, and a record means that the files of its image are complete.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2

import reporting
from batchwide.optics_dirt import OpticsSpot
from cli.image_files import ImageFile
from cli.output_folder import remove_details
from cli.run_info import now
from configuration.name_pattern import serial_and_port
from errors import BlinkError, InputStalled, MissingDependency, ModelError, OutputError, UnreadableImage
from image_io import DecodedImage, file_bytes
from inspection import inspect_bytes
from inspection_settings import InspectionSettings
from output_names import DETAILS_FOLDER
from records import LOCALIZATION_FAILED, UNREADABLE, Inspection, InspectionRecord, Provenance
from records_file import ResultsFile
from workers.backend import Backend, replay

logger = logging.getLogger("dscope.batch")


@dataclass(frozen=True)
class OutputOptions:
    """Where results go and which optional pictures are wanted."""

    folder: Path
    save_masks: bool = False
    save_zones: bool = False
    may_hold_results: bool = False  # of these images, from earlier, which must not stay beside the new ones


@dataclass(frozen=True)
class Job:
    """What all images of a batch have in common."""

    settings: InspectionSettings
    settings_sha256: str
    output: OutputOptions
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True)
class Task:
    """One image; ``known_sha256`` is the content of which a record with the same settings is there, "" for none.

    ``optics`` are the spots that the whole batch has shown to lie on the optics, for a second look.
    """

    image: ImageFile
    known_sha256: str = ""
    optics: tuple[OpticsSpot, ...] = ()


@dataclass(frozen=True)
class Finished:
    """The record of an image, its files written; None when the image is the one that has been inspected before."""

    record: InspectionRecord | None
    stalled: bool = False


class _ReadStalled(UnreadableImage):
    """Reading a file took so long that its disk must have stopped answering."""


def run(
    tasks: Iterable[Task],
    job: Job,
    backend: Backend[Task, Finished],
    results: ResultsFile,
    on_finished: Callable[[str], None] = lambda name: None,
) -> None:
    """Have the images inspected, and append each record as it comes; ``on_finished`` gets the image's name.

    Records are not kept in memory. Raises :class:`OutputError` when results cannot be written, and
    :class:`InputStalled` after too many stalled files in a row; what was finished stays in ``results``.
    """
    stalls, limit = 0, job.settings.config.batch.max_stalls
    for outcome in backend.run(tasks):
        replay(outcome.log)
        image, finished = outcome.task.image, outcome.result
        if finished is None:
            finished = Finished(record_death(image, job, outcome.death))
        if finished.record is not None:
            results.append(finished.record)
        on_finished(image.name)
        stalls = stalls + 1 if finished.stalled else 0
        if stalls >= limit:
            raise InputStalled(
                f"{limit} image files in a row could not be read in time, the last of them {image.path}:"
                " the disk or network share does not answer.",
                "Check the place of the images.",
            )


def inspect_and_write(job: Job, task: Task) -> Finished:
    """Read, inspect, and write the files of one image; done already when its bytes are the known ones.

    Raises :class:`OutputError`, and as :func:`inspect_safely`; everything else that goes wrong becomes a record.
    """
    started = time.perf_counter()
    image, stalled = task.image, False
    logger.info("Processing %s...", image.name)
    try:
        data = read_in_time(image.path, job.settings.config.batch.read_timeout_s)
    except Exception as error:
        stalled = isinstance(error, _ReadStalled)
        inspection = _failed(image, job.settings, error)
    else:
        if task.known_sha256 and hashlib.sha256(data).hexdigest() == task.known_sha256:
            logger.info("%s is unchanged: its earlier result stays.", image.name)
            return Finished(None)
        inspection = inspect_safely(data, image, dataclasses.replace(job.settings, optics=task.optics))
    return Finished(write_inspection(inspection, image, job, started), stalled)


def read_in_time(path: Path, timeout_s: float) -> bytes:
    """The content of a file; raises :class:`UnreadableImage`, also when it does not come within ``timeout_s``.

    A read from a share that has stalled cannot be called off: it is left behind in a thread.
    """
    contents: list[bytes] = []
    errors: list[Exception] = []

    def read() -> None:
        try:
            contents.append(file_bytes(path))
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        raise errors[0]
    if not contents:
        raise _ReadStalled(
            f"The file could not be read within {timeout_s:g} s: its disk or network share does not answer.",
            "Try again with --resume.",
        )
    return contents[0]


def inspect_safely(
    data: bytes, image: ImageFile, settings: InspectionSettings, decoded: DecodedImage | None = None
) -> Inspection:
    """Inspect one image; whatever goes wrong becomes a record that says so, with the traceback in the log file only.

    ``decoded`` is what its ``data`` decode to, where that is known. Raises :class:`ModelError` and
    :class:`MissingDependency` where networks cannot be asked: not one image can, then.
    """
    known = {} if decoded is None else {"image": decoded}
    try:
        return inspect_bytes(data, image.path, settings, name=image.name, **known)
    except (MissingDependency, ModelError):
        raise
    except Exception as error:
        inspection = _failed(image, settings, error)
        if _is_out_of_memory(error):  # next time there may be more: without a hash it is tried again
            return inspection
        digest = hashlib.sha256(data).hexdigest()
        return Inspection(dataclasses.replace(inspection.record, content_sha256=digest))


def record_death(image: ImageFile, job: Job, reason: str) -> InspectionRecord:
    """Write what there is to say about an image whose worker died: no content hash, so that it is tried again."""
    inspection = _not_inspected(image, job.settings, UNREADABLE, reason)
    return write_inspection(inspection, image, job, time.perf_counter())


def _failed(image: ImageFile, settings: InspectionSettings, error: Exception) -> Inspection:
    is_expected = isinstance(error, BlinkError)
    logger.debug("Inspection of %s ended early:", image.path, exc_info=None if is_expected else error)
    if is_expected:
        return _not_inspected(image, settings, UNREADABLE, str(error))
    if _is_out_of_memory(error):
        return _not_inspected(image, settings, UNREADABLE, "There is not enough memory for this image.")
    reason = f"Internal error ({type(error).__name__}); the log file has the details."
    return _not_inspected(image, settings, LOCALIZATION_FAILED, reason)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem)


def _not_inspected(image: ImageFile, settings: InspectionSettings, status: str, reason: str) -> Inspection:
    record = InspectionRecord(
        image_filename=image.name,
        image_path=str(image.path),
        status=status,
        reasons=(reason,),
        rule_set=settings.rule_set.name,
        rule_set_verified=settings.rule_set.verified,
        profile=settings.config.profile,
    )
    return Inspection(record)


def write_inspection(inspection: Inspection, image: ImageFile, job: Job, started: float) -> InspectionRecord:
    """Write the pictures and tables of one image; returns its record with what is known about the run.

    ``started`` is the value of ``time.perf_counter`` when its inspection began. A record without a serial number gets
    that of the file's name. Raises :class:`OutputError`; a picture that cannot be drawn is a warning in the record.
    """
    output, details = job.output, job.output.folder / DETAILS_FOLDER
    inspected_s = time.perf_counter() - started
    record = inspection.record
    if not record.serial_number:
        serial, port = serial_and_port(image.path.stem, job.settings.config.file_names.pattern)
        record = dataclasses.replace(record, serial_number=serial, port=port)
    inspection, warnings = dataclasses.replace(inspection, record=record), record.warnings
    if output.may_hold_results:
        remove_details(details, image.stem)
    try:
        reporting.write_image_files(
            inspection,
            details,
            image.stem,
            job.settings.config.reporting,
            save_masks=output.save_masks,
            save_zones=output.save_zones,
        )
    except OutputError:
        raise
    except Exception:
        logger.debug("Drawing %s failed:", image.path, exc_info=True)
        warnings = (*warnings, "Not all pictures of this image could be drawn; the log file has the details.")
    duration_s = time.perf_counter() - started
    record = dataclasses.replace(
        record,
        warnings=warnings,
        settings_sha256=job.settings_sha256,
        result_name=image.stem,
        inspected_at=now(),
        provenance=job.provenance,
        processing_time_s=inspected_s,
    )
    _log_outcome(record, duration_s)
    return record


def _log_outcome(record: InspectionRecord, duration_s: float) -> None:
    for warning in record.warnings:
        logger.info("%s: %s", record.image_filename, warning)
    why = "; ".join(record.reasons)
    if record.status in (UNREADABLE, LOCALIZATION_FAILED):
        logger.warning("%s: %s. %s", record.image_filename, record.status, why or "No reason given.")
    logger.info(
        "Finished %s: %s%s. Duration: %.2fs",
        record.image_filename,
        record.status,
        f" ({why})" if why else "",
        duration_s,
    )
