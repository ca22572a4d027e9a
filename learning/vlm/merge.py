"""Merge an adapter into its model: a plain checkpoint that needs neither. Command line and exit codes.

python -m learning.vlm.merge adapter --out merged
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py
from cli.arguments import Parser, add_screen_options, path
from errors import ExitCode, OutputError, UsageError, refuse_to_start

try:
    from rich.console import Console

    from cli.program import run_program
    from cli.screen import say
    from learning.training_job import RUN
    from learning.vlm.libraries import check_libraries
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("merge.py", error))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("merge.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """Load both on the processor, add the one to the other, write the result whole."""
    check_libraries()
    check_free(options.out)
    from learning.vlm.model import load, quietly
    from learning.vlm.model_folder import is_adapter

    if not is_adapter(options.adapter):
        raise UsageError(f"{options.adapter} is no adapter.", "Give the --out folder of learning.vlm.finetune.")
    model = load(options.adapter, device="cpu", bits="16", base=options.base)
    with quietly():
        network = model.network.merge_and_unload(safe_merge=True)
    partial = options.out.parent / f".{options.out.name}.{os.getpid()}.tmp"
    try:
        partial.mkdir(parents=True)
        with quietly():
            network.save_pretrained(partial)
            model.processor.save_pretrained(partial)
        for weights in partial.glob("*.safetensors"):
            shutil.copymode(partial / "config.json", weights)  # safetensors lets nobody else read
        if (options.adapter / RUN).is_file():
            shutil.copyfile(options.adapter / RUN, partial / RUN)
        os.replace(partial, options.out)
    except Exception as error:  # each library that writes has its own
        raise OutputError(
            f"Cannot write {options.out}: {error}.", "Check free space and permissions, or choose another --out."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    say(f"Model: {options.out}")
    return ExitCode.OK


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="-m learning.vlm.merge",
        allow_abbrev=False,
        description="Merge an adapter of learning.vlm.finetune into its model: a checkpoint that stands alone.",
        epilog="Exit codes: 0 done; 2 usage or model invalid; 5 a library is missing; 6 MODEL cannot be written.",
    )
    add = parser.add_argument
    add("adapter", type=path, metavar="ADAPTER", help="folder of learning.vlm.finetune")
    add("-o", "--out", type=path, required=True, metavar="MODEL", help="new folder for the model")
    add("--base", type=path, metavar="PATH", help="folder of the model it belongs to (default: where it was)")
    add_screen_options(parser, has_progress=False)
    return parser.parse_args(None if argv is None else list(argv))


def check_free(folder: Path) -> None:
    """Raise :class:`OutputError` when ``folder`` is there already and not empty."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputError(f"{folder} is there already.", "Choose another --out, or remove it.")


if __name__ == "__main__":
    sys.exit(main())
