"""Where the model and the inspector differ: what counts as a difference, the ranking, the folder to be labelled."""

import csv
import functools
import hashlib
from dataclasses import replace
from pathlib import Path

import data_sets
import numpy as np
import pytest
from report_samples import make_inspection
from vlm_results import VIOLATION, add_result, lessons, mark, named, opinion

from config_loader import load_config
from errors import ExitCode
from image_io import DecodedImage
from learning import build_dataset
from learning.vlm import disagreements, export
from learning.vlm.differences import Change, difference, iou
from learning.vlm.ranking_picture import ranking_picture
from records import FAIL, PASS, UNGRADED, VlmDefect

BAD, MINOR, OTHER = mark(300, 150, 15, **VIOLATION), mark(200, 200), mark(250, 100)
CRITICAL = named(BAD)
OPTIONS = ("--no-progress", "--jobs", "1", "--profile", "fast_scan", "--cladding-um", "125")


def run(*arguments: object) -> int:
    return disagreements.main([*OPTIONS, *(str(argument) for argument in arguments)])


def compared(vlm, *defects):
    status = FAIL if any(defect.violates for defect in defects) else PASS
    return difference(make_inspection(*defects, status=status, vlm=vlm).record)


# --- what differs --------------------------------------------------------------------------------------------------


def test_two_that_see_the_same_agree():
    shifted = replace(named(MINOR), box_px=(194.0, 197.0, 10.0, 9.0))
    assert compared(opinion(PASS, PASS)) is None
    assert compared(opinion(FAIL, FAIL, CRITICAL, shifted), BAD, MINOR) is None
    assert compared(opinion(PASS, PASS, named(MINOR)), MINOR, mark(90, 90, on_optics=True)) is None


def test_a_mark_belongs_to_the_one_that_it_overlaps_most():
    left, right = mark(100, 100), mark(105, 100)
    shifted = named(left, box_px=(92.0, 96.0, 9.0, 9.0))
    assert compared(opinion(PASS, PASS, named(right), shifted), left, right) is None


@pytest.mark.parametrize(
    ("vlm", "defects", "change", "sizes"),
    [
        (opinion(PASS, FAIL), (BAD,), Change.PASSED, (0, 1, 0)),
        (opinion(PASS, FAIL, named(BAD, severity="minor")), (BAD,), Change.PASSED, (0, 0, 0)),
        (opinion(FAIL, PASS, CRITICAL), (), Change.REJECTED, (1, 0, 0)),
        (opinion(FAIL, FAIL, replace(CRITICAL, box_px=(10.0, 10.0, 9.0, 9.0))), (BAD,), Change.VIOLATION, (1, 1, 0)),
        (opinion(FAIL, FAIL, CRITICAL, named(MINOR, severity="critical")), (BAD, MINOR), Change.VIOLATION, (0, 0, 0)),
        (opinion(PASS, PASS, named(OTHER)), (MINOR,), Change.MARKS, (1, 1, 0)),
        (opinion(PASS, PASS, named(MINOR, kind="Scratch")), (MINOR,), Change.MARKS, (0, 0, 1)),
        (opinion(PASS, PASS, named(MINOR), named(MINOR)), (MINOR,), Change.MARKS, (1, 0, 0)),
        (opinion(PASS, FAIL, decided=True, classical_defects=(BAD,)), (), Change.PASSED, (0, 1, 0)),
    ],
)
def test_what_a_difference_would_change(vlm, defects, change, sizes):
    found = compared(vlm, *defects)
    assert found.change is change and found.marks == sum(sizes)
    assert (len(found.only_model), len(found.only_inspector), len(found.renamed)) == sizes


