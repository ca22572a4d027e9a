import dataclasses
import functools
import hashlib
import json
import os
from pathlib import Path

import cv2
import pytest
from faces import clean_png, touch, write
from main_runs import read_records

import batch
import reporting
from cli import output_folder
from cli.image_files import ImageFile, name_results, possible_result_names
from cli.job_settings import choose_settings
from config_loader import load_config
from errors import InputStalled, OutputError, UnreadableImage
from inspection_settings import InspectionSettings
from records import LOCALIZATION_FAILED, PASS, UNREADABLE, Inspection, InspectionRecord
from records_file import ResultsFile
from workers.backend import InThisProcess

needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
ROOT = Path(batch.__file__).parent


# --- the loop ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def settings() -> InspectionSettings:
    config = load_config(ROOT / "config.json")
    return choose_settings(config, None, cladding_um=125.0)


@pytest.fixture
def images(tmp_path):
    output_folder.create(tmp_path / "out")
    return name_results(touch(tmp_path / "in", "a.png", "b.png", "c.png"))


@pytest.fixture
def run(tmp_path, settings):
    """Work images off into tmp_path/out; the records that are there then."""

    def work_off(images, known="", **options):
        output_folder.create(tmp_path / "out")
        job = batch.Job(settings, "settings", batch.OutputOptions(tmp_path / "out", **options))
        backend = InThisProcess(functools.partial(batch.inspect_and_write, job))
        results = ResultsFile(tmp_path / "out" / "results.jsonl")
        batch.run([batch.Task(image, known) for image in images], job, backend, results)
        return list(results.records())

    return work_off


def passing(data, path, settings, *, name):
    return Inspection(InspectionRecord(image_filename=name, image_path=str(path), status=PASS, content_sha256="x"))


def failing_on(target, error):
    def inspect(data, path, settings, *, name):
        if path.name == target:
            raise error
        return passing(data, path, settings, name=name)

    return inspect


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("boom"), LOCALIZATION_FAILED),
        (MemoryError(), UNREADABLE),
        (cv2.error("boom"), LOCALIZATION_FAILED),
        (ZeroDivisionError(), LOCALIZATION_FAILED),
        (RecursionError(), LOCALIZATION_FAILED),
        (UnreadableImage("It is broken.", "Save it again."), UNREADABLE),
    ],
)
def test_one_bad_image_never_ends_the_batch(images, run, monkeypatch, caplog, error, status):
    monkeypatch.setattr(batch, "inspect_bytes", failing_on("b.png", error))
    with caplog.at_level("DEBUG", logger="dscope"):
        records = run(images)
    assert [record.status for record in records] == [PASS, status, PASS]
    assert records[1].reasons and records[1].image_path == str(images[1].path)
    on_screen = [entry for entry in caplog.records if entry.levelno >= 30]
    assert len(on_screen) == 1 and on_screen[0].exc_info is None
    in_log = [entry.exc_info[1] for entry in caplog.records if entry.exc_info]
    assert in_log == ([] if isinstance(error, UnreadableImage) else [error])
    may_end_differently = isinstance(error, MemoryError)
    assert (records[1].content_sha256 == "") == may_end_differently


def test_opencv_out_of_memory_is_unreadable(images, settings, monkeypatch):
    error = cv2.error("out of memory")
    error.code = cv2.Error.StsNoMem
    monkeypatch.setattr(batch, "inspect_bytes", failing_on("a.png", error))
    assert batch.inspect_safely(b"x", images[0], settings).record.status == UNREADABLE


def test_a_picture_that_cannot_be_drawn_costs_only_the_picture(images, run, monkeypatch):
    def broken(*_, **__):
        raise ValueError("boom")

    monkeypatch.setattr(batch, "inspect_bytes", passing)
    monkeypatch.setattr(reporting, "write_image_files", broken)
    records = run(images)
    assert [record.status for record in records] == [PASS] * 3
    assert all("could be drawn" in record.warnings[0] for record in records)


@pytest.mark.parametrize("ending", [OutputError("The disk is full."), KeyboardInterrupt()])
def test_what_was_finished_is_kept_when_the_batch_ends_early(tmp_path, images, run, monkeypatch, ending):
    monkeypatch.setattr(batch, "inspect_bytes", failing_on("c.png", ending))
    monkeypatch.setattr(
        batch,
        "inspect_safely",
        lambda data, image, settings: batch.inspect_bytes(data, image.path, settings, name=image.name),
    )
    with pytest.raises(type(ending)):
        run(images)
    records = read_records(tmp_path / "out" / "results.jsonl")
    assert [record.image_filename for record in records] == ["a.png", "b.png"]


def test_a_record_says_what_it_depends_on(images, run, monkeypatch):
    record = run(images[:1])[0]
    assert record.content_sha256 == hashlib.sha256(b"x").hexdigest()
    assert (record.settings_sha256, record.result_name) == ("settings", "a")


def test_an_image_with_known_bytes_is_read_and_left(images, run, monkeypatch):
    calls = []
    monkeypatch.setattr(batch, "inspect_bytes", lambda *_, **__: calls.append(1) or passing(b"", *_[1:], **__))
    assert run(images, known=hashlib.sha256(b"x").hexdigest()) == [] and calls == []
    assert len(run(images, known=hashlib.sha256(b"y").hexdigest())) == len(calls) == 3


