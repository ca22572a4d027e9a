"""Saved captures in ordinary OUTPUT folders: picture, files and record of each, and the reports on all.

A folder holds results of one setting only, as those of ``main.py`` do: captures with other settings go into a folder of
their own, called as the first with a number. A folder is made with its first capture.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import batch
from cli import output_folder, run_info
from cli.batch_run import Output, Wanted, open_output, write_reports
from errors import OutputError
from image_io import write_bytes
from records import InspectionRecord
from reporting import ReportOptions
from station.capture import Inspected, serial_of_record
from station.setup import Given, Setup

_WANTED = Wanted(ReportOptions())


@dataclass
class _Place:
    """A folder that is written to."""

    output: Output
    setup: Setup
    unreported: bool = True  # also when nothing is saved: an earlier session may have been killed
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


class Outputs:
    """The OUTPUT folders of a session; every method raises :class:`errors.OutputError`.

    ``folder`` is the first one. Where it holds results, ``resume`` must be true, and they must have been made with the
    same settings. Not for two threads at once.
    """

    def __init__(self, folder: Path, given: Given, arguments: Sequence[str], *, resume: bool = False) -> None:
        output_folder.check_usable(folder, keep_results=resume)
        self._folder, self._given, self._arguments, self._resume = folder, given, arguments, resume
        self._open: dict[str, _Place] = {}

    def folder_of(self, setup: Setup) -> Path:
        """Where captures of this setup are saved."""
        if setup.settings_sha256 in self._open:
            return self._open[setup.settings_sha256].output.folder
        taken = {each.output.folder for each in self._open.values()}
        names = (self._folder.with_name(f"{self._folder.name}_{number}") for number in range(2, 10_000))
        candidates = (path for path in (self._folder, *names) if path not in taken)
        return next(path for path in candidates if path == self._folder or not path.exists())

    def save(self, inspected: Inspected, serial: str) -> InspectionRecord:
        """Write picture, files and record of a capture, in this order; returns the record."""
        setup = inspected.capture.setup
        place = self.open(setup)
        image = inspected.capture.image_file(place.output.folder.absolute(), serial)
        (image,) = (task.image for task in place.output.plan.tasks([image.path]))
        _make_folder(image.path.parent)
        serial, port = serial_of_record(serial, setup.config.file_names.pattern)
        found = inspected.inspection.record
        record = replace(found, image_filename=image.name, image_path=str(image.path), serial_number=serial, port=port)
        started_s = time.perf_counter() - found.processing_time_s
        inspection = replace(inspected.inspection, record=record)
        try:
            write_bytes(image.path, inspected.capture.png)
            record = batch.write_inspection(inspection, image, setup.job(place.output.folder), started_s)
            place.output.results.append(record)
        except OutputError:  # it may be saved under another name, or discarded: no picture stays without a record
            with contextlib.suppress(OSError):
                image.path.unlink(missing_ok=True)
            raise
        place.unreported = True
        return record

    def report(self) -> list[str]:
        """Bring the reports up to date; returns what there is to remark on the batch."""
        remarks = []
        for place in self._open.values():
            if place.unreported:
                remarks += write_reports(place.output, place.setup.config, _WANTED)
                place.unreported = False
        return remarks

    def close(self) -> None:
        """Write the last reports, and give the folders back, also when that fails."""
        with contextlib.ExitStack() as closing:
            for place in self._open.values():
                closing.push(place.closing)
                closing.callback(place.output.results.tidy)
            self.report()

    @property
    def folders(self) -> list[Path]:
        """The folders that hold captures of this session."""
        return [place.output.folder for place in self._open.values()]

    def open(self, setup: Setup) -> _Place:
        """The folder of this setup, made where it is missing."""
        if (known := self._open.get(setup.settings_sha256)) is not None:
            return known
        folder = self.folder_of(setup)
        output_folder.check_usable(folder, keep_results=self._resume)
        with contextlib.ExitStack() as closing:
            output = closing.enter_context(
                open_output(folder, (), setup.settings_sha256, self._description(setup), overwrite=False)
            )
            place = _Place(output, setup, closing=closing.pop_all())
        self._open[setup.settings_sha256] = place
        return place

    def _description(self, setup: Setup) -> Mapping[str, Any]:
        return run_info.describe_run(
            setup.settings,
            arguments=self._arguments,
            config_path=self._given.config,
            calibration_path=self._given.calibration_path,
            operator=setup.choice.operator,
        )


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot make the folder {path}: {error.strerror or error}.", "Check free space and permissions."
        ) from error
