"""What runs tasks, as one protocol: tasks go in one by one, outcomes come out as they are finished.

A backend takes a task only when it can start it soon, so whoever wants to stop lets the iterator of tasks end: what is
under way is still finished. Leaving the ``with`` block ends what is left at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """A finished task: its result, or why there is none; ``log`` is what was logged meanwhile in another process."""

    task: T
    result: R | None = None
    death: str = ""  # what ended the process, as a sentence; empty = there is a result
    log: tuple[logging.LogRecord, ...] = ()


class Backend(Protocol[T, R]):
    """Runs one function on tasks, one call of :meth:`run` after the other."""

    def run(self, tasks: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """Outcomes in the order of their end. An exception of the function is raised here."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...


class InThisProcess(Generic[T, R]):
    """One task after the other, here; what ends the process ends everything."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self._work = work

    def run(self, tasks: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """See :class:`Backend`."""
        for task in tasks:
            yield Outcome(task, self._work(task))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


def replay(log: Iterable[logging.LogRecord]) -> None:
    """Hand log records of another process to the loggers of this one."""
    for record in log:
        logging.getLogger(record.name).handle(record)
