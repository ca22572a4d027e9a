"""The export for a vision-language model: pictures, questions and answers, splits, what is left out, exit codes."""

import dataclasses
import functools
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import data_sets
import numpy as np
import pytest
from vlm_results import VIOLATION, WHITE, add_result, lessons, mark, named, opinion

from cli.output_folder import locked
from config_loader import load_config
from errors import ExitCode
from image_io import write_png
from learning.vlm import export
from learning.vlm.answer import answer_schema, parse_answer
from learning.vlm.sources import RANKING_FILE
from records import FAIL, LOCALIZATION_FAILED, PASS, UNGRADED, Scale
from records_file import ResultsFile

SHIPPED = functools.cache(load_config)
VIOLATING = mark(300, 150, 15, **VIOLATION)


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    """config.json is read for the first test only."""
    monkeypatch.setattr(export, "load_config", SHIPPED)


@pytest.fixture
def results(tmp_path):
    """Four faces: one that fails, one that passes with a mark, two clean ones."""
    folder = tmp_path / "results"
    add_result(folder, "failed.png", VIOLATING, mark(200, 200))
    add_result(folder, "marked.png", mark(262, 180, 5))
    add_result(folder, "clean.png")
    add_result(folder, "<image> 'ü'.png")
    return folder


def configured(monkeypatch, **values: object) -> None:
    """Replace settings of the section vlm."""
    config = SHIPPED(export.CONFIG_PATH, None)
    other = dataclasses.replace(config, vlm=dataclasses.replace(config.vlm, **values))
    monkeypatch.setattr(export, "load_config", lambda path, profile: other)


def run(*arguments: object) -> int:
    return export.main(["--no-progress", *(str(argument) for argument in arguments)])


def summary(out: Path) -> dict:
    return json.loads((out / "export.json").read_text(encoding="utf-8"))


def by_name(out: Path, name: str) -> dict[str, dict]:
    """The lessons of one image by their views."""
    return {item["view"]: item for item in lessons(out).values() if item["filename"] == name}


# --- what it holds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_side_px", [1120, 260])
def test_boxes_lie_around_the_marks_in_every_view(results, tmp_path, monkeypatch, max_side_px):
    configured(monkeypatch, max_side_px=max_side_px)
    assert run(results, "-o", tmp_path / "out") == ExitCode.OK
    found = by_name(tmp_path / "out", "failed.png")
    assert [*found] == ["full", "cladding", "core"]
    for view, item in found.items():
        assert max(item["picture"].shape) <= max_side_px
        hidden = item["picture"].copy()
        for defect in item["answer"]["defects"]:
            x, y, w, h = defect["bbox"]
            assert item["picture"][y : y + h, x : x + w].mean() > 0.9 * WHITE
            hidden[max(0, y - 1) : y + h + 1, max(0, x - 1) : x + w + 1] = 0
        assert hidden.max() < 150, view
    assert [defect["severity"] for defect in found["full"]["answer"]["defects"]] == ["critical", "minor"]
    answers = {view: item["answer"] for view, item in found.items()}
    assert {view: answer["pass_fail"] for view, answer in answers.items()} == {
        "full": "FAIL",
        "cladding": "FAIL",
        "core": "PASS",
    }
    assert answers["full"]["explanation"] == "Rejected: Pit/Dig > 5um in Cladding."
    assert answers["core"] == {"defects": [], "pass_fail": "PASS", "explanation": "No mark is to be seen."}


def test_every_answer_passes_the_schema_that_lies_beside_it(results, tmp_path):
    assert run(results, "-o", tmp_path / "out") == ExitCode.OK
    found = lessons(tmp_path / "out")
    assert len(found) == 12 and {item["answer"]["pass_fail"] for item in found.values()} == {"PASS", "FAIL"}
    for item in found.values():
        parsed = parse_answer(item["text"], *item["picture"].shape[::-1])
        assert parsed.to_text() == item["text"]
    assert json.loads((tmp_path / "out/vlm_answer.schema.json").read_text(encoding="utf-8")) == answer_schema()


