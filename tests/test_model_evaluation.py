"""Boxes and verdicts of a vision-language model against the truth: cases that can be counted by hand."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from faces import face_scene, pit
from hypothesis import given, settings
from hypothesis import strategies as st
from vlm_fakes import entry, in_full, saying

import evaluate
import evaluation.assessment
from cli import vlm_option
from errors import ExitCode
from evaluation import plots
from evaluation.boxes import (
    Counts,
    ImageBoxes,
    NamedBox,
    TrueBox,
    average_precision,
    counts,
    names_all_critical,
    outcomes,
    precision_by_class,
)
from evaluation.model_figures import model_figures, model_markdown
from evaluation.model_outcome import ModelOutcome, model_outcome
from evaluation.results import ImageResult
from evaluation.truth import DO_NOT_JUDGE
from learning.vlm.model_folder import ModelFolder
from records import FAIL, PASS, Ellipse, InspectionRecord, VlmDefect, VlmOpinion
from rendering.engine import render
from synthetic import write_rendering

PIT, SCRATCH = "Pit/Dig", "Scratch"
A, B, C = (0, 0, 10, 10), (50, 0, 10, 10), (100, 0, 10, 10)
NEAR_A = (0, 0, 10, 6)  # IoU 0.6
FAR_FROM_A = (0, 0, 10, 4)  # 0.4
NOWHERE = (500, 500, 5, 5)


def true(box, kind=PIT, **changes):
    return TrueBox(kind, box, **changes)


def named(box, confidence, kind=PIT, **changes):
    return NamedBox(kind, box, confidence, **changes)


def image(truths=(), boxes=()):
    return ImageBoxes(tuple(truths), tuple(boxes))


# --- average precision -----------------------------------------------------------------------------------------------


def test_all_found_is_one_and_nothing_named_is_none():
    whole = image([true(A), true(B)], [named(A, 0.9), named(B, 0.1)])
    assert average_precision([whole]) == 1.0
    assert average_precision([image([true(A)])]) == 0.0
    assert math.isnan(average_precision([image((), [named(A, 0.9)])]))


def test_precision_is_interpolated_at_101_recalls():
    """Right, wrong, right of three true boxes: precision 1 up to recall 1/3, 2/3 up to 2/3, then 0."""
    boxes = image([true(A), true(B), true(C)], [named(A, 0.9), named(NOWHERE, 0.8), named(B, 0.7)])
    assert average_precision([boxes]) == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)


def test_a_later_better_precision_counts_for_smaller_recalls():
    """Wrong, right, right: precision 2/3 at recall 1 is the best at every recall."""
    boxes = image([true(A), true(B)], [named(NOWHERE, 0.9), named(A, 0.8), named(B, 0.7)])
    assert average_precision([boxes]) == pytest.approx(2 / 3)


def test_confidences_order_the_boxes_of_all_images():
    """The wrong box is the surest of all: precision 1/2, then 2/3 at recalls 1/2 and 1."""
    images = [image([true(A)], [named(A, 0.5)]), image([true(A)], [named(NOWHERE, 0.9), named(A, 0.6)])]
    assert average_precision(images) == pytest.approx(2 / 3)
    calmer = [images[0], image([true(A)], [named(NOWHERE, 0.1), named(A, 0.6)])]
    assert average_precision(calmer) == 1.0


def test_a_true_box_is_found_once_by_the_surest():
    boxes = image([true(A)], [named(NEAR_A, 0.9), named(A, 0.8)])
    assert outcomes(boxes) == [(0.9, True), (0.8, False)]
    assert counts(boxes, by_class=True) == Counts(1, 1, 0)


def test_half_of_the_area_must_be_shared():
    assert outcomes(image([true(A)], [named(FAR_FROM_A, 0.9)])) == [(0.9, False)]
    assert outcomes(image([true(A)], [named((0, 0, 10, 5), 0.9)])) == [(0.9, True)]


def test_the_true_box_that_overlaps_most_is_taken():
    boxes = image([true(NEAR_A), true(A)], [named(A, 0.9), named(NEAR_A, 0.8)])
    assert counts(boxes, by_class=True) == Counts(2, 0, 0)


def test_what_is_ignored_counts_neither_way():
    ignored = image([true(A, ignored=True), true(B)], [named(A, 0.9), named(B, 0.8), named(C, 0.7, ignored=True)])
    assert outcomes(ignored) == [(0.8, True)] and average_precision([ignored]) == 1.0
    assert counts(ignored, by_class=True) == Counts(1, 0, 0)
    both = image([true(A, ignored=True), true(NEAR_A)], [named(A, 0.9)])
    assert outcomes(both) == [(0.9, True)]  # one that counts goes before


def test_classes_are_apart_but_for_the_place_alone():
    boxes = image([true(A, SCRATCH), true(B)], [named(A, 0.9, PIT), named(B, 0.8, PIT)])
    assert precision_by_class([boxes]) == {SCRATCH: 0.0, PIT: pytest.approx(0.5)}
    assert counts(boxes, by_class=True) == Counts(1, 1, 1) and counts(boxes, by_class=False) == Counts(2, 0, 0)
    assert Counts(1, 1, 1).f1 == 0.5 and math.isnan(Counts().f1)


def test_only_the_hundred_surest_count():
    boxes = image([true(A)], [*(named(NOWHERE, 0.9) for _ in range(100)), named(A, 0.1)])
    assert len(outcomes(boxes)) == 100 and counts(boxes, by_class=True).right == 0


BOX = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 20), st.integers(1, 20))


@settings(max_examples=40)
@given(st.lists(BOX, max_size=6), st.lists(st.tuples(BOX, st.floats(0, 1)), max_size=8))
def test_counts_add_up(truths, boxes):
    given_boxes = image([true(box) for box in truths], [named(*item) for item in boxes])
    found = counts(given_boxes, by_class=True)
    assert found.right + found.missed == len(truths) and found.right + found.wrong == len(boxes)
    precision = average_precision([given_boxes])
    assert math.isnan(precision) if not truths else 0 <= precision <= 1


def test_every_critical_box_must_be_among_the_surest():
    truths = [true(A, critical=True), true(B), true(C, SCRATCH, critical=True)]
    boxes = image(truths, [named(B, 0.9), named(C, 0.8), named(NEAR_A, 0.7)])
    assert [names_all_critical(boxes, most) for most in (1, 2, 3)] == [False, False, True]
    assert names_all_critical(image([true(B)]), 5) is None
    assert names_all_critical(image([true(A, critical=True, ignored=True)]), 5) is None


def test_boxes_where_nobody_judges_count_neither_way():
    labels = np.zeros((120, 160), np.uint16)
    labels[:60, :80] = DO_NOT_JUDGE
    places = {(70, 50, 8, 8): True, (70, 40, 8, 16): True, (76, 40, 16, 16): False, (2, 100, 8, 8): True}
    marks = tuple(VlmDefect(PIT, "Cladding", "minor", 0.5, box, "full") for box in places)
    record = InspectionRecord("a.png", PASS, vlm=VlmOpinion(PASS, True, "", False, PASS, marks))
    outcome = model_outcome(record, (), labels, Ellipse(80, 60, 120, 120, 0), 0.97, None)
    found = {item.box: item.ignored for item in outcome.boxes.named}
    assert found == places and outcome.true_status == ""


# --- figures ---------------------------------------------------------------------------------------------------------


def result(name, verdict, classical, true_status, **changes):
    boxes = image([true(A, critical=true_status == FAIL)], [named(A, 0.9)] if verdict == FAIL else [])
    outcome = ModelOutcome(boxes, bool(verdict), verdict, False, classical, classical, true_status, 3, 0, 2.0)
    return ImageResult(name, "p", classical, model=dataclasses.replace(outcome, **changes))


def test_verdicts_are_compared_where_there_is_one():
    results = [
        result("right.png", FAIL, FAIL, FAIL),
        result("wrong_pass.png", PASS, FAIL, FAIL, seconds=6.0),
        result("silent.png", "", FAIL, FAIL, unusable_answers=3),
        result("no truth.png", PASS, PASS, ""),
        ImageResult("lost.png", "p", "Localization Failed"),
    ]
    found = model_figures(results)
    assert (found.images, found.not_asked, found.wrong_passes) == (4, ("lost.png",), ("wrong_pass.png",))
    shares = {
        "model_is_right": (1, 2),
        "rules_are_right": (2, 2),
        "model_agrees_with_rules": (2, 3),
        "usable": (3, 4),
        "unusable_answers": (3, 12),
    }
    for name, (count, total) in shares.items():
        assert (getattr(found, name).count, getattr(found, name).total) == (count, total), name
    assert (found.critical_in_top["1"].count, found.critical_in_top["1"].total) == (1, 3)
    assert (found.seconds_mean, found.seconds.median) == (3.0, 2.0)
    text = "\n".join(model_markdown(found))
    assert "| unusable answers of all | 0.250 (3 of 12)" in text and "rejected by the truth: wrong_pass.png." in text
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_no_image_at_all_is_no_error():
    found = model_figures([])
    assert found.images == 0 and math.isnan(found.mean_average_precision)
    assert "| mAP of boxes at IoU 0.5 | - |" in model_markdown(found)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def labelled(tmp_path, monkeypatch):
    """The current folder with a set of a clean face and a pitted one; the box of the pit in the image."""
    monkeypatch.chdir(tmp_path)
    for plot in ("recall_plot", "size_plot"):
        monkeypatch.setattr(plots, plot, lambda *arguments: b"a picture")
    write_rendering(render(face_scene()), Path("set"), "clean")
    scene = render(face_scene(pit(40.0, 20.0)))
    write_rendering(scene, Path("set"), "pitted")
    rows, columns = np.nonzero(scene.labels == 1)
    left, top = int(columns.min()), int(rows.min())
    return left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top


@pytest.fixture
def asking(monkeypatch):
    """Let evaluate.py ask a fake model; returns how to set it."""

    def ask(model):
        for module in (evaluation.assessment, vlm_option):
            monkeypatch.setattr(module, "model_of", lambda settings: model)
        monkeypatch.setattr(vlm_option, "check_libraries", lambda: None)
        monkeypatch.setattr(vlm_option, "identify", lambda folder: ModelFolder(str(folder), "0" * 64))

    return ask


def evaluated(*arguments):
    command = ["set", "-o", "out", "--overwrite", "--no-progress", "--vlm", "model", *arguments]
    assert evaluate.main(command) == ExitCode.OK
    data = json.loads(Path("out/evaluation.json").read_text(encoding="utf-8"))
    return data["model"]["deep_inspection"], Path("out/validation_v1.md").read_text(encoding="utf-8")


def test_a_model_that_names_the_same_mark_everywhere(labelled, asking):
    asking(in_full(entry(labelled)))
    found, text = evaluated()
    assert found["mean_average_precision"] == pytest.approx(0.5)  # as sure of the clean face, which comes first
    assert found["same_class"] == {"right": 1, "wrong": 1, "missed": 0, "f1": pytest.approx(2 / 3)}
    assert found["critical_in_top"]["1"]["count"] == 1
    right = found["model_is_right"]
    assert (right["count"], right["total"], found["decided"]) == (1, 2, 0)
    assert "## Vision-language model, deep_inspection" in text


def test_a_model_that_answers_nothing_of_use(labelled, asking):
    asking(saying("No."))
    found, text = evaluated()
    assert found["mean_average_precision"] == 0.0 and found["unusable_answers"]["value"] == 1.0
    assert found["usable"]["value"] == 0.0 and found["model_is_right"]["total"] == 0
    assert "| verdict of the model right | - |" in text
