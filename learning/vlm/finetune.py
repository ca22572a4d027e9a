"""Fine-tune a vision-language model on an exported data set. Command line, order of work and exit codes.

python -m learning.vlm.finetune --model PATH --data vlm_data --out adapter
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py
from cli.arguments import Parser, add_screen_options, count, path, size
from errors import ExitCode, ModelError, OutputError, refuse_to_start

try:
    from rich.console import Console

    import image_io
    from cli.interrupts import StopRequest
    from cli.output_folder import locked
    from cli.program import run_program
    from cli.screen import progress_bar, say
    from config_loader import load_config
    from learning.train import CONFIG_PATH, prepare_folder, seed
    from learning.training_job import LAST, RUN
    from learning.vlm.libraries import check_libraries
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("finetune.py", error))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("finetune.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    image_io.check_opencv()
    check_libraries()
    import accelerate

    from learning.vlm.model import choose_device
    from learning.vlm.model_folder import is_adapter
    from learning.vlm.tuning import Tuning, TuningJob

    settings = load_config(options.config).vlm
    if is_adapter(options.model):
        raise ModelError(f"{options.model} is an adapter.", "Merge it with learning.vlm.merge, and give the result.")
    choose_device(options.device)
    prepare_folder(options.out, keep=options.resume or options.overwrite)
    accelerator = accelerate.Accelerator(cpu=options.device == "cpu")
    is_first = accelerator.is_main_process
    with (
        locked(options.out) if is_first else nullcontext(),
        StopRequest() as stop,
        progress_bar(console, None, wanted=is_first and not (options.no_progress or options.quiet)) as advance,
    ):
        if options.overwrite and is_first:
            remove_earlier(options.out)
        names = ("model", "data", "out", "epochs", "batch", "accumulate", "lr", "seed", "bits", "limit", "resume")
        job = TuningJob(
            **{name: getattr(options, name) for name in names}, settings=settings, stop=stop, advance=advance
        )
        tuning = Tuning(job, accelerator)
        tuning.save_processor()
        outcome = tuning.run()
        accelerator.end_training()
    if is_first:
        say(*outcome.lines, f"Adapter: {options.out}")
    return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.OK


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="-m learning.vlm.finetune",
        allow_abbrev=False,
        description="Fine-tune a vision-language model (Llama-3.2-Vision) by LoRA on a data set of learning.vlm.export."
        " What is added to the model is set in config.json, vlm.lora.",
        epilog="Exit codes: 0 done; 2 usage, model or data set invalid; 5 a library, the GPU or memory is missing;"
        " 6 ADAPTER cannot be used; 130 interrupted. See README.md.",
    )
    add = parser.add_argument
    add("--model", type=path, required=True, metavar="PATH", help="folder of the model to start from")
    add("--data", type=path, required=True, metavar="FOLDER", help="data set of learning.vlm.export")
    add("-o", "--out", type=path, required=True, metavar="ADAPTER", help="folder of the adapter")
    add("--epochs", type=count, default=3, metavar="N", help="times that every picture is seen (default 3)")
    add("--batch", type=count, default=1, metavar="N", help="pictures at once on each device (default 1)")
    add("--accumulate", type=count, default=32, metavar="N", help="batches of each device in a step (default 32)")
    add("--lr", type=size, default=5e-5, metavar="X", help="highest learning rate (default 0.00005)")
    add("--limit", type=count, metavar="N", help="use only the first N pictures of train and of val")
    add("--seed", type=seed, default=0, metavar="N", help="same seed, same adapter (default 0)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: the GPU where there is one")
    add("--bits", choices=("auto", "4", "16"), default="auto", help="default: 4 where bitsandbytes and a GPU are")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the training in ADAPTER")
    again.add_argument("--overwrite", action="store_true", help="replace the training in ADAPTER")
    add("-c", "--config", type=path, default=CONFIG_PATH, metavar="FILE", help="default: config.json beside main.py")
    add_screen_options(parser, verbose="every epoch on the screen")
    return parser.parse_args(None if argv is None else list(argv))


def remove_earlier(folder: Path) -> None:
    """Delete what an earlier training has left in ``folder``; raises :class:`OutputError`."""
    from learning.vlm.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS

    try:
        for name in (LAST, RUN, ADAPTER_CONFIG, ADAPTER_WEIGHTS):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot remove the old adapter: {error}.", "Choose another --out.") from error


if __name__ == "__main__":
    sys.exit(main())