def test_llavas_conversations_say_the_same(results, tmp_path):
    out = tmp_path / "out"
    assert run(results, "-o", out) == ExitCode.OK
    found = lessons(out)
    for split in ("train", "val", "test"):
        for item in json.loads((out / f"llava/{split}.json").read_text(encoding="utf-8")):
            lesson = found.pop(item["id"])
            human, answer = item["conversations"]
            assert lesson["split"] == split and lesson["image"] == item["image"]
            assert human == {"from": "human", "value": f"<image>\n{lesson['system']}\n\n{lesson['question']}"}
            assert human["value"].count("<image>") == 1  # whatever the file's name is
            assert answer == {"from": "gpt", "value": lesson["text"]}
    assert found == {}


def test_views_are_those_of_the_configuration(results, tmp_path, monkeypatch):
    configured(monkeypatch, views=("core", "full"))
    assert run(results, "-o", tmp_path / "out") == ExitCode.OK
    assert {item["view"] for item in lessons(tmp_path / "out").values()} == {"core", "full"}


# --- what is left out ----------------------------------------------------------------------------------------------


def test_a_doubtful_mark_takes_the_views_that_show_it(results, tmp_path, capsys):
    add_result(results, "doubtful.png", mark(300, 150, confidence=0.5))
    assert run(results, "-o", tmp_path / "out") == ExitCode.OK
    assert [*by_name(tmp_path / "out", "doubtful.png")] == ["core"]
    assert "Views left out: 2 with a mark that may be none" in capsys.readouterr().out
    assert run(results, "-o", tmp_path / "out", "--min-confidence", "0,5") == ExitCode.OK
    assert [*by_name(tmp_path / "out", "doubtful.png")] == ["full", "cladding", "core"]


def test_marks_on_the_optics_are_none(results, tmp_path):
    add_result(results, "optics.png", mark(300, 150, confidence=0.4, on_optics=True))
    assert run(results, "-o", tmp_path / "out") == ExitCode.OK
    assert by_name(tmp_path / "out", "optics.png")["full"]["answer"]["defects"] == []


def test_images_without_a_verdict_are_counted(results, tmp_path, capsys):
    add_result(results, "ungraded.png", status=UNGRADED)
    add_result(results, "lost.png", status=LOCALIZATION_FAILED, fiber=None)
    add_result(results, "odd.png", status=FAIL)
    add_result(results, "unscaled.png", scale=Scale())
    assert run(results, "-o", tmp_path / "out") == ExitCode.OK
    printed = capsys.readouterr().out
    for words in ("1 UNGRADED", "1 Localization Failed", "1 with a verdict that does not follow", "1 with undefined"):
        assert words in printed
    assert "12 pictures of 4 images (4 labelled by inspector)" in printed
    assert summary(tmp_path / "out")["images_left_out"]["UNGRADED"] == 1


def test_what_networks_have_changed_is_no_lesson(results, tmp_path, capsys):
    add_result(results, "vetoed.png", vetoed=(mark(300, 150, label=0, ml_class="Artifact"),))
    add_result(results, "reclassified.png", mark(300, 150, rule_class="Chip"))
    add_result(results, "segmented.png", mark(300, 150, detected_by=("DO2MR", "Segment")))
    add_result(results, "asked.png", mark(300, 150, ml_class="Scratch", ml_confidence=0.9))
    assert run(results, "-o", tmp_path / "out") == ExitCode.OK
    assert "3 with marks that a network has made, changed or left out" in capsys.readouterr().out
    assert by_name(tmp_path / "out", "asked.png")


