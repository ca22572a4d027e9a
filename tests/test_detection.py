"""Marks on small rendered end faces: what must be found, and what must not."""

from __future__ import annotations

import dataclasses
import functools
import math

import cv2
import numpy as np
import pytest
from faces import face_scene, pit, shipped_config

from analysis import characterise
from evaluation.matching import match
from evaluation.truth import parse_fiber
from image_processing import Detection, detect
from records import Defect, Ellipse, Fiber, Scale
from rendering.engine import Rendering, render
from rendering.scene import FIBRE_KINDS, CoreLook, EdgeLook, Face, FibreView, Frame, Light, Mark, Optics, RingLook
from settings import ZoneBoundary, ZoneDef, enabled_algorithms
from vision.preprocess import picture_box
from vision.zoning import place_zones

CONFIG = shipped_config()
VIEW = FibreView(FIBRE_KINDS[1], x_px=171.3, y_px=112.8, radius_px=75.0)  # 50/125: the core ends at 30 px
LIT, UNLIT = Face(165.0, 100.0, core=CoreLook(step_grey=60.0)), Face(165.0, 100.0)
GRAINY = Optics(shot_gain=0.03, read_sigma=1.5)
INNER = ("Core", "Cladding")
ZONES = (
    ZoneDef("Core", ZoneBoundary("times_cladding", 0.4)),
    ZoneDef("Cladding", ZoneBoundary("times_cladding", 1.0)),
    ZoneDef("Adhesive", ZoneBoundary("times_cladding", 1.2)),
    ZoneDef("Contact", ZoneBoundary("times_cladding", 1.45)),
)


def face(*marks: Mark, **changes: object) -> Rendering:
    return render(face_scene(*marks, **{"frame": Frame(320, 240), "fibre": VIEW, "face": UNLIT, **changes}))


def search(grey: np.ndarray, cladding: Ellipse, only=INNER) -> tuple[Detection, tuple[Defect, ...]]:
    """Detect and characterise in the zones ``only`` of a fibre whose place is known."""
    fiber = Fiber(cladding, 0.8 * cladding.mean_radius_px, "nominal")
    zoning = place_zones(ZONES, fiber, Scale(), grey.shape, only=only, cut_off_share=1.0)
    found = detect(grey, picture_box(grey), fiber, zoning.zones, CONFIG.detection)
    weight = sum(a.weight for a in enabled_algorithms(CONFIG.detection.algorithms).values())
    return found, characterise(
        found, fiber, zoning.zones, zoning.zone_map, Scale(), CONFIG.classification, total_weight=weight
    )


def defects_in(rendering: Rendering, only=INNER) -> tuple[Defect, ...]:
    return search(rendering.image, parse_fiber(rendering.truth["fiber"]).cladding, only)[1]


# --- what must be found --------------------------------------------------------------------------------------------

SCRATCH = Mark("scratch", "dark", -10.0, 42.0, 20.0, length_px=60.0, width_px=2.0, contrast_grey=40.0, seed=3)
STAIN = Mark("contamination", "dark", 40.0, -25.0, 0.0, length_px=34.0, width_px=22.0, contrast_grey=40.0, seed=4)
PIT = pit(-38.0, -30.0, 10.0)


@pytest.mark.parametrize("polarity", ["dark", "bright"])
@pytest.mark.parametrize("mark", [PIT, SCRATCH, STAIN], ids=lambda mark: mark.kind)
def test_a_clear_mark_is_the_one_defect(mark, polarity):
    rendering = face(dataclasses.replace(mark, polarity=polarity))
    cladding = parse_fiber(rendering.truth["fiber"]).cladding
    found, defects = search(rendering.image, cladding)
    assert len(defects) == 1
    score = match(found.labels, rendering.labels, cladding)
    assert (len(score.found), len(score.true), len(score.reported)) == (1, 1, 1)
    (defect,), (truth,) = defects, rendering.truth["defects"]
    assert defect.polarity == polarity
    assert (defect.contrast < 0) == (polarity == "dark")
    assert (defect.centroid_x_px, defect.centroid_y_px) == pytest.approx(truth["centroid_px"], abs=2)
    assert 0.3 < defect.confidence <= 1 and len(defect.detected_by) >= 2


