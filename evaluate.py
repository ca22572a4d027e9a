"""Measure how good the inspection is on labelled images. Command line, order of work and exit codes.

python evaluate.py FOLDER [--profile NAME ...] [-o OUT] [--baseline old.json] [--vlm PATH] [--repeat] [--drift]
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py
from cli.arguments import Parser, add_screen_options, count, path
from errors import ExitCode, UsageError, refuse_to_start

try:
    from rich.console import Console

    import image_io
    from cli import run_info
    from cli.calibration_checks import batch_warnings
    from cli.job_settings import choose_settings
    from cli.model_options import MODEL_HELP, model_files, with_networks
    from cli.program import run_program
    from cli.screen import progress_bar, say
    from cli.vlm_option import VLM_HELP, load_early, with_vlm, worker_count
    from config_loader import load_config
    from evaluation import report
    from evaluation.baseline import read_baseline
    from evaluation.disturbances import default_disturbances
    from evaluation.drift import IMAGES as DRIFT_IMAGES
    from evaluation.drift import run_drift
    from evaluation.drift_report import drift_markdown, write_drift
    from evaluation.figures import Figures
    from evaluation.markdown import share
    from evaluation.matching import JUDGED_SHARE
    from evaluation.model_figures import model_figures, model_markdown
    from evaluation.pool import Task, assess_all
    from evaluation.repeat import repeat_markdown, repeatability
    from evaluation.results import Evaluation, ProfileRun
    from evaluation.truth import TruthImage, load_truth_set
    from inspection_settings import InspectionSettings
    from workers.pool import available_cores
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("evaluate.py", error))

CONFIG_PATH = Path(__file__).resolve().parent / "config.json"
DEFAULT_PROFILE = "deep_inspection"
logger = logging.getLogger("dscope.evaluate")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("evaluate.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    image_io.check_opencv()
    plain = [choose_settings(load_config(options.config, name), None) for name in options.profile]
    every = [with_vlm(with_networks(settings, options.model), options.vlm) for settings in plain]
    asking = next((settings for settings in every if settings.vlm), every[0])
    options.jobs = worker_count(asking, options.jobs, available_cores())
    baseline = read_baseline(options.baseline) if options.baseline else None
    skipped: list[str] = []
    truths = load_truth_set(options.folder, skipped.append)
    for sentence in skipped:
        logger.warning(sentence)
    load_early(asking, options.jobs)
    report.prepare_folder(options.output, overwrite=options.overwrite)
    about = describe_run(options)
    runs = assess_profiles(options, every, truths, console)
    sections: list[str] = []
    extra: dict[str, Any] = {}
    if asking.vlm:
        add_model(runs, sections, extra)
    if options.repeat:
        add_repeatability(runs, sections, extra)
    if options.drift:
        add_drift(options, every[0], truths, console, sections, extra)
    evaluation = Evaluation(
        {**about, "end": run_info.now()}, options.limit_radius, tuple(runs), tuple(skipped), extra, tuple(sections)
    )
    figures, better, worse = report.write_evaluation(options.output, evaluation, truths, baseline)
    if baseline:
        say(f"Compared with {options.baseline}: {better} figures better, {worse} worse")
    return report_outcome(options, runs, figures, has_skipped=bool(skipped))


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="evaluate.py",
        allow_abbrev=False,
        description="Measure how good the inspection is on labelled images.",
        epilog="Exit codes: 0 done; 2 usage or settings invalid; 3 some images could not be evaluated; 4 no labelled"
        " image; 5 a library is missing; 6 OUT cannot be used; 130 interrupted. See README.md.",
    )
    add = parser.add_argument
    add("folder", nargs="?", type=path, metavar="FOLDER", help="labelled set: images/ and truth/")
    add("--profile", nargs="+", action="extend", metavar="NAME", help=f"one or several (default: {DEFAULT_PROFILE})")
    add("-o", "--output", type=path, metavar="OUT", help="default: evaluation_YYYYMMDD_HHMMSS")
    add(
        "-c", "--config", type=path, default=CONFIG_PATH, metavar="FILE", help="default: config.json beside evaluate.py"
    )
    add("--model", type=model_files, metavar="LIST", help=MODEL_HELP)
    add("--vlm", metavar="PATH", help=VLM_HELP)
    add("--jobs", type=count, metavar="N", help="processes (default: one per core, 1 with --vlm)")
    add(
        "--limit-radius",
        type=radius_share,
        default=JUDGED_SHARE,
        metavar="SHARE",
        help=f"judge within this share of the cladding radius (default {JUDGED_SHARE})",
    )
    add("--baseline", type=path, metavar="FILE", help="compare with the evaluation.json of an earlier run")
    add("--repeat", action="store_true", help="compare the images of one and the same end face")
    add("--drift", action="store_true", help=f"disturb {DRIFT_IMAGES} of the images more and more (takes many minutes)")
    add("--overwrite", action="store_true", help="replace the evaluation in OUT")
    add_screen_options(parser, quiet="no warnings and no progress bar")
    options = parser.parse_args(None if argv is None else list(argv))
    options.argv = sys.argv[1:] if argv is None else list(argv)
    if options.folder is None:
        taken = bool(options.profile) and Path(options.profile[-1]).is_dir()
        remedy = f"Write {options.profile[-1]} before --profile." if taken else "See: python evaluate.py --help"
        raise UsageError("Name the FOLDER with the labelled images.", remedy)
    options.profile = list(dict.fromkeys(options.profile or [DEFAULT_PROFILE]))
    options.output = options.output or Path(f"evaluation_{datetime.now():%Y%m%d_%H%M%S}")
    return options


def radius_share(text: str) -> float:
    """A share of the cladding radius, above 0 and at most 2."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = 0.0
    if not 0 < value <= 2:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and at most 2, got {text!r}")
    return value


