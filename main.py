"""D-Scope Blink: inspect microscope images of fibre end faces. Command line, order of work and exit codes."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import process_setup  # noqa: F401  before NumPy is loaded
from cli.arguments import Parser, add_screen_options, count, diameter_um, name_of_person, path
from errors import ExitCode, NoImagesError, UsageError, refuse_to_start

try:
    if __name__ != "__mp_main__":  # a worker process imports this file, too, and needs nothing of it
        from rich.console import Console

        import batch
        import comparison
        import image_io
        import reporting
        from calibration import DEFAULT_PATH, load_calibration
        from cli import output_folder, prompts, run_info
        from cli.batch_run import RESUMABLE, BatchRun, Wanted, open_output, run_batch, start_backend
        from cli.calibration_checks import batch_warnings
        from cli.image_files import Found, find_images
        from cli.interrupts import StopRequest
        from cli.job_settings import choose_settings, describe_settings
        from cli.model_options import MODEL_HELP, model_files, with_networks
        from cli.program import run_program
        from cli.screen import images_in_words, is_terminal, progress_bar, say
        from cli.vlm_option import VLM_HELP, load_early, with_vlm, worker_count
        from config_loader import load_config
        from inspection_settings import InspectionSettings
        from output_names import REPORT_FILE, SUMMARY_FILE
        from records import FAIL, PASS, UNGRADED
        from records_file import ResultsFile
        from reporting import ReportOptions
        from reports.html_report import check_jinja
        from settings import Config
        from workers.pool import available_cores
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("main.py", error))

CONFIG_PATH = Path(__file__).resolve().parent / "config.json"
logger = logging.getLogger("dscope")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("main.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    image_io.check_opencv()
    check_jinja()
    if options.excel:
        reporting.check_excel()
    config = load_config(options.config, options.profile)
    calibration = load_calibration(options.calibration or DEFAULT_PATH, required=options.calibration is not None)
    if not options.inputs and not options.check_config:
        options = ask_for_missing(options, config)
    settings = choose_settings(
        config,
        calibration,
        core_um=options.core_um,
        cladding_um=options.cladding_um,
        fiber_type=options.fiber_type,
        zones=options.zones,
    )
    settings = with_vlm(with_networks(settings, options.model), options.vlm)
    doubts = batch_warnings(settings, datetime.now().astimezone())
    if options.check_config:
        return report_check(options, settings, doubts)
    if options.compare:
        comparison.check_old_output(options.compare, options.output)
    found = collect_images(options)
    output_folder.check_usable(options.output, keep_results=options.resume or options.overwrite)
    if options.dry_run:
        return report_dry_run(options, settings, found)
    return inspect_all(options, settings, found, doubts, console)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="main.py",
        allow_abbrev=False,
        description="Inspect fibre end faces by IEC 61300-3-35.",
        epilog="Exit codes: 0 all PASS; 1 some FAIL or UNGRADED; 2 usage or settings invalid; 3 some images could not"
        " be inspected; 4 no image; 5 a library is missing; 6 OUTPUT cannot be used; 130 interrupted. See README.md.",
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="image files, folders or globs; none: questions are asked")
    add("-o", "--output", type=path, help="folder for the results (default: results_YYYYMMDD_HHMMSS)")
    add("--profile", help="profile of config.json, for example fast_scan or deep_inspection")
    add("-c", "--config", type=path, default=CONFIG_PATH, metavar="FILE", help="default: config.json beside main.py")
    add("--calibration", type=path, metavar="FILE", help="default: calibration.json beside main.py, where it exists")
    add("--fiber-type", metavar="NAME", help="fibre type of config.json: its dimensions and its rules")
    add("--core-um", type=diameter_um, metavar="D", help="core diameter in micrometres")
    add(
        "--cladding-um",
        type=diameter_um,
        metavar="D",
        help="cladding diameter in micrometres: gives every image its scale",
    )
    add("--zones", metavar="LIST", help="inspect and judge only these zones, for example core,cladding")
    add("--model", type=model_files, metavar="LIST", help=MODEL_HELP)
    add("--vlm", metavar="PATH", help=VLM_HELP)
    add("--operator", type=name_of_person, metavar="NAME", help="who inspects, for the reports")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--jobs", type=count, metavar="N", help="inspect N images at once (default: one per core, 1 with --vlm)"
    )
    where.add_argument("--scheduler", metavar="ADDRESS", help="inspect on a Dask cluster, such as tcp://host:8786")
    add("--recursive", action="store_true", help="search subfolders, too")
    add("--watch", action="store_true", help="go on with the images that appear in INPUT, until Ctrl-C")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="keep the results in OUTPUT and inspect the others")
    existing.add_argument("--overwrite", action="store_true", help="replace the results in OUTPUT")
    add("--compare", type=path, metavar="OLD_OUTPUT", help="say what became of every mark since an earlier inspection")
    add("--save-masks", action="store_true", help="also write defect labels and the zone map of every image")
    add("--save-zones", action="store_true", help="also write every zone as an image of its own")
    add("--pdf", action="store_true", help="also write certificates, of the batch and of every image")
    add("--excel", action="store_true", help="also write the workbook summary_report.xlsx")
    add("--dry-run", action="store_true", help="say what would be done, and write nothing")
    add("--check-config", action="store_true", help="check config.json and calibration.json, and stop")
    add("--exit-zero", action="store_true", help="exit with 0 although images failed inspection or were not graded")
    add_screen_options(parser)
    options = parser.parse_args(None if argv is None else list(argv))
    options.argv = sys.argv[1:] if argv is None else list(argv)
    if options.watch and (options.dry_run or options.check_config):
        raise UsageError("--watch does not go with --dry-run or --check-config.")
    options.output = options.output or output_folder.new_name()
    if options.core_um and options.cladding_um and options.core_um >= options.cladding_um:
        raise UsageError(
            f"The core ({options.core_um:g} um) must be smaller than the cladding ({options.cladding_um:g} um)."
        )
    return options


def ask_for_missing(options: argparse.Namespace, config: Config) -> argparse.Namespace:
    """Ask for what the command line left out; a usage error where nobody can answer."""
    if not is_terminal(sys.stdin):
        raise UsageError("Name at least one image, folder or glob as INPUT.", "See: python main.py --help")
    answers = prompts.ask_all(
        default_output=options.output,
        fiber_types=config.fiber_types,
        check_output=lambda folder: output_folder.check_usable(
            folder, keep_results=options.resume or options.overwrite
        ),
        check_fiber=lambda **dimensions: choose_settings(config, None, **dimensions),
    )
    given = {name: value for name, value in vars(answers).items() if value is not None}
    return argparse.Namespace(**{**vars(options), **given, "inputs": [str(given.pop("folder"))]})


def search(options: argparse.Namespace) -> Found:
    """Look for images in INPUT."""
    return find_images(options.inputs, recursive=options.recursive)


def collect_images(options: argparse.Namespace) -> Found:
    """The images to inspect; raises :class:`NoImagesError` when there is none, and none can come."""
    found = search(options)
    if not found.paths and (found.problems or not options.watch):
        why = "; ".join((*found.problems, *found.ignored)) or f"none in '{', '.join(options.inputs)}'"
        has_folder = any(Path(text).is_dir() for text in options.inputs)
        remedy = "Use --recursive to search subfolders." if has_folder and not options.recursive else ""
        raise NoImagesError(f"No image found: {why}.", remedy)
    for text in found.problems:
        logger.warning("%s.", text)
    for text in found.ignored:
        logger.warning("%s: ignored.", text)
    return found


def inspect_all(
    options: argparse.Namespace,
    settings: InspectionSettings,
    found: Found,
    doubts: Sequence[str],
    console: Console,
) -> ExitCode:
    """Inspect the images and write all reports; what is finished stays complete whatever ends the batch."""
    provenance = run_info.provenance(settings, options.operator or "")
    job = batch.Job(settings, run_info.settings_hash(settings), output_options(options), provenance)
    cores = available_cores() if options.watch else min(available_cores(), len(found.paths))
    jobs = worker_count(settings, options.jobs, cores)
    if not options.scheduler:
        load_early(settings, jobs)
    backend = start_backend(job, jobs=jobs, scheduler=options.scheduler)
    wanted = Wanted(ReportOptions(options.pdf, options.excel), options.compare, options.jobs or available_cores())
    description = describe_run(options, settings, doubts)
    opened = open_output(options.output, found.paths, job.settings_sha256, description, overwrite=options.overwrite)
    with opened as output, StopRequest() as stop:
        log_start(options, settings, found)
        log_doubts(doubts)
        run = BatchRun(output, job, backend, wanted, stop)
        progress = partial(progress_bar, console, wanted=not (options.no_progress or options.quiet))
        look_again = (lambda: search(options).paths) if options.watch else None
        try:
            remarks, uncertified = run_batch(run, found.paths, progress, look_again)
        except KeyboardInterrupt:
            say(f"Interrupted before the reports were written. {RESUMABLE}")
            return ExitCode.INTERRUPTED
        has_problems = bool(found.problems) or uncertified > 0
        return report_outcome(options, output.results, remarks, interrupted=stop.requested, has_problems=has_problems)


def output_options(options: argparse.Namespace) -> batch.OutputOptions:
    """Where results go; as a full path, because workers may run elsewhere."""
    may_hold_results = options.resume or options.watch
    return batch.OutputOptions(options.output.absolute(), options.save_masks, options.save_zones, may_hold_results)


def describe_run(options: argparse.Namespace, settings: InspectionSettings, doubts: Sequence[str]) -> dict[str, Any]:
    """The part of run.json that is known before the first image."""
    return run_info.describe_run(
        settings,
        arguments=options.argv,
        config_path=options.config,
        calibration_path=options.calibration or DEFAULT_PATH,
        operator=options.operator or "",
        warnings=doubts,
    )


def log_start(options: argparse.Namespace, settings: InspectionSettings, found: Found) -> None:
    """Say in the log what this run does."""
    logger.info("Inspecting %s into %s", images_in_words(len(found.paths)), options.output)
    for line in describe_settings(settings):
        logger.info(line)
    if settings.cladding_um is None and settings.calibration is None:
        logger.warning("No scale is known: give --cladding-um or --fiber-type, or no image can pass or fail.")


def log_doubts(doubts: Sequence[str]) -> None:
    """Warn, once per batch, of a calibration or flat field that is old, of another camera or of no use."""
    for text in doubts:
        logger.warning("%s", text)


def report_outcome(
    options: argparse.Namespace, results: ResultsFile, remarks: Sequence[str], *, interrupted: bool, has_problems: bool
) -> ExitCode:
    """Print the closing summary and choose the exit code."""
    counts = results.counts()
    shown = ", ".join(f"{counts[status]} {status}" for status in (PASS, FAIL, UNGRADED) if status in counts)
    failed = sum(counts.values()) - sum(counts.get(status, 0) for status in (PASS, FAIL, UNGRADED))
    parts = [part for part in (shown, f"{failed} not inspected" if failed else "") if part]
    say(f"{images_in_words(len(results))}: {', '.join(parts) or 'nothing finished'}", *remarks)
    say(f"Reports: {options.output / REPORT_FILE}, {options.output / SUMMARY_FILE}")
    if interrupted:
        say(f"Interrupted. {RESUMABLE}")
        return ExitCode.INTERRUPTED
    if failed or has_problems:
        return ExitCode.IMAGES_FAILED
    if counts.get(FAIL, 0) + counts.get(UNGRADED, 0) and not options.exit_zero:
        return ExitCode.NOT_ALL_PASSED
    return ExitCode.OK


def report_check(options: argparse.Namespace, settings: InspectionSettings, doubts: Sequence[str]) -> ExitCode:
    """--check-config: all that could be wrong has been raised before."""
    say(f"{options.config}: OK")
    where = options.calibration or DEFAULT_PATH
    scale = settings.calibration
    say(f"{where}: OK, {scale.mean_um_per_px:.6g} um per pixel" if scale else f"{where}: absent, which is allowed")
    say(*describe_settings(settings))
    log_doubts(doubts)
    return ExitCode.OK


def report_dry_run(options: argparse.Namespace, settings: InspectionSettings, found: Found) -> ExitCode:
    """--dry-run: list images and settings."""
    say(*found.paths, f"{images_in_words(len(found.paths))} would be inspected into {options.output}")
    say(*describe_settings(settings))
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