@pytest.mark.parametrize(
    ("mark", "kind"),
    [(PIT, "Pit/Dig"), (SCRATCH, "Scratch"), (STAIN, "Contamination")],
    ids=["pit", "scratch", "stain"],
)
def test_clear_marks_have_their_class(mark, kind):
    assert [defect.kind for defect in defects_in(face(mark))] == [kind]


@pytest.mark.parametrize("contrast_grey", [15.0, 60.0])
@pytest.mark.parametrize("mark", [PIT, SCRATCH], ids=lambda mark: mark.kind)
def test_the_size_of_a_mark_is_that_of_the_truth_whatever_its_contrast(mark, contrast_grey):
    """Sizes decide the verdict, so neither blur nor a strong contrast may add to them much."""
    rendering = face(dataclasses.replace(mark, contrast_grey=contrast_grey))
    (defect,), (truth,) = defects_in(rendering), rendering.truth["defects"]
    px_per_um = 1 / rendering.truth["um_per_px"]
    assert defect.diameter_px == pytest.approx(truth["diameter_um"] * px_per_um, abs=4)
    assert defect.width_px == pytest.approx(truth["width_um"] * px_per_um, abs=4 if mark is PIT else 2.5)
    true_area_px = (rendering.labels == truth["id"]).sum()
    assert 0.5 * true_area_px < defect.area_px < 1.9 * true_area_px


@pytest.mark.parametrize("polarity", ["dark", "bright"])
def test_a_scratch_that_no_single_pixel_shows_is_found(polarity):
    faint = Mark("scratch", polarity, -15.0, 40.0, 65.0, length_px=50.0, width_px=2.0, contrast_grey=4.5, seed=3)
    optics = Optics(shot_gain=0.02, read_sigma=1.5)
    assert optics.sigma_grey(UNLIT.cladding_grey) > 0.45 * faint.contrast_grey
    rendering = face(faint, optics=optics)
    cladding = parse_fiber(rendering.truth["fiber"]).cladding
    found, defects = search(rendering.image, cladding)
    score = match(found.labels, rendering.labels, cladding)
    assert (len(score.found), len(score.true), len(score.reported)) == (1, 1, 1)
    assert defects[0].polarity == polarity


def test_several_marks_are_several_defects_of_one_label_each():
    rendering = face(PIT, SCRATCH, STAIN, dataclasses.replace(PIT, x_px=10.0, y_px=-50.0, polarity="bright"))
    cladding = parse_fiber(rendering.truth["fiber"]).cladding
    found, defects = search(rendering.image, cladding)
    assert len(match(found.labels, rendering.labels, cladding).found) == 4
    assert len(defects) == 4
    assert {d.label for d in defects} <= set(np.unique(found.labels)) - {0}
    assert found.labels.shape == rendering.image.shape
    assert len({d.defect_id for d in defects}) == 4


@pytest.mark.parametrize("gap_px", [4.0, 6.0])
def test_neighbours_that_grow_into_each_other_are_several_defects(gap_px):
    row = [pit(x, -45.0, 8.0) for x in (-8.0 - gap_px, 0.0, 8.0 + gap_px)]
    defects = defects_in(face(*row, optics=Optics(blur_px=1.2)))
    assert len(defects) == 3
    assert {d.kind for d in defects} <= {"Pit/Dig", "Contamination"}


@functools.cache
def a_pit_in_each_zone(polarity: str) -> Rendering:
    places = ((15.0, 0.0), (0.0, 52.0), (-82.5, 0.0), (0.0, -98.0))
    return face(*(pit(x, y, 7.0, polarity, seed=k) for k, (x, y) in enumerate(places)), face=LIT)


