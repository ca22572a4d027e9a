"""The command line of reporting.py: rebuild the reports of an inspection from results.jsonl, without inspecting."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import process_setup  # noqa: F401  before NumPy is loaded
from cli.arguments import Parser, add_screen_options, count, path
from errors import ExitCode, NoImagesError, refuse_to_start

try:
    from rich.console import Console

    import comparison
    import reporting
    from cli import output_folder
    from cli.batch_reports import report_batch
    from cli.image_reports import ImageReports, worthwhile_jobs, write_image_reports
    from cli.interrupts import StopRequest
    from cli.logs import logging_to_file
    from cli.program import run_program
    from cli.screen import images_in_words, progress_bar, say
    from config_loader import load_config
    from output_names import DETAILS_FOLDER, RESULTS_FILE
    from plain_data import build
    from records_file import ResultsFile, has_records
    from settings import Config, OpticsDirt, SameFaceSettings
    from workers.pool import available_cores
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("reporting.py", error))

CONFIG_PATH = Path(__file__).resolve().parent.parent / "config.json"
logger = logging.getLogger("dscope.reports")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("reporting.py", parse_arguments, work, argv)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`errors.UsageError`."""
    parser = Parser(
        prog="reporting.py",
        allow_abbrev=False,
        description="Rebuild the reports of an inspection from its results.jsonl, without inspecting again.",
        epilog="Exit codes: 0 done; 2 usage or config.json invalid; 3 some images were left out; 4 OUTPUT holds no"
        " results; 5 a library is missing; 6 OUTPUT cannot be written; 130 interrupted. See README.md.",
    )
    add = parser.add_argument
    add("output", type=path, metavar="OUTPUT", help="the folder of the results")
    add("--pdf", action="store_true", help="also write certificates, of the batch and of every image")
    add("--excel", action="store_true", help="also write the workbook summary_report.xlsx")
    add("--compare", type=path, metavar="OLD_OUTPUT", help="say what became of every mark since an earlier inspection")
    add("--jobs", type=count, metavar="N", help="work on N images at once (default: one per core)")
    add("-c", "--config", type=path, default=CONFIG_PATH, metavar="FILE", help="colours; default: config.json")
    add_screen_options(parser)
    return parser.parse_args(argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job: the reports on every image, then those on the batch."""
    folder, config = options.output, load_config(options.config)
    if options.excel:
        reporting.check_excel()
    check_results(folder)
    if options.compare:
        comparison.check_old_output(options.compare, folder)
    output_folder.create(folder)
    with output_folder.locked(folder), logging_to_file(folder), StopRequest() as stop:
        output_folder.remove_partial_files(folder)
        results = ResultsFile(folder / RESULTS_FILE)
        logger.info("Rebuilding the reports in %s", folder)
        each = ImageReports(folder / DETAILS_FOLDER, options.pdf, config.reporting)
        jobs = worthwhile_jobs(options.jobs or available_cores(), len(results))
        with progress_bar(console, len(results), wanted=not (options.no_progress or options.quiet)) as advance:
            failed = write_image_reports(stop.until(results.records()), each, jobs=jobs, on_finished=advance)
        if stop.requested:
            say("Interrupted: the reports are incomplete. The same command makes them anew.")
            return ExitCode.INTERRUPTED
        wanted = reporting.ReportOptions(options.pdf, options.excel)
        remarks = report_batch(folder, results, as_inspected(folder, config), wanted, options.compare)
        update_counts(folder, results)
    say(f"{images_in_words(len(results))}: reports rebuilt in {folder}", *remarks)
    return ExitCode.IMAGES_FAILED if failed or results.skipped else ExitCode.OK


def check_results(folder: Path) -> None:
    """Raise :class:`NoImagesError` where there are no results: nothing must be made in another folder."""
    if not (folder / RESULTS_FILE).is_file():
        raise NoImagesError(f"There is no {RESULTS_FILE} in {folder}.", "Name the OUTPUT of an inspection.")
    if not has_records(folder / RESULTS_FILE):
        raise NoImagesError(f"{folder / RESULTS_FILE} holds no complete record.", "Inspect the images again.")


def as_inspected(folder: Path, config: Config) -> Config:
    """The settings with the limits of the findings that the inspection had, as far as run.json tells them."""
    limits, run = {}, reporting.read_run_json(folder)
    for name, kind in (("optics_dirt", OpticsDirt), ("same_face", SameFaceSettings)):
        with suppress(KeyError, TypeError, ValueError):
            limits[name] = build(kind, run["config"][name])
    return replace(config, **limits)


def update_counts(folder: Path, results: ResultsFile) -> None:
    """Keep run.json, but for the counts; one that is missing or damaged stays as it is."""
    run = reporting.read_run_json(folder)
    if run:
        reporting.write_run_json(folder, {**run, "counts": {"images": len(results), **results.counts()}})
