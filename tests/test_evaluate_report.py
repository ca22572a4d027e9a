"""The files of an evaluation: tables, crops, plots."""

import csv

import cv2
import numpy as np
import pytest
from evaluation_scenes import image_result, reported_outcome, true_outcome
from faces import write

from errors import OutputError
from evaluation import plots, report
from evaluation.baseline import read_baseline
from evaluation.crops import (
    REPORT_COLOR,
    TRUE_COLOR,
    UNJUDGED_COLOR,
    Worst,
    crop_picture,
    worst_false_alarms,
    worst_misses,
    write_crops,
)
from evaluation.markdown import table
from evaluation.report import csv_table, prepare_folder, write_evaluation
from evaluation.results import Evaluation, ProfileRun, Sizes
from evaluation.statistics import compute_figures
from evaluation.truth import TrueDefect, TruthImage
from reports.tables import csv_bytes

ABOUT = {"program": "D-Scope Blink", "version": "0", "start": "today", "folder": "set"}


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


# --- crops ---------------------------------------------------------------------------------------------------------


def test_the_worst_misses_are_strong_and_large():
    large = Sizes(30.0, 30.0, 30.0, 700.0)
    a = image_result("a", true_defects=(true_outcome(1, False), true_outcome(2, False, sizes=large)))
    b = image_result("b", true_defects=(true_outcome(1, False, contrast_sigma=20.0), true_outcome(2)))
    worst = worst_misses([a, b], 3)
    assert [(item.image, item.title.split(",")[0]) for item in worst] == [
        ("a", "Pit/Dig 2"), ("b", "Pit/Dig 1"), ("a", "Pit/Dig 1")
    ]  # fmt: skip
    assert [item.picture for item in worst] == [f"missed_deep_inspection_0{n}.png" for n in (1, 2, 3)]
    assert len(worst_misses([a, b], 1)) == 1


def test_the_worst_false_alarms_are_confident():
    reports = (reported_outcome(1, False, confidence=0.5), reported_outcome(2, False), reported_outcome(3))
    worst = worst_false_alarms([image_result("b", reported_defects=reports), image_result("a", 0, 0, 1, 0)])
    assert [(item.image, item.title.split(",")[0]) for item in worst] == [
        ("a", "Pit/Dig P1"), ("b", "Pit/Dig P2"), ("b", "Pit/Dig P1")
    ]  # fmt: skip


def has(picture, color):
    return bool((picture == np.array(color)).all(axis=2).any())


def test_a_crop_shows_truth_report_and_do_not_judge_areas():
    grey = np.full((160, 200), 120, np.uint8)
    labels = np.zeros((160, 200), np.uint16)
    labels[60:70, 60:70], labels[80:84, 60:70] = 1, 65535
    report_there = reported_outcome(1, outlines_px=(((66, 62), (75, 62), (75, 71), (66, 71)),))
    item = Worst("a.png", "Pit/Dig 1", (60, 60, 70, 70), "x.png")
    picture = crop_picture(grey, labels, [report_there], item)
    left, right = picture[24:, :400], picture[24:, 406:]
    for color in (TRUE_COLOR, REPORT_COLOR, UNJUDGED_COLOR):
        assert has(right, color) and not has(left, color)
    assert left.shape == right.shape == (400, 400, 3)
    assert not has(crop_picture(grey, labels * 0, [], item)[24:], TRUE_COLOR)


@pytest.mark.parametrize("box", [(0, 0, 3, 3), (195, 150, 200, 160), (0, 0, 200, 160)])
def test_crops_at_the_edge_of_the_image(box):
    grey = np.random.default_rng(0).integers(0, 255, (160, 200)).astype(np.uint8)
    labels = np.zeros((160, 200), np.uint16)
    labels[box[1] : box[3], box[0] : box[2]] = 1
    picture = crop_picture(grey, labels, [], Worst("a.png", "Pit/Dig 1", box, "x.png"))
    assert has(picture, TRUE_COLOR) and picture.shape[1] <= 806


def test_a_crop_of_an_image_that_is_gone_is_left_out(tmp_path):
    path = tmp_path / "a.png"
    truths = {"a.png": TruthImage("a.png", path)}
    item = Worst("a.png", "Pit/Dig 1", (0, 0, 3, 3), "x.png")
    assert write_crops([item], [image_result("a.png")], truths, tmp_path) == []
    write(path, cv2.imencode(".png", np.zeros((20, 30), np.uint8))[1].tobytes())
    assert write_crops([item], [image_result("a.png")], truths, tmp_path) == [item]
    assert (tmp_path / "x.png").is_file()


# --- plots and tables ----------------------------------------------------------------------------------------------


