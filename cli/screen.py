"""The terminal: the closing summary on stdout, the progress bar on stderr."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

# given how many images there are (None = unknown), shows progress while a block runs; the call names what was finished
Progress = Callable[[int | None], AbstractContextManager[Callable[[str], None]]]


def escape_what_cannot_be_shown() -> None:
    """Let stdout and stderr write escapes for characters that they cannot show, as file names may hold them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody sits at this stream; a stream that is closed or absent is no terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def images_in_words(count: int) -> str:
    """ "1 image", "2 images"."""
    return f"{count} image{'s' * (count != 1)}"


def say(*lines: object) -> None:
    """Print lines to stdout; a reader that has gone away (``| head``) is no failure of the inspection."""
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):  # or Python complains once more when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def progress_bar(console: Console | None, total: int | None, *, wanted: bool) -> Iterator[Callable[[str], None]]:
    """A progress bar on a terminal, nothing elsewhere; the call names what was finished. ``total`` may be unknown.

    Drawn by the caller's thread: decoders borrow stderr.
    """
    if not wanted or not is_terminal(sys.stderr):
        yield lambda finished: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, auto_refresh=False) as bar:
        task = bar.add_task("Inspecting", total=total)
        yield lambda finished: bar.update(task, advance=1, description=finished, refresh=True)


@contextmanager
def no_progress(total: int | None) -> Iterator[Callable[[str], None]]:
    """Where nobody looks at it."""
    yield lambda finished: None