def test_the_teacher_is_the_inspector_also_where_a_model_has_decided(tmp_path):
    own = mark(300, 150, 15, **VIOLATION)
    decided = opinion(PASS, FAIL, decided=True, classical_defects=(own,))
    add_result(tmp_path / "results", "a.png", own, status=PASS, defects=(), vlm=decided)
    assert run(tmp_path / "results", "-o", tmp_path / "out") == ExitCode.OK
    assert by_name(tmp_path / "out", "a.png")["full"]["answer"]["pass_fail"] == "FAIL"
    advised = opinion(FAIL, PASS, named(own))
    add_result(tmp_path / "other", "a.png", vlm=advised)
    assert run(tmp_path / "other", "-o", tmp_path / "out") == ExitCode.OK
    assert by_name(tmp_path / "out", "a.png")["full"]["answer"]["pass_fail"] == "PASS"


# --- splits --------------------------------------------------------------------------------------------------------


def test_views_of_one_face_and_connector_are_in_one_split(tmp_path, monkeypatch):
    configured(monkeypatch, views=("full",))
    folder = tmp_path / "results"
    for number in range(5):
        add_result(folder, f"one_{number:02d}.png", serial_number="SN1")
        add_result(folder, f"{number}.png")
    for name in ("face.png", "face (1).png", "face_b.png", "Face - copy.png"):
        add_result(folder, name)
    assert run(folder, "-o", tmp_path / "out") == ExitCode.OK
    found = [(item["filename"], item["split"]) for item in lessons(tmp_path / "out").values()]
    assert len({split for name, split in found if name.startswith("one_")}) == 1
    assert len({split for name, split in found if name.casefold().startswith("face")}) == 1
    assert {split for _, split in found} == {"train", "val", "test"}
    assert run(folder, "-o", tmp_path / "all", "--faces", "^(.)") == ExitCode.OK
    found = [(item["filename"][0], item["split"]) for item in lessons(tmp_path / "all").values()]
    assert len(set(found)) == len({first for first, _ in found})


# --- data sets -----------------------------------------------------------------------------------------------------


def results_of(built: Path, raw: Path, folder: Path) -> Path:
    """An OUTPUT folder in which the images of a data set are clean, by an inspector that sees nothing."""
    for image in sorted((raw / "images").iterdir()):
        digest = data_sets.ask(built, f"SELECT content_sha256 FROM images WHERE filename = '{image.name}'")[0][0]
        add_result(folder, image.name, content_sha256=digest, image_path=str(image))
    return folder


def splits_of(built: Path) -> dict[str, str]:
    return dict(data_sets.ask(built, "SELECT image_id, split FROM images"))


def test_a_data_set_keeps_its_splits_and_is_judged_by_its_rules(built, tmp_path):
    assert run(built, "-o", tmp_path / "out", "--min-confidence", "0") == ExitCode.OK
    found = lessons(tmp_path / "out")
    assert {item["image_id"]: item["split"] for item in found.values()} == splits_of(built)
    verdicts = {item["filename"]: item["answer"]["pass_fail"] for item in found.values() if item["view"] == "full"}
    assert verdicts == {"pitted.png": "FAIL", "dirty.png": "FAIL", "clean.png": "PASS", "bare.png": "PASS"}
    (pit,) = by_name(tmp_path / "out", "pitted.png")["full"]["answer"]["defects"]
    x, y, w, h = pit["bbox"]
    assert x <= 141 < x + w and y <= 93 < y + h and (pit["type"], pit["zone"]) == ("pit", "Cladding")
    ((left, top, wide, high),) = data_sets.ask(
        built,
        "SELECT box_left_px, box_top_px, box_width_px, box_height_px FROM defects JOIN images USING (image_id)"
        " WHERE filename = 'pitted.png'",
    )
    assert pit["bbox"] == [left, top, wide, high]


