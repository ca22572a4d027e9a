"""Drift: a small truth set, disturbed and inspected; the figures of a level against closed forms."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import shipped_config

from cli.job_settings import choose_settings
from evaluation import drift as drift_module
from evaluation.assessment import assess_file
from evaluation.disturbances import DRIFT_LEVELS, Disturbance, default_disturbances
from evaluation.drift import drift_level, run_drift, spread_over
from evaluation.drift_report import drift_markdown, drift_table, write_drift
from evaluation.results import ImageResult, ReportedOutcome, TrueOutcome
from evaluation.truth import TruthImage, load_truth_set
from records import FAIL, LOCALIZATION_FAILED, PASS, UNGRADED
from synthetic import draw_scene, render, scene_rng, write_rendering

SETTINGS = choose_settings(shipped_config(), None)
DARK, TURNED, BLACK = (
    Disturbance(kind, level, DRIFT_LEVELS[kind].unit)
    for kind, level in (("illumination", -40.0), ("rotation", 90.0), ("illumination", -99.9))
)


@pytest.fixture(scope="module")
def truths(tmp_path_factory) -> list[TruthImage]:
    folder = tmp_path_factory.mktemp("set")
    for number in (0, 3):
        scene = draw_scene(scene_rng(2024, number), size_px=(480, 360))
        write_rendering(render(scene), folder, f"face_{number}")
    return load_truth_set(folder)


@pytest.fixture(scope="module")
def finished() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def drift(truths, finished):
    return run_drift(
        truths,
        SETTINGS,
        disturbances=(TURNED, DARK, BLACK),
        on_finished=lambda done, total: finished.append((done, total)),
    )


# --- a run -----------------------------------------------------------------------------------------------------------


def test_every_level_is_there_with_the_undisturbed_one(drift, truths, finished):
    assert drift.images == tuple(truth.name for truth in truths)
    assert drift.kinds == ("rotation", "illumination")
    assert [level.disturbance.level for level in drift.of_kind("rotation")] == [0, 90]
    assert [level.disturbance.level for level in drift.of_kind("illumination")] == [-99.9, -40, 0]
    assert finished == [(done, 8) for done in range(1, 9)]  # the undisturbed pictures once for both kinds
    assert not drift.problems


def test_the_undisturbed_level_is_the_plain_assessment(drift, truths):
    plain = [assess_file(truth, SETTINGS) for truth in truths]
    asked, reported = (sum(len(getattr(r, name)) for r in plain) for name in ("asked", "reported"))
    assert asked >= 4 and reported >= 4
    for kind in drift.kinds:
        level = next(level for level in drift.of_kind(kind) if level.disturbance.is_identity)
        assert (level.recall.total, level.precision.total) == (asked, reported)
        assert level.recall.count == sum(d.found for r in plain for d in r.asked)
        assert level.located.value == 1.0
        assert (level.verdict_flips.count, level.verdict_flips.total, level.defect_change) == (0, 2, 0.0)


def test_a_turned_face_is_found_again_and_a_black_one_is_lost(drift):
    turned, (black, dark, _) = drift.of_kind("rotation")[1], drift.of_kind("illumination")
    assert turned.located.value == dark.located.value == 1.0
    assert turned.recall.value >= 0.7 and dark.recall.value >= 0.7
    assert (black.located.value, black.recall.value, black.verdict_flips.value) == (0.0, 0.0, 1.0)
    assert math.isnan(black.defect_change)


def test_what_goes_wrong_with_a_picture_does_not_end_the_run(truths, monkeypatch):
    missing = replace(truths[0], name="missing.png", image_path=Path("nowhere/missing.png"))

    def fails_on_turned(image, labels, truth, *args, **options):
        if truth != truths[0]:
            raise RuntimeError("no such luck")
        return ImageResult(truth.name, "deep_inspection", PASS, verdict="clean", located=True)

    monkeypatch.setattr(drift_module, "assess", fails_on_turned)
    drift = run_drift([truths[0], missing], SETTINGS, disturbances=[TURNED])
    before, after = drift.levels
    assert before.not_assessed == ("missing.png",) and after.not_assessed == (truths[0].name, "missing.png")
    assert (after.verdict_flips.count, after.verdict_flips.total) == (1, 1)  # the missing one never had a verdict
    assert len(drift.problems) == 3
    assert drift.problems[1].startswith(
        f"{truths[0].name}, rotation 90 deg: Internal error (RuntimeError: no such luck)"
    )


def test_a_process_that_dies_costs_only_its_own_picture(truths, monkeypatch):
    fine = ImageResult(truths[0].name, "deep_inspection", PASS, verdict="clean", located=True)
    monkeypatch.setattr(
        drift_module,
        "run_tasks",
        lambda work, tasks, jobs: [(t, None if t.disturbance == DARK else fine) for t in tasks],
    )
    drift = run_drift(truths[:1], SETTINGS, jobs=2, disturbances=[DARK])
    assert drift.levels[0].not_assessed == drift.levels[0].flipped == (truths[0].name,)
    assert drift.problems == (f"{truths[0].name}, illumination -40 %: The process died.",)


@pytest.mark.parametrize(
    ("count", "names"), [(1, "a"), (2, "aj"), (4, "adgj"), (5, "acehj"), (10, "abcdefghij"), (99, "abcdefghij")]
)
def test_images_are_spread_evenly(count, names):
    every = [TruthImage(name, Path(name)) for name in "abcdefghij"]
    assert "".join(truth.name for truth in spread_over(every, count)) == names


def test_no_image_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        spread_over([], 0)


# --- one level -------------------------------------------------------------------------------------------------------


def filled(kind: type, **values: object) -> object:
    """An instance of a dataclass in which everything else is None."""
    return kind(**{f.name: values.get(f.name) for f in fields(kind)})


def result(verdict: str | None, status: str = UNGRADED, reports: int = 0, **more: object) -> ImageResult:
    report, true = (filled(kind, counted=True, true=True, found=reports > 0) for kind in (ReportedOutcome, TrueOutcome))
    values = {"located": True, "true_defects": (true,), "truth_verdict": "defective", **more}
    return ImageResult("a.png", "", status, verdict=verdict, reported_defects=(report,) * reports, **values)


LOST = result(None, LOCALIZATION_FAILED, located=False)
CRASHED = replace(result(None), problem="Internal error", true_defects=())


@pytest.mark.parametrize(
    ("before", "after", "verdict_flip", "status_flip"),
    [
        (result("clean", PASS), result("clean", PASS), 0, 0),
        (result("clean", PASS), result("defective", FAIL), 1, 1),
        (result("defective", FAIL), result("defective", PASS), 0, 1),
        (result("clean", PASS), result(None, FAIL), 0, 1),  # left open: only do-not-judge areas were reported
        (result("clean", PASS), LOST, 1, 1),
        (result("clean", PASS), CRASHED, 1, 1),
        (result("clean", PASS), result("clean", PASS, located=False), 0, 0),  # found, though not precisely
        (result("clean", UNGRADED), result("clean", UNGRADED), 0, None),
        (result(None, FAIL), result("clean", FAIL), None, 0),
        (LOST, result("clean", PASS), None, None),
    ],
)
def test_flips(before, after, verdict_flip, status_flip):
    level = drift_level(DARK, [before], [after])
    for rate, flip in ((level.verdict_flips, verdict_flip), (level.status_flips, status_flip)):
        assert (rate.count, rate.total) == ((0, 0) if flip is None else (flip, 1))


def test_a_level_adds_up():
    before = [result("defective", FAIL, reports=2)] * 4
    level = drift_level(DARK, before, [result("defective", FAIL, 3), result("clean", PASS, 0), LOST, CRASHED])
    assert (level.recall.count, level.recall.total) == (1, 3)  # of the crashed one nothing is known
    assert (level.precision.count, level.precision.total) == (3, 3)
    assert level.recall.low <= level.recall.value <= level.recall.high
    assert (level.located.count, level.located.total) == (2, 3)
    assert (level.accuracy.count, level.accuracy.total) == (1, 3)
    assert (level.verdict_flips.count, level.verdict_flips.total) == (3, 4)
    assert level.defect_change == pytest.approx((1 - 2) / 2)
    assert level.not_assessed == ("a.png",) and level.flipped == ("a.png",) * 3


# --- reports ---------------------------------------------------------------------------------------------------------


def test_table_pictures_and_section_are_written(drift, tmp_path):
    paths = write_drift(drift, tmp_path)
    assert [path.name for path in paths] == ["drift.csv", "drift_rotation.png", "drift_illumination.png"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "drift.csv").read_text(encoding="utf-8"))))
    assert [row["disturbance"] for row in rows] == ["rotation"] * 2 + ["illumination"] * 3
    assert [row["level"] for row in rows] == ["0", "90", "-99.9", "-40", "0"]
    assert rows[2]["recall"] == "0.0000" and rows[2]["precision"] == rows[2]["defect_change"] == ""
    for path in paths[1:]:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        assert picture.std() > 10
    text = drift_markdown(drift)
    assert text[0] == "## Drift"
    assert "![rotation](drift_rotation.png)" in text and "![illumination](drift_illumination.png)" in text
    row = next(line for line in text if line.startswith("| -99.9 |"))
    assert row == "| -99.9 | 0.000 | 0.000 [0.000, 0.000] | - | 0.000 | 1.000 | 1.000 | - |"
    assert f"Verdicts that flip: {', '.join(f'{name} (-99.9)' for name in drift.images)}." in text
    summary = next(line for line in text if line.startswith("| illumination |"))
    assert summary.startswith("| illumination | 0.000, -99.9 % |") and summary.endswith("| 1.000, -99.9 % |")


def test_the_dictionary_is_json(drift):
    data = json.loads(json.dumps(drift.to_dict(), allow_nan=False))
    assert [level["disturbance"]["level"] for level in data["levels"]] == [0, 90, -99.9, -40, 0]
    assert data["levels"][2]["defect_change"] is None


def test_problems_are_listed(drift):
    text = drift_markdown(replace(drift, problems=("a.png, noise 4: out of luck",)))
    assert "- a.png, noise 4: out of luck" in text


def test_all_default_levels_have_a_row(drift):
    levels = [replace(drift.levels[0], disturbance=change) for change in default_disturbances()]
    table = drift_table(replace(drift, levels=tuple(levels)))
    assert len(table.splitlines()) == 1 + len(default_disturbances())