@pytest.mark.soak
def test_plots_are_pictures_whether_or_not_there_is_anything_to_plot():
    full, empty = [image_result("a", 3, 2, 2, 2)], [image_result("b")]
    assert decoded(plots.recall_plot([compute_figures(full), compute_figures(empty)])).ndim == 3
    with_points, without = plots.size_plot(full), plots.size_plot(empty)
    assert decoded(with_points).shape == decoded(without).shape and with_points != without


def test_a_bar_in_a_name_does_not_break_a_table():
    assert table(["image"], [["a|b.png"]])[2] == "| a\\|b.png |"


# --- all of it -----------------------------------------------------------------------------------------------------


def evaluation(*profiles):
    def run(name):
        broken = image_result("b.png", problem="The file is empty.", status="Unreadable", profile=name)
        return ProfileRun(name, "sha", (image_result("a.png", 2, 1, 2, 1, profile=name), broken))

    return Evaluation(ABOUT, 0.97, tuple(map(run, profiles)), ("c.png is left out.",))


@pytest.fixture
def truths(tmp_path):
    labels = np.zeros((60, 80), np.uint16)
    labels[10:20, 10:20], labels[40:50, 40:50] = 1, 2
    write(tmp_path / "set" / "a.png", cv2.imencode(".png", (labels == 0).astype(np.uint8) * 100)[1].tobytes())
    write(tmp_path / "set" / "a_labels.png", cv2.imencode(".png", labels)[1].tobytes())
    defects = (TrueDefect(1, "pit"), TrueDefect(2, "pit"))
    return [
        TruthImage("a.png", tmp_path / "set" / "a.png", tmp_path / "set" / "a_labels.png", defects=defects),
        TruthImage("b.png", tmp_path / "set" / "b.png"),
    ]


@pytest.mark.soak
def test_all_files_are_written_and_every_picture_of_the_report_is_there(tmp_path, truths):
    out = tmp_path / "out"
    prepare_folder(out, overwrite=False)
    figures, better, worse = write_evaluation(out, evaluation("deep_inspection", "odd/name"), truths, None)
    assert [item.images for item in figures] == [1, 1] and (better, worse) == (0, 0)
    text = (out / "validation_v1.md").read_text(encoding="utf-8")
    pictures = {part.partition(")")[0] for part in text.split("](")[1:]}
    assert len(pictures) == 7 and all((out / name).is_file() for name in pictures)
    assert "c.png is left out." in text and "The file is empty." in text and "0.500 (1 of 2)" in text


def test_the_table_has_a_row_per_image_and_profile():
    text = csv_bytes(csv_table(evaluation("deep_inspection", "fast_scan"))).decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["Image_Filename"] for row in rows] == ["a.png", "b.png"] * 2
    first = rows[0]
    assert [first[name] for name in ("True_Defects", "Found", "Missed", "Reported")] == ["2", "1", "1", "2"]
    assert (first["False_Alarms"], first["Missed_Defects"]) == ("1", "Pit/Dig 2")


def test_an_evaluation_is_read_back_as_a_baseline(tmp_path, truths, monkeypatch):
    for plot in ("recall_plot", "size_plot"):
        monkeypatch.setattr(plots, plot, lambda *arguments: b"a picture")
    made = evaluation("deep_inspection")
    prepare_folder(tmp_path / "out", overwrite=False)
    write_evaluation(tmp_path / "out", made, truths, None)
    baseline = read_baseline(tmp_path / "out" / "evaluation.json")
    assert [result.to_dict() for result in baseline.runs[0].results] == [r.to_dict() for r in made.runs[0].results]
    prepare_folder(tmp_path / "out", overwrite=True)
    _, better, worse = write_evaluation(tmp_path / "out", made, truths, baseline)
    assert (better, worse) == (0, 0)
    assert "Compared with the baseline" in (tmp_path / "out" / "validation_v1.md").read_text(encoding="utf-8")


def test_an_earlier_evaluation_is_only_replaced_when_asked(tmp_path):
    for name in ("evaluation.json", "notes.txt", "drift_gamma.png", "pictures/false_x_01.png", "pictures/mine.png"):
        write(tmp_path / name, b"x")
    with pytest.raises(OutputError, match="--overwrite"):
        prepare_folder(tmp_path, overwrite=False)
    prepare_folder(tmp_path, overwrite=True)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "pictures/mine.png"}


def test_an_output_that_is_a_file(tmp_path):
    write(tmp_path / "out", b"x")
    for folder in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(OutputError) as caught:
            report.prepare_folder(folder, overwrite=True)
        assert "-o" in str(caught.value)
