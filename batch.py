"""The loop over the images: inspect one, write its files, append its record; one bad image never ends the batch."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

import reporting
from cli.image_files import DETAILS_FOLDER, RESULTS_FILE, ImageFile
from errors import BlinkError, OutputError
from inspection import InspectionSettings, inspect_file
from records import LOCALIZATION_FAILED, UNREADABLE, Inspection, InspectionRecord

logger = logging.getLogger("dscope.batch")


@dataclass(frozen=True)
class OutputOptions:
    """Where results go and which optional pictures are wanted."""

    folder: Path
    save_masks: bool = False
    save_zones: bool = False


def run(
    images: Sequence[ImageFile],
    settings: InspectionSettings,
    output: OutputOptions,
    on_finished: Callable[[InspectionRecord], None] = lambda record: None,
) -> None:
    """Inspect ``images`` one after the other. A record is appended to results.jsonl once all its files are written.

    Nothing is kept in memory. Raises :class:`OutputError` when results cannot be written; what was finished stays.
    """
    for image in images:
        started = time.perf_counter()
        logger.info("Processing %s...", image.name)
        inspection = inspect_safely(image, settings)
        record = _write(inspection, image, settings, output)
        _log_outcome(record, time.perf_counter() - started)
        on_finished(record)


def inspect_safely(image: ImageFile, settings: InspectionSettings) -> Inspection:
    """Inspect one image; whatever goes wrong becomes a record that says so, with the traceback in the log file only."""
    started = time.perf_counter()
    try:
        return inspect_file(image.path, settings, name=image.name)
    except Exception as error:
        status, reason = _why(error)
        is_expected = isinstance(error, BlinkError)
        logger.debug("Inspection of %s ended early:", image.path, exc_info=None if is_expected else error)
    record = InspectionRecord(
        image_filename=image.name,
        image_path=str(image.path),
        status=status,
        reasons=(reason,),
        processing_time_s=time.perf_counter() - started,
        rule_set=settings.rule_set.name,
        rule_set_verified=settings.rule_set.verified,
        profile=settings.config.profile,
    )
    return Inspection(record)


def _why(error: Exception) -> tuple[str, str]:
    """Status and reason of an image whose inspection raised an error."""
    if isinstance(error, BlinkError):
        return UNREADABLE, str(error)
    if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
        return UNREADABLE, "There is not enough memory for this image."
    return LOCALIZATION_FAILED, f"Internal error ({type(error).__name__}); the log file has the details."


def _write(
    inspection: Inspection, image: ImageFile, settings: InspectionSettings, output: OutputOptions
) -> InspectionRecord:
    """Write the pictures and tables of one image, then its record: a record means that its files are complete."""
    record = inspection.record
    try:
        reporting.write_image_files(
            inspection,
            output.folder / DETAILS_FOLDER,
            image.stem,
            settings.config.reporting,
            save_masks=output.save_masks,
            save_zones=output.save_zones,
        )
    except OutputError:
        raise
    except Exception:
        logger.debug("Drawing %s failed:", image.path, exc_info=True)
        warning = "Not all pictures of this image could be drawn; the log file has the details."
        record = dataclasses.replace(record, warnings=(*record.warnings, warning))
    reporting.append_record(output.folder / RESULTS_FILE, record)
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


def count_statuses(records: Iterable[InspectionRecord]) -> dict[str, int]:
    """How many records have which status."""
    counts: dict[str, int] = {}
    for record in records:
        counts[record.status] = counts.get(record.status, 0) + 1
    return counts
