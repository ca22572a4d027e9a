"""How well the fibre and its defects are found, on rendered scenes and on the labelled real images.

The quick check runs always. ``pytest -m accuracy -s`` takes minutes and prints the figures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import inspect_grey
from scoring import Score, is_located, score_labels, truth_ellipse

import image_io
from records import Ellipse, Inspection
from synthetic import draw_scene, render, scene_rng

SEED = 2024
GOLDEN = Path(__file__).parent.parent.parent / "shared" / "golden"


@dataclass(frozen=True)
class Outcome:
    """What the inspection of one image came to."""

    name: str
    located: bool | None  # None: the truth names no fibre, and none was found
    score: Score
    is_clean: bool
    inner_defects: int  # reported in the zones core and cladding

    def line(self) -> str:
        """What went wrong, empty when nothing did."""
        s = self.score
        wrong = [] if self.located in (True, None) else ["not located"]
        wrong += [f"missed {list(s.missed_ids)}"] if s.missed_ids else []
        wrong += [f"false {list(s.false_labels)}"] if s.false_labels else []
        return f"  {self.name}: {', '.join(wrong)}" if wrong else ""


def outcome(name: str, grey: np.ndarray, labels: np.ndarray, truth: dict) -> Outcome:
    """Inspect an image without known dimensions, and score it."""
    inspection = inspect_grey(grey, name=name)
    clean = truth["verdict"] == "clean"
    inner = sum(d.zone in ("Core", "Cladding") for d in inspection.record.defects)
    if truth["fiber"] is None:
        return Outcome(name, False if inspection.record.fiber else None, Score(), clean, inner)
    cladding = truth_ellipse(truth["fiber"])
    score = score_labels(inspection.labels, labels, cladding)
    return Outcome(name, is_located(_cladding(inspection), cladding), score, clean, inner)


def _cladding(inspection: Inspection) -> Ellipse | None:
    return inspection.record.fiber and inspection.record.fiber.cladding


def rendered(number: int, *, clean: bool = False, size_px: tuple[int, int] | None = None) -> Outcome:
    """The outcome of one random scene of ordinary contrast."""
    scene = render(draw_scene(scene_rng(SEED, number), clean=clean, size_px=size_px))
    return outcome(f"{'clean' if clean else 'scene'} {number}", scene.image, scene.labels, scene.truth)


def rendered_clean(number: int) -> Outcome:
    return rendered(number, clean=True)


def golden(path: Path) -> Outcome:
    """The outcome of one labelled real image."""
    truth = json.loads((GOLDEN / "truth" / f"{path.stem}.json").read_text(encoding="utf-8"))
    grey = image_io.read_image(path).grey
    labels_path = GOLDEN / "truth" / f"{path.stem}_labels.png"
    labels = np.zeros(grey.shape, np.uint16)
    if labels_path.is_file():
        labels = cv2.imdecode(np.frombuffer(labels_path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    return outcome(path.name, grey, labels, truth)


def in_parallel(inspect: Callable[..., Outcome], items: Iterable[object]) -> Iterator[Outcome]:
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(inspect, items)


@dataclass(frozen=True)
class Figures:
    """Totals of a set of images."""

    images: int
    located: int
    score: Score
    clean_images: int
    clean_false: int  # false defects on them
    spotless: int  # images without a defect in the zones core and cladding

    @classmethod
    def of(cls, title: str, outcomes: Iterable[Outcome]) -> Figures:
        """Add up, and print the figures with what went wrong."""
        every = list(outcomes)
        located = [o for o in every if o.located is not None]
        figures = cls(
            images=len(located),
            located=sum(o.located for o in located),
            score=sum((o.score for o in every), Score()),
            clean_images=sum(o.is_clean for o in every),
            clean_false=sum(len(o.score.false_labels) for o in every if o.is_clean),
            spotless=sum(o.inner_defects == 0 for o in every),
        )
        print("", *filter(None, (o.line() for o in every)), figures.text(title, len(every)), sep="\n")
        return figures

    def text(self, title: str, count: int) -> str:
        """One line of figures."""
        s = self.score
        return (
            f"{title}: located {self.located}/{self.images}, recall {s.found}/{s.asked} = {s.recall:.3f}, "
            f"precision {s.true}/{s.reported} = {s.precision:.3f}, false defects on {self.clean_images} clean images: "
            f"{self.clean_false}, nothing in core and cladding: {self.spotless}/{count}"
        )


# --- always --------------------------------------------------------------------------------------------------------


def test_a_few_rendered_scenes():
    figures = Figures.of("quick", (rendered(number, size_px=(560, 420)) for number in range(6)))
    assert figures.located >= 5
    assert figures.score.asked >= 12
    assert figures.score.recall >= 0.85
    assert figures.score.precision >= 0.8


# --- with -m accuracy ----------------------------------------------------------------------------------------------


@pytest.mark.accuracy
def test_rendered_scenes_of_ordinary_contrast():
    figures = Figures.of("ordinary", in_parallel(rendered, range(120)))
    assert figures.located >= 0.99 * figures.images
    assert figures.score.recall >= 0.97
    assert figures.score.precision >= 0.95


@pytest.mark.accuracy
def test_clean_rendered_scenes():
    figures = Figures.of("clean", in_parallel(rendered_clean, range(40)))
    assert figures.spotless >= 38


@pytest.mark.accuracy
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the labelled real images are not on this machine")
def test_labelled_real_images():
    figures = Figures.of("golden", in_parallel(golden, sorted((GOLDEN / "images").iterdir())))
    assert figures.located == figures.images
    assert figures.score.recall >= 0.90
    assert figures.score.precision >= 0.75
    assert figures.clean_false <= figures.clean_images


# --- the scoring itself --------------------------------------------------------------------------------------------

CLADDING = Ellipse(100.0, 80.0, 120.0, 120.0, 0.0)


def block(value: int, row: int, col: int, size: int = 10, width: int | None = None) -> np.ndarray:
    labels = np.zeros((160, 200), np.uint16)
    labels[row : row + size, col : col + (width or size)] = value
    return labels


def counts(reported: np.ndarray | None, truth: np.ndarray) -> tuple[int, int, int, int]:
    s = score_labels(reported, truth, CLADDING)
    return s.asked, s.found, s.reported, s.true


@pytest.mark.parametrize(
    ("reported", "truth", "expected"),
    [
        (block(1, 80, 100), block(7, 80, 100), (1, 1, 1, 1)),
        (None, block(7, 80, 100), (1, 0, 0, 0)),
        (block(1, 80, 100), block(0, 0, 0), (0, 0, 1, 0)),
        (block(1, 80, 100, width=1), block(7, 80, 100), (1, 1, 1, 1)),  # with 2 px around it: 3 of 10 columns
        (block(1, 80, 100, width=1), block(7, 80, 100, width=11), (1, 0, 1, 1)),  # 3 of 11
        (block(1, 80, 112), block(7, 80, 100), (1, 0, 1, 0)),  # three of ten columns lie within 3 px
        (block(1, 80, 112, width=2), block(7, 80, 100), (1, 0, 1, 1)),
        (block(1, 80, 100), block(65535, 80, 100), (0, 0, 1, 1)),  # do not judge
        (block(1, 80, 100), block(7, 80, 150), (1, 0, 1, 0)),
        (block(1, 80, 162), block(7, 80, 162), (0, 0, 0, 0)),  # outside of 0.97 of the radius
        (block(1, 80, 150, width=12), block(7, 80, 150, width=12), (1, 1, 1, 1)),  # mostly inside
    ],
)
def test_found_and_true_follow_the_contract(reported, truth, expected):
    assert counts(reported, truth) == expected


def test_scores_add_up_and_name_what_went_wrong():
    score = score_labels(block(3, 80, 100), block(7, 60, 60), CLADDING)
    assert (score.missed_ids, score.false_labels) == ((7,), (3,))
    total = score + replace(score, found=1, true=1)
    assert (total.asked, total.found, total.recall, total.precision) == (2, 1, 0.5, 0.5)
    assert np.isnan(Score().recall) and np.isnan(Score().precision)


@pytest.mark.parametrize(("first", "second", "angle_deg"), [(120.0, 110.0, 20.0), (110.0, 120.0, 110.0)])
def test_the_angle_of_the_truth_belongs_to_its_first_axis(first, second, angle_deg):
    fiber = {"center_px": [100.0, 80.0], "axes_px": [first, second], "angle_deg": angle_deg}
    assert truth_ellipse(fiber) == Ellipse(100.0, 80.0, 120.0, 110.0, 20.0)


@pytest.mark.parametrize(
    ("dx", "grown", "located"), [(0.8, 1.0, True), (1.0, 1.0, False), (0, 1.014, True), (0, 0.98, False)]
)
def test_located_is_within_one_and_a_half_percent_of_the_radius(dx, grown, located):
    found = Ellipse(100.0 + dx, 80.0, 120.0 * grown, 120.0 * grown, 0.0)
    assert is_located(found, CLADDING) is located
    assert not is_located(None, CLADDING)
