"""The data set builder as a whole: its files, its database, going on, its exit codes."""

import importlib.util
import json
import shutil
import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest
from data_sets import TABLES, ask, dump, id_of, png, rows_of, run
from faces import write
from report_samples import read_png as read

from errors import ExitCode, OutputError
from learning import build_dataset, tfrecords
from learning.database import open_database
from learning.features import mask_of

# --- what it holds -------------------------------------------------------------------------------------------------


def test_the_files_of_an_image(built):
    pitted, clean = id_of(built, "pitted"), id_of(built, "clean")
    grey, mask, pits = (
        read(built / name) for name in (f"images/{pitted}.png", f"masks/{pitted}.png", f"defects/{pitted}_pit.png")
    )
    assert grey.shape == mask.shape == pits.shape == (170, 220) and {a.dtype for a in (grey, mask, pits)} == {
        np.dtype(np.uint8)
    }
    assert mask[83, 111] == 1 and mask[83, 111 + 40] == 2 and mask[83, 111 + 80] == 3 and mask[0, 0] in (0, 3)
    ((core_px,),) = ask(built, f"SELECT core_radius_px FROM geometry WHERE image_id = '{pitted}'")
    assert np.count_nonzero(mask == 1) == pytest.approx(np.pi * core_px**2, rel=0.15)
    assert np.count_nonzero(mask == 2) == pytest.approx(np.pi * (64**2 - core_px**2), rel=0.03)
    assert {*np.unique(pits)} == {0, 255} and pits[93, 141] == 255
    crops = {path.parent.name: read(path) for path in built.glob(f"crops/*/{pitted}_*.png")}
    assert set(crops) == {"pit", "clean"} and {crop.shape for crop in crops.values()} == {(256, 256)}
    assert int(crops["pit"][128, 128]) + 25 < np.median(crops["pit"])
    assert not list(built.glob(f"defects/{clean}_*")) and len(list(built.glob(f"crops/*/{clean}_*.png"))) == 1


def test_the_database_is_whole(built):
    assert ask(built, "PRAGMA foreign_key_check") == [] and ask(built, "PRAGMA integrity_check") == [("ok",)]
    assert ask(built, "PRAGMA user_version") == ask(built, "SELECT version FROM schema") == [(1,)]
    verdicts = dict(ask(built, "SELECT filename, verdict FROM images"))
    assert verdicts == {"pitted.png": "defective", "dirty.png": "defective", "clean.png": "clean", "bare.png": "clean"}
    assert (
        ask(built, "SELECT count(*) FROM defects")[0][0]
        == ask(built, "SELECT count(*) FROM crops WHERE defect")[0][0]
        == 3
    )
    ((x, y, radius, um),) = ask(
        built,
        "SELECT centre_x_px, centre_y_px, cladding_radius_px, cladding_diameter_um FROM geometry"
        " JOIN images USING (image_id) WHERE filename = 'pitted.png'",
    )
    assert (x, y, radius, um) == pytest.approx((111, 83, 64, 125), abs=0.7)
    ((area, box),) = ask(
        built,
        "SELECT area_px, box_width_px * box_height_px FROM defects JOIN images USING (image_id)"
        " WHERE filename = 'pitted.png'",
    )
    assert 100 < area < box < 500
    assert all(split in ("train", "val", "test") for (split,) in ask(built, "SELECT split FROM images"))
    assert ask(built, "SELECT count(*) FROM correlations") == [(6,)]
    for table, others in (("files", "crops"),):
        assert ask(built, f"SELECT file FROM {others} EXCEPT SELECT file FROM {table}") == []
    assert all((built / file).is_file() for (file,) in ask(built, "SELECT file FROM files"))


def test_the_tables(built):
    counts = {
        name: len(rows_of(built / "features" / f"{name}.csv"))
        for name in ("intensity_stats", "trends", "geometry", "defects", "correlations")
    }
    assert counts == {"intensity_stats": 12, "trends": 12, "geometry": 4, "defects": 3, "correlations": 6}
    lists = [row["image_id"] for name in ("train", "val", "test") for row in rows_of(built / "splits" / f"{name}.csv")]
    assert sorted(lists) == sorted(path.stem for path in built.glob("images/*.png"))
    assert {"image_id", "filename", "verdict", "image", "mask"} <= rows_of(built / "splits" / "train.csv")[0].keys()


