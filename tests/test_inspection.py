"""The inspection of one image: what the record holds, in which units, and by which scale and zones."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import CLADDING_UM, clean_grey, clean_png, face_scene, inspect_grey, pitted_png, shipped_config
from hypothesis import given
from hypothesis import strategies as st

from calibration import Calibration
from cli.job_settings import choose_settings
from image_io import DecodedImage
from inspection import inspect_bytes, inspect_image
from records import (
    FAIL,
    LOCALIZATION_FAILED,
    PASS,
    UNGRADED,
    UNREADABLE,
    Ellipse,
    Fiber,
    Inspection,
    InspectionRecord,
)
from rendering.engine import render
from rendering.scene import Face, Optics
from scale_and_zones import choose_scale

TRUE_UM_PER_PX = CLADDING_UM / 180  # the rendered cladding is 180 px wide
PITS_PX = ((40.0, 20.0), (-35.0, 30.0), (5.0, -50.0))  # in the fibre frame, y down
GIVEN = {"core_um": 9.0, "cladding_um": CLADDING_UM}
INNER = "core,cladding"


@functools.cache
def pitted_grey() -> np.ndarray:
    return cv2.imdecode(np.frombuffer(pitted_png(), np.uint8), cv2.IMREAD_GRAYSCALE)


@functools.cache
def pitted() -> Inspection:
    """Three large pits in the cladding, with known diameters."""
    return inspect_grey(pitted_grey(), zones=INNER, **GIVEN)


@functools.cache
def without_scale() -> Inspection:
    return inspect_grey(pitted_grey(), zones=INNER)


@functools.cache
def lost() -> Inspection:
    return inspect_grey(np.full((60, 80), 90, np.uint8))


def um_values(record: InspectionRecord) -> list[float]:
    names = [spec.name for spec in dataclasses.fields(record.defects[0]) if spec.name.endswith(("_um", "_um2"))]
    return [getattr(defect, name) for defect in record.defects for name in names]


# --- units and coordinates -----------------------------------------------------------------------------------------


def test_micrometres_start_at_the_fibre_centre_with_y_up():
    record = pitted().record
    assert len(record.defects) == len(PITS_PX)
    for x_px, y_px in PITS_PX:
        x_um, y_um = x_px * TRUE_UM_PER_PX, -y_px * TRUE_UM_PER_PX
        (defect,) = (d for d in record.defects if math.dist((d.centroid_x_um, d.centroid_y_um), (x_um, y_um)) < 1.0)
        assert defect.radius_um == pytest.approx(math.hypot(x_um, y_um), abs=1.0)
        turn = math.degrees(math.atan2(y_um, x_um)) % 360
        assert defect.angle_deg == pytest.approx(turn, abs=2)


def test_pixels_are_those_of_the_image_with_y_down():
    for x_px, y_px in PITS_PX:
        place = (211.0 + x_px, 143.0 + y_px)
        assert any(math.dist((d.centroid_x_px, d.centroid_y_px), place) < 1.5 for d in pitted().record.defects)


def test_every_length_in_micrometres_is_its_length_in_pixels_times_the_scale():
    record = pitted().record
    scale = record.scale.um_per_px
    for defect in record.defects:
        for name in ("length", "width", "diameter", "radius"):
            assert getattr(defect, f"{name}_um") == pytest.approx(scale * getattr(defect, f"{name}_px")), name
        assert defect.area_um2 == pytest.approx(scale**2 * defect.area_px)
        assert defect.width_um <= defect.length_um


def test_the_record_says_what_was_inspected_and_how():
    record = pitted().record
    assert (record.image_filename, record.image_width_px, record.image_height_px) == ("face.png", 400, 300)
    assert record.fiber.cladding.mean_radius_px == pytest.approx(90, abs=0.5)
    assert record.scale.um_per_px == pytest.approx(TRUE_UM_PER_PX, rel=0.005)
    assert record.scale.source == "given dimensions"
    assert record.rule_set == "iec_61300_3_35_2015_single_mode_pc"
    assert record.profile == "deep_inspection"
    assert 0 < record.focus_score <= 1
    assert record.processing_time_s > 0
    assert {"Fiber Localization", "Zone Detection", "Defect Detection"} <= set(record.timings_s)
    assert 0 < sum(record.timings_s.values()) <= record.processing_time_s


# --- verdicts ------------------------------------------------------------------------------------------------------


def test_large_marks_in_the_cladding_fail_with_a_reason():
    record = pitted().record
    assert record.status == FAIL
    assert record.reasons and all(reason.endswith("in Cladding") for reason in record.reasons)
    assert all(defect.zone == "Cladding" and defect.violates for defect in record.defects)


def test_a_clean_face_passes():
    record = inspect_grey(clean_grey(), **GIVEN).record
    assert (record.status, record.reasons) == (PASS, ())
    assert not [d for d in record.defects if d.zone in ("Core", "Cladding")]
    assert any("Contact zone" in warning for warning in record.warnings)  # the frame cuts it off


def test_without_a_scale_sizes_are_in_pixels_and_nothing_is_graded():
    record = without_scale().record
    assert record.status == UNGRADED and "scale" in record.reasons[0]
    assert math.isnan(record.scale.um_per_px) and record.scale.source == "none"
    assert len(record.defects) == len(PITS_PX)
    assert all(math.isnan(value) for value in um_values(record))
    assert all(math.isfinite(d.diameter_px) and math.isfinite(d.radius_px) for d in record.defects)
    assert not any(d.violates for d in record.defects)


def test_a_rule_set_whose_zones_cannot_be_placed_is_not_graded():
    grey = render(face_scene(face=Face(165.0, 105.0))).image  # nobody knows the core
    config = shipped_config()
    settings = choose_settings(config, None, cladding_um=CLADDING_UM, zones=INNER)
    settings = dataclasses.replace(settings, rule_set=config.rule_sets["large_core_offset_zones"])
    record = inspect_image(DecodedImage("face.png", grey), settings).record
    assert record.fiber.core_source == "unknown"
    assert record.status == UNGRADED and "Core" in record.reasons[0]
    assert "Cladding" in [z.name for z in record.zones]


def test_a_frame_without_a_fibre_is_a_record_with_the_best_score():
    inspection = lost()
    record = inspection.record
    assert record.status == LOCALIZATION_FAILED
    assert "best circle explains" in record.reasons[0] and record.reasons[0][0].isupper()
    assert (record.fiber, record.defects, record.zones) == (None, (), ())
    assert (record.image_width_px, record.image_height_px) == (80, 60)
    assert inspection.labels is None and inspection.zone_map is None


def test_an_unreadable_file_is_a_record_too():
    settings = choose_settings(shipped_config(), None)
    inspection = inspect_bytes(b"not an image", Path("in/notes.png"), settings, name="notes.png")
    assert inspection.record.status == UNREADABLE
    assert inspection.record.image_filename == "notes.png" and inspection.record.reasons[0]
    assert inspection.grey is None and inspection.labels is None


def test_a_file_gives_the_record_of_its_pixels():
    path = Path("in/clean face.png")
    settings = choose_settings(shipped_config(), None, zones=INNER, **GIVEN)
    record = inspect_bytes(clean_png(), path, settings, name=path.name).record
    assert (record.image_filename, record.image_path) == ("clean face.png", str(path))
    pixels = inspect_image(DecodedImage("clean face.png", clean_grey()), settings).record
    assert timeless(dataclasses.replace(record, image_path="", content_sha256="")) == timeless(pixels)


# --- scale ---------------------------------------------------------------------------------------------------------


def calibrated(um_per_px: float) -> Calibration:
    return Calibration(um_per_px, um_per_px, um_per_px)


def chosen(fiber: Fiber, calibration: Calibration | None = None, **options: object):
    return choose_scale(fiber, (300, 400), choose_settings(shipped_config(), calibration, **options))


FIBER = Fiber(Ellipse(211.0, 143.0, 200.0, 162.0, 20.0))  # the circle of its area is 180 px wide
ROUND = Fiber(Ellipse(211.0, 143.0, 180.0, 180.0, 0.0))


def test_dimensions_come_before_the_calibration_and_the_calibration_before_pixels():
    given_scale, _ = chosen(FIBER, calibrated(0.7), **GIVEN)
    assert (given_scale.um_per_px, given_scale.source) == (pytest.approx(TRUE_UM_PER_PX), "given dimensions")
    typed, _ = chosen(FIBER, calibrated(0.7), fiber_type="multimode_91_140")
    assert (typed.um_per_px, typed.source) == (pytest.approx(140 / 180), "fiber type multimode_91_140")
    measured, warnings = chosen(ROUND, calibrated(0.7))
    assert (measured.um_per_px, measured.source, warnings) == (0.7, "calibration.json", [])
    unknown, warnings = chosen(FIBER)
    assert not unknown.known and (unknown.source, warnings) == ("none", [])


def test_a_core_alone_gives_no_scale():
    assert not chosen(FIBER, core_um=9.0)[0].known


@given(st.floats(10, 2000), st.floats(0.7, 1), st.floats(50, 1200))
def test_the_scale_makes_the_cladding_as_wide_as_it_is_known_to_be(major_px, ratio, cladding_um):
    fiber = Fiber(Ellipse(0.0, 0.0, major_px, ratio * major_px, 0.0))
    scale, _ = chosen(fiber, cladding_um=cladding_um)
    assert scale.um_per_px * 2 * fiber.cladding.mean_radius_px == pytest.approx(cladding_um)


@pytest.mark.parametrize(("error", "warned"), [(0.0, False), (0.04, False), (-0.04, False), (0.06, True), (-0.2, True)])
def test_a_calibration_that_contradicts_the_dimensions_is_a_warning(error, warned):
    limit = shipped_config().calibration.max_scale_difference_share
    assert 0.04 < limit < 0.06
    scale, warnings = chosen(ROUND, calibrated(TRUE_UM_PER_PX / (1 + error)), **GIVEN)
    assert scale.source == "given dimensions"
    assert bool(warnings) is warned
    assert not warned or (f"{error:+.0%}" in warnings[0] and "calibration.json" in warnings[0])


def test_warnings_of_every_step_reach_the_record():
    grey = render(face_scene(optics=Optics(blur_px=6.0))).image
    field = np.full((10, 20), 128, np.uint8)
    settings = choose_settings(shipped_config(), calibrated(0.3), cladding_um=200.0, zones="core")
    image = DecodedImage("face.png", grey, warnings=("The file holds 2 pages.",))
    text = " ".join(inspect_image(image, settings, flat_field=field).record.warnings)
    for words in ("2 pages", "flat-field", "Out of focus", "calibration.json", "check the fibre type"):
        assert words in text


# --- zones and labels ----------------------------------------------------------------------------------------------


def test_only_the_named_zones_are_inspected_and_judged():
    record = inspect_grey(pitted_grey(), zones="core", **GIVEN).record
    assert [z.name for z in record.zones if z.inspected] == ["Core"]
    assert record.defects == () and record.status == PASS
    assert [z.name for z in pitted().record.zones if z.inspected] == ["Core", "Cladding"]


@pytest.mark.parametrize("inspection", [pitted, without_scale])
def test_label_k_is_the_defect_in_row_k(inspection):
    result = inspection()
    defects, labels = result.record.defects, result.labels
    assert labels.shape == result.grey.shape == result.zone_map.shape == (300, 400)
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) == set(range(len(defects) + 1))
    for k, defect in enumerate(defects, start=1):
        rows, cols = np.nonzero(labels == k)
        assert defect.label == k
        assert defect.area_px == len(rows)
        assert (defect.centroid_x_px, defect.centroid_y_px) == pytest.approx((cols.mean(), rows.mean()))
        zone_labels = {z.label for z in result.record.zones if z.name in defect.zones_touched}
        assert set(np.unique(result.zone_map[rows, cols])) - {0} == zone_labels


def test_defects_are_named_by_class_largest_first():
    defects = pitted().record.defects
    assert len({d.defect_id for d in defects}) == len(defects)
    for letter in {d.defect_id[0] for d in defects}:
        of_class = [d for d in defects if d.defect_id[0] == letter]
        assert [d.defect_id for d in of_class] == [f"{letter}{n}" for n in range(1, len(of_class) + 1)]
        assert [d.diameter_px for d in of_class] == sorted((d.diameter_px for d in of_class), reverse=True)


# --- records as data -----------------------------------------------------------------------------------------------


def timeless(record: InspectionRecord) -> str:
    """Everything of a record but its durations; as text, because NaN differs from itself."""
    return repr(dataclasses.replace(record, processing_time_s=0.0, timings_s={}))


@pytest.mark.parametrize("inspection", [pitted, without_scale, lost])
def test_a_record_survives_json(inspection):
    record = inspection().record
    text = json.dumps(record.to_dict(), allow_nan=False)
    assert repr(InspectionRecord.from_dict(json.loads(text))) == repr(record)
    assert InspectionRecord.from_dict(record.to_dict()).to_dict() == record.to_dict()


def test_undefined_numbers_are_null():
    data = without_scale().record.to_dict()
    assert data["scale"]["um_per_px"] is None and data["defects"][0]["length_um"] is None


def test_the_same_image_gives_the_same_record_and_is_not_changed():
    grey = pitted_grey().copy()
    again = inspect_grey(grey, zones=INNER, **GIVEN)
    assert timeless(again.record) == timeless(pitted().record)
    np.testing.assert_array_equal(again.labels, pitted().labels)
    np.testing.assert_array_equal(grey, pitted_grey())
