"""One call of the work in a process of its own, with everything it leaves packed to travel."""

from __future__ import annotations

import logging
import pickle
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ROOT_LOGGER = "dscope"


@dataclass(frozen=True)
class Answer:
    """What a call returned or raised, and what was logged meanwhile."""

    result: Any = None
    error: Exception | None = None
    log: tuple[logging.LogRecord, ...] = ()


class _Collector(logging.Handler):
    """Keeps log records in a form that can be pickled; tracebacks become text."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()  # a worker of a cluster may have several
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        message = record.getMessage()
        if record.exc_info:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        record.msg, record.args, record.exc_info = message, None, None
        self.records.append(record)


def answer(work: Callable[[Any], Any], task: Any) -> Answer:
    """Call ``work``; an exception comes back as such, with its traceback as a note."""
    logger, collector = logging.getLogger(ROOT_LOGGER), _Collector()
    # for good, not for this call: another thread of this process may be at work
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(collector)
    try:
        result, error = work(task), None
    except Exception as raised:
        result, error = None, _portable(raised)
    finally:
        logger.removeHandler(collector)
    return Answer(result, error, tuple(collector.records))


def _portable(error: Exception) -> Exception:
    """The error, where it survives pickling; else one of the same text."""
    note = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error = error.with_traceback(None)
    error.add_note(f"In the worker process:\n{note}")
    return error