def test_coco(built):
    data = json.loads((built / "coco.json").read_text(encoding="utf-8"))
    assert [item["name"] for item in data["categories"]] == ["scratch", "pit", "contamination", "chip", "crack"]
    images = {image["id"]: image for image in data["images"]}
    assert len(images) == 4 and len(data["annotations"]) == 3
    for item in data["annotations"]:
        image = images[item["image_id"]]
        mask = mask_of(item["segmentation"]["counts"], item["segmentation"]["size"])
        drawn = read(
            built / "defects" / f"{image['image_id']}_{data['categories'][item['category_id'] - 1]['name']}.png"
        )
        x, y, width, height = item["bbox"]
        assert mask.shape == (image["height"], image["width"]) and mask.sum() == item["area"]
        assert mask[y : y + height, x : x + width].sum() == item["area"] and drawn[mask].all()


CONSTRAINTS = {
    "a defect of no image": "INSERT INTO regions (image_id, region, pixels) VALUES ('0123456789abcdef', 'core', 1)",
    "an unknown split": "UPDATE images SET split = 'dev'",
    "an unknown verdict": "UPDATE images SET verdict = 'good'",
    "an unknown kind": "UPDATE defects SET kind = 'dent'",
    "a crop of no defect": "UPDATE crops SET defect = 999 WHERE defect IS NOT NULL",
    "a clean crop of a defect": "UPDATE crops SET class = 'clean' WHERE defect IS NOT NULL",
    "a pair twice": "INSERT INTO correlations SELECT image_b, image_a, pearson, spearman FROM correlations",
    "an impossible correlation": "UPDATE correlations SET pearson = 1.5",
    "a short id": "UPDATE images SET image_id = 'abc'",
}


@pytest.mark.parametrize("statement", CONSTRAINTS.values(), ids=CONSTRAINTS.keys())
def test_the_database_refuses(data_set, statement):
    connection = open_database(data_set / "index.sqlite")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    connection.execute("DELETE FROM images")
    assert all(connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,) for table in TABLES)
    connection.close()


# --- again ---------------------------------------------------------------------------------------------------------


def no_inspection(job, task):
    raise AssertionError(f"{task.image.name} is inspected again")


def test_again_changes_nothing_and_inspects_nothing(raw, data_set, monkeypatch, capsys):
    before = dump(data_set)
    monkeypatch.setattr(build_dataset, "extract", no_inspection)
    assert run(raw / "images", "-o", data_set) == ExitCode.OK
    assert dump(data_set) == before
    assert "Known from before: 4;" in capsys.readouterr().out


def test_a_killed_run_is_gone_on_with(raw, built, tmp_path, monkeypatch, capsys):
    stored, store = [], build_dataset.store

    def fail_at_third(connection, rows):
        stored.append(rows)
        if len(stored) == 3:
            raise OutputError("The disk is full.")
        store(connection, rows)

    monkeypatch.setattr(build_dataset, "store", fail_at_third)
    assert run(raw / "images", "-o", tmp_path / "dataset") == ExitCode.OUTPUT_UNUSABLE
    write(tmp_path / "dataset" / "crops" / "pit" / ".0123456789abcdef_1.png.77.tmp", b"torn")
    monkeypatch.setattr(build_dataset, "store", store)
    assert run(raw / "images", "-o", tmp_path / "dataset") == ExitCode.OK
    assert "Known from before: 2;" in capsys.readouterr().out
    assert dump(tmp_path / "dataset") == dump(built)


