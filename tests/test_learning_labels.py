"""Labels by people: a labelled set, and annotations that are written, changed and read back."""

import json
import shutil

import numpy as np
import pytest
from data_sets import ask, dump, id_of, png, rows_of, run
from faces import write
from report_samples import read_png as read

from errors import ExitCode, TruthError
from learning.human_labels import read_annotation


def test_human_labels_replace_the_findings_and_stay(raw, data_set, tmp_path, capsys):
    labels = tmp_path / "labelled"
    shutil.copytree(raw / "truth", labels / "truth")
    for name in ("bare", "dirty"):  # of bare.png nothing is said
        (labels / "truth" / f"{name}.json").unlink()
    truth = json.loads((raw / "truth" / "pitted.json").read_text())
    truth["defects"][0]["kind"] = "contamination"
    (labels / "truth" / "pitted.json").write_text(json.dumps({**truth, "face": "A"}))
    empty = {"fiber": truth["fiber"], "verdict": "clean", "face": "A", "defects": []}
    write(labels / "truth" / "dirty.json", json.dumps(empty).encode())
    (labels / "truth" / "dirty_labels.png").unlink()
    assert run(raw / "images", "-o", data_set, "--labels", labels) == ExitCode.OK
    capsys.readouterr()
    found = ask(data_set, "SELECT filename, label_source, verdict, face FROM images ORDER BY filename")
    assert found == [
        ("bare.png", "inspector", "clean", None),
        ("clean.png", "human", "clean", None),
        ("dirty.png", "human", "clean", "A"),
        ("pitted.png", "human", "defective", "A"),
    ]
    pitted, dirty = id_of(data_set, "pitted"), id_of(data_set, "dirty")
    assert ask(data_set, "SELECT image_id, kind, source FROM defects") == [(pitted, "contamination", "human")]
    assert ask(data_set, f"SELECT class FROM crops WHERE image_id = '{dirty}' ORDER BY class") == [
        ("artifact",), ("artifact",), ("clean",), ("clean",)
    ]  # fmt: skip
    assert len({*ask(data_set, "SELECT split FROM images WHERE face = 'A'")}) == 1
    assert {path.name for path in data_set.glob("defects/*.png")} == {
        f"{pitted}_contamination.png", *(f"{id_of(data_set, n)}_ignore.png" for n in ("pitted", "dirty", "clean"))
    }  # fmt: skip
    ignore = read(data_set / "defects" / f"{dirty}_ignore.png")
    assert ignore[0, 0] == 255 and ignore[83, 111] == 0
    before = dump(data_set)
    assert run(raw / "images", "-o", data_set) == ExitCode.OK
    assert dump(data_set) == before


def test_labels_that_are_not_given_again_are_not_given_up(raw, data_set, capsys):
    assert run(raw / "images", "-o", data_set, "--labels", raw) == ExitCode.OK
    next(data_set.glob("crops/pit/*.png")).unlink()
    before = ask(data_set, "SELECT * FROM defects")
    assert run(raw / "images", "-o", data_set) == ExitCode.IMAGES_FAILED
    assert "Name --labels FOLDER again." in " ".join(capsys.readouterr().err.split())
    assert ask(data_set, "SELECT * FROM defects") == before
    assert run(raw / "images", "-o", data_set, "--labels", raw) == ExitCode.OK


def test_broken_labels_leave_the_image_as_it_was(raw, data_set, tmp_path, capsys):
    before = dump(data_set)
    write(tmp_path / "bad" / "truth" / "pitted.json", b"{")
    document = {"fiber": None, "verdict": None, "defects": []}
    write(tmp_path / "bad" / "truth" / "clean.json", json.dumps(document).encode())
    write(tmp_path / "bad" / "truth" / "clean_labels.png", png(np.zeros((9, 9), np.uint8)))
    assert run(raw / "images", "-o", data_set, "--labels", tmp_path / "bad") == ExitCode.IMAGES_FAILED
    messages = " ".join(capsys.readouterr().err.split())
    assert (
        "pitted.png: pitted.json is not JSON" in messages and "clean.png: clean_labels.png has 9 x 9 pixels" in messages
    )
    assert run(raw / "images", "-o", data_set) == ExitCode.OK
    assert dump(data_set) == before


def annotated(raw, data_set, capsys) -> str:
    assert run(raw / "images", "-o", data_set, "--annotate") == ExitCode.OK
    capsys.readouterr()
    return id_of(data_set, "dirty")