@pytest.mark.parametrize("polarity", ["dark", "bright"])
def test_a_mark_in_each_zone(polarity):
    defects = defects_in(a_pit_in_each_zone(polarity), only=tuple(z.name for z in ZONES))
    assert sorted((d.zone, d.zones_touched) for d in defects) == sorted((z.name, (z.name,)) for z in ZONES)
    turns = {"Core": 0, "Cladding": 270, "Adhesive": 180, "Contact": 90}  # counter-clockwise from +x, y up
    assert all(math.cos(math.radians(d.angle_deg - turns[d.zone])) > 0.98 for d in defects)


@pytest.mark.parametrize("only", [("Core",), ("Cladding",), ("Cladding", "Contact"), ()], ids="-".join)
def test_a_mark_in_a_zone_that_is_not_inspected_is_not_reported(only):
    assert {d.zone for d in defects_in(a_pit_in_each_zone("dark"), only=only)} == set(only)


def test_a_mark_across_two_zones_is_listed_once():
    rendering = face(dataclasses.replace(SCRATCH, x_px=-25.0, y_px=12.0))
    (defect,) = defects_in(rendering)
    assert defect.zones_touched == ("Core", "Cladding")


# --- what must not be found ----------------------------------------------------------------------------------------


CLEAN = {
    "plain": {},
    "lit": {"face": LIT},
    "dark-field": {"face": Face(30.0, 110.0, core=CoreLook(step_grey=-30.0))},
    "graded": {"face": Face(165.0, 70.0, core=CoreLook(step_grey=130.0, grading=0.3))},
    "rings": {"face": dataclasses.replace(UNLIT, rings=(RingLook(43.5, line_grey=5.0), RingLook(60.0, step_grey=6.0)))},
    "ripple": {"face": Face(165.0, 100.0, core=CoreLook(step_grey=60.0, ripple_grey=5.0, speckle_grey=1.0))},
    "dip": {"face": Face(165.0, 100.0, core=CoreLook(step_grey=60.0, dip_grey=10.0, dip_radius_px=2.5))},
    "fringe": {"face": dataclasses.replace(LIT, edge=EdgeLook(dark_grey=25.0, bright_grey=15.0))},
    "light": {"light": Light(vignetting=0.4, centre_share=(0.4, 0.6), gradient=0.2, gradient_direction_deg=30.0)},
    "noise": {"optics": GRAINY},
    "jpeg": {"optics": Optics(jpeg_quality=75)},
    "sharpened": {"optics": Optics(sharpen=1.2)},
    "ellipse": {"frame": Frame(320, 240, 1.09), "face": LIT},
}


@pytest.mark.parametrize("changes", CLEAN.values(), ids=CLEAN)
def test_a_clean_face_has_no_defect_in_core_and_cladding(changes):
    assert defects_in(face(**changes)) == ()


@pytest.mark.parametrize(("sigma_grey", "grain_px"), [(0.7, 0.0), (3.0, 0.8), (12.0, 0.0)])
def test_uniform_noise_has_no_defect(sigma_grey, grain_px):
    values = np.random.default_rng(8).normal(0, 1, (240, 320))
    if grain_px:
        values = cv2.GaussianBlur(values, (0, 0), grain_px)
    grey = np.clip(np.rint(120 + sigma_grey * values / values.std()), 0, 255).astype(np.uint8)
    assert search(grey, Ellipse(171.3, 112.8, 150.0, 150.0, 0.0))[1] == ()


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_featureless_face_has_no_defect(level):
    grey = np.full((240, 320), level, np.uint8)
    assert search(grey, Ellipse(171.3, 112.8, 150.0, 150.0, 0.0), only=("Core", "Cladding", "Contact"))[1] == ()


def test_the_grain_of_the_ferrule_does_not_drown_the_contact_zone():
    grainy = dataclasses.replace(UNLIT, ferrule=dataclasses.replace(UNLIT.ferrule, grain_grey=8.0))
    assert len(defects_in(face(face=grainy), only=("Contact",))) <= 2


