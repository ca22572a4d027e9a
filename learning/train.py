"""Train a network on a data set. Command line, order of work and exit codes.

python -m learning.train DATASET --task quality --out MODEL
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py
from cli.arguments import Parser, add_screen_options, count, path, size
from errors import ExitCode, MissingDependency, OutputError, UsageError, refuse_to_start

try:
    from rich.console import Console

    import image_io
    from cli.interrupts import StopRequest
    from cli.output_folder import locked
    from cli.program import run_program
    from cli.screen import progress_bar, say
    from config_loader import load_config
    from learning.training_job import BEST, CONFUSION, CURVES, LAST, ONNX, RUN, Outcome, TrainingJob
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("train.py", error))

CONFIG_PATH = Path(__file__).resolve().parent.parent / "config.json"


@dataclass(frozen=True)
class Task:
    """A task: its module offers ``train(job: TrainingJob) -> Outcome``, and is loaded when its libraries are there."""

    module: str
    architectures: tuple[str, ...]  # the default first
    libraries: tuple[str, ...]
    epochs: int
    batch: int
    lr: float


_PYTORCH = ("torch", "onnx", "onnxruntime")
TASKS = {
    "quality": Task("learning.quality", ("cnn", "mlp"), _PYTORCH, epochs=40, batch=16, lr=1e-3),
    "segment": Task("learning.segment", ("unet",), _PYTORCH, epochs=60, batch=8, lr=2e-3),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("train.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    image_io.check_opencv()
    task = TASKS[options.task]
    check_libraries(options.task, task.libraries)
    prepare_folder(options.out, keep=options.resume or options.overwrite)
    with (
        locked(options.out),
        StopRequest() as stop,
        progress_bar(console, None, wanted=not (options.no_progress or options.quiet)) as advance,
    ):
        if options.overwrite:
            remove_earlier(options.out)
        outcome: Outcome = importlib.import_module(task.module).train(
            TrainingJob(
                dataset=options.dataset,
                out=options.out,
                task=options.task,
                arch=options.arch or task.architectures[0],
                epochs=options.epochs or task.epochs,
                batch=options.batch or task.batch,
                lr=options.lr or task.lr,
                seed=options.seed,
                device=options.device,
                patience=options.patience,
                resume=options.resume,
                limit=options.limit,
                size=options.size,
                config=load_config(options.config),
                stop=stop,
                advance=advance,
            )
        )
    say(*outcome.lines, f"Model: {options.out}")
    return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.OK


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="-m learning.train",
        allow_abbrev=False,
        description="Train a network on a data set of learning.build_dataset, or on folders named after classes.",
        epilog="Exit codes: 0 done; 2 usage or data set invalid; 5 a library or the GPU is missing; 6 MODEL cannot be"
        " used; 130 interrupted. See README.md.",
    )
    add = parser.add_argument
    add("dataset", type=path, metavar="DATASET", help="data set, or folder of folders named after classes")
    add("--task", choices=[*TASKS], required=True, help="what to learn")
    add("-o", "--out", type=path, required=True, metavar="MODEL", help="folder of the model")
    add("--arch", metavar="NAME", help=f"architecture; {'; '.join(_architectures())} (the first is the default)")
    add("--size", type=count, metavar="PX", help="side of the input in px (default: the architecture's)")
    add("--epochs", type=count, metavar="N", help="at most so many epochs (default: the task's)")
    add(
        "--limit",
        type=count,
        metavar="N",
        help="train on N images, and on a quarter of it, at least 8, for val and test",
    )
    add("--batch", type=count, metavar="N", help="images per step (default: the task's)")
    add("--lr", type=size, metavar="X", help="learning rate at the start (default: the task's)")
    add("--patience", type=count, default=10, metavar="N", help="stop after N epochs without progress (default 10)")
    add("--seed", type=seed, default=0, metavar="N", help="same seed, same model (default 0)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: the GPU where there is one")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the training in MODEL")
    again.add_argument("--overwrite", action="store_true", help="replace the training in MODEL")
    add("-c", "--config", type=path, default=CONFIG_PATH, metavar="FILE", help="default: config.json beside main.py")
    add_screen_options(parser, verbose="every epoch on the screen")
    options = parser.parse_args(None if argv is None else list(argv))
    known = TASKS[options.task].architectures
    if options.arch is not None and options.arch not in known:
        raise UsageError(f"--arch {options.arch} is none of the task {options.task}.", f"Known: {', '.join(known)}.")
    return options


def _architectures() -> list[str]:
    return [f"{name}: {', '.join(task.architectures)}" for name, task in TASKS.items()]


def seed(text: str) -> int:
    """A whole number from 0 to 2^31 - 1."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {2**31 - 1}, got {text!r}")
    return value


def check_libraries(task: str, libraries: Sequence[str]) -> None:
    """Raise :class:`MissingDependency` where a library is not installed, without loading it."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"The task {task} needs {', '.join(missing)}, not installed here.",
            "Run: pip install -r requirements-learning.txt",
        )


def prepare_folder(folder: Path, *, keep: bool) -> None:
    """Make the folder of a model; raises :class:`OutputError` where it holds another and may not be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make {folder}: {error.strerror or error}.", "Choose another --out.") from error
    if not keep and any((folder / name).exists() for name in (LAST, BEST, RUN)):
        raise OutputError(f"{folder} holds a training.", "Use --resume to go on with it, --overwrite to replace it.")


def remove_earlier(folder: Path) -> None:
    """Delete what an earlier training has left in ``folder``; raises :class:`OutputError`."""
    try:
        for name in (LAST, BEST, ONNX, RUN, CURVES, CONFUSION):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot remove the old model: {error}.", "Choose another --out.") from error


if __name__ == "__main__":
    sys.exit(main())
