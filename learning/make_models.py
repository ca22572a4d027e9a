"""Make the models that ship with the program, from nothing: render faces, build a data set, train. One command.

python -m learning.make_models --work FOLDER

The inspector nearly never reports what is no mark on rendered faces. So it builds this data set with lower thresholds:
what it nearly reported are the artifacts that a network learns to know. Every step goes on where an earlier run ended.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py
from cli.arguments import Parser, add_screen_options, count, path
from errors import ExitCode, OutputError, refuse_to_start

try:
    from rich.console import Console

    from cli.program import run_program
    from cli.screen import say
    from config_loader import load_config
    from image_io import write_bytes
    from learning.human_labels import check_labels_folder
    from learning.train import CONFIG_PATH, TASKS, check_libraries, prepare_folder
    from learning.training_job import ONNX
    from second_opinion.networks import PATCH, QUALITY, SEGMENT
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("make_models.py", error))

ROOT = CONFIG_PATH.parent


class Scenes(NamedTuple):
    """A rendered set: how many faces, from which seed, and what ``synthetic.py`` is told."""

    name: str
    count: int
    seed: int
    options: tuple[str, ...] = ()


SCENES = (
    Scenes("ordinary", 500, 7001),
    Scenes("faint", 500, 7002, ("--contrast", "faint")),
    Scenes("barely", 150, 7003, ("--contrast", "barely")),
    Scenes("clean", 200, 7004, ("--clean",)),
)
LOWERED = {"confidence_threshold": 0.7, "min_probability": 0.02}
EPOCHS = {PATCH: 25, QUALITY: 20, SEGMENT: 10}
PATIENCE = "6"
CANDIDATES_FILE = "candidates.json"
logger = logging.getLogger("dscope.learning")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("make_models.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    for task in options.tasks:
        check_libraries(task, TASKS[task].libraries)
    load_config(options.config)  # what is wrong is said before hours of work
    for folder in options.labels:
        check_labels_folder(folder)
    for folder in (options.work, options.out):
        prepare_folder(folder, keep=True)
    tree = json.loads(options.config.read_text(encoding="utf-8"))
    write_bytes(options.work / CANDIDATES_FILE, json.dumps(with_lower_thresholds(tree), indent=1).encode())
    for command in commands(options):
        if code := subprocess.run([sys.executable, *command], check=False).returncode:
            logger.warning("Ended by: %s. The same command as before goes on from there.", " ".join(command))
            return ExitCode(code) if code in {*ExitCode} else ExitCode.INVALID_INPUT
    for task in options.tasks:
        say(copied(options.work / task / ONNX, options.out / f"{task}.onnx"))
    return ExitCode.OK


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`errors.UsageError`."""
    parser = Parser(
        prog="-m learning.make_models",
        allow_abbrev=False,
        description="Render faces, build a data set of them and train the models that ship with the program.",
        epilog="Exit codes: those of synthetic.py, learning.build_dataset and learning.train, whose failure ends it.",
    )
    add = parser.add_argument
    add("--work", type=path, required=True, metavar="FOLDER", help="where faces, data set and trainings are kept")
    add("-o", "--out", type=path, default=ROOT / "models", metavar="MODELS", help="where TASK.onnx go (models/)")
    add("--tasks", nargs="+", choices=[*TASKS], default=[*TASKS], metavar="TASK", help="default: all of them")
    add("--labels", type=path, action="append", default=[], metavar="FOLDER", help="a labelled set to learn from, too")
    add("--limit", type=count, metavar="N", help="at most N faces of each set, to try everything out")
    add("--epochs", type=count, metavar="N", help="at most so many epochs for every task")
    add("-c", "--config", type=path, default=CONFIG_PATH, metavar="FILE", help="default: config.json beside main.py")
    add_screen_options(parser, verbose="every epoch on the screen")
    return parser.parse_args(None if argv is None else list(argv))


def with_lower_thresholds(config: dict[str, Any]) -> dict[str, Any]:
    """A config tree in which doubtful candidates are reported, too."""
    tree = copy.deepcopy(config)
    tree["detection"]["confidence_threshold"] = LOWERED["confidence_threshold"]
    tree["detection"]["likelihood"]["min_probability"] = LOWERED["min_probability"]
    return tree


def commands(options: argparse.Namespace) -> Iterator[list[str]]:
    """The programs to run one after the other, each when those before it have ended well."""
    dataset, screen = str(options.work / "dataset"), _screen(options)
    candidates = str(options.work / CANDIDATES_FILE)
    for scenes in SCENES:
        folder, number = options.work / scenes.name, min(scenes.count, options.limit or scenes.count)
        if len([*folder.glob("truth/*_labels.png")]) < number:
            size = ["--count", str(number), "--seed", str(scenes.seed)]
            yield ["synthetic.py", str(folder), *size, "--force", *scenes.options]
    for folder in (*(options.work / scenes.name for scenes in SCENES), *options.labels):
        inputs = [str(folder / "images"), "--labels", str(folder), "--out", dataset]
        yield ["-m", "learning.build_dataset", *inputs, "--config", candidates, *screen]
    for task in options.tasks:
        epochs = str(min(EPOCHS[task], options.epochs or EPOCHS[task]))
        model = ["--task", task, "--out", str(options.work / task), "--resume"]
        yield ["-m", "learning.train", dataset, *model, "--epochs", epochs, "--patience", PATIENCE, *screen]


def copied(source: Path, target: Path) -> Path:
    """``target``, as a copy; raises :class:`OutputError`."""
    try:
        data = source.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise OutputError(f"{source} cannot be read: {why}.", "Run the same command again.") from error
    write_bytes(target, data)
    return target


def _screen(options: argparse.Namespace) -> list[str]:
    wanted = {"--no-progress": options.no_progress, "--verbose": options.verbose, "--quiet": options.quiet}
    return [name for name, is_wanted in wanted.items() if is_wanted]


if __name__ == "__main__":
    sys.exit(main())