def test_annotations_are_written_and_read_back(raw, data_set, capsys):
    dirty = annotated(raw, data_set, capsys)
    place = data_set / "annotate"
    labels = read(place / f"{dirty}_labels.png")
    assert labels.dtype == np.uint16 and {*np.unique(labels)} == {0, 1, 2} and (place / f"{dirty}_view.jpg").is_file()
    rows = rows_of(place / f"{dirty}.csv")
    assert [row["id"] for row in rows] == ["1", "2"] and {row["filename"] for row in rows} == {"dirty.png"}
    (place / f"{dirty}.csv").write_text("\ufeffid;kind\n1;Chip\n2;artifact\n7;scratch\n", encoding="utf-8")
    labels[83, 121:131] = 7
    labels[60:64, 60:64] = 65535
    write(place / f"{dirty}_labels.png", png(labels))
    assert run(raw / "images", "-o", data_set, "--annotate") == ExitCode.OK
    assert "Known from before: 3;" in capsys.readouterr().out
    found = f"FROM defects WHERE image_id = '{dirty}' ORDER BY number"
    assert ask(data_set, f"SELECT number, kind, source {found}") == [(1, "chip", "human"), (7, "scratch", "human")]
    assert ask(data_set, "SELECT class FROM crops WHERE class = 'artifact'") == [("artifact",)]
    assert read(data_set / "defects" / f"{dirty}_ignore.png").astype(bool).sum() == 16
    assert "artifact" in (place / f"{dirty}.csv").read_text(encoding="utf-8")  # what a person wrote stays
    before = dump(data_set)
    assert run(raw / "images", "-o", data_set) == ExitCode.OK
    assert dump(data_set) == before
    shutil.rmtree(place)
    assert run(raw / "images", "-o", data_set) == ExitCode.OK
    assert ask(data_set, f"SELECT count(*) {found}") == [(2,)]  # the work of a person is not thrown away


def test_a_broken_annotation_leaves_the_image_as_it_was(raw, data_set, capsys):
    dirty = annotated(raw, data_set, capsys)
    table = data_set / "annotate" / f"{dirty}.csv"
    table.write_text("id,kind\n1,dent\n2,pit\n", encoding="utf-8")
    before = ask(data_set, f"SELECT * FROM defects WHERE image_id = '{dirty}'")
    assert run(raw / "images", "-o", data_set) == ExitCode.IMAGES_FAILED
    messages = " ".join(capsys.readouterr().err.split())
    assert messages.count("dirty.png: The kind in line 2") == 1 and "Traceback" not in messages
    assert ask(data_set, f"SELECT * FROM defects WHERE image_id = '{dirty}'") == before


MISTAKES = {
    "a kind that is none": (b"id,kind\n1,pit\n2,dent\n", "line 3", "'dent'"),
    "a number twice": (b"id,kind\n1,pit\n1,pit\n", "1 is in", "twice"),
    "no number": (b"id,kind\nx,pit\n", "whole number", "line 2"),
    "too few fields": (b"id,kind\n1\n", "line 2", "must be one of"),
    "a number that no label has": (b"id,kind\n65535,pit\n", "65534", "line 2"),
    "a mark without a row": (b"id,kind\n1,pit\n", "the value 2", "Add a row"),
    "other columns": (b"number,class\n1,pit\n", "id and kind", "first line"),
    "nothing": (b"", "id and kind", "first line"),
    "no text": (b"id,kind\n\xff", "UTF-8", "x.csv"),
    "a wild quote": (b'id,kind\n"' + b"x" * 200_000, "no CSV table", "x.csv"),
    "no table": (None, "cannot be used", "no such file"),
}


@pytest.mark.parametrize(("table", "words", "more"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_an_annotation_is_one_sentence(tmp_path, table, words, more):
    labels = np.zeros((20, 30), np.uint16)
    labels[3:6, 3:6], labels[9, 9] = 1, 2
    write(tmp_path / "x_labels.png", png(labels))
    if table is not None:
        write(tmp_path / "x.csv", table)
    with pytest.raises(TruthError) as caught:
        read_annotation(tmp_path / "x_labels.png", (20, 30))
    assert words in str(caught.value) and more in str(caught.value)


@pytest.mark.parametrize(
    "array", [np.zeros((20, 31), np.uint16), np.zeros((20, 30, 3), np.uint8)], ids=["size", "color"]
)
def test_a_label_image_of_another_kind(tmp_path, array):
    write(tmp_path / "x_labels.png", png(array))
    write(tmp_path / "x.csv", b"id,kind\n")
    with pytest.raises(TruthError, match=r"31 x 20 pixels|not a grey image"):
        read_annotation(tmp_path / "x_labels.png", (20, 30))
