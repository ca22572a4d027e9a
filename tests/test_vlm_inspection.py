"""A vision-language model beside the inspector: what it is asked, what its answers change, and what they never do."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import clean_grey, clean_png, pitted_png, write
from main_runs import KNOWN, images, one_sentence, read_records, statuses
from report_samples import make_inspection, rows_of
from vlm_fakes import (
    NOTHING,
    FakeModel,
    entry,
    in_full,
    inspected,
    question,
    said,
    saying,
    settings,
    view_of,
    write_folder,
)

import main
from cli.run_info import settings_hash
from cli.vlm_option import with_vlm, worker_count
from errors import ExitCode, MissingDependency, ModelError
from findings import find_in_batch
from image_io import DecodedImage
from inspection import inspect_image
from learning.vlm import libraries
from learning.vlm.boxes import as_defect
from learning.vlm.model_folder import ModelFolder, identify
from learning.vlm.sentences import model_in_words
from learning.vlm.views import choose_views
from records import FAIL, PASS, UNGRADED, Ellipse, InspectionRecord, Scale, VlmDefect
from reports.html_report import html_page
from reports.tables import csv_bytes, summary_table
from second_opinion.disagreements import disagreements

DECIDE = {"policy": "decide_with_watchdog"}
NO_LIMIT = 1.0  # violation_confidence: nothing is that sure
PIT = (240, 150, 12, 12)  # in the cladding, clear of the real pits
TIMES = {"processing_time_s": 0.0, "timings_s": {}, "vlm": None, "warnings": ()}


@functools.cache
def pitted() -> np.ndarray:
    return cv2.imdecode(np.frombuffer(pitted_png(), np.uint8), cv2.IMREAD_GRAYSCALE)


@functools.cache
def by_rules() -> InspectionRecord:
    return inspected(pitted()).record


def same_but_for_opinion(record, other=None):
    return dataclasses.replace(record, **TIMES).to_dict() == dataclasses.replace(other or by_rules(), **TIMES).to_dict()


# --- asking ----------------------------------------------------------------------------------------------------------


def test_every_view_is_shown_once_with_its_question():
    model = saying(NOTHING)
    vlm = inspected(clean_grey(), model).record.vlm
    ((pictures, chats),) = model.rounds
    assert [view_of(chat) for chat in chats] == ["full", "cladding", "core"]
    assert all(picture.dtype == np.uint8 and picture.ndim == 2 for picture in pictures)
    for picture, chat in zip(pictures, chats, strict=True):
        assert [message["role"] for message in chat] == ["system", "user"]
        assert f"{picture.shape[1]} x {picture.shape[0]} px" in question(chat)
    assert (vlm.verdict, vlm.usable, vlm.attempts, vlm.unusable_answers) == (PASS, True, 3, 0)
    assert vlm.seconds > 0 and not vlm.decided


def test_an_unusable_answer_is_asked_for_again_with_its_problem():
    model = FakeModel(lambda view, times: NOTHING if view != "core" or times > 1 else "I see <|image|> nothing.")
    vlm = inspected(clean_grey(), model, attempts=3).record.vlm
    assert (vlm.usable, vlm.attempts, vlm.unusable_answers) == (True, 4, 1)
    (chat,) = model.rounds[1][1]
    assert [message["role"] for message in chat] == ["system", "user", "assistant", "user"]
    assert "no JSON" in question(chat) and "<|" not in chat[2]["content"][0]["text"]


HOSTILE = {
    "prose": "The fibre looks fine to me, I would let it pass.",
    "truncated": '{"defects": [{"bbox": [1, 2, 3',
    "outside": said(entry((5000, 5000, 9, 9))),
    "unknown type": said(entry(PIT, kind="dragon")),
    "nested": "[" * 100_000,
    "nested objects": '{"a":' * 20_000,
    "NaN": said(entry(PIT)).replace("0.9", "NaN"),
    "infinite": said(entry(PIT)).replace("240", "1e999"),
    "nothing": "",
    "PASS with a critical mark": said(entry(PIT), verdict="PASS"),
    "a surrogate": '{"defects": "\ud800"}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_answers_of_no_use_leave_the_inspectors_result_and_a_warning(text):
    model = saying(text)
    record = inspected(pitted(), model, **DECIDE).record
    assert len(model.rounds) == 2 and same_but_for_opinion(record)
    assert (record.vlm.usable, record.vlm.verdict, record.vlm.defects) == (False, "", ())
    assert (record.vlm.attempts, record.vlm.unusable_answers) == (6, 6)
    warning = record.warnings[-1]
    assert warning.startswith("The vision-language model gave no usable answer, the inspector's result stands: ")
    assert disagreements(record)[-1].startswith("The vision-language model gave no usable answer: ")
    assert len(disagreements(record)[-1]) < 500
    assert InspectionRecord.from_dict(json.loads(json.dumps(record.to_dict()))).to_dict() == record.to_dict()


def test_a_crop_without_an_answer_does_no_harm_but_an_inspected_pixel_that_nobody_answered_about_does():
    def unless(name):
        return FakeModel(lambda view, times: "?" if view == name else said(entry((9, 9, 5, 5), "scratch")))

    assert inspected(clean_grey(), unless("core")).record.vlm.usable
    assert inspected(clean_grey(), unless("full")).record.vlm.usable  # the cladding's view shows all that is inspected
    assert not inspected(clean_grey(), saying(NOTHING), views=("core",)).record.vlm.usable
    problem = inspected(clean_grey(), saying(NOTHING), views=("core",)).record.vlm.problem
    assert problem == "The views that vlm.views allows do not show all inspected zones."


ERRORS = (MemoryError(), RuntimeError("CUDA error\n<script>"), MissingDependency("No memory."))


@pytest.mark.parametrize("error", ERRORS)
def test_a_model_that_fails_leaves_the_inspectors_result_and_a_warning(error):
    def fail(view, times):
        raise error

    record = inspected(pitted(), FakeModel(fail), **DECIDE).record
    assert same_but_for_opinion(record) and not record.vlm.usable
    assert "It failed (" in record.warnings[-1] and "\n" not in record.warnings[-1]


def test_a_model_that_forgets_a_picture_fails():
    record = inspected(pitted(), lambda pictures, chats: [NOTHING]).record
    assert "It failed (ValueError" in record.vlm.problem


def test_without_a_fibre_nobody_is_asked():
    model = saying(NOTHING)
    grey = np.full((200, 300), 90, np.uint8)
    assert inspect_image(DecodedImage("a", grey), settings(), ask=model).record.vlm is None
    assert model.rounds == []


# --- the opinion -----------------------------------------------------------------------------------------------------


def boxes_in(view_marks, **vlm):
    """The marks of the opinion where each view names these boxes."""
    model = FakeModel(lambda view, times: said(*(entry(**mark) for mark in view_marks.get(view, ()))))
    return inspected(clean_grey(), model, **vlm).record.vlm


def test_boxes_of_crops_lie_in_the_image():
    model = saying(said(entry((0, 0, 20, 10), "scratch", "minor", zone="Core")))
    record = inspected(clean_grey(), model, views=("cladding", "core")).record
    sides = {mark.view: mark.box_px for mark in record.vlm.defects}
    outline = record.fiber.cladding
    left, top, wide, high = sides["core"]
    assert (wide, high) == (20, 10)
    core = next(zone for zone in record.zones if zone.name == "Core").outer_radius_px * 1.1
    assert left == pytest.approx(outline.x_px + 0.5 - core, abs=1) and top == pytest.approx(outline.y_px - core, abs=1)
    assert "cladding" not in sides  # a corner of that view lies beyond the inspected zones


def test_a_mark_that_two_views_show_is_one():
    full = {"box": (206, 138, 8, 8), "severity": "minor", "confidence": 0.6}
    finer = {**shifted(full, "core"), "severity": "critical", "confidence": 0.5}
    (mark,) = boxes_in({"full": [full], "core": [finer]}).defects
    assert (mark.severity, mark.confidence) == ("critical", 0.6)
    assert mark.box_px == pytest.approx((206, 138, 8, 8), abs=1)
    apart = {**full, "box": (216, 138, 8, 8)}
    assert len(boxes_in({"full": [full, apart], "core": [finer]}).defects) == 2


def test_the_finest_view_places_a_mark():
    reduced = {"box": (103, 69, 4, 4)}  # in the frame of 400 px, shown with 200
    (mark,) = boxes_in(
        {"full": [reduced], "core": [shifted({"box": (206, 138, 8, 9)}, "core")]}, max_side_px=200
    ).defects
    assert mark.view == "core" and mark.box_px == pytest.approx((206, 138, 8, 9), abs=1)


def shifted(mark, view):
    """The mark of the full frame as a crop shows it."""
    record = inspected(clean_grey()).record
    (crop,) = choose_views(record.fiber.cladding, record.zones, clean_grey().shape, names=(view,), max_side_px=1120)
    return {**mark, "box": [round(value) for value in crop.to_view(mark["box"])]}


def test_a_piece_of_a_long_mark_in_a_crop_is_that_mark():
    scratch = {"box": (150, 141, 120, 4), "kind": "scratch", "severity": "minor", "confidence": 0.7}
    x, y, w, h = shifted(scratch, "core")["box"]
    piece = {**scratch, "box": (0, y, 2 * (x + w // 2), h), "confidence": 0.95, "severity": "critical"}
    (mark,) = boxes_in({"full": [scratch], "core": [piece]}).defects
    assert (mark.view, mark.severity, mark.confidence) == ("full", "critical", 0.95)
    assert mark.box_px == (150, 141, 120, 4)


def test_marks_beyond_the_inspected_zones_do_not_count():
    vlm = boxes_in({"full": [{"box": (2, 2, 9, 9)}, {"box": PIT}]})
    assert [mark.box_px for mark in vlm.defects] == [PIT]


# --- advice and decision ---------------------------------------------------------------------------------------------


def test_advice_changes_nothing():
    record = inspected(pitted(), saying(NOTHING), policy="advise").record
    assert same_but_for_opinion(record) and record.status == FAIL and record.vlm.classical_status == FAIL
    assert record.warnings == by_rules().warnings and not record.vlm.decided
    first, *_ = disagreements(record)
    assert first.startswith("The model says PASS, the inspector FAIL; the inspector's result stands.")


def test_marks_of_a_model_that_decides_are_ordinary_defects():
    model = in_full(entry(PIT), entry((180, 180, 30, 2), "scratch", "minor"))
    found = inspect_image(DecodedImage("a", clean_grey()), settings(**DECIDE), ask=model)
    record = found.record
    assert (record.status, record.vlm.decided, record.vlm.classical_status) == (FAIL, True, PASS)
    pit, scratch = sorted(record.defects, key=lambda d: d.kind)
    assert (pit.kind, pit.defect_id, pit.zone, pit.detected_by) == ("Pit/Dig", "P1", "Cladding", ("vlm",))
    assert pit.violates and record.reasons == pit.violates
    um = record.scale.um_per_px
    assert pit.diameter_um == pytest.approx(12 * um, rel=0.05) and pit.width_um == pytest.approx(12 * um, rel=0.05)
    assert (scratch.length_px, scratch.width_px) == (pytest.approx(30, rel=0.05), pytest.approx(2, rel=0.05))
    assert (pit.centroid_x_px, pit.centroid_y_px) == (245.5, 155.5)
    for defect in record.defects:
        assert found.labels[round(defect.centroid_y_px), round(defect.centroid_x_px)] == defect.label
    assert set(np.unique(found.labels)) == {0, 1, 2}
    assert np.count_nonzero(found.labels == pit.label) == pytest.approx(np.pi * 36, rel=0.1)
    assert sum(cell.defect_count for cell in record.matrix) == 2
    assert InspectionRecord.from_dict(record.to_dict()).to_dict() == record.to_dict()


def test_a_decision_keeps_what_the_inspector_has_found():
    record = inspected(pitted(), in_full(entry(PIT)), violation_confidence=NO_LIMIT, **DECIDE).record
    assert record.vlm.decided and len(record.defects) == 1
    assert record.vlm.classical_defects == by_rules().defects


def test_the_watch_dog_lets_no_pass_through_where_the_inspector_is_sure():
    surest = max(d.confidence for d in by_rules().defects if d.violates)
    kept = inspected(pitted(), saying(NOTHING), violation_confidence=surest, **DECIDE).record
    assert same_but_for_opinion(kept) and (kept.status, kept.vlm.decided, kept.vlm.verdict) == (FAIL, False, PASS)
    assert kept.warnings[-1].startswith("Watch-dog: the model's marks pass, but the inspector sees P1 ")
    assert kept.warnings[-1].endswith("; the inspector's result stands.")
    if surest < 1:
        passed = inspected(pitted(), saying(NOTHING), violation_confidence=min(1.0, surest + 1e-6), **DECIDE).record
        assert (passed.status, passed.vlm.decided, passed.defects) == (PASS, True, ())


def test_the_rules_judge_the_models_marks_whatever_it_says_of_them():
    large = inspected(clean_grey(), in_full(entry(PIT, severity="minor"), verdict="PASS"), **DECIDE).record
    assert (large.vlm.verdict, large.status, large.vlm.decided) == (PASS, FAIL, True)
    assert disagreements(large)[0] == "The model says PASS, but its marks are a FAIL by the rules, which counts."
    assert model_in_words(large) == "PASS, its marks by the rules FAIL. Rejected: a pit."
    harmless = inspected(clean_grey(), in_full(verdict="FAIL"), **DECIDE).record
    assert (harmless.vlm.verdict, harmless.status, harmless.vlm.decided) == (FAIL, PASS, False)
    assert "says FAIL, but its marks violate no rule" in harmless.warnings[-1]


def test_where_the_inspector_has_no_verdict_the_model_only_advises():
    own = dataclasses.replace(settings(**DECIDE), core_um=None, cladding_um=None)
    record = inspect_image(DecodedImage("a", clean_grey()), own, ask=saying(NOTHING)).record
    assert (record.status, record.vlm.decided, record.vlm.usable) == (UNGRADED, False, True)
    assert disagreements(record) == ()


@pytest.mark.parametrize("kind", ["Pit/Dig", "Scratch"])
def test_sizes_of_boxes_follow_the_fibre_frame(kind):
    found = make_inspection()
    stretched = Ellipse(250, 170, 240, 120, 0.0)
    place = {"grey": found.grey, "zone_map": found.zone_map, "zones": found.record.zones, "cladding": stretched}
    mark = VlmDefect(kind, "Cladding", "minor", 0.5, (200, 160, 20, 10), "full")
    defect = as_defect(mark, 7, **place, scale=Scale(2.0, "given dimensions"))
    along, across = 20 * np.sqrt(0.5), 10 * np.sqrt(2)
    diagonal = np.hypot(along, across)
    sizes = (diagonal, 200 / diagonal) if kind == "Scratch" else (max(along, across), min(along, across))
    assert (defect.length_px, defect.width_px) == pytest.approx(sizes, rel=1e-4)
    assert defect.length_um == pytest.approx(2 * defect.length_px)
    circle = diagonal if kind == "Scratch" else max(along, across)
    assert defect.diameter_px == pytest.approx(circle, abs=0.01) and defect.label == 7
    box = np.array(defect.box_px)
    assert (box.min(axis=0).tolist(), box.max(axis=0).tolist()) == ([199.5, 159.5], [219.5, 169.5])


def test_contrast_and_polarity_are_those_of_the_picture():
    found = make_inspection()
    grey = np.full_like(found.grey, 100)
    grey[160:170, 200:206], grey[160:170, 230:236] = 40, 180  # the rest of their boxes is background
    place = {"grey": grey, "zone_map": found.zone_map, "zones": found.record.zones}
    place |= {"cladding": found.record.fiber.cladding, "scale": Scale()}
    for left, contrast, polarity in ((200, -60, "dark"), (230, 80, "bright")):
        mark = VlmDefect("Chip", "Core", "minor", 0.5, (left, 160, 10, 10), "core")
        defect = as_defect(mark, 1, **place)
        assert (defect.contrast, defect.polarity) == (contrast, polarity)
        assert np.isnan(defect.length_um)
    whole = as_defect(VlmDefect("Chip", "Core", "minor", 0.5, (0, 0, 520, 360), "core"), 1, **place)
    assert np.isnan(whole.contrast)


# --- reports ---------------------------------------------------------------------------------------------------------


def test_reports_say_what_the_model_says_and_escape_it():
    hostile = '<script>alert("x")</script>=1+1 ' + "long " * 100
    record = inspected(pitted(), saying(said(explanation=hostile)), **DECIDE).record
    (row,) = rows_of(csv_bytes(summary_table([record])))
    assert (row["VLM_Verdict"], row["VLM_Decided"]) == (PASS, str(record.vlm.decided))
    assert len(row["VLM_Explanation"]) < 310 and row["VLM_Explanation"].startswith("<script>")
    page = html_page([record], find_in_batch([record])).decode()
    assert "<script>alert" not in page and "\\u003cscript\\u003ealert" in page
    (plain,) = rows_of(csv_bytes(summary_table([by_rules()])))
    assert (plain["VLM_Verdict"], plain["VLM_Decided"], plain["VLM_Explanation"]) == ("", "", "")


def test_disagreements_name_marks_of_both():
    record = inspected(pitted(), in_full(entry(PIT, "scratch", "minor", 0.5), verdict="PASS"), policy="advise").record
    text = " ".join(disagreements(record))
    assert "Only the model names: Scratch, minor, at (246, 156) px in Cladding (0.50)." in text
    assert "Only the inspector reports: P1 Pit/Dig at (" in text


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def with_libraries(monkeypatch):
    monkeypatch.setattr(libraries, "LIBRARIES", ("json",))


def run(*arguments):
    return main.main(["in", "-o", "out", "--no-progress", *KNOWN, *map(str, arguments)])


def test_a_run_asks_the_model_and_says_so(isolated, with_libraries, monkeypatch, capsys):
    folder = write_folder(Path("model"))
    write(Path("in/clean.png"), clean_png()), write(Path("in/pitted.png"), pitted_png())
    asked = in_full(entry(PIT))
    monkeypatch.setattr("inspection.model_of", lambda settings: asked if settings.vlm else None)
    monkeypatch.setattr("cli.vlm_option.model_of", lambda settings: asked)
    assert run("--vlm", folder, "--zones", "core,cladding") == ExitCode.NOT_ALL_PASSED
    assert len(asked.rounds) == 2 and statuses()["clean.png"] == PASS
    records = read_records(Path("out/results.jsonl"))
    assert [record.vlm.verdict for record in records] == [FAIL, FAIL]
    about = json.loads(Path("out/run.json").read_text())
    assert about["vlm"] == {"path": str(folder.absolute()), "sha256": identify(folder).sha256}
    assert records[0].provenance.networks == (f"vlm {identify(folder).sha256[:12]}, advise",)
    assert "images rules and networks disagree" in capsys.readouterr().out
    assert run("--resume", "--vlm", folder, "--zones", "core,cladding") == ExitCode.NOT_ALL_PASSED
    assert len(asked.rounds) == 2


def test_missing_libraries_are_one_sentence_before_anything_is_written(isolated, monkeypatch, capsys):
    monkeypatch.setattr(libraries, "LIBRARIES", ("no_such_library",))
    images("pass.png")
    assert run("--vlm", "nowhere") == ExitCode.MISSING_DEPENDENCY
    assert "requirements-vlm.txt" in one_sentence(capsys.readouterr()) and not Path("out").exists()


DAMAGES = {
    "There is no folder": lambda folder: folder.rename("elsewhere"),
    "has no config.json": lambda folder: (folder / "config.json").unlink(),
    "is no JSON object": lambda folder: (folder / "config.json").write_text("[]"),
    "no 'model.safetensors'": lambda folder: (folder / "model.safetensors").unlink(),
    "no 'b.safetensors'": lambda folder: (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"x": "model.safetensors", "y": "b.safetensors"}}'
    ),
    "does not say what the adapter belongs to": lambda folder: (
        (folder / "adapter_config.json").write_text("{}"),
        (folder / "adapter_model.safetensors").write_text(""),
    ),
    "is an adapter itself": lambda folder: (
        (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(folder)})),
        (folder / "adapter_model.safetensors").write_text(""),
    ),
}


@pytest.mark.parametrize("sentence", DAMAGES)
def test_a_folder_of_no_use_is_one_sentence_before_anything_is_written(isolated, with_libraries, capsys, sentence):
    folder = write_folder(Path("model"))
    DAMAGES[sentence](folder)
    images("pass.png")
    assert run("--vlm", folder) == ExitCode.INVALID_INPUT
    assert sentence in one_sentence(capsys.readouterr()) and not Path("out").exists()


def test_a_model_is_known_by_its_files_not_by_its_place(tmp_path):
    one = write_folder(tmp_path / "one")
    other = write_folder(tmp_path / "deeper" / "other")
    (other / "run.json").write_text("how it was trained")
    assert identify(one).sha256 == identify(other).sha256
    (other / "model.safetensors").write_text("weightz")
    assert identify(one).sha256 != identify(other).sha256


def test_large_weights_are_known_by_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("learning.vlm.model_folder._WHOLE_BYTES", 1000)
    monkeypatch.setattr("learning.vlm.model_folder._BLOCK_BYTES", 4)
    folder, found = write_folder(tmp_path), set()
    weights = bytearray(4000)
    for place in (None, 0, 3999, slice(1000, 1040)):
        changed = weights.copy()
        if place is not None:
            changed[place] = bytes([1]) * 40 if isinstance(place, slice) else 1
        (folder / "model.safetensors").write_bytes(changed)
        found.add(identify(folder).sha256)
    assert len(found) == 4


def test_settings_without_a_model_do_not_depend_on_how_one_is_asked():
    def hashed(model, **vlm):
        own = settings()
        raw = {**own.config.raw, "vlm": {**own.config.raw["vlm"], **vlm}}
        return settings_hash(dataclasses.replace(own, config=dataclasses.replace(own.config, raw=raw), vlm=model))

    assert hashed(None) == hashed(None, policy="decide_with_watchdog")
    one = ModelFolder("/a", "1" * 64)
    assert hashed(one) == hashed(ModelFolder("/b", "1" * 64)) == hashed(one, lora={"r": 8}, enabled=True)
    other = ModelFolder("/a", "2" * 64)
    assert len({hashed(None), hashed(one), hashed(other), hashed(one, policy="x"), hashed(one, batch=9)}) == 5


def test_config_json_names_a_model_and_the_command_line_another_or_none(tmp_path, with_libraries):
    folder = write_folder(tmp_path / "model")
    enabled = settings(enabled=True, model=str(folder))
    assert with_vlm(enabled, None).vlm == identify(folder)
    assert with_vlm(enabled, "none").vlm is None and with_vlm(settings(model=str(folder)), None).vlm is None
    with pytest.raises(ModelError, match="none is named"):
        with_vlm(settings(enabled=True, model=None), None)


def test_one_process_asks_unless_more_are_wanted():
    plain = settings()
    asking = dataclasses.replace(plain, vlm=ModelFolder("/a", "1" * 64))
    assert [worker_count(item, jobs, 8) for item in (plain, asking) for jobs in (None, 3)] == [8, 3, 1, 3]


def test_without_a_model_nothing_of_it_is_loaded(monkeypatch):
    for name in ("torch", "transformers", "learning.vlm.loading", "learning.vlm.watchdog"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    assert inspect_image(DecodedImage("a", clean_grey()), settings()).record.vlm is None