def test_what_was_lost_is_made_again_and_what_nobody_knows_removed(raw, data_set, capsys):
    before = dump(data_set)
    next(data_set.glob("crops/pit/*.png")).unlink()
    write(data_set / "defects" / "0123456789abcdef_pit.png", b"old")
    mine = write(data_set / "images" / "notes.txt", b"mine")
    assert run(raw / "images", "-o", data_set) == ExitCode.OK
    assert "Known from before: 3;" in capsys.readouterr().out and mine.read_bytes() == b"mine"
    mine.unlink()
    assert dump(data_set) == before


def test_other_settings_make_it_anew(raw, data_set):
    before = ask(data_set, "SELECT made_from, image_id, split FROM images ORDER BY image_id")
    assert run(raw / "images", "-o", data_set, "--cladding-um", "140") == ExitCode.OK
    after = ask(data_set, "SELECT made_from, image_id, split FROM images ORDER BY image_id")
    assert [row[1:] for row in after] == [row[1:] for row in before]
    assert not {row[0] for row in after} & {row[0] for row in before}
    assert all(value == pytest.approx(140) for (value,) in ask(data_set, "SELECT cladding_diameter_um FROM geometry"))


def test_copies_are_one_image_and_pruning_removes_what_is_gone(raw, data_set, tmp_path, capsys):
    new = tmp_path / "new"
    write(new / "<script>\udcff.png", (raw / "images" / "clean.png").read_bytes())
    write(new / "x.png", (raw / "images" / "clean.png").read_bytes())
    assert run(new, "-o", data_set) == ExitCode.OK
    assert "4 images" in capsys.readouterr().out
    assert ask(data_set, "SELECT filename FROM images ORDER BY filename")[0] == ("<script>\\udcff.png",)
    assert run(new, "-o", data_set, "--prune") == ExitCode.OK
    assert "1 image:" in capsys.readouterr().out
    assert len(list(data_set.glob("images/*.png"))) == len(rows_of(data_set / "features" / "geometry.csv")) == 1


def test_an_image_that_cannot_be_read_is_left_out(raw, data_set, tmp_path, capsys):
    write(tmp_path / "new" / "torn.png", (raw / "images" / "clean.png").read_bytes()[:99])
    write(tmp_path / "new" / "grey.png", png(np.full((60, 80), 90, np.uint8)))
    assert run(tmp_path / "new", "-o", data_set) == ExitCode.IMAGES_FAILED
    assert "torn.png: Unreadable" in capsys.readouterr().err
    found = ask(data_set, "SELECT filename, status, split, verdict FROM images WHERE split IS NULL ORDER BY filename")
    assert found == [("grey.png", "Localization Failed", None, None), ("torn.png", "Unreadable", None, None)]
    assert run(tmp_path / "new", "-o", data_set) == ExitCode.IMAGES_FAILED  # said again, not inspected again
    captured = capsys.readouterr()
    assert "torn.png: Unreadable" in captured.err and "Known from before: 2;" in captured.out


def test_pruning_keeps_what_could_not_be_read_and_removes_what_has_changed(raw, data_set, tmp_path, capsys):
    for name in ("clean", "bare", "dirty"):
        write(tmp_path / "new" / f"{name}.png", (raw / "images" / f"{name}.png").read_bytes())
    assert run(tmp_path / "new", "-o", data_set, "--prune") == ExitCode.OK
    (tmp_path / "new" / "clean.png").unlink()
    (tmp_path / "new" / "clean.png").symlink_to("gone.png")
    shutil.copy(raw / "images" / "pitted.png", tmp_path / "new" / "bare.png")
    assert run(tmp_path / "new", "-o", data_set, "--prune") == ExitCode.IMAGES_FAILED
    assert "clean.png: The file cannot be read" in capsys.readouterr().err
    images = ask(data_set, "SELECT filename, verdict FROM images ORDER BY filename")
    assert images == [("bare.png", "defective"), ("clean.png", "clean"), ("dirty.png", "defective")]


# --- the command line ----------------------------------------------------------------------------------------------

