"""What every command line does around its work: parse, log to the screen, turn failures into a sentence and a code."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from rich.console import Console

from cli.logs import logging_to_screen
from cli.screen import escape_what_cannot_be_shown
from errors import ExitCode, describe


def run_program(
    name: str,
    parse: Callable[[Sequence[str] | None], argparse.Namespace],
    work: Callable[[argparse.Namespace, Console], ExitCode],
    argv: Sequence[str] | None = None,
) -> int:
    """Run ``work`` on the parsed options; returns the exit code. Every expected failure ends as one sentence on stderr.

    The screen shows warnings; with ``options.quiet`` only errors, with ``options.verbose`` every step.
    """
    escape_what_cannot_be_shown()
    try:
        options = parse(argv)
        level = logging.INFO if options.verbose else logging.ERROR if options.quiet else logging.WARNING
        console = Console(stderr=True)
        with logging_to_screen(console, level):
            return int(work(options, console))
    except (Exception, KeyboardInterrupt) as error:
        sentence, code = describe(error)
        print(f"{name}: {sentence}", file=sys.stderr)
        return int(code)
