"""D-Scope Blink: inspect microscope images of fibre end faces. Command line, order of work and exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.arguments import Parser, count, diameter_um, path
from errors import ExitCode, NoImagesError, OutputError, UsageError, refuse_to_start

try:
    from rich.console import Console

    import batch
    import image_io
    import reporting
    from calibration import DEFAULT_PATH, load_calibration
    from cli import output_folder, prompts, run_info
    from cli.calibration_checks import batch_warnings
    from cli.image_files import Found, ImageFile, find_images, name_results, natural_key, same_file_key
    from cli.job_settings import choose_settings, describe_settings
    from cli.logs import logging_to_file
    from cli.program import run_program
    from cli.screen import is_terminal, progress_bar, say
    from config_loader import load_config
    from inspection import InspectionSettings
    from records import FAIL, PASS, UNGRADED, InspectionRecord
    from settings import Config
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
    doubts = batch_warnings(settings, datetime.now().astimezone())
    if options.check_config:
        return report_check(options, settings, doubts)
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
    add("--jobs", type=count, default=1, metavar="N", help="accepted for scripts; images are inspected one by one")
    add("--recursive", action="store_true", help="search subfolders, too")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="keep the results in OUTPUT and inspect the others")
    existing.add_argument("--overwrite", action="store_true", help="replace the results in OUTPUT")
    add("--save-masks", action="store_true", help="also write defect labels and the zone map of every image")
    add("--save-zones", action="store_true", help="also write every zone as an image of its own")
    add("--dry-run", action="store_true", help="say what would be done, and write nothing")
    add("--check-config", action="store_true", help="check config.json and calibration.json, and stop")
    add("--exit-zero", action="store_true", help="exit with 0 although images failed inspection or were not graded")
    add("--no-progress", action="store_true", help="no progress bar")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", help="every step on the screen")
    loudness.add_argument("-q", "--quiet", action="store_true", help="only errors on the screen")
    add("--version", action="version", version=f"D-Scope Blink {run_info.VERSION}")
    options = parser.parse_args(None if argv is None else list(argv))
    options.argv = sys.argv[1:] if argv is None else list(argv)
    options.output = options.output or _default_output()
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


def collect_images(options: argparse.Namespace) -> Found:
    """The images to inspect; raises :class:`NoImagesError` when there is none."""
    found = find_images(options.inputs, recursive=options.recursive)
    if not found.paths:
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
    folder: Path = options.output
    images = prepare_output(options, settings, found)
    description = run_info.describe_run(
        settings,
        arguments=options.argv,
        config_path=options.config,
        calibration_path=options.calibration or DEFAULT_PATH,
        warnings=doubts,
    )
    with logging_to_file(folder):
        reporting.write_run_json(folder, description)
        log_start(options, settings, images)
        log_doubts(doubts)
        output = batch.OutputOptions(folder, options.save_masks, options.save_zones)
        interrupted = False
        try:
            wanted = not (options.no_progress or options.quiet)
            with progress_bar(console, len(images), wanted=wanted) as advance:
                batch.run(images, settings, output, lambda record: advance(record.image_filename))
        except KeyboardInterrupt:
            interrupted = True
        except OutputError:
            with suppress(Exception):
                write_reports(folder, description)
            raise
        records = write_reports(folder, description)
        return report_outcome(options, records, interrupted=interrupted, has_problems=bool(found.problems))


def prepare_output(options: argparse.Namespace, settings: InspectionSettings, found: Found) -> list[ImageFile]:
    """Make OUTPUT ready and return the images that are still to be inspected."""
    folder: Path = options.output
    earlier = [Path(record.image_path) for record in output_folder.read_records(folder)]
    if options.overwrite:
        output_folder.remove_results(folder, (*earlier, *found.paths))
        earlier = []
    elif earlier and run_info.earlier_settings_hash(folder / "run.json") != run_info.settings_hash(settings):
        raise OutputError(
            f"The results in {folder} were made with other settings and cannot be mixed with new ones.",
            "Repeat the earlier options, use --overwrite, or choose another -o.",
        )
    output_folder.create(folder)
    done = {same_file_key(path) for path in earlier}
    missing = [path for path in found.paths if same_file_key(path) not in done]
    return name_results(missing, taken_by=earlier)


def log_start(options: argparse.Namespace, settings: InspectionSettings, images: Sequence[ImageFile]) -> None:
    """Say in the log what this run does."""
    logger.info("Inspecting %s into %s", _counted(len(images)), options.output)
    for line in describe_settings(settings):
        logger.info(line)
    if settings.cladding_um is None and settings.calibration is None:
        logger.warning("No scale is known: give --cladding-um or --fiber-type, or no image can pass or fail.")
    if options.jobs > 1:
        logger.info("--jobs %d: this version inspects the images one by one.", options.jobs)


def log_doubts(doubts: Sequence[str]) -> None:
    """Warn, once per batch, of a calibration or flat field that is old, of another camera or of no use."""
    for text in doubts:
        logger.warning("%s", text)


def write_reports(folder: Path, description: dict[str, Any]) -> list[InspectionRecord]:
    """Write the reports from results.jsonl, and return its records in natural file-name order."""
    records = sorted(output_folder.read_records(folder), key=lambda item: natural_key(Path(item.image_path)))
    reporting.write_summary(folder, records)
    counts = {"images": len(records), **batch.count_statuses(records)}
    reporting.write_run_json(folder, {**description, "end": run_info.now(), "counts": counts})
    return records


def report_outcome(
    options: argparse.Namespace, records: Sequence[InspectionRecord], *, interrupted: bool, has_problems: bool
) -> ExitCode:
    """Print the closing summary and choose the exit code."""
    counts = batch.count_statuses(records)
    shown = ", ".join(f"{counts[status]} {status}" for status in (PASS, FAIL, UNGRADED) if status in counts)
    failed = sum(counts.values()) - sum(counts.get(status, 0) for status in (PASS, FAIL, UNGRADED))
    parts = [part for part in (shown, f"{failed} not inspected" if failed else "") if part]
    say(f"{_counted(len(records))}: {', '.join(parts) or 'nothing finished'}")
    say(f"Reports: {options.output / 'summary_report.csv'}")
    if interrupted:
        say("Interrupted: what is finished is complete; --resume goes on from there.")
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
    say(*found.paths, f"{_counted(len(found.paths))} would be inspected into {options.output}")
    say(*describe_settings(settings))
    return ExitCode.OK


def _counted(images: int) -> str:
    return f"{images} image{'s' * (images != 1)}"


def _default_output() -> Path:
    base = f"results_{datetime.now():%Y%m%d_%H%M%S}"
    names = (base, *(f"{base}_{number}" for number in range(2, 1000)))
    return Path(next(name for name in names if not os.path.lexists(name)))


if __name__ == "__main__":
    sys.exit(main())