def test_files_of_an_earlier_look_do_not_stay_beside_new_ones(tmp_path, images, run):
    ours, others = "out/details/a_annotated.png", "out/details/a_sketch.png"
    touch(tmp_path, ours, others)
    run(images[:1], may_hold_results=True)  # no image: nothing to draw
    assert not (tmp_path / ours).exists() and (tmp_path / others).exists()
    assert (tmp_path / "out/details/a_report.csv").exists()


# --- reading -------------------------------------------------------------------------------------------------------


def test_a_file_that_has_gone_is_tried_again_next_time(images, run):
    images[1].path.unlink()
    records = run(images)
    assert [record.status for record in records] == [UNREADABLE] * 3
    assert [bool(record.content_sha256) for record in records] == [True, False, True]
    assert "no such file" in records[1].reasons[0]


@needs_fifo
def test_a_read_that_never_comes_back_is_given_up(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match=r"within 0\.05 s.*share"):
        batch.read_in_time(tmp_path / "a.png", 0.05)


@needs_fifo
def test_a_share_that_has_stalled_ends_the_batch(tmp_path, images, run, settings, monkeypatch):
    limits = dataclasses.replace(settings.config.batch, read_timeout_s=0.05, max_stalls=2)
    monkeypatch.setitem(settings.config.__dict__, "batch", limits)
    monkeypatch.setattr(batch, "inspect_bytes", passing)
    for name in ("b.png", "c.png"):
        (tmp_path / "in" / name).unlink()
        os.mkfifo(tmp_path / "in" / name)
    with pytest.raises(InputStalled, match="2 image files in a row"):
        run([*images, ImageFile(tmp_path / "in" / "d.png", "d.png", "d")])
    records = read_records(tmp_path / "out" / "results.jsonl")
    assert [record.status for record in records] == [PASS, UNREADABLE, UNREADABLE]
    assert [record.content_sha256 for record in records] == ["x", "", ""]


# --- the output folder ---------------------------------------------------------------------------------------------


def test_overwriting_removes_only_what_this_program_wrote(tmp_path):
    ours = ["results.jsonl", "run.json", "summary_report.csv", "details/a_annotated.png", "details/a_png_report.csv"]
    foreign = ["a.png", "notes.txt", "details/my_annotated.png", "details/a_sketch.png", "inspection_2020-01-01.log"]
    touch(tmp_path, *ours, *foreign)
    output_folder.remove_results(tmp_path, [Path("/d/a.png")])
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(foreign)


def test_possible_names_hold_every_name_that_is_given():
    paths = [Path(text) for text in ("/x/d/a.png", "/y/d/a.png", "/x/d/A.JPG", "/x/b.png")]
    for image in name_results(paths):
        assert image.stem in possible_result_names(image.path)


@pytest.mark.parametrize("content", ["results.jsonl", "summary_report.csv", "run.json", "report.html"])
def test_a_folder_with_results_is_refused(tmp_path, content):
    touch(tmp_path, content)
    with pytest.raises(OutputError, match="already holds results"):
        output_folder.check_usable(tmp_path, keep_results=False)
    output_folder.check_usable(tmp_path, keep_results=True)


def test_foreign_files_do_not_hinder(tmp_path):
    touch(tmp_path, "a.png", "details/plan.txt")
    output_folder.check_usable(tmp_path, keep_results=False)
    output_folder.create(tmp_path)


@pytest.mark.parametrize("below", ["file", "file/out", "file/a/b"])
def test_a_file_in_the_way_is_an_output_error(tmp_path, below):
    touch(tmp_path, "file")
    with pytest.raises(OutputError):
        output_folder.check_usable(tmp_path / below, keep_results=False)
        output_folder.create(tmp_path / below)


def test_records_survive_the_journey_through_the_file(tmp_path, settings, run):
    image = name_results([write(tmp_path / "ä b [1].png", clean_png())])[0]
    inspection = batch.inspect_safely(clean_png(), image, settings)
    (stored,) = run([image])
    line = json.loads((tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8"))
    assert line["image_filename"] == "ä b [1].png"
    same = {"processing_time_s": 0.0, "timings_s": {}, "settings_sha256": "", "result_name": "", "inspected_at": ""}
    assert repr(dataclasses.replace(stored, **same)) == repr(dataclasses.replace(inspection.record, **same))


def test_temporary_files_of_a_killed_run_are_removed(tmp_path):
    partial = [".summary_report.csv.123.tmp", "details/.a_polar.png.45.tmp"]
    touch(tmp_path, *partial, ".mine.tmp", "a.123.tmp")
    output_folder.remove_partial_files(tmp_path)
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {".mine.tmp", "a.123.tmp"}


def test_two_runs_never_write_to_one_folder(tmp_path):
    first, second, third = (output_folder.locked(tmp_path) for _ in range(3))
    with first, pytest.raises(OutputError, match="Another run"), second:
        pass
    with third:
        pass
