"""One labelled image: the product's own inspection beside the truth."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from evaluation_scenes import CLADDING, assess_rendering, block, shipped_settings, truth_image
from faces import CLADDING_UM, face_scene, inspect_grey, pit, write

from evaluation import assessment
from evaluation.assessment import assess_file, is_located, settings_for
from evaluation.marks import contrast_band, measure_marks, noise_grey, outlines_of, size_band
from evaluation.results import ImageResult
from evaluation.truth import TruthImage, parse_truth, read_truth
from evaluation.verdicts import Placed, in_rings, place_rings, statuses
from records import FAIL, NAN, PASS, UNREADABLE, Ellipse, Fiber, Scale
from rendering.engine import render
from synthetic import write_rendering

PITS = (pit(40.0, 20.0), pit(-35.0, 30.0, size_px=12.0, seed=1))


@pytest.fixture(scope="module")
def scene():
    return render(face_scene(*PITS))


@pytest.fixture(scope="module")
def result(scene):
    return assess_rendering(scene, "face.png")


def test_two_clear_pits_are_found_measured_and_named(scene, result):
    assert (result.located, result.verdict, result.truth_verdict) == (True, "defective", "defective")
    assert result.centre_error_share < 0.01 and abs(result.radius_error_share) < 0.01
    assert abs(result.core_error_share) < 0.1
    assert [d.found for d in result.asked] == [True, True] and result.false_alarms == ()
    for true, document in zip(result.asked, scene.truth["defects"], strict=True):
        assert (true.zone, true.kind, true.matched_kind) == ("Cladding", "Pit/Dig", "Pit/Dig")
        assert true.sizes.diameter_px * result.um_per_px == pytest.approx(document["diameter_um"])
        assert true.sizes.area_px * result.um_per_px**2 == pytest.approx(document["area_um2"])
        assert true.measured.diameter_px == pytest.approx(true.sizes.diameter_px, abs=4)
        assert true.contrast_sigma < -8 and true.contrast_band == ">= 8"
        match = next(r for r in result.reported if r.label == true.matched_label)
        assert match.true and match.matched_id == true.id and match.contrast_sigma < -8
        assert true.box_px[0] <= document["centroid_px"][0] <= true.box_px[2]
        assert true.box_px[1] <= document["centroid_px"][1] <= true.box_px[3]


def test_the_inspection_is_the_products_own_with_the_true_dimensions(scene, result):
    record = inspect_grey(scene.image, core_um=9.0, cladding_um=CLADDING_UM).record
    assert result.status == record.status == FAIL
    assert [(d.defect_id, d.kind, d.zone) for d in result.reported_defects] == [
        (d.defect_id, d.kind, d.zone) for d in record.defects
    ]
    assert [d.sizes.diameter_px * result.um_per_px for d in result.reported_defects] == pytest.approx(
        [d.diameter_um for d in record.defects]
    )


def test_every_rule_set_judges_truth_and_reports(result):
    verdicts = {v.rule_set: (v.truth, v.inspection) for v in result.verdicts}
    assert set(verdicts) == set(shipped_settings().config.rule_sets)
    assert verdicts["iec_61300_3_35_2015_single_mode_pc"] == (FAIL, FAIL)


def test_a_clean_face():
    result = assess_rendering(render(face_scene()), "clean.png")
    assert (result.verdict, result.truth_verdict, result.true_defects) == ("clean", "clean", ())
    assert all(v.truth == PASS for v in result.verdicts)


def test_without_dimensions_sizes_are_those_of_the_label_image_and_nothing_is_judged(scene, result):
    document = json.loads(json.dumps(scene.truth))
    document["fiber"] |= {"core_um": None, "cladding_um": None}
    bare = assess_rendering(dataclasses.replace(scene, truth=document), "face.png")
    assert np.isnan(bare.um_per_px) and bare.verdicts == () and bare.status == "UNGRADED"
    for with_scale, without in zip(result.asked, bare.asked, strict=True):
        assert without.sizes.diameter_px == pytest.approx(with_scale.sizes.diameter_px, rel=0.02)
        assert without.size_band == with_scale.size_band


def test_a_report_on_a_do_not_judge_area_alone_leaves_the_verdict_open(scene):
    labels = np.where(scene.labels > 0, 65535, 0).astype(np.uint16)
    document = {**scene.truth, "defects": [], "verdict": "clean"}
    result = assess_rendering(dataclasses.replace(scene, truth=document, labels=labels), "face.png")
    assert result.reported and result.false_alarms == () and result.verdict is None
    assert {v.inspection for v in result.verdicts} == {PASS}


def test_a_true_defect_without_pixels_is_not_asked_for(scene):
    labels = np.where(scene.labels == 1, 0, scene.labels)
    result = assess_rendering(dataclasses.replace(scene, labels=labels), "face.png")
    assert [d.id for d in result.true_defects] == [2]
    assert any("no pixel" in warning for warning in result.warnings)


def test_a_result_survives_json(result):
    again = ImageResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
    assert again == result


def test_inputs_are_not_changed(scene):
    image, labels = scene.image.copy(), scene.labels.copy()
    assess_rendering(scene, "face.png")
    np.testing.assert_array_equal(scene.image, image)
    np.testing.assert_array_equal(scene.labels, labels)


# --- from files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def on_disk(tmp_path, scene):
    path = write_rendering(scene, tmp_path, "face")
    return read_truth(path, tmp_path / "truth")


def test_a_file_gives_the_same_result(on_disk, result):
    from_file = assess_file(on_disk, shipped_settings())
    assert from_file.time_s > 0 and from_file.problem == ""
    assert dataclasses.replace(from_file, name=result.name, time_s=result.time_s) == result


def test_an_unreadable_image_is_a_result(on_disk):
    on_disk.image_path.write_bytes(b"no image")
    result = assess_file(on_disk, shipped_settings())
    assert result.status == UNREADABLE and "not an image" in result.problem and result.located is None


def test_labels_that_do_not_fit_are_a_result(on_disk):
    on_disk.labels_path.write_bytes(b"")
    result = assess_file(on_disk, shipped_settings())
    assert result.status == "" and "face_labels.png" in result.problem


def test_an_unexpected_error_is_a_result(on_disk, monkeypatch):
    def explode(*arguments, **options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(assessment, "inspect_image", explode)
    result = assess_file(on_disk, shipped_settings())
    assert result.problem == "Internal error (ZeroDivisionError: oh)."


def test_an_image_without_a_fibre(tmp_path):
    noise = np.random.default_rng(1).integers(90, 110, (120, 160)).astype(np.uint8)
    path = write(tmp_path / "noise.png", cv2.imencode(".png", noise)[1].tobytes())
    lost = assess_file(parse_truth({"fiber": None, "verdict": None, "defects": []}, path), shipped_settings())
    assert lost.located is None and lost.verdict is None and lost.problem == ""
    expected = parse_truth({"fiber": {"center_px": [80, 60], "axes_px": [80, 80]}, "verdict": "clean"}, path)
    assert assess_file(expected, shipped_settings()).located is False


# --- parts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dx", "grown", "located"), [(0.8, 1.0, True), (1.0, 1.0, False), (0, 1.014, True), (0, 0.98, False)]
)
def test_located_is_within_one_and_a_half_percent_of_the_radius(dx, grown, located):
    found = Ellipse(100.0 + dx, 80.0, 120.0 * grown, 120.0 * grown, 0.0)
    assert is_located(found, CLADDING) is located
    assert not is_located(None, CLADDING)


@pytest.mark.parametrize(
    ("core_um", "rule_set"), [(9.0, "single_mode_pc"), (50.0, "multimode_pc"), (91.0, "large_core")]
)
def test_the_truth_chooses_dimensions_and_rule_set(core_um, rule_set):
    settings = settings_for(truth_image(core_um=core_um, cladding_um=125.0), shipped_settings())
    assert (settings.core_um, settings.cladding_um) == (core_um, 125.0)
    assert settings.dimensions_source == "given dimensions" and rule_set in settings.rule_set.name


def test_settings_stay_as_they_are_when_the_truth_names_no_dimensions():
    settings = shipped_settings()
    assert settings_for(truth_image(), settings) is settings
    assert settings_for(TruthImage("a.png", Path("a.png")), settings) is settings


def test_contrast_is_counted_in_sigmas_of_the_noise():
    grey = np.clip(np.random.default_rng(3).normal(100, 2.0, (160, 200)), 0, 255)
    assert noise_grey(np.rint(grey).astype(np.uint8), CLADDING) == pytest.approx(2.0, rel=0.1)
    labels = block(1, 80, 100)
    grey[labels > 0] -= 20
    neighbour = block(2, 60, 113, size=50)  # and all around, but for what lies to the left
    neighbour[60:77, 80:113] = neighbour[93:110, 80:113] = 2
    grey[neighbour > 0] += 60
    grey = np.rint(grey).astype(np.uint8)
    mark = measure_marks([1], labels, grey, CLADDING, (labels + neighbour) > 0)[1]
    assert mark.contrast_grey == pytest.approx(-20, abs=0.7)
    assert mark.contrast_sigma == pytest.approx(mark.contrast_grey / noise_grey(grey, CLADDING))
    assert mark.box_px == (100, 80, 110, 90)
    assert mark.inner_px == 0 and mark.outer_px == pytest.approx(np.hypot(9, 9))
    assert mark.radius_px == pytest.approx(np.hypot(4.5, 4.5))


def test_a_uniform_image_has_the_noise_of_rounding():
    assert noise_grey(np.full((160, 200), 90, np.uint8), CLADDING) == 0.3


@pytest.mark.parametrize(
    ("band", "value", "expected"),
    [
        (size_band, 0.0099, "< 1 %"),
        (size_band, 0.01, "1-2 %"),
        (size_band, 0.06, "5-10 %"),
        (size_band, 0.1, ">= 10 %"),
        (contrast_band, -1.9, "< 2"),
        (contrast_band, -4.0, "4-8"),
        (contrast_band, 8.0, ">= 8"),
    ],
)
def test_bands_begin_at_their_lower_edge(band, value, expected):
    assert band(value) == expected


def test_every_part_of_a_mark_has_an_outline():
    rows, cols = np.nonzero((block(1, 80, 100, 4) + block(1, 80, 120, 2)) > 0)
    outlines = sorted(outlines_of(rows, cols))
    assert [set(outline) for outline in outlines] == [
        {(100, 80), (103, 80), (103, 83), (100, 83)},
        {(120, 80), (121, 80), (121, 81), (120, 81)},
    ]


def placed(kind, diameter_um, inner_px, outer_px):
    defect = next(iter(inspect_grey(render(face_scene(*PITS)).image, cladding_um=CLADDING_UM).record.defects))
    defect = dataclasses.replace(defect, kind=kind, diameter_um=diameter_um, width_um=diameter_um)
    return Placed(defect, inner_px, outer_px, (inner_px + outer_px) / 2)


def test_rule_sets_see_what_touches_their_zones():
    config = shipped_settings().config
    fiber, scale = Fiber(Ellipse(0.0, 0.0, 125.0, 125.0, 0.0), 9.0), Scale(1.0, "given dimensions")
    rings = place_rings(config.rule_sets["iec_61300_3_35_2015_single_mode_pc"], fiber, scale)
    assert [(ring.name, ring.outer_px) for ring in rings] == [
        ("Core", 12.5), ("Cladding", 57.5), ("Adhesive", 67.5), ("Contact", 125.0)
    ]  # fmt: skip
    touching = in_rings(placed("Pit/Dig", 3.0, 10.0, 16.0), rings)
    assert (touching.zone, touching.zones_touched) == ("Cladding", ("Core", "Cladding"))
    assert in_rings(placed("Pit/Dig", 3.0, 130.0, 140.0), rings) is None
    small, large = placed("Pit/Dig", 1.5, 30.0, 32.0), placed("Pit/Dig", 6.0, 30.0, 36.0)
    name = "iec_61300_3_35_2015_single_mode_pc"
    assert statuses([small], fiber, scale, config)[name] == PASS
    assert statuses([small, large], fiber, scale, config)[name] == FAIL


def test_rule_sets_that_cannot_be_placed_are_left_out():
    config = shipped_settings().config
    fiber = Fiber(Ellipse(0.0, 0.0, 125.0, 125.0, 0.0), NAN)
    names = set(statuses([], fiber, Scale(1.0), config))
    assert names == set(config.rule_sets) - {"large_core_offset_zones", "house_rule_example"}
    assert statuses([], fiber, Scale(), config) == {}
