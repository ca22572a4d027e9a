"""Every bad input gets a clear word, and the rest of the batch is finished: one batch through the whole program."""

import csv
import functools
import io
import json
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import clean_grey, clean_png, face_scene, write
from main_runs import read_records
from PIL import Image

import main
from errors import ExitCode
from records import FAIL, LOCALIZATION_FAILED, PASS, UNREADABLE

ROOT = Path(main.__file__).parent


def png(array):
    return cv2.imencode(".png", array, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def pillow(array, kind, mode="L", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def landscape():
    """Sky, hills and a sun: round and bright, but no fibre."""
    rows, columns = np.mgrid[0:300, 0:400].astype(np.float32)
    picture = 220 - 0.3 * rows
    for height, waves, grey in ((150, 60, 120), (190, 35, 90), (230, 22, 60)):
        picture[rows > height + 22 * np.sin(columns / waves + height)] = grey
    picture += cv2.GaussianBlur(np.random.default_rng(4).normal(0, 60, picture.shape).astype(np.float32), (0, 0), 1.5)
    cv2.circle(picture, (330, 50), 18, 250.0, -1, cv2.LINE_AA)
    return np.clip(picture, 0, 255).astype(np.uint8)


@functools.cache
def bad_files():
    """Name -> (bytes, expected status)."""
    jpeg = pillow(clean_grey(), "JPEG")
    rng = np.random.default_rng(3)
    return {
        "text.png": (b"These are not pixels.\n", UNREADABLE),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], UNREADABLE),
        "truncated.png": (clean_png()[:2000], UNREADABLE),
        "zero.bmp": (b"", UNREADABLE),
        "float.tif": (pillow(clean_grey(), "TIFF", "F"), UNREADABLE),
        "1x1.png": (png(np.full((1, 1), 90, np.uint8)), LOCALIZATION_FAILED),
        "10x10.png": (png(rng.integers(0, 255, (10, 10), np.uint8)), LOCALIZATION_FAILED),
        "strip.png": (png(np.full((3, 900), 90, np.uint8)), LOCALIZATION_FAILED),
        "long_strip.png": (png(np.full((104, 55_936), 90, np.uint8)), LOCALIZATION_FAILED),
        "black.png": (png(np.zeros((300, 400), np.uint8)), LOCALIZATION_FAILED),
        "white.png": (png(np.full((300, 400), 255, np.uint8)), LOCALIZATION_FAILED),
        "noise.png": (png(rng.integers(0, 255, (300, 400), np.uint8)), LOCALIZATION_FAILED),
        "landscape.png": (png(landscape()), LOCALIZATION_FAILED),
        "huge.png": (png(np.full((9000, 12000), 120, np.uint8)), LOCALIZATION_FAILED),
    }


