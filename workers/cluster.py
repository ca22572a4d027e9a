"""The tasks on a Dask cluster: other machines, or more processes than one machine has.

Dask gives a task whose worker has died to another one, and gives it up after a few deaths. The result of each task is
taken once, here, whoever and how many computed it.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from typing import Any, Generic, Self, TypeVar

from errors import MissingDependency, UsageError, WorkersFailed
from workers.answer import Answer, answer
from workers.backend import Outcome

T = TypeVar("T")
R = TypeVar("R")
CONNECT_TIMEOUT_S = 5.0
TASKS_PER_THREAD = 2  # one under way, one waiting; more would only make Ctrl-C slow


class Cluster(Generic[T, R]):
    """The workers of the Dask scheduler at ``address``; see :class:`workers.backend.Backend`.

    They must be able to import ``work``, and see the same files under the same paths. Raises
    :class:`MissingDependency` without the package, a scheduler that answers or a worker, :class:`UsageError` for what
    is no address.
    """

    def __init__(self, work: Callable[[T], R], address: str) -> None:
        self._work = work
        if not re.fullmatch(r"(\w+://)?[^\s/]+:\d{1,5}", address):  # Dask would need long to complain
            raise UsageError(f"{address!r} is no address of a scheduler.", "Write it like tcp://host:8786.")
        try:
            import distributed
        except ImportError as error:
            raise MissingDependency(
                f"--scheduler needs a package that is missing ({error}).",
                "Run: pip install -r requirements-cluster.txt",
            ) from error
        _silence()
        self._dask = distributed
        try:
            self._client = distributed.Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise MissingDependency(
                f"No Dask scheduler answers at {address}.", "Start one: dask scheduler (README.md, Many machines)."
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_TIMEOUT_S)
        except TimeoutError as error:
            self._client.close()
            raise MissingDependency(
                f"The scheduler at {address} has no workers.", f"Start some: dask worker {address} --nthreads 1"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Leave the cluster as it is; what is under way there is finished for nobody."""
        with contextlib.suppress(OSError, TimeoutError):
            self._client.close(timeout=CONNECT_TIMEOUT_S)

    def run(self, tasks: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """Outcomes as they come; a new task is handed over for each that is finished.

        Dask blames a death on every task that its worker held, so those are tried again at the end, each alone.
        """
        suspects: list[T] = []
        for outcome in self._side_by_side(iter(tasks)):
            if outcome.death:
                suspects.append(outcome.task)
            else:
                yield outcome
        for task in suspects:
            yield from self._side_by_side(iter([task]))

    def _side_by_side(self, source: Iterator[T]) -> Iterator[Outcome[T, R]]:
        finished = self._dask.as_completed(loop=self._client.loop)
        under_way: dict[Any, T] = {}
        self._fill(source, finished, under_way)
        while under_way:
            with _connection():
                future = next(finished)
            outcome = self._outcome(under_way.pop(future), future)
            self._fill(source, finished, under_way)
            yield outcome

    def _fill(self, source: Iterator[T], finished: Any, under_way: dict[Any, T]) -> None:
        """Hand over tasks until every thread of the cluster, as it is now, has enough of them."""
        with _connection():
            limit = max(TASKS_PER_THREAD * sum(self._client.nthreads().values()), TASKS_PER_THREAD)
        while len(under_way) < limit:
            try:
                task = next(source)
            except StopIteration:
                return
            with _connection():
                future = self._client.submit(_answer, self._work, task, pure=False)
                finished.add(future)
            under_way[future] = task

    def _outcome(self, task: T, future: Any) -> Outcome[T, R]:
        if future.status == "error":
            with _connection():
                error = future.exception()
            if isinstance(error, self._dask.scheduler.KilledWorker):
                return Outcome(task, death="The workers of the cluster that worked on it died.")
            raise WorkersFailed(
                f"The cluster cannot run the task ({type(error).__name__}: {error}).",
                "Start scheduler and workers with the same program and packages as here (README.md, Many machines).",
            ) from error
        if future.status != "finished":
            raise _lost()
        with _connection():
            result: Answer = future.result()
        if result.error is not None:
            raise result.error
        return Outcome(task, result.result, log=result.log)


def _answer(work: Callable[[Any], Any], task: Any) -> Answer:
    import cv2  # here: the one who asks need not load it

    cv2.setNumThreads(1)  # its neighbours use the other cores
    return answer(work, task)


@contextlib.contextmanager
def _connection() -> Iterator[None]:
    """Whatever Dask raises when its scheduler has gone, as one kind of error."""
    try:
        yield
    except (OSError, TimeoutError, CancelledError) as error:
        raise _lost() from error


def _lost() -> WorkersFailed:
    return WorkersFailed("The connection to the Dask scheduler was lost.", "Start it again.")


def _silence() -> None:
    """Keep Dask's remarks on lost connections off the screen: what they lead to is said in a sentence."""
    for name in ("distributed", "asyncio", "tornado", *logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "asyncio", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
