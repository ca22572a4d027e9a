"""Where log records go: a short form to the screen, everything with times to the log file in OUTPUT."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from errors import cannot_write

logger = logging.getLogger("dscope")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


def one_line(text: str) -> str:
    """The text with control characters escaped, as file names may hold them: it is one line, and no terminal obeys."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _LineFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return one_line(super().formatMessage(record))


class _ScreenHandler(logging.Handler):
    """Prints through rich, so that lines appear above a progress bar; never a traceback."""

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = _STYLES.get(record.levelno, "")
        prefix = f"{record.levelname.capitalize()}: " if record.levelno >= logging.WARNING else ""
        self.console.print(Text(prefix + one_line(record.getMessage()), style), soft_wrap=True, highlight=False)


class _FileHandler(logging.FileHandler):
    """A log file that falls silent, instead of printing tracebacks, when its disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass

    def close(self) -> None:
        with suppress(OSError):  # of what could not be written, which must not hide why the run ends
            super().close()


@contextmanager
def logging_to_screen(console: Console, level: int) -> Iterator[None]:
    """Send the program's log records from ``level`` to ``console`` while the block runs."""
    handler = _ScreenHandler(console, level)
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@contextmanager
def logging_to_file(folder: Path) -> Iterator[Path]:
    """Append all log records to ``inspection_YYYY-MM-DD.log`` in ``folder``; raises :class:`errors.OutputError`."""
    path = folder / f"inspection_{datetime.now():%Y-%m-%d}.log"
    try:
        handler = _FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise cannot_write(path, error) from error
    handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    logger.addHandler(handler)
    try:
        yield path
    except BaseException:
        logger.debug("The run was ended by:", exc_info=True)
        raise
    finally:
        logger.removeHandler(handler)
        handler.close()