MISUSE = {
    "no folder": ([], ExitCode.INVALID_INPUT, "RAW"),
    "an absent folder": (["nowhere"], ExitCode.NO_IMAGES, "nowhere"),
    "no images": (["empty"], ExitCode.NO_IMAGES, "No image"),
    "two splits": (["raw", "--split", "80/20"], ExitCode.INVALID_INPUT, "70/15/15"),
    "no pattern": (["raw", "--faces", "("], ExitCode.INVALID_INPUT, "--faces"),
    "no labels": (["raw", "--labels", "empty"], ExitCode.INVALID_INPUT, "truth"),
    "an unknown fibre type": (["raw", "--fiber-type", "x"], ExitCode.INVALID_INPUT, "fiber type 'x'"),
    "a file as output": (["raw", "-o", "raw/a.png"], ExitCode.OUTPUT_UNUSABLE, "a.png"),
    "no database": (["raw", "-o", "other"], ExitCode.OUTPUT_UNUSABLE, "no database"),
    "another version": (["raw", "-o", "later"], ExitCode.OUTPUT_UNUSABLE, "schema version 9"),
    "no TensorFlow": (["raw", "--tfrecord"], ExitCode.MISSING_DEPENDENCY, "pip install tensorflow"),
}


@pytest.mark.parametrize(("arguments", "code", "words"), MISUSE.values(), ids=MISUSE.keys())
def test_misuse_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    write(Path("raw/a.png"), b"x")
    Path("empty").mkdir()
    write(Path("other/index.sqlite"), b"this is no database, but long enough to look like one" * 20)
    Path("later").mkdir()
    connection = sqlite3.connect("later/index.sqlite")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    assert build_dataset.main(arguments) == code
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert words in line and captured.out == ""


@pytest.mark.soak
def test_two_processes_make_the_same_data_set(raw, built, tmp_path):
    assert run(raw / "images", "-o", tmp_path / "dataset", "--jobs", "2") == ExitCode.OK
    assert dump(tmp_path / "dataset") == dump(built)


@pytest.mark.soak
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_tfrecords_hold_what_the_data_set_holds(raw, data_set, monkeypatch):
    import tensorflow

    monkeypatch.setattr(tfrecords, "IMAGES_PER_FILE", 1)
    assert run(raw / "images", "-o", data_set, "--tfrecord") == ExitCode.OK
    seen = {}
    for path in (data_set / "tfrecords").iterdir():
        for data in tensorflow.data.TFRecordDataset(str(path)):
            example = tensorflow.train.Example.FromString(data.numpy()).features.feature
            seen[example["image_id"].bytes_list.value[0].decode()] = path.name.split("-")[0]
            image = tensorflow.io.decode_png(example["image"].bytes_list.value[0])
            assert image.shape == (170, 220, 1) == (example["height_px"].int64_list.value[0], 220, 1)
            assert len(example["defects"].bytes_list.value) == len(example["defect_kinds"].bytes_list.value)
    assert seen == dict(ask(data_set, "SELECT image_id, split FROM images"))


def test_pictures_of_one_face_and_of_one_part_stay_together(raw, tmp_path):
    face = cv2.imread(str(raw / "images" / "pitted.png"), cv2.IMREAD_GRAYSCALE)
    (tmp_path / "raw").mkdir()
    for name, picture in (("mine.png", face), ("other name.png", cv2.rotate(face, cv2.ROTATE_180))):
        cv2.imwrite(str(tmp_path / "raw" / name), picture)
    for name in ("clean", "dirty"):
        shutil.copyfile(raw / "images" / f"{name}.png", tmp_path / "raw" / f"{name}_SN77_P{len(name)}.png")
    assert run(tmp_path / "raw", "-o", tmp_path / "set") == ExitCode.OK
    rows = ask(tmp_path / "set", "SELECT filename, face_group, serial_number, port FROM images ORDER BY filename")
    groups = {name: group for name, group, _, _ in rows}
    assert groups["mine.png"] == groups["other name.png"] != groups["clean_SN77_P5.png"]
    assert groups["clean_SN77_P5.png"] == groups["dirty_SN77_P5.png"]
    assert rows[0][2:] == ("77", "5")
