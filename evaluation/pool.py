"""Many images on several processes: paths in, small results out, in the order of the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from evaluation.assessment import assess_file, not_assessed
from evaluation.matching import JUDGED_SHARE
from evaluation.results import ImageResult
from evaluation.truth import TruthImage
from inspection_settings import InspectionSettings
from workers.pool import Pool

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
    """Every task with its result, in order; None where a task ended its process, twice."""
    if min(jobs, len(tasks)) <= 1:
        yield from ((task, work(task)) for task in tasks)
        return
    waiting: dict[int, R | None] = {}
    done = 0
    with Pool(partial(_numbered, work), min(jobs, len(tasks))) as pool:
        for outcome in pool.run(enumerate(tasks)):
            number, _ = outcome.task
            waiting[number] = outcome.result
            while done in waiting:
                yield tasks[done], waiting.pop(done)
                done += 1


def _numbered(work: Callable[[T], R], task: tuple[int, T]) -> R:
    return work(task[1])