def changed_by(data_set: Path, *statements: str) -> None:
    """Change the database of a data set."""
    with closing(sqlite3.connect(data_set / "index.sqlite")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_labels_by_people_win_over_results(raw, data_set, tmp_path, capsys):
    pitted, clean = data_sets.id_of(data_set, "pitted"), data_sets.id_of(data_set, "clean")
    changed_by(
        data_set,
        f"UPDATE images SET label_source = 'human', status = 'UNGRADED' WHERE image_id IN ('{pitted}', '{clean}')",
        f"DELETE FROM defects WHERE image_id = '{pitted}'",
    )
    folder = results_of(data_set, raw, tmp_path / "results")
    assert run(folder, data_set, "-o", tmp_path / "out") == ExitCode.OK
    assert "(2 labelled by human, 2 labelled by inspector)" in capsys.readouterr().out
    found = by_name(tmp_path / "out", "pitted.png")["full"]
    assert found["label_source"] == "human" and found["answer"]["pass_fail"] == "PASS"
    assert {i["image_id"]: i["split"] for i in lessons(tmp_path / "out").values()} == splits_of(data_set)


def test_where_nobody_has_judged_the_picture_is_painted(data_set, tmp_path, capsys):
    pitted = data_sets.id_of(data_set, "pitted")
    y, x = np.mgrid[:170, :220]
    write_png(data_set / f"defects/{pitted}_ignore.png", np.where(np.hypot(x - 111, y - 83) > 62, 255, 0).astype("u1"))
    changed_by(data_set, "UPDATE images SET label_source = 'human'", "UPDATE defects SET confidence = NULL")
    assert run(data_set, "-o", tmp_path / "out") == ExitCode.OK
    found = by_name(tmp_path / "out", "pitted.png")
    assert [*found] == ["cladding", "core"]  # of the full frame most lies outside of the labelled area
    assert "1 of which nobody has judged most" in capsys.readouterr().out
    picture, (left, top, _, _) = found["cladding"]["picture"], found["cladding"]["crop_px"]
    assert picture[0, 0] == 0 and picture[83 - top, 111 - left] > 0
    (seen,) = found["cladding"]["answer"]["defects"]
    x, y, w, h = seen["bbox"]
    assert x <= 141 - left < x + w and y <= 93 - top < y + h and seen["confidence"] == 1


def test_the_splits_of_disagreements_bind_nobody(built, data_set, tmp_path):
    changed_by(data_set, "UPDATE images SET split = 'val'")
    assert run(data_set, built, "-o", tmp_path / "out") == ExitCode.OK
    assert {item["split"] for item in lessons(tmp_path / "out").values()} == {"val"}
    (data_set / RANKING_FILE).write_text("rank\n", encoding="utf-8")
    assert run(data_set, built, "-o", tmp_path / "out") == ExitCode.OK
    kept = {item["image_id"]: item["split"] for item in lessons(tmp_path / "out").values()}
    assert kept and kept.items() <= splits_of(built).items()


def test_an_image_of_a_face_in_two_splits_is_left_out(data_set, tmp_path, capsys):
    add_result(tmp_path / "results", "new.png", serial_number="SN7")
    add_result(tmp_path / "results", "joins.png", serial_number="SN8")
    wanted = (("clean", "SN7", "train"), ("bare", "SN7", "test"), ("dirty", "SN8", "val"))
    changes = "UPDATE images SET serial_number = '{1}', split = '{2}' WHERE filename = '{0}.png'"
    changed_by(data_set, *(changes.format(*values) for values in wanted))
    assert run(data_set, tmp_path / "results", "-o", tmp_path / "out") == ExitCode.OK
    assert "1 of an end face in several splits of data sets" in capsys.readouterr().out
    assert by_name(tmp_path / "out", "new.png") == {}
    assert by_name(tmp_path / "out", "joins.png")["full"]["split"] == "val"


# --- again, and what goes wrong ------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("export.json", ".running.lock"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_again_is_the_same_and_old_pictures_go(results, tmp_path):
    out = tmp_path / "out"
    assert run(results, "-o", out) == ExitCode.OK
    first = contents(out)
    (out / "images/my notes.txt").write_text("mine", encoding="utf-8")
    picture = next(path for path in (out / "images").glob("*.png"))
    (out / f"images/.{picture.name}.123.tmp").write_bytes(b"half")
    (out / "chat/.train.jsonl.123.tmp").write_bytes(b"half")
    assert run(results, "-o", out) == ExitCode.OK
    again = contents(out)
    assert again.pop("images/my notes.txt") == b"mine" and again == first
    shutil.rmtree(results)
    add_result(results, "clean.png")
    assert run(results, "-o", out) == ExitCode.OK
    assert len([*(out / "images").glob("*.png")]) == len(lessons(out)) == 3


def test_a_name_that_is_not_unicode(tmp_path):
    record = add_result(tmp_path / "pictures", "a.png")
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/pictures/\xff=cmd.png")
    os.rename(record.image_path, odd)
    (tmp_path / "results").mkdir()
    hostile = dataclasses.replace(record, image_path=odd, rule_set="x\udc80", serial_number="\udc81")
    ResultsFile(tmp_path / "results/results.jsonl").append(hostile)
    assert run(tmp_path / "results", "-o", tmp_path / "out") == ExitCode.OK
    assert {item["filename"] for item in lessons(tmp_path / "out").values()} == {"\\udcff=cmd.png"}


def test_a_reason_of_any_length_and_kind(tmp_path):
    bad = mark(300, 150, violates=("<b>\n\u202e" + "ü" * 5000, *(f"reason {k}" for k in range(30))))
    add_result(tmp_path / "results", "a.png", bad)
    assert run(tmp_path / "results", "-o", tmp_path / "out") == ExitCode.OK
    text = by_name(tmp_path / "out", "a.png")["full"]["answer"]["explanation"]
    assert text.startswith("Rejected: <b> ü") and text.endswith("reason 3; and 26 more.") and len(text) < 1000


def test_images_that_are_gone_or_changed_are_named(results, tmp_path, capsys):
    (tmp_path / "pictures/clean.png").unlink()
    (tmp_path / "pictures/marked.png").write_bytes((tmp_path / "pictures/failed.png").read_bytes())
    assert run(results, "-o", tmp_path / "out") == ExitCode.IMAGES_FAILED
    printed = capsys.readouterr()
    assert "clean.png: The file cannot be read" in printed.err and "marked.png: The file was changed" in printed.err
    assert "Images that could not be read: 2" in printed.out
    assert {item["filename"] for item in lessons(tmp_path / "out").values()} == {"failed.png", "<image> 'ü'.png"}


def test_what_is_wrong_is_one_sentence(results, tmp_path, capsys):
    def sentence(code, *arguments):
        assert run(*arguments) == code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err and captured.out == ""
        return captured.err

    assert "Name the folders RESULTS" in sentence(ExitCode.INVALID_INPUT, "-o", tmp_path / "out")
    assert "from 0 to 1" in sentence(ExitCode.INVALID_INPUT, results, "--min-confidence", "nan")
    assert "neither results.jsonl nor index.sqlite" in sentence(ExitCode.NO_IMAGES, tmp_path)
    assert "No picture to learn from" in sentence(
        ExitCode.NO_IMAGES, results_with_doubts(tmp_path), "-o", tmp_path / "out"
    )
    (tmp_path / "file").write_bytes(b"")
    assert "Cannot make" in sentence(ExitCode.OUTPUT_UNUSABLE, results, "-o", tmp_path / "file")
    (tmp_path / "locked").mkdir()
    with locked(tmp_path / "locked"):
        assert "Another run" in sentence(ExitCode.OUTPUT_UNUSABLE, results, "-o", tmp_path / "locked")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/index.sqlite").write_bytes(b"no database, but long enough to be looked at " * 50)
    assert "no database of a data set" in sentence(ExitCode.INVALID_INPUT, tmp_path / "broken")


def results_with_doubts(folder: Path) -> Path:
    add_result(folder / "doubts", "a.png", mark(250, 170, confidence=0.1))
    return folder / "doubts"


def test_an_interrupted_export_leaves_the_one_before(results, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert run(results, "-o", out) == ExitCode.OK
    before = contents(out)
    add_result(results, "z.png", mark(150, 90))

    def interrupt(self, *arguments, **values):
        raise KeyboardInterrupt

    monkeypatch.setattr(export.Lessons, "add", interrupt)
    assert run(results, "-o", out) == ExitCode.INTERRUPTED
    assert contents(out) == before
