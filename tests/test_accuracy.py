"""How well the fibre and its defects are found, on rendered scenes and on the labelled real images.

The quick check runs always. ``pytest -m accuracy -s`` takes minutes and prints the figures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import pytest
from evaluation_scenes import assess_rendering, shipped_settings

from evaluation.figures import Figures
from evaluation.pool import Task, assess_all
from evaluation.results import ImageResult
from evaluation.statistics import compute_figures
from evaluation.truth import load_truth_set
from synthetic import draw_scene, render, scene_rng

SEED = 2024
GOLDEN = Path(__file__).parent.parent.parent / "shared" / "golden"


def rendered(number: int, *, clean: bool = False, size_px: tuple[int, int] | None = None) -> ImageResult:
    """The inspection of one random scene of ordinary contrast beside its truth."""
    scene = render(draw_scene(scene_rng(SEED, number), clean=clean, size_px=size_px))
    return assess_rendering(scene, f"{'clean' if clean else 'scene'} {number}")


def in_parallel(assess: Callable[[int], ImageResult], count: int) -> list[ImageResult]:
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        return list(pool.map(assess, range(count)))


def spotless(results: Iterable[ImageResult]) -> int:
    """How many images have no reported defect in the zones core and cladding."""
    return sum(all(d.zone not in ("Core", "Cladding") for d in result.reported_defects) for result in results)


def figures(title: str, results: Sequence[ImageResult]) -> Figures:
    """Add up, and print the figures with what went wrong."""
    every = compute_figures(results)
    for result in results:
        wrong = [] if result.located in (True, None) else ["not located"]
        wrong += [f"missed {defect.kind} {defect.id}" for defect in result.missed]
        wrong += [f"false {defect.kind} {defect.defect_id}" for defect in result.false_alarms]
        wrong += [result.problem] if result.problem else []
        if wrong:
            print(f"  {result.name}: {', '.join(wrong)}")
    located, recall, precision = every.localisation.located, every.total.recall, every.total.precision
    print(
        f"{title}: located {located.count}/{located.total}, recall {recall.count}/{recall.total} = {recall.value:.3f}, "
        f"precision {precision.count}/{precision.total} = {precision.value:.3f}, false defects on "
        f"{every.image_accuracy.clean_images} clean images: {every.image_accuracy.false_alarms_on_clean}, "
        f"nothing in core and cladding: {spotless(results)}/{len(results)}"
    )
    assert every.not_assessed == ()
    return every


# --- always --------------------------------------------------------------------------------------------------------


def test_a_few_rendered_scenes():
    every = figures("quick", [rendered(number, size_px=(560, 420)) for number in range(6)])
    assert every.localisation.located.count >= 5
    assert every.total.recall.total >= 12
    assert every.total.recall.value >= 0.85
    assert every.total.precision.value >= 0.8


# --- with -m accuracy ----------------------------------------------------------------------------------------------


@pytest.mark.accuracy
def test_rendered_scenes_of_ordinary_contrast():
    every = figures("ordinary", in_parallel(rendered, 120))
    assert every.localisation.located.value >= 0.99
    assert every.total.recall.value >= 0.97
    assert every.total.precision.value >= 0.95


@pytest.mark.accuracy
def test_clean_rendered_scenes():
    results = in_parallel(partial(rendered, clean=True), 40)
    figures("clean", results)
    assert spotless(results) >= 38


@pytest.mark.accuracy
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the labelled real images are not on this machine")
def test_labelled_real_images():
    tasks = [Task(truth, shipped_settings()) for truth in load_truth_set(GOLDEN)]
    every = figures("golden", assess_all(tasks, jobs=os.cpu_count() or 1))
    assert every.localisation.located.value == 1
    assert every.total.recall.value >= 0.90
    assert every.total.precision.value >= 0.75
    assert every.image_accuracy.false_alarms_on_clean <= every.image_accuracy.clean_images