def test_overlap_of_boxes():
    assert iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1 and iou((0, 0, 10, 10), (10, 0, 10, 10)) == 0
    assert iou((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0


def test_marks_anywhere_can_be_drawn():
    far = VlmDefect("Scratch", "Core", "critical", 1.0, (-1e15, 3.0, 9e15, 1e15), "full")
    wild = opinion(FAIL, PASS, far, explanation="<b>ü\ud800" * 500)
    record = make_inspection(mark(1e9, -1e9), mark(3, 3), vlm=wild).record
    for shape in ((360, 520), (1, 1), (2, 3000)):
        image = DecodedImage("a", np.zeros(shape, np.uint8))
        assert ranking_picture(image, record, difference(record)).startswith(b"\xff\xd8")


# --- the folder ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def collected(raw, tmp_path_factory):
    """Of four faces the model fails a clean one and passes a pitted one, of which the inspector knows better."""
    folder = tmp_path_factory.mktemp("vlm") / "results"
    pit = mark(141, 93, 16, **VIOLATION)
    for name, defects, verdict, seen in (
        ("clean", (), FAIL, (named(pit),)),
        ("pitted", (pit,), PASS, ()),
        ("bare", (), PASS, (named(MINOR),)),
        ("dirty", (), PASS, ()),
    ):
        image = raw / "images" / f"{name}.png"
        status = FAIL if defects else PASS
        add_result(
            folder,
            image.name,
            *defects,
            image_path=str(image),
            content_sha256=hashlib.sha256(image.read_bytes()).hexdigest(),
            vlm=opinion(verdict, status, *seen),
        )
    add_result(folder, "blurred.png", status=UNGRADED, vlm=opinion(PASS, UNGRADED))
    add_result(folder, "mute.png", vlm=opinion("", PASS, usable=False, problem="It is no JSON."))
    add_result(folder, "not_asked.png")
    out = folder.parent / "out"
    assert run(folder, "-o", out) == ExitCode.OK
    return folder, out


def ranking(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "disagreements.csv").read_text(encoding="utf-8").splitlines()))


def test_the_gravest_come_first(collected):
    rows = ranking(collected[1])
    assert [row["filename"] for row in rows] == ["pitted.png", "clean.png", "bare.png"]
    assert [row["change"] for row in rows] == [
        "model PASS, inspector FAIL",
        "model FAIL, inspector PASS",
        "other marks or kinds",
    ]
    assert rows[0]["only_inspector"] == rows[1]["only_model"] == "Pit/Dig in Cladding"
    names = sorted(path.name for path in (collected[1] / "ranking").iterdir())
    assert names == [f"{number:04d}_{row['image_id']}.jpg" for number, row in enumerate(rows, start=1)]


def test_it_is_a_data_set_to_be_labelled_and_to_be_exported(collected, tmp_path, capsys):
    results, out = collected
    pitted = data_sets.id_of(out, "pitted")
    assert {path.name for path in (out / "annotate").glob(f"{pitted}*")} == {
        f"{pitted}_labels.png",
        f"{pitted}.csv",
        f"{pitted}_view.jpg",
    }
    table = out / f"annotate/{pitted}.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",pit,", ",artifact,"), encoding="utf-8")
    assert run(results, "-o", out, "--limit", "1") == ExitCode.OK
    assert [row["filename"] for row in ranking(out)] == ["pitted.png"] and len([*(out / "ranking").iterdir()]) == 1
    assert export.main(["--no-progress", str(results), str(out), "-o", str(tmp_path / "lessons")]) == ExitCode.OK
    found = [item for item in lessons(tmp_path / "lessons").values() if item["image_id"] == pitted]
    assert {item["label_source"] for item in found} == {"human"}
    assert {item["answer"]["pass_fail"] for item in found} == {"PASS"}


def test_what_is_wrong_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(disagreements, "load_config", functools.cache(load_config))
    monkeypatch.setattr(build_dataset, "load_config", functools.cache(load_config))
    add_result(tmp_path / "mute", "a.png")
    assert run(tmp_path / "mute") == ExitCode.NO_IMAGES
    assert "No record has an answer of a model." in capsys.readouterr().err
    assert run(tmp_path) == ExitCode.NO_IMAGES and run() == ExitCode.INVALID_INPUT
    assert "holds no results.jsonl" in capsys.readouterr().err
    add_result(tmp_path / "same", "b.png", vlm=opinion(PASS, PASS))
    assert run(tmp_path / "same", "-o", tmp_path / "none") == ExitCode.OK and not (tmp_path / "none").exists()
    record = add_result(tmp_path / "gone", "c.png", BAD, vlm=opinion(PASS, FAIL))
    Path(record.image_path).unlink()
    assert run(tmp_path / "gone", "-o", tmp_path / "out") == ExitCode.IMAGES_FAILED
    captured = capsys.readouterr()
    assert "c.png: The file cannot be read" in captured.err and "Traceback" not in captured.err
    assert ranking(tmp_path / "out") == []
