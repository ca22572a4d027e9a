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

from evaluation.disturbances import DRIFT_LEVELS, Disturbance
from evaluation.drift import run_drift
from evaluation.figures import Figures
from evaluation.pool import Task, assess_all
from evaluation.results import ImageResult
from evaluation.statistics import compute_figures
from evaluation.truth import load_truth_set
from synthetic import draw_scene, render, scene_rng

SEED = 2024
GOLDEN = Path(__file__).parent.parent.parent / "shared" / "golden"


def rendered(
    number: int,
    *,
    clean: bool = False,
    contrast: str = "ordinary",
    size_px: tuple[int, int] | None = None,
    profile: str | None = None,
) -> ImageResult:
    """The inspection of one random scene beside its truth."""
    scene = render(draw_scene(scene_rng(SEED, number), clean=clean, contrast=contrast, size_px=size_px))
    return assess_rendering(scene, f"{'clean' if clean else contrast} {number}", profile)


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


def is_measured(every: Figures, measure: str, kind: str, *, share: float) -> bool:
    """Whether the median error of a size is at most a share of it, or half a pixel."""
    error = next(e for e in every.sizes if (e.measure, e.kind) == (measure, kind))
    return error.median_error <= share or error.median_error_px <= 0.5


def print_classes_and_sizes(every: Figures) -> None:
    right = every.confusion.right
    print(f"  classes right {right.count}/{right.total} = {right.value:.3f}")
    for error in every.sizes:
        if (error.measure, error.kind) in (("length", "Scratch"), ("width", "Scratch"), ("diameter", "Pit/Dig")):
            median, px = error.median_error, error.median_error_px
            print(f"  {error.kind} {error.measure}: median error {median:.1%}, {px:.2f} px; bias {error.bias:+.1%}")


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
    results = in_parallel(rendered, 120)
    every = figures("ordinary", results)
    print_classes_and_sizes(every)
    assert every.localisation.located.value >= 0.99
    assert every.total.recall.value >= 0.985
    assert every.total.precision.value >= 0.99
    assert every.confusion.right.value >= 0.83
    assert is_measured(every, "length", "Scratch", share=0.04)
    assert is_measured(every, "width", "Scratch", share=0.15)
    assert is_measured(every, "diameter", "Pit/Dig", share=0.08)


@pytest.mark.accuracy
def test_faint_rendered_scenes():
    every = figures("faint", in_parallel(partial(rendered, contrast="faint"), 80))
    assert every.total.recall.value >= 0.89
    assert every.total.precision.value >= 0.98


@pytest.mark.accuracy
def test_clean_rendered_scenes():
    results = in_parallel(partial(rendered, clean=True), 60)
    figures("clean", results)
    assert spotless(results) >= 59


@pytest.mark.accuracy
def test_the_fast_scan_of_rendered_scenes():
    every = figures("fast_scan", in_parallel(partial(rendered, profile="fast_scan"), 40))
    assert every.total.recall.value >= 0.93
    assert every.total.precision.value >= 0.95


@pytest.mark.accuracy
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the labelled real images are not on this machine")
def test_labelled_real_images():
    tasks = [Task(truth, shipped_settings()) for truth in load_truth_set(GOLDEN)]
    every = figures("golden", assess_all(tasks, jobs=os.cpu_count() or 1))
    print_classes_and_sizes(every)
    assert every.localisation.located.value == 1
    assert every.total.recall.value >= 0.92
    assert every.total.precision.value >= 0.915
    assert every.image_accuracy.accuracy.value >= 0.91
    assert every.image_accuracy.false_alarms_on_clean <= every.image_accuracy.clean_images


@pytest.mark.accuracy
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the labelled real images are not on this machine")
def test_moved_copies_of_real_images_keep_their_verdict():
    wanted = {"rotation": 45.0, "shift": 0.08, "magnification": 0.85}
    moves = [Disturbance(kind, level, DRIFT_LEVELS[kind].unit) for kind, level in wanted.items()]
    drift = run_drift(
        load_truth_set(GOLDEN), shipped_settings(), images=24, jobs=os.cpu_count() or 1, disturbances=moves
    )
    moved = [level for level in drift.levels if not level.disturbance.is_identity]
    for level in moved:
        print(
            f"{level.disturbance.text}: flips {level.verdict_flips.count}/{level.verdict_flips.total}, {level.flipped}"
        )
    flips, asked = (sum(getattr(level.verdict_flips, name) for level in moved) for name in ("count", "total"))
    assert asked >= 60
    assert flips <= 0.045 * asked
