"""Networks beside the rules: what their answers do to a record, what they never do, and where both disagree."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import CLADDING_UM, clean_png, pitted_png, shipped_config, write
from main_runs import KNOWN, images, one_sentence, statuses
from report_samples import make_defect, make_inspection, rows_of
from tiny_networks import asked, saying, seeing

import batch
import main
from analysis import as_class
from batchwide.optics_dirt import left_out_text
from cli.job_settings import choose_settings, describe_settings
from cli.model_options import describe_networks, model_files, with_networks
from cli.run_info import provenance, settings_hash
from errors import ExitCode, ModelError
from findings import find_in_batch, in_short, sentences
from image_io import DecodedImage
from image_processing import Detection
from inspection import Inspection, inspect_image
from records import ARTIFACT, FAIL, PASS, Ellipse, InspectionRecord, Provenance, Scale
from reports import batch_certificate, certificate
from reports.annotate import annotated_picture, label_text
from reports.html_report import html_page
from reports.pages import Text
from reports.tables import csv_bytes, detail_table, summary_table
from second_opinion.disagreements import disagreements
from second_opinion.networks import PATCH, QUALITY, SEGMENT, ModelFile, Networks
from second_opinion.policy import second_opinion, without_artifacts
from settings import RECLASSIFY, REPORT_ONLY, VETO_ARTIFACTS
from vision.fields import WorkingCrop
from vision.geometry import from_frame
from vision.regions import Region
from vision.significance import Significance
from vision.witness import Witness

TIMES = {"processing_time_s": 0.0, "timings_s": {}}
OPINION_FIELDS = {"ml_class": "", "ml_confidence": 0.0, "rule_class": ""}
NO_LIMIT = 2.0  # for veto_max_probability: drops even what the inspection is sure of
SILENT = np.zeros((64, 64), np.float32)


@functools.cache
def pitted() -> np.ndarray:
    return cv2.imdecode(np.frombuffer(pitted_png(), np.uint8), cv2.IMREAD_GRAYSCALE)


def settings(**learning):
    config = shipped_config()
    config = dataclasses.replace(config, learning=dataclasses.replace(config.learning, **learning))
    return choose_settings(config, None, core_um=9.0, cladding_um=CLADDING_UM, zones="core,cladding")


def inspected(*networks, **learning) -> Inspection:
    """Three large pits, asked about by networks of different tasks."""
    asked_ones = Networks(**{network.task: network for network in networks})
    return inspect_image(DecodedImage("face.png", pitted()), settings(**learning), networks=asked_ones)


@functools.cache
def by_rules() -> Inspection:
    return inspected()


def without_opinions(record: InspectionRecord) -> InspectionRecord:
    """The record as if no network had been asked, its warnings and times aside."""
    defects = tuple(dataclasses.replace(defect, **OPINION_FIELDS) for defect in record.defects)
    said = {"torch_quality_label": "", "torch_quality_confidence": 0.0, "warnings": ()}
    return dataclasses.replace(record, defects=defects, **said, **TIMES)


# --- report only -----------------------------------------------------------------------------------------------------


def test_without_a_model_nothing_of_networks_is_loaded(monkeypatch):
    for name in ("onnxruntime", "second_opinion.models"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    assert with_networks(settings(), None).models == ()
    record = by_rules().record
    assert {defect.ml_class for defect in record.defects} == {""} and record.torch_quality_label == ""
    assert record.vetoed == () and disagreements(record) == ()


def test_answers_are_added_and_change_nothing_else():
    found = inspected(saying(QUALITY, "PASS", 0.8), saying(PATCH, "contamination", 0.99), patch_policy=REPORT_ONLY)
    record, plain = found.record, by_rules().record
    assert (record.torch_quality_label, round(record.torch_quality_confidence, 3)) == ("PASS", 0.8)
    assert {(d.ml_class, round(d.ml_confidence, 3)) for d in record.defects} == {("Contamination", 0.99)}
    assert without_opinions(record).to_dict() == without_opinions(plain).to_dict()
    assert np.array_equal(found.labels, by_rules().labels)
    assert InspectionRecord.from_dict(record.to_dict()).to_dict() == record.to_dict()


def test_all_marks_are_asked_about_at_once_each_at_its_place():
    shown = []

    def run(inputs):
        shown.append(inputs)
        return np.tile(np.float32([0, 1, 0, 0, 0, 0]), (len(inputs), 1))

    inspected(asked(PATCH, run))
    (pieces,) = shown
    assert pieces.shape == (3, 3, 16, 16) and pieces.dtype == np.float32
    darkest, corners = pieces[:, 1], pieces[:, 1][:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (darkest[:, 7:9, 7:9] < -2).all() and (corners > -1).all()  # a dark pit in the middle of each


def fail(inputs):
    raise ValueError("an operator failed")


@pytest.mark.parametrize(
    ("run", "why"),
    [(fail, "it failed (ValueError)"), (lambda inputs: np.full((1, 2), np.nan), "its probabilities are not finite")],
)
def test_a_network_that_fails_leaves_the_rules_result_and_a_warning(run, why):
    tasks = (QUALITY, SEGMENT, PATCH)
    record = inspected(*(asked(task, run) for task in tasks), patch_policy=VETO_ARTIFACTS).record
    assert record.warnings == tuple(f"The {task} network says nothing of this image: {why}." for task in tasks)
    assert without_opinions(record).to_dict() == without_opinions(by_rules().record).to_dict()


def test_a_lack_of_memory_is_not_the_networks_fault():
    def run(inputs):
        raise MemoryError

    with pytest.raises(MemoryError):
        inspected(asked(QUALITY, run))


# --- policies --------------------------------------------------------------------------------------------------------


def test_a_reclassified_mark_has_the_sizes_letter_and_rules_of_its_new_class():
    record = inspected(saying(PATCH, "scratch"), patch_policy=RECLASSIFY).record
    assert [d.defect_id for d in record.defects] == ["S1", "S2", "S3"] and record.status == FAIL
    assert record.reasons == ("Scratch > 3um in Cladding",)
    before = {d.rule_class for d in record.defects}
    assert before == {d.kind for d in by_rules().record.defects} and "Scratch" not in before
    for old in by_rules().record.defects:
        (new,) = (d for d in record.defects if d.centroid_x_px == old.centroid_x_px)
        assert (new.area_px, new.diameter_um) == (old.area_px, old.diameter_um)


def test_the_length_of_a_bent_mark_depends_on_its_class():
    angle = np.linspace(0, np.pi / 2, 400)
    rows, cols = np.unique(np.round(100 + 60 * np.stack([np.sin(angle), np.cos(angle)])).astype(int), axis=1)
    cladding = Ellipse(100.0, 100.0, 180.0, 180.0, 0.0)
    pit, scratch = (as_class(make_defect(), kind, rows, cols, cladding, Scale(0.5)) for kind in ("Pit/Dig", "Scratch"))
    assert scratch.length_px == pytest.approx(60 * np.pi / 2, rel=0.05) and scratch.length_px > 1.05 * pit.length_px
    assert scratch.width_px < 2 < pit.width_px and scratch.aspect_ratio > 40
    assert (scratch.length_um, scratch.width_um) == (0.5 * scratch.length_px, 0.5 * scratch.width_px)
    assert (scratch.kind, scratch.rule_class) == ("Scratch", "Pit/Dig")


@pytest.mark.parametrize(("answer", "confidence"), [("artifact", 1.0), ("scratch", 0.89)])
def test_an_artifact_or_a_doubt_changes_no_class(answer, confidence):
    record = inspected(saying(PATCH, answer, confidence), patch_policy=RECLASSIFY).record
    assert without_opinions(record).to_dict() == without_opinions(by_rules().record).to_dict()


def test_vetoed_marks_are_in_no_count_no_label_and_no_verdict_but_in_the_record():
    found = inspected(saying(PATCH, "artifact"), patch_policy=VETO_ARTIFACTS, veto_max_probability=NO_LIMIT)
    record = found.record
    assert by_rules().record.status == FAIL
    assert (record.status, record.defects, found.labels.any()) == (PASS, (), False)
    assert [d.defect_id for d in record.vetoed] == ["V1", "V2", "V3"]
    assert {d.ml_class for d in record.vetoed} == {ARTIFACT} and all(d.diameter_um > 0 for d in record.vetoed)
    assert record.warnings[-1] == "PASS only without 3 marks that the patch network takes for artifacts."
    assert sum(cell.defect_count for cell in record.matrix) == 0
    assert InspectionRecord.from_dict(record.to_dict()).to_dict() == record.to_dict()
    config = shipped_config()
    plain = dataclasses.replace(found, record=dataclasses.replace(record, vetoed=()))
    drawn, bare = (annotated_picture(item, config.reporting) for item in (found, plain))
    assert (drawn != bare).any()
    assert label_text(record.vetoed[0], True) == "V1: left out as an artifact"
    assert left_out_text(record) == "3 marks that a network takes for artifacts, neither counted nor judged"
    assert (left_out_text(plain.record), left_out_text(by_rules().record)) == ("", "")


def test_as_delivered_no_network_can_drop_a_clear_mark():
    record = inspected(saying(PATCH, "artifact", 1.0), patch_policy=VETO_ARTIFACTS).record
    assert len(record.defects) == 3 and (record.vetoed, record.status) == ((), FAIL)


@pytest.mark.parametrize(
    ("ml_class", "ml_confidence", "zones", "label", "is_vetoed"),
    [
        (ARTIFACT, 0.95, ("Cladding",), 2, True),
        (ARTIFACT, 0.89, ("Cladding",), 2, False),
        ("Pit/Dig", 0.99, ("Cladding",), 2, False),
        ("", float("nan"), ("Cladding",), 2, False),
        (ARTIFACT, 1.0, ("Core", "Cladding"), 2, False),
        (ARTIFACT, 1.0, ("Cladding",), 1, False),
    ],
)
def test_what_may_be_dropped(ml_class, ml_confidence, zones, label, is_vetoed):
    said = {"ml_class": ml_class, "ml_confidence": ml_confidence}
    doubtful, other = make_defect(label, zones_touched=zones, **said), make_defect(3)
    kept, vetoed = without_artifacts([doubtful, other], {2}, settings().config.learning)
    assert [d.label for d in kept] == ([3] if is_vetoed else [label, 3]) and len(vetoed) == is_vetoed
    assert [d.defect_id for d in kept] == [f"P{k + 1}" for k in range(len(kept))]


def test_what_lies_on_the_optics_is_not_asked_about():
    shown = []

    def run(inputs):
        shown.append(len(inputs))
        return np.tile(np.float32([1, 0, 0, 0, 0, 0]), (len(inputs), 1))

    defects = (dataclasses.replace(make_defect(1), on_optics=True), make_defect(2))
    labels = np.zeros((360, 520), np.int32)
    labels[100, 100], labels[200, 200] = 1, 2
    region = Region(np.array([1]), np.array([1]), -1, 1.0, 9.0, ())
    found = Detection(labels, (region, region), np.zeros((0, 0)))
    cladding, limits = Ellipse(250.0, 170.0, 220.0, 200.0, 90.0), settings().config.learning
    given = (np.zeros(labels.shape, np.uint8), found, defects, cladding, Scale())
    kept, vetoed, warnings = second_opinion(asked(PATCH, run), *given, limits)
    assert shown == [1] and [d.ml_class for d in kept] == ["", "Scratch"] and (vetoed, warnings) == ((), [])


# --- segment ---------------------------------------------------------------------------------------------------------


def test_segment_is_a_fifth_voice():
    everywhere = inspected(seeing(np.ones((64, 64), np.float32))).record
    nowhere = inspected(seeing(SILENT), segment_odds=10.0).record  # it silences none
    assert len(everywhere.defects) >= len(nowhere.defects) == len(by_rules().record.defects)
    pits = [d for d in everywhere.defects if d.confidence == 1.0]
    assert len(pits) == 3 and all("Segment" in d.detected_by for d in pits)
    assert [d.confidence for d in nowhere.defects] == pytest.approx([2.0 / 2.5] * 3)
    assert not any("Segment" in d.detected_by for d in nowhere.defects)


def test_segment_makes_a_doubtful_candidate_a_defect():
    config = shipped_config()
    strict = dataclasses.replace(config.detection.likelihood, min_probability=1 - 1e-12)
    found = []
    for odds in (0.0, 10.0):
        given = settings(segment_odds=odds)
        detection = dataclasses.replace(given.config.detection, likelihood=strict)
        given = dataclasses.replace(given, config=dataclasses.replace(given.config, detection=detection))
        networks = Networks(segment=seeing(1 - SILENT))
        record = inspect_image(DecodedImage("face.png", pitted()), given, networks=networks).record
        found.append(len(record.defects))
    assert found[0] == 0 and found[1] >= 3


def test_a_witness_speaks_where_it_saw_something_and_for_what_lies_there():
    ellipse = Ellipse(70.0, 55.0, 88.0, 80.0, 30.0)
    size, u, v = 64, 20.0, -12.0
    scale = size / (2.2 * ellipse.mean_radius_px)
    probability = np.zeros((size, size), np.float32)
    row, column = (round(value * scale + (size - 1) / 2) for value in (v, u))
    probability[row, column] = 1.0
    fine = np.ones((110, 150), np.float32)
    fine[:, 75:] = -1
    crop = WorkingCrop(np.zeros(fine.shape, np.float32), ellipse, 1.0, (0.0, 0.0), 100.0)
    found = Significance(fine, fine, fine, fine, fine)
    evidence = Witness(probability, 1.1, 0.5, 0.4, 0.3).evidence(crop, found)
    y, x = np.unravel_index(evidence.dark.argmax(), fine.shape)
    wanted_x, wanted_y = from_frame(ellipse, (column - 31.5) / scale, (row - 31.5) / scale)
    assert abs(x - wanted_x) < 1 and abs(y - wanted_y) < 1 and x >= 75
    assert evidence.bright.max() == 0 and (evidence.weight, evidence.threshold) == (0.5, 0.4)
    assert np.abs(Witness(1 - SILENT, 1.1, 0.5, 0.4, 0.3).evidence(crop, found).dark[-1, -1]) == 0  # beyond its reach


# --- disagreements ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "status", "expected"),
    [
        ("FAIL", PASS, "The quality network says FAIL (0.91), the rules say PASS."),
        ("good", FAIL, "The quality network says good (0.91), the rules say FAIL."),
        ("scratch", PASS, "The quality network says scratch (0.91), the rules say PASS."),
        ("PASS", PASS, None),
        ("FAIL", FAIL, None),
        ("FAIL", "UNGRADED", None),
        ("lc_connector", FAIL, None),
    ],
)
def test_quality_against_the_verdict(label, status, expected):
    record = make_inspection(status=status, torch_quality_label=label, torch_quality_confidence=0.91).record
    assert disagreements(record) == ((expected,) if expected else ())


def disputed() -> InspectionRecord:
    marks = (
        make_defect(1, "Pit/Dig", ml_class="Contamination", ml_confidence=0.8),
        make_defect(2, "Pit/Dig", ml_class="Contamination", ml_confidence=0.7),
        make_defect(3, "Scratch", ml_class="Scratch", ml_confidence=0.9),
        make_defect(4, "Crack", ml_class="Crack", ml_confidence=0.95, rule_class="Scratch"),
    )
    vetoed = make_defect(0, "Chip", ml_class=ARTIFACT, ml_confidence=0.99, diameter_um=3.21)
    return make_inspection(*marks, status=FAIL, vetoed=(dataclasses.replace(vetoed, defect_id="V1"),)).record


def test_marks_that_are_seen_otherwise_are_named_by_pairs_of_classes():
    assert disagreements(disputed()) == (
        "Scratch by the rules, Crack by the patch network, which counts: K4 (0.95).",
        "Pit/Dig by the rules, Contamination by the patch network: P1 (0.80), P2 (0.70).",
        "Left out as artifacts by the patch network: V1 Chip 3.2 um across at (250, 170) px in Cladding (0.99).",
    )


def test_the_tables_have_the_columns_with_and_without_networks():
    (row,) = rows_of(csv_bytes(summary_table([disputed()])))
    assert row["Network_Disagreements"] == "; ".join(disagreements(disputed()))
    (row,) = rows_of(csv_bytes(summary_table([make_inspection().record])))
    assert (row["torch_quality_label"], row["torch_quality_confidence"], row["Network_Disagreements"]) == ("", "", "")
    rows = rows_of(csv_bytes(detail_table(disputed().defects)))
    assert [(r["ml_class"], r["ml_confidence"], r["rule_class"]) for r in rows][::3] == [
        ("Contamination", "0.8", ""),
        ("Crack", "0.95", "Scratch"),
    ]


def test_the_batch_counts_and_names_images_with_disagreements():
    found = find_in_batch([make_inspection().record, dataclasses.replace(disputed(), image_filename="<b>.png")])
    assert found.disputed == ("<b>.png",)
    assert "On 1 image rules and networks disagree" in [*in_short(found)]
    assert any("<b>.png" in text for text in sentences(found))


def test_report_html_and_certificates_list_them_as_text():
    hostile = dataclasses.replace(
        disputed(),
        torch_quality_label="<img src=x>",
        torch_quality_confidence=0.6,
        provenance=Provenance(networks=("patch 0123456789ab, veto_artifacts",)),
    )
    page = html_page([hostile, make_inspection().record])
    text = re.search(rb'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    data = json.loads(text)
    row, plain = (dict(zip(data["rowFields"], values, strict=True)) for values in data["rows"])
    assert [data["texts"][number] for number in row["disagreements"]] == [*disagreements(hostile)]
    assert (row["quality"], plain["quality"], plain["disagreements"]) == ("<img src=x> 0.60", "", [])
    marks = [dict(zip(data["markFields"], values, strict=True)) for values in row["marks"]]
    assert [mark["network"] for mark in marks][:2] == ["Contamination 0.80", "Contamination 0.70"]
    assert b"<img" not in page and b"patch 0123456789ab, veto_artifacts" in page
    texts = " ".join(
        item.text for page in certificate.lay_out(hostile).pages for item in page if isinstance(item, Text)
    )
    for said in ("V1 Chip 3.2 um across", "patch 0123456789ab, veto_artifacts"):
        assert said in texts
    lines, _ = batch_certificate.lay_out(lambda: [hostile], find_in_batch([hostile]))
    texts = " ".join(item.text for page in lines.pages for item in page if isinstance(item, Text))
    assert "Rules and networks disagree, to be looked at again: face.png." in texts


# --- the option --model ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quality=a.onnx", {"quality": Path("a.onnx")}),
        ("segment=b, patch=c=d", {"segment": Path("b"), "patch": Path("c=d")}),
        ("quality=a,b.onnx,patch", {"quality": Path("a,b.onnx"), "patch": None}),
        ("patch=~nosuch-user/'\udcff\", quality.onnx", {"patch": Path("~nosuch-user/'\udcff\", quality.onnx")}),
        ("dl", {"segment": None}),
        ("patch,dl", {"patch": None, "segment": None}),
        ("none", {}),
    ],
)
def test_what_the_option_means(text, expected):
    assert model_files(text) == expected


@pytest.mark.parametrize("text", ["", "x=y", "quality=", "dl=a", "patch,patch=a", "dl,segment=a", "none,dl", "=a", ","])
def test_what_the_option_cannot_mean(text):
    with pytest.raises(argparse.ArgumentTypeError):
        model_files(text)


def test_a_network_that_did_not_come_with_the_program_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("cli.model_options.SHIPPED", tmp_path / "models")
    with pytest.raises(ModelError, match=r"No segment network came with this program: there is no .*segment.onnx"):
        with_networks(settings(), model_files("dl"))


def test_a_changed_model_changes_the_settings_and_what_the_reports_say():
    plain = settings(patch_policy=RECLASSIFY)
    one, other = (
        dataclasses.replace(plain, models=(ModelFile(PATCH, "/m.onnx", digest * 64),)) for digest in ("a", "b")
    )
    assert len({settings_hash(item) for item in (plain, one, other)}) == 3
    elsewhere = dataclasses.replace(plain, models=(ModelFile(PATCH, "/other/m.onnx", "a" * 64),))
    assert settings_hash(elsewhere) == settings_hash(one)
    assert describe_networks(one) == ["patch aaaaaaaaaaaa, reclassify"]
    assert provenance(one, "").networks == ("patch aaaaaaaaaaaa, reclassify",)
    assert "Networks: patch aaaaaaaaaaaa, reclassify" in describe_settings(one)
    assert "Networks: none" in describe_settings(plain)


def test_no_onnxruntime_is_one_sentence_before_anything_is_written(isolated, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    write(Path("in/a.png"), clean_png())
    write(Path("m.onnx"), b"x")
    assert main.main(["in", "-o", "out", *KNOWN, "--model", "quality=m.onnx"]) == ExitCode.MISSING_DEPENDENCY
    assert "requirements-learning.txt" in one_sentence(capsys.readouterr())
    assert not Path("out").exists()


def test_a_missing_model_is_one_sentence_before_anything_is_written(isolated, capsys):
    write(Path("in/a.png"), clean_png())
    assert main.main(["in", "-o", "out", *KNOWN, "--model", "quality=<m>.onnx"]) == ExitCode.INVALID_INPUT
    assert "The quality network <m>.onnx cannot be read: No such file" in one_sentence(capsys.readouterr())
    assert not Path("out").exists()


def test_a_model_that_changes_in_mid_batch_ends_it_with_the_finished_images_reported(by_name, monkeypatch, capsys):
    images("pass1.png", "pass2.png", "pass3.png")
    real, done = batch.inspect_bytes, []

    def changing(data, path, *rest, **options):
        done.append(path)
        if len(done) == 3:
            raise ModelError("/m.onnx has changed since the inspection began.", "Leave models alone while they run.")
        return real(data, path, *rest, **options)

    monkeypatch.setattr(batch, "inspect_bytes", changing)
    assert main.main(["in", "-o", "out", *KNOWN]) == ExitCode.INVALID_INPUT
    assert "has changed since" in capsys.readouterr().err
    assert statuses() == {"pass1.png": PASS, "pass2.png": PASS}
