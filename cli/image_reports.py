"""Reports on single images that are made from their records after the inspection, in several processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import reporting
from errors import OutputError
from records import InspectionRecord
from settings import ReportingSettings
from workers.backend import Backend, InThisProcess, replay
from workers.pool import Pool

_WORTH_PROCESSES = 8  # images; starting processes takes as long as so many certificates
logger = logging.getLogger("dscope.reports")


@dataclass(frozen=True)
class ImageReports:
    """What is written for every image; ``reporting`` None = no tables and plots."""

    details: Path
    certificate: bool = False
    reporting: ReportingSettings | None = None


def write_missing_certificates(
    records: Iterable[InspectionRecord], details: Path, *, jobs: int, on_finished: Callable[[str], None]
) -> int:
    """Write the certificates of the images that have none for their record; see :func:`write_image_reports`."""
    due = (record for record in records if not reporting.is_certified(record, details))
    return write_image_reports(due, ImageReports(details, certificate=True), jobs=jobs, on_finished=on_finished)


def write_image_reports(
    records: Iterable[InspectionRecord], wanted: ImageReports, *, jobs: int, on_finished: Callable[[str], None]
) -> int:
    """Write the reports of every image; returns for how many that failed, with a warning for each in the log.

    Raises :class:`OutputError` when the folder does not take them.
    """
    failed = 0
    work = partial(write_one, wanted)
    backend: Backend[InspectionRecord, str] = InThisProcess(work) if jobs == 1 else Pool(work, jobs)
    with backend:
        for outcome in backend.run(records):
            replay(outcome.log)
            problem = outcome.death or outcome.result
            if problem:
                failed += 1
                logger.warning("%s: its reports could not be written. %s", outcome.task.image_filename, problem)
            on_finished(outcome.task.image_filename)
    return failed


def worthwhile_jobs(jobs: int, images: int) -> int:
    """How many processes for so many images: one where starting others takes longer than the work."""
    return min(jobs, images) if images >= _WORTH_PROCESSES else 1


def write_one(wanted: ImageReports, record: InspectionRecord) -> str:
    """Write the reports of one image; returns why that failed, "" when it did not. Raises :class:`OutputError`."""
    if not record.result_name:
        return "Its record does not say what its files are called: inspect it again."
    try:
        if wanted.reporting is not None:
            reporting.rewrite_image_tables(record, wanted.details, wanted.reporting)
        if wanted.certificate:
            reporting.write_certificate(record, wanted.details)
    except OutputError:
        raise
    except Exception as error:
        logger.debug("Reports of %s:", record.image_filename, exc_info=True)
        return f"Internal error ({type(error).__name__}); the log file has the details."
    return ""
