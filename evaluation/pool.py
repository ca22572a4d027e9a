"""Many images on several processes: paths in, small results out, in the order of the images."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import cv2

from evaluation.assessment import assess_file, not_assessed
from evaluation.matching import JUDGED_SHARE
from evaluation.results import ImageResult
from evaluation.truth import TruthImage
from inspection import InspectionSettings

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Task:
    """One image to assess by one profile; small, because it travels to another process."""

    truth: TruthImage
    settings: InspectionSettings
    judged_share: float = JUDGED_SHARE


def assess_all(
    tasks: Sequence[Task], *, jobs: int = 1, on_finished: Callable[[ImageResult], None] = lambda result: None
) -> list[ImageResult]:
    """Assess the images, in ``jobs`` processes (1: in this one); results and calls in the order of the tasks.

    An image during which a process died, as without memory, becomes a result that says so.
    """
    results = []
    for task, result in run_tasks(assess_task, tasks, jobs):
        died = "The process that inspected it died: use fewer --jobs when memory is short."
        results.append(not_assessed(task.truth, task.settings, died) if result is None else result)
        on_finished(results[-1])
    return results


def assess_task(task: Task) -> ImageResult:
    """Assess one image."""
    return assess_file(task.truth, task.settings, judged_share=task.judged_share)


def run_tasks(work: Callable[[T], R], tasks: Sequence[T], jobs: int) -> Iterator[tuple[T, R | None]]:
    """Every task with its result, in order; None where a task ended its process.

    A process that dies takes the others of its pool along, whose tasks are then done one by one.
    """
    if min(jobs, len(tasks)) <= 1:
        yield from ((task, work(task)) for task in tasks)
        return
    done = 0
    while done < len(tasks):
        for task, result in _until_death(work, tasks[done:], jobs):
            done += 1
            yield task, result
        for task in tasks[done : done + jobs]:  # none is left, or the one to blame is among them
            done += 1
            yield next(_until_death(work, [task], 1), (task, None))


def _until_death(work: Callable[[T], R], tasks: Sequence[T], jobs: int) -> Iterator[tuple[T, R]]:
    """Results in order, up to the first task that a dying process took along."""
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), get_context("spawn"), _prepare_worker)
    try:
        futures: list[Future[R]] = [pool.submit(work, task) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            yield task, future.result()
    except BrokenProcessPool:
        return
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """One thread per process; Ctrl-C is the business of the process that waits."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
