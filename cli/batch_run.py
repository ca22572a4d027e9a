"""The running of a batch: open OUTPUT, inspect into it, write the reports; what is finished stays complete.

A program with images of its own opens an :class:`Output`, writes with ``batch.write_inspection``, appends the records
to ``results``, and ends with :func:`write_certificates` and :func:`write_reports`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import batch
import reporting
from cli import output_folder
from cli.batch_reports import report_batch
from cli.image_reports import worthwhile_jobs, write_missing_certificates
from cli.interrupts import StopRequest
from cli.logs import logging_to_file
from cli.plan import Plan, go_on
from cli.run_info import now
from cli.screen import Progress, images_in_words, no_progress
from cli.watching import watch
from errors import InputStalled, OutputError, WorkersFailed
from output_names import DETAILS_FOLDER
from records import InspectionRecord
from records_file import ResultsFile
from reporting import ReportOptions
from settings import Config
from workers.backend import Backend, InThisProcess
from workers.pool import Pool

RESUMABLE = "What is finished is complete: the same command with --resume goes on from there."
Inspections = Backend[batch.Task, batch.Finished]
logger = logging.getLogger("dscope")


@dataclass(frozen=True)
class Output:
    """OUTPUT while a run writes to it; ``description`` is what run.json says before the first image."""

    folder: Path
    results: ResultsFile
    plan: Plan
    description: Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """The reports at the end; ``jobs`` processes write certificates, ``old_output`` is what to compare with."""

    reports: ReportOptions
    old_output: Path | None = None
    jobs: int = 1


@dataclass(frozen=True)
class BatchRun:
    """A batch on its way into OUTPUT."""

    output: Output
    job: batch.Job
    backend: Inspections
    wanted: Wanted
    stop: StopRequest

    def inspect(self, paths: Sequence[Path], on_finished: Callable[[str], None]) -> None:
        """Inspect these images, up to a stop."""
        self._run(self.output.plan.tasks(paths), on_finished)

    def set_dirt_apart(self) -> None:
        """Inspect again what the whole batch has shown to lie on the optics, unless a stop is asked for."""
        tasks = [] if self.stop.requested else self.output.plan.second_look(self.config.optics_dirt)
        if tasks:
            logger.info("Inspecting %s again, now that dirt is known.", images_in_words(len(tasks)))
            self._run(tasks, lambda name: None)

    def report(self) -> list[str]:
        """Write the reports on the batch; returns what the closing summary remarks."""
        return write_reports(self.output, self.config, self.wanted)

    @property
    def config(self) -> Config:
        return self.job.settings.config

    def _run(self, tasks: Sequence[batch.Task], on_finished: Callable[[str], None]) -> None:
        batch.run(self.stop.until(tasks), self.job, self.backend, self.output.results, on_finished)


@contextmanager
def open_output(
    folder: Path, images: Sequence[Path], settings_sha256: str, description: Mapping[str, Any], *, overwrite: bool
) -> Iterator[Output]:
    """OUTPUT, made when missing, locked and logged to while the block runs; with ``overwrite`` emptied of results.

    ``images`` are those that are known already. Raises :class:`OutputError`, also where other settings made the
    results that it holds.
    """
    output_folder.create(folder)
    with output_folder.locked(folder), logging_to_file(folder):
        if overwrite:
            output_folder.start_over(folder, images)
        results, plan = go_on(folder, images, settings_sha256)
        reporting.write_run_json(folder, description)
        yield Output(folder, results, plan, description)


def start_backend(job: batch.Job, *, jobs: int, scheduler: str | None = None) -> Inspections:
    """What runs the inspections: this process, several, or a cluster."""
    config = replace(job.settings.config, raw={})  # for run.json only, and workers are waited for to read their job
    work = partial(batch.inspect_and_write, replace(job, settings=replace(job.settings, config=config)))
    if scheduler:
        from workers.cluster import Cluster  # a library of its own that few need

        return Cluster(work, scheduler)
    if jobs == 1:
        return InThisProcess(work)
    return Pool(work, jobs, timeout_s=job.settings.config.batch.image_timeout_s)


def run_batch(
    run: BatchRun, images: Sequence[Path], progress: Progress, look_again: Callable[[], Sequence[Path]] | None = None
) -> tuple[list[str], int]:
    """Inspect the images, or with ``look_again`` those that it finds until a stop, and write all reports.

    Returns what the closing summary remarks, and for how many images the certificate could not be written. Raises
    :class:`OutputError`, :class:`InputStalled` and :class:`WorkersFailed`; then, too, there are reports on what is
    finished, where they can be written.
    """
    records = run.output.results.records
    try:
        if look_again is None:
            _inspect_once(run, images, progress)
        else:
            _inspect_until_stopped(run, look_again, progress)
        # a watching run has no other end than the stop, which therefore cuts no certificates short
        due = records() if look_again else run.stop.until(records())
        uncertified = write_certificates(run.output, due, run.wanted, progress)
    except (OutputError, InputStalled, WorkersFailed) as error:
        with suppress(Exception):
            run.report()
        raise type(error)(error.message, f"{error.remedy} {RESUMABLE}") from error
    remarks = run.report()
    run.output.results.tidy()
    return remarks, uncertified


def write_certificates(
    output: Output, records: Iterable[InspectionRecord], wanted: Wanted, progress: Progress = no_progress
) -> int:
    """With ``wanted.reports.pdf``, write the certificates of the images that have none for their record.

    Returns for how many that failed. Raises :class:`OutputError`.
    """
    if not wanted.reports.pdf:
        return 0
    jobs = worthwhile_jobs(wanted.jobs, len(output.results))
    with progress(None) as advance:
        return write_missing_certificates(records, output.folder / DETAILS_FOLDER, jobs=jobs, on_finished=advance)


def write_reports(output: Output, config: Config, wanted: Wanted) -> list[str]:
    """Write run.json and the reports, which link the certificates; returns what the closing summary remarks.

    Raises :class:`OutputError`.
    """
    counts = {"images": len(output.results), **output.results.counts()}
    reporting.write_run_json(output.folder, {**output.description, "end": now(), "counts": counts})
    return report_batch(output.folder, output.results, config, wanted.reports, wanted.old_output)


def _inspect_once(run: BatchRun, images: Sequence[Path], progress: Progress) -> None:
    with run.backend, progress(len(images)) as advance:
        run.inspect(images, advance)
        run.set_dirt_apart()


def _inspect_until_stopped(run: BatchRun, look_again: Callable[[], Sequence[Path]], progress: Progress) -> None:
    """Inspect the images that appear, and refresh the reports."""

    def report_so_far() -> None:
        run.set_dirt_apart()
        write_certificates(run.output, run.output.results.records(), run.wanted)
        run.report()

    with run.backend, progress(None) as advance:
        watch(look_again, partial(run.inspect, on_finished=advance), report_so_far, run.config.batch, run.stop)