def describe_run(options: argparse.Namespace) -> dict[str, Any]:
    """What evaluation.json says about the run itself."""
    return {
        "program": "D-Scope Blink",
        "version": run_info.VERSION,
        "arguments": options.argv,
        "folder": str(options.folder),
        "config_path": str(options.config),
        "config_sha256": run_info.file_hash(options.config),
        "start": run_info.now(),
    }


def assess_profiles(
    options: argparse.Namespace, every: Sequence[InspectionSettings], truths: Sequence[TruthImage], console: Console
) -> list[ProfileRun]:
    """Inspect and score every image with every profile."""
    now = datetime.now().astimezone()
    for text in dict.fromkeys(text for settings in every for text in batch_warnings(settings, now)):
        logger.warning("%s", text)
    tasks = [Task(truth, settings, options.limit_radius) for settings in every for truth in truths]
    with progress_bar(console, len(tasks), wanted=not (options.no_progress or options.quiet)) as advance:
        results = assess_all(tasks, jobs=options.jobs, on_finished=lambda result: advance(result.name))
    for result in results:
        if result.problem:
            logger.warning("%s could not be evaluated: %s", result.name, result.problem)
    parts = (tuple(results[start : start + len(truths)]) for start in range(0, len(results), len(truths)))
    return [
        ProfileRun(settings.config.profile, run_info.settings_hash(settings), part)
        for settings, part in zip(every, parts, strict=True)
    ]


def add_model(runs: Sequence[ProfileRun], sections: list[str], extra: dict[str, Any]) -> None:
    """--vlm: how good the model's boxes and verdicts are, for every profile."""
    extra["model"] = {}
    for run in runs:
        found = model_figures(run.results)
        title, *lines = model_markdown(found)
        sections += [f"{title}, {run.profile}", *lines]
        extra["model"][run.profile] = found.to_dict()


def add_repeatability(runs: Sequence[ProfileRun], sections: list[str], extra: dict[str, Any]) -> None:
    """--repeat: how far the images of one face agree, for every profile."""
    extra["repeat"] = {}
    for run in runs:
        found = repeatability(run.results)
        title, *lines = repeat_markdown(found)
        sections += [f"{title}, {run.profile}", *lines]
        extra["repeat"][run.profile] = found.to_dict()


def add_drift(
    options: argparse.Namespace,
    settings: InspectionSettings,
    truths: Sequence[TruthImage],
    console: Console,
    sections: list[str],
    extra: dict[str, Any],
) -> None:
    """--drift: the first profile on pictures that are disturbed more and more."""
    changes = 1 + sum(not change.is_identity for change in default_disturbances())
    total, wanted = min(DRIFT_IMAGES, len(truths)) * changes, not (options.no_progress or options.quiet)
    with progress_bar(console, total, wanted=wanted) as advance:
        drift = run_drift(
            truths,
            settings,
            jobs=options.jobs,
            judged_share=options.limit_radius,
            on_finished=lambda done, total: advance("Drift"),
        )
    write_drift(drift, options.output)
    sections += drift_markdown(drift)
    extra["drift"] = drift.to_dict()


def report_outcome(
    options: argparse.Namespace, runs: Sequence[ProfileRun], figures: Sequence[Figures], *, has_skipped: bool
) -> ExitCode:
    """Print the closing summary and choose the exit code."""
    failed = False
    for run, item in zip(runs, figures, strict=True):
        failed |= bool(item.not_assessed)
        located = item.localisation.located
        say(
            f"{run.profile}: {item.images} image{'s' * (item.images != 1)}, located {located.count} of {located.total},"
            f" recall {share(item.total.recall.value)}, precision {share(item.total.precision.value)},"
            f" rightly clean or defective {share(item.image_accuracy.accuracy.value)}"
        )
    say(f"Report: {options.output / report.MARKDOWN_NAME}")
    return ExitCode.IMAGES_FAILED if failed or has_skipped else ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
