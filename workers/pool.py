"""Worker processes on this machine. A process that dies, or takes too long, costs at most its task.

Each worker has a pipe of its own: no lock is shared that a dying process could keep, and when this process is killed
the workers see it and leave. A standard pool gives up as a whole when one of its processes dies.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Self, TypeVar

from errors import WorkersFailed
from workers.answer import Answer
from workers.backend import Outcome
from workers.worker import READY, serve

T = TypeVar("T")
R = TypeVar("R")
MAX_FAILED_STARTS = 10  # in a row: a system short of memory may kill several before it has some again
START_LIMIT_S = 300.0  # a machine that is busy swapping starts slowly
_NOTHING = object()
logger = logging.getLogger("dscope.workers")


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    deadline: float  # of the start, then of the task
    ready: bool = False
    task: Any = _NOTHING
    is_retry: bool = False

    @property
    def busy(self) -> bool:
        return self.task is not _NOTHING


class Pool(Generic[T, R]):
    """``jobs`` processes that run ``work`` on tasks; see :class:`workers.backend.Backend`.

    A task whose process died is tried once more in a fresh one; dying again, or taking longer than ``timeout_s``
    (which is not tried again), is its outcome. ``work`` is an importable function; the processes inherit this one's
    limits of threads (process_setup.py). Raises :class:`errors.WorkersFailed` when no process can be started.
    """

    def __init__(self, work: Callable[[T], R], jobs: int, *, timeout_s: float = math.inf) -> None:
        self._work, self._timeout_s = work, timeout_s
        self._failed_starts = 0
        self._workers: list[_Worker] = []
        self._jobs = jobs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End all processes at once: they are idle, or nobody wants their results."""
        for worker in self._workers:
            _end(worker)
        self._workers.clear()

    def run(self, tasks: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """Outcomes as they come; a worker gets its next task before the outcome of the last is handed on."""
        source = iter(tasks)
        for index in range(self._jobs):
            if not self._feed(index, source):
                break
        while any(worker.busy for worker in self._workers):
            for index in self._wait():
                outcome = self._receive(index)
                if outcome is not None:
                    self._feed(index, source)
                    yield outcome

    def _feed(self, index: int, source: Iterator[T]) -> bool:
        """Give the worker of this number, started or replaced where needed, the next task; False when none is left."""
        task = next(source, _NOTHING)
        if task is _NOTHING:
            return False
        if index == len(self._workers):
            self._workers.append(self._start())
        elif not self._workers[index].process.is_alive():  # it died while it was idle
            self._replace(index)
        self._give(index, task)
        return True

    def _give(self, index: int, task: T, *, is_retry: bool = False) -> None:
        worker = self._workers[index]
        worker.task, worker.is_retry = task, is_retry
        if worker.ready:
            worker.deadline = time.monotonic() + self._timeout_s
        with contextlib.suppress(OSError):  # it has just died, which the next wait notices
            worker.pipe.send(task)

    def _wait(self) -> list[int]:
        """Numbers of the workers that have something to say, have died, or have used up their time."""
        busy = {index: worker for index, worker in enumerate(self._workers) if worker.busy}
        left_s = min(worker.deadline for worker in busy.values()) - time.monotonic()
        handles = [handle for worker in busy.values() for handle in (worker.pipe, worker.process.sentinel)]
        woken = wait(handles, None if math.isinf(left_s) else max(left_s, 0.0))
        now = time.monotonic()
        return [
            index
            for index, worker in busy.items()
            if worker.pipe in woken or worker.process.sentinel in woken or now >= worker.deadline
        ]

    def _receive(self, index: int) -> Outcome[T, R] | None:
        """The outcome of a worker's task; None while there is none, as when it is tried again."""
        worker = self._workers[index]
        try:
            message = worker.pipe.recv() if worker.pipe.poll() else None
        except (EOFError, OSError):
            return self._after_death(index)
        if message == READY:
            worker.ready = True
            worker.deadline = time.monotonic() + self._timeout_s
            self._failed_starts = 0
            return None
        if isinstance(message, Answer):
            task, worker.task = worker.task, _NOTHING
            worker.deadline = math.inf
            self._failed_starts = 0
            if message.error is not None:
                raise message.error
            return Outcome(task, message.result, log=message.log)
        if not worker.process.is_alive():
            return self._after_death(index)
        return self._after_deadline(index) if time.monotonic() >= worker.deadline else None

    def _after_death(self, index: int) -> Outcome[T, R] | None:
        worker = self._workers[index]
        _end(worker)
        cause = _cause_of_death(worker.process.exitcode)
        if not worker.ready:
            self._count_failed_start(cause)
        self._replace(index)
        if worker.ready and worker.is_retry:
            return Outcome(worker.task, death=f"The process that worked on it died twice: {cause}.")
        logger.debug("A worker process died (%s); its task is tried again.", cause)
        self._give(index, worker.task, is_retry=worker.ready or worker.is_retry)
        return None

    def _after_deadline(self, index: int) -> Outcome[T, R] | None:
        worker = self._workers[index]
        if not worker.ready:
            _end(worker)
            return self._after_death(index)
        _end(worker)
        self._replace(index)
        return Outcome(worker.task, death=f"It was given up after {self._timeout_s:g} s.")

    def _replace(self, index: int) -> None:
        _end(self._workers[index])
        self._workers[index] = self._start()

    def _count_failed_start(self, cause: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise WorkersFailed(f"No worker process could be started ({cause}).", "Free some memory, or use --jobs 1.")

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._work), name="inspector", daemon=True)
        try:
            with _signals_blocked():
                process.start()
        except OSError as error:
            raise WorkersFailed(
                f"No worker process could be started ({error.strerror or error}).", "Use fewer --jobs."
            ) from error
        finally:
            theirs.close()
        return _Worker(process, ours, time.monotonic() + START_LIMIT_S)


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()
    worker.process.join(5.0)  # not for ever: a process that waits for a dead disk cannot be killed


def _cause_of_death(code: int | None) -> str:
    if code is None:
        return "it does not answer"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"{name}, as when memory runs out" if name == "SIGKILL" else name
    return f"exit code {code}" if code < 2**31 else f"exit code {code:#x}"


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """A process that is started meanwhile inherits that Ctrl-C does not reach it, before it can ignore it itself."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # here, because its start ends with these signals unblocked
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
