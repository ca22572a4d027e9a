"""Dirt on the optics that is not counted: images are inspected again, and whatever ends a run, the end is the same."""

import hashlib
import json
import os
import pickle
import re
import signal
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import clean_grey, write
from findings_samples import HEIGHT, WIDTH, picture
from main_runs import KNOWN, ROOT, contents, images, read_records, statuses

import batch
import main
from batchwide.optics_dirt import OpticsSpot, with_optics_marked
from cli import report
from cli.image_files import ImageFile
from errors import ExitCode
from records import FAIL, PASS, Inspection
from records_file import ResultsFile

pytestmark = pytest.mark.usefixtures("isolated")
COUNT = 6


@pytest.fixture
def uncounted():
    config = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))
    config["optics_dirt"]["count"] = False
    Path("uncounted.json").write_text(json.dumps(config), encoding="utf-8")
    return ["-c", "uncounted.json"]


@pytest.fixture
def dusty(monkeypatch):
    """The first images show the same spot; face5 has a mark of its own. Returns the numbers as they are inspected."""
    calls = []

    def inspect(data, path, settings, *, name):
        number = int(path.stem[4:])
        calls.append(number)
        fibre = 340.0 + 20 * (number % COUNT), 260.0 + 11 * (number % 3)
        marks = [*([(360.0, 280.0)] if number < COUNT else []), *([(fibre[0] + 30, fibre[1])] if number == 5 else [])]
        record = picture(number, fibre, marks, image_path=str(path))
        defects = with_optics_marked(record.defects, (HEIGHT, WIDTH), settings.optics, settings.config.optics_dirt)
        status = PASS if all(d.on_optics for d in defects) else FAIL
        record = replace(record, image_filename=name, defects=defects, status=status)
        digest = hashlib.sha256(data).hexdigest()
        return Inspection(replace(record, content_sha256=digest))

    monkeypatch.setattr(batch, "inspect_bytes", inspect)
    write_faces(range(COUNT))
    return calls


def write_faces(numbers):
    for path in images(*(f"face{number}.png" for number in numbers)):
        path.write_text(path.name)


class Killed(BaseException):
    """Ends everything at once, as SIGKILL does: no report is written."""


def run(*options, folder="out"):
    return main.main(["in", "-o", folder, *KNOWN, "--jobs", "1", "--profile", "fast_scan", *options])


def test_counted_marks_are_named_only(dusty, capsys):
    assert run() == ExitCode.NOT_ALL_PASSED
    assert set(statuses().values()) == {FAIL} and dusty == list(range(COUNT))
    (log,) = Path("out").glob("inspection_*.log")
    sentence = re.search(r"Dirt on the optics at \(360, 280\) px: .*", log.read_text(encoding="utf-8"))[0]
    assert sentence.endswith("in 6 images. Marks there are counted like any other. Clean the camera.")
    assert sentence in capsys.readouterr().out
    assert sentence in Path("out/report.html").read_text(encoding="utf-8")


def test_uncounted_marks_decide_nothing_and_stay_in_the_tables(dusty, uncounted, capsys):
    assert run(*uncounted) == ExitCode.NOT_ALL_PASSED
    assert dusty == [*range(COUNT), *range(COUNT)]
    assert statuses() == {f"face{number}.png": FAIL if number == 5 else PASS for number in range(COUNT)}
    assert "6 images: 5 PASS, 1 FAIL" in capsys.readouterr().out
    records = read_records(Path("out/results.jsonl"))
    assert [[d.on_optics for d in record.defects] for record in records] == [[True]] * 5 + [[True, False]]
    assert Path("out/details/face0_report.csv").read_text(encoding="utf-8").splitlines()[1].endswith(",True")
    dusty.clear()
    assert run(*uncounted, "--resume") == ExitCode.NOT_ALL_PASSED
    assert dusty == []


def test_rebuilt_reports_say_what_the_inspection_did(dusty, uncounted, caplog):
    run(*uncounted)
    with caplog.at_level("INFO", "dscope"):
        caplog.clear()
        assert report.main(["out", "--no-progress"]) == ExitCode.OK
    assert "Marks there are not counted" in caplog.text
    Path("out/run.json").write_text(json.dumps({"config": {"optics_dirt": {"min_images": "x"}}}), encoding="utf-8")
    assert report.main(["out", "--no-progress"]) == ExitCode.OK


@pytest.mark.parametrize("end", [3, COUNT, COUNT + 1, 2 * COUNT - 2, 2 * COUNT])
def test_killed_at_any_moment_and_resumed_it_ends_the_same(dusty, uncounted, monkeypatch, end):
    run(*uncounted, folder="calm")
    append, appended = ResultsFile.append, []

    def append_or_die(results, record):
        appended.append(record)
        if len(appended) == end:
            raise Killed
        append(results, record)

    with monkeypatch.context() as patch:
        patch.setattr(ResultsFile, "append", append_or_die)
        with pytest.raises(Killed):
            run(*uncounted)
    assert run(*uncounted, "--resume") == ExitCode.NOT_ALL_PASSED
    assert contents("out") == contents("calm")


def test_a_signal_between_the_looks_is_an_interruption(dusty, uncounted, monkeypatch):
    append = ResultsFile.append

    def append_and_stop(results, record):
        append(results, record)
        if len(dusty) == COUNT + 2:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ResultsFile, "append", append_and_stop)
        assert run(*uncounted) == ExitCode.INTERRUPTED
    assert run(*uncounted, "--resume") == ExitCode.NOT_ALL_PASSED
    assert len(dusty) == 2 * COUNT and list(statuses().values()).count(PASS) == 5


def test_when_more_images_take_the_proof_away_marks_are_counted_again(dusty, uncounted):
    run(*uncounted)
    write_faces(range(COUNT, 4 * COUNT))
    assert run(*uncounted, "--resume") == ExitCode.NOT_ALL_PASSED
    assert [name for name, status in statuses().items() if status == FAIL] == [f"face{k}.png" for k in range(COUNT)]
    assert len(dusty) == 2 * COUNT + 3 * COUNT + COUNT


def test_a_task_travels():
    task = batch.Task(ImageFile(Path("a.png"), "a.png", "a"), optics=(OpticsSpot(1.0, 2.0, 3.0, "dark", ()),))
    assert pickle.loads(pickle.dumps(task)) == task


def test_real_pictures_with_dust_on_the_camera(uncounted):
    """Dust at one pixel over a face that moves."""
    rows, columns = np.mgrid[:300, :400]
    dust = 1 - 0.5 * (np.hypot(columns - 216, rows - 128) < 7)
    for number in range(5):
        moved = np.roll(clean_grey(), (7 * (number % 3) - 7, 9 * number - 18), axis=(0, 1))
        data = cv2.imencode(".png", (moved * cv2.GaussianBlur(dust, (0, 0), 1)).astype(np.uint8))[1].tobytes()
        write(Path("in") / f"face{number}.png", data)
    assert run(*uncounted) == ExitCode.OK
    records = read_records(Path("out/results.jsonl"))
    assert [[d.on_optics for d in record.defects] for record in records] == [[True]] * 5
