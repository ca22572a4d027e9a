"""Make a data set for learning of a folder of images. Command line, order of work and exit codes.

python -m learning.build_dataset RAW --out dataset
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py
from cli.arguments import Parser, add_screen_options, count, diameter_um, path
from errors import ExitCode, NoImagesError, UsageError, refuse_to_start

try:
    if __name__ != "__mp_main__":  # a worker process imports this file, too, and needs nothing of it
        from rich.console import Console

        import image_io
        from calibration import DEFAULT_PATH, load_calibration
        from cli.image_files import Found, find_images
        from cli.interrupts import StopRequest
        from cli.job_settings import choose_settings
        from cli.output_folder import locked
        from cli.program import run_program
        from cli.run_info import settings_hash
        from cli.screen import progress_bar, say
        from config_loader import load_config
        from inspection_settings import InspectionSettings
        from learning.annotate import write_annotations
        from learning.database import DATABASE_NAME, SPLITS, open_database, store
        from learning.exports import write_coco, write_tables
        from learning.extraction import Extracted, Job, Task, extract
        from learning.faces import face_pattern, name_keys
        from learning.human_labels import check_labels_folder
        from learning.plan import EDITION, Plan, correlate, prune, split_images
        from learning.tfrecords import check_tensorflow, write_tfrecords
        from learning.tidy import make_folders, remove_unknown
        from workers.backend import Backend, InThisProcess, replay
        from workers.pool import Pool, available_cores
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("build_dataset.py", error))

CONFIG_PATH = Path(__file__).resolve().parent.parent / "config.json"
NEIGHBOURS = 10
logger = logging.getLogger("dscope.learning")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("build_dataset.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    image_io.check_opencv()
    if options.tfrecord:
        check_tensorflow()
    if options.labels:
        check_labels_folder(options.labels)
    config = load_config(options.config, options.profile)
    settings = choose_settings(
        config,
        load_calibration(options.calibration or DEFAULT_PATH, required=options.calibration is not None),
        core_um=options.core_um,
        cladding_um=options.cladding_um,
        fiber_type=options.fiber_type,
    )
    found = collect_images(options)
    make_folders(options.out)
    with locked(options.out):
        connection = open_database(options.out / DATABASE_NAME)
        try:
            plan = Plan(
                connection,
                options.out,
                hashlib.sha256(f"{EDITION} {settings_hash(settings)}".encode()).hexdigest()[:16],
                options.labels,
                config.batch.read_timeout_s,
            )
            with StopRequest() as stop:
                inspect_images(options, settings, found, plan, stop, console)
                finish(options, plan, config.same_face.min_similarity, console, interrupted=stop.requested)
            return report_outcome(options, found, plan, interrupted=stop.requested)
        finally:
            connection.close()


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="-m learning.build_dataset",
        allow_abbrev=False,
        description="Make a data set for learning of a folder of images.",
        epilog="Exit codes: 0 done; 2 usage or settings invalid; 3 some images are left out; 4 no image; 5 a library is"
        " missing; 6 OUT cannot be used; 130 interrupted. See README.md.",
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="RAW", help="folders, image files or globs")
    add("-o", "--out", type=path, default=Path("dataset"), metavar="OUT", help="folder of the data set")
    add("--labels", type=path, metavar="FOLDER", help="labelled set whose truth/ replaces the inspector's findings")
    add("--annotate", action="store_true", help="write files in which a person can correct the labels")
    add("--recursive", action="store_true", help="search subfolders, too")
    add("--prune", action="store_true", help="remove the images that are no longer in RAW")
    add("--split", type=shares, default=shares("70/15/15"), metavar="A/B/C", help="train/val/test (default 70/15/15)")
    add("--faces", metavar="PATTERN", help="regular expression: what of a file's name names the end face")
    add("--neighbours", type=count, default=NEIGHBOURS, metavar="K", help="correlations per image (default 10)")
    add("--tfrecord", action="store_true", help="also write TFRecord files (needs TensorFlow)")
    add("--profile", help="profile of config.json")
    add("-c", "--config", type=path, default=CONFIG_PATH, metavar="FILE", help="default: config.json beside main.py")
    add("--calibration", type=path, metavar="FILE", help="default: calibration.json beside main.py, where it exists")
    add("--fiber-type", metavar="NAME", help="fibre type of config.json: its dimensions")
    add("--core-um", type=diameter_um, metavar="D", help="core diameter in micrometres")
    add("--cladding-um", type=diameter_um, metavar="D", help="cladding diameter in micrometres")
    add("--jobs", type=count, metavar="N", help="processes (default: one per core)")
    add_screen_options(parser)
    options = parser.parse_args(None if argv is None else list(argv))
    if not options.inputs:
        raise UsageError("Name the folder RAW with the images.", "See: python -m learning.build_dataset --help")
    options.pattern = None if options.faces is None else face_pattern(options.faces)
    return options


def shares(text: str) -> tuple[float, float, float]:
    """Three parts above zero, such as 70/15/15, as shares of their sum."""
    try:
        parts = [int(part) for part in text.split("/")]
    except ValueError:
        parts = []
    if len(parts) != 3 or min(parts) < 1:
        raise argparse.ArgumentTypeError(f"expected three whole numbers from 1, such as 70/15/15, got {text!r}")
    train, val, test = (part / sum(parts) for part in parts)
    return train, val, test


def collect_images(options: argparse.Namespace) -> Found:
    """The images to take up, without those of the data set itself; raises :class:`NoImagesError` for none."""
    found = find_images(options.inputs, recursive=options.recursive)
    own = options.out.resolve()
    found = replace(found, paths=tuple(path for path in found.paths if own not in path.resolve().parents))
    if not found.paths:
        why = "; ".join((*found.problems, *found.ignored)) or f"none in '{', '.join(options.inputs)}'"
        raise NoImagesError(f"No image found: {why}.", "" if options.recursive else "Use --recursive for subfolders.")
    for text in (*found.problems, *found.ignored):
        logger.warning("%s.", text)
    return found


def inspect_images(
    options: argparse.Namespace,
    settings: InspectionSettings,
    found: Found,
    plan: Plan,
    stop: StopRequest,
    console: Console,
) -> None:
    """Inspect what is new or changed, and store its rows, one image after the other."""
    with (
        start_backend(options, settings, len(found.paths)) as backend,
        progress_bar(console, len(found.paths), wanted=not (options.no_progress or options.quiet)) as advance,
    ):
        plan.on_done = advance
        for outcome in backend.run(stop.until(plan.tasks(found.paths))):
            replay(outcome.log)
            extracted = outcome.result or Extracted(problem=outcome.death)
            if extracted.rows is not None:
                store(plan.connection, extracted.rows)
            if extracted.problem:
                plan.report(outcome.task.image.path, extracted.problem)
            advance(outcome.task.image.name)


def start_backend(options: argparse.Namespace, settings: InspectionSettings, images: int) -> Backend[Task, Extracted]:
    """What runs the inspections: this process, or several."""
    config = replace(settings.config, raw={})  # the workers need none of it
    work = partial(extract, Job(replace(settings, config=config), options.out.absolute()))
    jobs = min(options.jobs or available_cores(), images)
    return InThisProcess(work) if jobs == 1 else Pool(work, jobs, timeout_s=config.batch.image_timeout_s)


def finish(options: argparse.Namespace, plan: Plan, similarity: float, console: Console, *, interrupted: bool) -> None:
    """Make everything that depends on all images."""
    connection, folder = plan.connection, options.out
    if options.prune and not interrupted:
        removed = prune(connection, plan.seen, plan.unread)
        logger.info("%d images are no longer in RAW and were removed.", removed)
    correlate(connection, options.neighbours)
    split_images(connection, partial(name_keys, pattern=options.pattern), options.split, similarity)
    remove_unknown(connection, folder)
    write_tables(connection, folder)
    write_coco(connection, folder)
    if options.annotate and not interrupted:
        total = connection.execute("SELECT count(*) FROM geometry").fetchone()[0]
        with progress_bar(console, total, wanted=not (options.no_progress or options.quiet)) as advance:
            kept = write_annotations(connection, folder, advance)
        logger.info("%d images have labels that a person has changed; their files were left as they are.", kept)
    if options.tfrecord and not interrupted:
        write_tfrecords(connection, folder)


def report_outcome(options: argparse.Namespace, found: Found, plan: Plan, *, interrupted: bool) -> ExitCode:
    """Print the closing summary and choose the exit code."""
    ask = plan.connection.execute
    verdicts = dict(ask("SELECT coalesce(verdict, 'without verdict'), count(*) FROM images GROUP BY 1"))
    splits = dict(ask("SELECT split, count(*) FROM images WHERE split IS NOT NULL GROUP BY 1"))
    (images,), (defects,), (crops,) = (
        ask(f"SELECT count(*) FROM {table}").fetchone() for table in ("images", "defects", "crops")
    )
    if options.labels and not plan.labelled and not interrupted:
        logger.warning("No image of RAW has labels in %s: they are found by the file's name.", options.labels)
    if plan.kept_labels:
        logger.info("%d images keep their human labels, which this run was not given.", plan.kept_labels)
    found_verdicts = ", ".join(f"{number} {name}" for name, number in sorted(verdicts.items()))
    found_splits = ", ".join(f"{splits.get(name, 0)} {name}" for name in SPLITS)
    say(f"{images} image{'s' * (images != 1)}: {found_verdicts}; {defects} defects, {crops} crops; {found_splits}")
    say(f"Known from before: {plan.unchanged + plan.kept_labels}; copies of other files: {plan.copies}")
    say(f"Data set: {options.out / DATABASE_NAME}")
    if interrupted:
        say("Interrupted. What is finished is complete: the same command goes on from there.")
        return ExitCode.INTERRUPTED
    return ExitCode.IMAGES_FAILED if plan.problems or found.problems else ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