@functools.cache
def good_files():
    """Unusual but readable pictures of one clean end face: name -> (bytes, expected word in the warnings or '')."""
    grey = clean_grey()
    transparent = np.dstack([grey, grey, grey, np.full_like(grey, 128)])
    pages = [Image.fromarray(255 - grey)]
    return {
        "plain.png": (clean_png(), ""),
        "colour.bmp": (pillow(grey, "BMP", "RGB"), ""),
        "rgba.png": (png(transparent), "transparen"),
        "deep.tif": (png(grey.astype(np.uint16) * 257), ""),
        "faint_16_bit.png": (png((1000 + grey.astype(np.uint16) * 7).astype(np.uint16)), ""),
        "cmyk.jpg": (pillow(grey, "JPEG", "CMYK", quality=97), ""),
        "pages.tiff": (pillow(grey, "TIFF", save_all=True, append_images=pages), "2 pages"),
        "Prüfling Nr. 3 [links] (neu).PNG": (clean_png(), ""),
        "plain.tif": (pillow(grey, "TIFF"), ""),
        "again/plain.png": (clean_png(), ""),
    }


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """The records of one batch over all of them, by path below the input folder, with code, rows and log."""
    folder = tmp_path_factory.mktemp("batch")
    for name, (data, _) in (bad_files() | good_files()).items():
        write(folder / "in" / name, data)
    absent = ["--calibration", str(write(folder / "scale.json", b'{"um_per_px": 0.6944}'))]
    arguments = ["in", "--recursive", "-o", "out", "--cladding-um", "125", "--core-um", "9", *absent]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        code = main.main(arguments)
    records = {
        Path(record.image_path).relative_to(folder / "in").as_posix(): record
        for record in read_records(folder / "out" / "results.jsonl")
    }
    with open(folder / "out" / "summary_report.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {"code": code, "records": records, "rows": rows, "out": folder / "out"}


def test_the_whole_batch_is_finished(outcome):
    assert outcome["code"] == ExitCode.IMAGES_FAILED
    assert set(outcome["records"]) == set(bad_files()) | set(good_files())
    assert len(outcome["rows"]) == len(outcome["records"])


@pytest.mark.parametrize("name", bad_files())
def test_bad_images_say_why(outcome, name):
    record = outcome["records"][name]
    assert record.status == bad_files()[name][1]
    assert record.reasons and all(reason.strip() for reason in record.reasons)
    assert "Internal error" not in " ".join(record.reasons)
    assert record.defects == ()


@pytest.mark.parametrize("name", good_files())
def test_unusual_images_are_inspected(outcome, name):
    record = outcome["records"][name]
    truth = face_scene().fibre
    assert record.status in (PASS, FAIL)
    assert math.hypot(record.fiber.cladding.x_px - truth.x_px, record.fiber.cladding.y_px - truth.y_px) < 1.0
    assert record.fiber.cladding.mean_radius_px == pytest.approx(truth.radius_px, abs=1.0)
    assert good_files()[name][1] in " ".join(record.warnings)


def test_files_of_one_name_have_results_of_their_own(outcome):
    tables = [path.name for path in (outcome["out"] / "details").glob("*_report.csv")]
    assert len(tables) == len(outcome["records"])
    names = [row["Image_Filename"] for row in outcome["rows"]]
    assert len(set(names)) == len(names)


def test_the_log_file_holds_no_traceback(outcome):
    (log,) = outcome["out"].glob("inspection_*.log")
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_nothing_reaches_the_screen_but_sentences(outcome, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name in ("truncated.jpg", "truncated.png", "text.png", "zero.bmp", "float.tif"):
        write(tmp_path / "in" / name, bad_files()[name][0])
    assert main.main(["in", "-o", "out", "--cladding-um", "125"]) == ExitCode.IMAGES_FAILED
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 5 and all(line.startswith("Warning: ") for line in lines)


# --- config.json ---------------------------------------------------------------------------------------------------


def edited(change):
    data = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))
    change(data)
    return json.dumps(data)


def set_in(*path, value):
    def change(data):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


def without_zones(data):
    next(iter(data["rule_sets"].values()))["zones"] = []


BAD_CONFIGS = {
    "syntax": '{"detection": {,}}',
    "empty": "",
    "no object": "[]",
    "nan": edited(set_in("detection", "confidence_threshold", value=math.nan)),
    "unknown key": edited(set_in("detection", "confidense_threshold", value=0.9)),
    "wrong type": edited(set_in("detection", "confidence_threshold", value="high")),
    "negative": edited(set_in("detection", "algorithms", "lei", "weight", value=-1)),
    "rule set without zones": edited(without_zones),
    "unknown default rule set": edited(set_in("default_rule_set", value="none such")),
}


@pytest.mark.parametrize("text", BAD_CONFIGS.values(), ids=BAD_CONFIGS.keys())
@pytest.mark.parametrize("check", [False, True])
def test_a_broken_configuration_stops_before_any_work(tmp_path, monkeypatch, capsys, text, check):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in" / "a.png", clean_png())
    write(tmp_path / "broken.json", text.encode())
    shutil.copy(ROOT / "config.schema.json", tmp_path)
    assert main.main(["in", "-o", "out", "-c", "broken.json", *(["--check-config"] if check else [])]) == 2
    captured = capsys.readouterr()
    assert "broken.json" in captured.err and "Traceback" not in captured.err and captured.out == ""
    assert not (tmp_path / "out").exists()