# --- the same face seen otherwise ----------------------------------------------------------------------------------


@functools.cache
def marked() -> Rendering:
    return face(PIT, SCRATCH, STAIN, face=LIT)


@pytest.mark.parametrize(("gain", "offset"), [(0.6, 0), (1.2, 40), (-1.0, 255)])
def test_exposure_and_polarity_do_not_change_the_defects(gain, offset):
    rendering = marked()
    cladding = parse_fiber(rendering.truth["fiber"]).cladding
    other = np.clip(np.rint(gain * rendering.image + offset), 0, 255).astype(np.uint8)
    before, after = defects_in(rendering), search(other, cladding)[1]
    assert len(before) == len(after) == 3
    for defect in before:
        (twin,) = (d for d in after if math.dist(_place(d), _place(defect)) < 2)
        assert twin.diameter_px == pytest.approx(defect.diameter_px, abs=3)
        assert (twin.polarity == defect.polarity) == (gain > 0)


def _place(defect: Defect) -> tuple[float, float]:
    return defect.centroid_x_px, defect.centroid_y_px


def test_a_turned_image_has_the_same_defects_turned():
    rendering = marked()
    e = parse_fiber(rendering.truth["fiber"]).cladding
    turned = np.rot90(rendering.image).copy()  # (x, y) -> (y, width - 1 - x)
    after = search(turned, Ellipse(e.y_px, 319 - e.x_px, e.major_px, e.minor_px, 0.0))[1]
    before = defects_in(rendering)
    assert len(after) == len(before)
    for defect in before:
        x, y = _place(defect)
        (twin,) = (d for d in after if math.dist(_place(d), (y, 319 - x)) < 2)
        assert twin.kind == defect.kind
        assert twin.angle_deg == pytest.approx((defect.angle_deg + 90) % 360, abs=2)


def enlarged(rendering: Rendering) -> tuple[np.ndarray, Ellipse]:
    """Image and cladding four times as large, beyond the working radius: detection works on a reduced copy."""
    e = parse_fiber(rendering.truth["fiber"]).cladding
    cladding = Ellipse(4 * e.x_px + 1.5, 4 * e.y_px + 1.5, 4 * e.major_px, 4 * e.minor_px, 0.0)
    assert cladding.mean_radius_px > CONFIG.detection.working_radius_px
    return cv2.resize(rendering.image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC), cladding


def test_a_large_image_has_the_same_defects_at_its_own_resolution():
    rendering = face(PIT, STAIN)
    large, cladding = enlarged(rendering)
    found, after = search(large, cladding)
    assert found.labels.shape == large.shape
    assert len(after) == 2
    for truth in rendering.truth["defects"]:
        x, y = truth["centroid_px"]
        (twin,) = (d for d in after if math.dist(_place(d), (4 * x + 1.5, 4 * y + 1.5)) < 8)
        assert twin.diameter_px == pytest.approx(4 * truth["diameter_um"] / rendering.truth["um_per_px"], rel=0.35)


@pytest.mark.parametrize("scratch", [SCRATCH, dataclasses.replace(SCRATCH, angle_deg=0.0, x_px=0.0)])
def test_a_scratch_that_runs_along_the_rings_is_one_defect_in_a_large_image(scratch):
    large, cladding = enlarged(face(scratch, face=LIT))
    (defect,) = search(large, cladding)[1]
    assert defect.kind == "Scratch"
    assert defect.length_px == pytest.approx(4 * 58, rel=0.2)


def test_the_image_is_not_changed_and_the_answer_is_the_same_twice():
    rendering = marked()
    grey = rendering.image.copy()
    cladding = parse_fiber(rendering.truth["fiber"]).cladding
    first, second = search(grey, cladding), search(grey, cladding)
    np.testing.assert_array_equal(grey, rendering.image)
    np.testing.assert_array_equal(first[0].labels, second[0].labels)
    assert repr(first[1]) == repr(second[1])
