import dataclasses
import json
from pathlib import Path

import cv2
import pytest
from faces import clean_png, touch, write

import batch
import reporting
from cli import output_folder
from cli.image_files import name_results, possible_result_names
from cli.job_settings import choose_settings
from config_loader import load_config
from errors import OutputError, UnreadableImage
from inspection import InspectionSettings
from records import LOCALIZATION_FAILED, PASS, UNREADABLE, Inspection, InspectionRecord

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


def passing(path, settings, *, name):
    return Inspection(InspectionRecord(image_filename=name, image_path=str(path), status=PASS))


def failing_on(target, error):
    def inspect(path, settings, *, name):
        if path.name == target:
            raise error
        return passing(path, settings, name=name)

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
def test_one_bad_image_never_ends_the_batch(tmp_path, images, settings, monkeypatch, caplog, error, status):
    monkeypatch.setattr(batch, "inspect_file", failing_on("b.png", error))
    seen = []
    with caplog.at_level("DEBUG", logger="dscope"):
        batch.run(images, settings, batch.OutputOptions(tmp_path / "out"), seen.append)
    records = output_folder.read_records(tmp_path / "out")
    assert [record.status for record in records] == [PASS, status, PASS] == [record.status for record in seen]
    assert records[1].reasons and records[1].image_path == str(images[1].path)
    on_screen = [entry for entry in caplog.records if entry.levelno >= 30]
    assert len(on_screen) == 1 and on_screen[0].exc_info is None
    in_log = [entry.exc_info[1] for entry in caplog.records if entry.exc_info]
    assert in_log == ([] if isinstance(error, UnreadableImage) else [error])


def test_opencv_out_of_memory_is_unreadable(images, settings, monkeypatch):
    error = cv2.error("out of memory")
    error.code = cv2.Error.StsNoMem
    monkeypatch.setattr(batch, "inspect_file", failing_on("a.png", error))
    assert batch.inspect_safely(images[0], settings).record.status == UNREADABLE


def test_a_picture_that_cannot_be_drawn_costs_only_the_picture(tmp_path, images, settings, monkeypatch):
    def broken(*_, **__):
        raise ValueError("boom")

    monkeypatch.setattr(batch, "inspect_file", passing)
    monkeypatch.setattr(reporting, "write_image_files", broken)
    batch.run(images, settings, batch.OutputOptions(tmp_path / "out"))
    records = output_folder.read_records(tmp_path / "out")
    assert [record.status for record in records] == [PASS] * 3
    assert all("could be drawn" in record.warnings[0] for record in records)


@pytest.mark.parametrize("ending", [OutputError("The disk is full."), KeyboardInterrupt()])
def test_what_was_finished_is_kept_when_the_batch_ends_early(tmp_path, images, settings, monkeypatch, ending):
    monkeypatch.setattr(batch, "inspect_file", passing)
    append = reporting.append_record

    def full_at_c(path, record):
        if record.image_filename == "c.png":
            raise ending
        append(path, record)

    monkeypatch.setattr(reporting, "append_record", full_at_c)
    with pytest.raises(type(ending)):
        batch.run(images, settings, batch.OutputOptions(tmp_path / "out"))
    assert [record.image_filename for record in output_folder.read_records(tmp_path / "out")] == ["a.png", "b.png"]


# --- the output folder ---------------------------------------------------------------------------------------------


def test_a_cut_off_record_is_skipped_with_a_warning(tmp_path, caplog):
    record = InspectionRecord(image_filename="a.png", image_path="/d/a.png", status=PASS)
    reporting.append_record(tmp_path / "results.jsonl", record)
    with open(tmp_path / "results.jsonl", "a", encoding="utf-8") as file:
        file.write('[]\n{"image_filename": "b.p')
    with caplog.at_level("WARNING", logger="dscope"):
        assert output_folder.read_records(tmp_path) == [record]
    assert len(caplog.records) == 2


def test_the_last_record_of_an_image_counts(tmp_path):
    for status in (UNREADABLE, PASS):
        record = InspectionRecord(image_filename="a.png", image_path="/d/a.png", status=status)
        reporting.append_record(tmp_path / "results.jsonl", record)
    assert output_folder.read_records(tmp_path) == [record]


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


def test_records_survive_the_journey_through_the_file(tmp_path, settings):
    image = name_results([write(tmp_path / "ä b [1].png", clean_png())])[0]
    inspection = batch.inspect_safely(image, settings)
    batch.run([image], settings, batch.OutputOptions(tmp_path / "out"))
    line = json.loads((tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8"))
    assert line["image_filename"] == "ä b [1].png"
    stored = output_folder.read_records(tmp_path / "out")[0]
    fresh = dataclasses.replace(inspection.record, processing_time_s=0.0, timings_s={})
    assert repr(dataclasses.replace(stored, processing_time_s=0.0, timings_s={})) == repr(fresh)
