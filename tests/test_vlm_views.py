"""What a model is shown of an image, where the marks lie in it, and what it should answer."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import ELLIPSE, make_defect, make_inspection

from learning.vlm.answer import Answer, parse_answer
from learning.vlm.outlines import HALF_A_MARK, outline_of, outline_of_pixels
from learning.vlm.prompts import MAX_LISTED, user_text
from learning.vlm.targets import DOUBTFUL, known_mark, target
from learning.vlm.views import VIEWS, View, choose_views

RECORD = make_inspection().record
SHAPE = (360, 520)
FULL = View("full", 0, 0, 520, 360, 520, 360)
CROP = View("core", 100, 80, 60, 40, 60, 40)


def views(max_side_px=1120, shape=SHAPE, names=VIEWS, cladding=RECORD.fiber.cladding):
    return {
        view.name: view for view in choose_views(cladding, RECORD.zones, shape, names=names, max_side_px=max_side_px)
    }


# --- views ---------------------------------------------------------------------------------------------------------


def test_the_views_of_an_image():
    found = views()
    assert [*found] == ["full", "cladding", "core"]  # the ferrule's crop would be the whole frame again
    assert found["full"] == FULL
    radius = ELLIPSE.mean_radius_px * 0.92 * 1.1
    cladding = found["cladding"]
    assert cladding.left == pytest.approx(250.5 - radius * math.sqrt(200 / 220), abs=1)
    assert cladding.top == pytest.approx(170.5 - radius * math.sqrt(220 / 200), abs=1)
    assert (cladding.width, cladding.height) == pytest.approx((200 * 0.92 * 1.1, 220 * 0.92 * 1.1), abs=1)
    assert [*views(shape=(1360, 1520))] == ["full", "ferrule", "cladding", "core"]
    assert [*views(names=("core",))] == ["core"]


def test_a_crop_that_lies_outside_of_the_image_is_none():
    assert [*views(cladding=replace(RECORD.fiber.cladding, x_px=-60.0))] == ["full", "ferrule"]
    assert [*views(cladding=replace(RECORD.fiber.cladding, x_px=5000.0))] == ["full"]
    assert [*views(shape=(3, 2))] == ["full"]


@settings(max_examples=25)
@given(st.integers(112, 2000), st.integers(1, 700), st.integers(1, 900), st.floats(-50, 700), st.floats(-50, 500))
def test_views_lie_in_the_image_and_are_small_enough(max_side_px, height, width, x_px, y_px):
    image = np.zeros((height, width), np.uint8)
    for view in views(max_side_px, image.shape, cladding=replace(ELLIPSE, x_px=x_px, y_px=y_px)).values():
        assert view.left >= 0 and view.top >= 0 and view.left + view.width <= width and view.top + view.height <= height
        assert max(view.shown_width, view.shown_height) == min(max_side_px, max(view.width, view.height))
        assert view.cut(image).shape == (view.shown_height, view.shown_width)
        assert view.shown_height == pytest.approx(view.height * view.factor, abs=0.51) or view.shown_height == 1
        assert view.shown_width == pytest.approx(view.width * view.factor, abs=0.51) or view.shown_width == 1


@settings(max_examples=30)
@given(st.tuples(*[st.floats(-500, 500)] * 2, *[st.floats(0.1, 500)] * 2))
def test_a_box_comes_back_from_a_view(box):
    view = View("cladding", 30, 50, 700, 500, 560, 400)
    assert view.to_image(view.to_view(box)) == pytest.approx(box, abs=1e-9)
    assert view.to_view((30, 50, 700, 500)) == (0, 0, 560, 400)


def test_the_question_gives_centre_zones_and_scale_of_the_picture():
    half = View("full", 0, 0, 520, 360, 260, 180)
    text = user_text(half, cladding=ELLIPSE, zones=RECORD.zones, um_per_px=0.5, rule_set="house")
    assert "260 x 180 px, 1 px is 1 um" in text and "(125, 85)" in text and "Acceptance rules: house." in text
    assert "Core to 10 px, Cladding to 48 px, Adhesive to 57 px, Contact to 105 px" in text
    assert "scale is not known" in user_text(half, cladding=ELLIPSE, zones=(), um_per_px=math.nan, rule_set="house")


# --- where marks lie -----------------------------------------------------------------------------------------------


def rectangle(x_px, y_px, length_px, width_px, angle_deg, **changes):
    """A reported mark with this rotated rectangle."""
    corners = cv2.boxPoints(((x_px, y_px), (length_px, width_px), angle_deg))
    box = tuple((float(x), float(y)) for x, y in corners)
    values = {"confidence": 1.0, "diameter_px": length_px, **changes}
    return replace(make_defect(x_px=x_px, y_px=y_px), box_px=box, **values)


def within(defect, view=CROP):
    return outline_of(defect).within(view.left, view.top, view.width, view.height)


def test_the_upright_box_of_a_mark():
    assert outline_of(rectangle(50, 40, 10, 4, 0)).box == pytest.approx((45.5, 38.5, 10, 4), abs=1e-4)
    round_mark = outline_of(rectangle(50, 40, 10, 10, 45)).box
    assert round_mark == pytest.approx((45.5, 35.5, 10, 10), abs=1e-4)
    line = outline_of(rectangle(50, 40, 100, 1, 30)).box
    assert line[2:] == pytest.approx((100 * math.cos(math.pi / 6), 50), abs=0.5)
    unmeasured = replace(make_defect(x_px=50, y_px=40, size_px=8), box_px=())
    assert outline_of(unmeasured).box == (46.5, 36.5, 8, 8)


def test_the_box_of_a_mask_is_that_of_its_pixels():
    outline = outline_of_pixels(np.array([3, 4, 5]), np.array([7, 8, 9]))
    assert outline.box == (7, 3, 3, 3)
    assert min(x for x, _ in outline.corners) == pytest.approx(6.8, abs=0.2)


def test_what_a_crop_shows_of_a_mark():
    assert within(rectangle(120, 100, 10, 4, 0)) == pytest.approx((115.5, 98.5, 10, 4), abs=1e-4)
    assert within(rectangle(101, 100, 12, 4, 0)) == pytest.approx((100, 98.5, 7.5, 4), abs=1e-4)
    assert within(rectangle(300, 300, 10, 4, 0)) is None
    assert within(rectangle(95.1, 100, 10, 4, 0)) == HALF_A_MARK  # a piece of which nobody knows whether it is marked
    assert within(rectangle(94.6, 100, 10, 4, 0)) is None


def test_a_scratch_through_a_crop_is_cut_and_a_bent_mark_is_not():
    scratch = rectangle(129.5, 99.5, 300, 3, 45)
    left, top, width, height = within(scratch)
    assert (left, top, width, height) == pytest.approx((107, 80, 45, 40), abs=2.5)
    assert within(replace(scratch, box_px=rectangle(129.5, 99.5, 300, 90, 45).box_px)) == HALF_A_MARK
    short = rectangle(98, 82, 40, 2, 90)
    assert within(short) is None


@settings(max_examples=50)
@given(st.floats(90, 170), st.floats(70, 130), st.floats(20, 200), st.floats(0, 180))
def test_the_box_of_a_line_in_a_crop_is_where_its_points_are(x_px, y_px, length_px, angle_deg):
    found = within(rectangle(x_px, y_px, length_px, 3, angle_deg))
    along, across = np.meshgrid(np.linspace(-0.5, 0.5, 1001) * length_px, np.linspace(-1.5, 1.5, 31))
    turn = np.exp(1j * np.radians(angle_deg)) * (along + 1j * across)
    x, y = x_px + 0.5 + turn.real - CROP.left, y_px + 0.5 + turn.imag - CROP.top
    seen = (x >= 0) & (x <= CROP.width) & (y >= 0) & (y <= CROP.height)
    if found is None:
        assert seen.mean() < 0.025 or max(np.ptp(x[seen]), np.ptp(y[seen])) < 7
        return
    left, top = found[0] - CROP.left, found[1] - CROP.top
    np.testing.assert_allclose((left, top), (x[seen].min(), y[seen].min()), atol=2)
    np.testing.assert_allclose((left + found[2], top + found[3]), (x[seen].max(), y[seen].max()), atol=2)


# --- what is to be answered ----------------------------------------------------------------------------------------


def known(defect):
    return known_mark(defect, outline_of(defect), defect.confidence)


def answer_to(*defects, view=FULL, min_confidence=0.9):
    return target([known(defect) for defect in defects], view, min_confidence)


REASONS = ("Pit/Dig in Core", "Pit/Dig > 5um in Core")
WORST = make_defect(x_px=150, y_px=200, size_px=7, confidence=0.987, violates=REASONS)


def test_the_worst_marks_come_first():
    close = make_defect(x_px=300, y_px=100, size_px=30, confidence=1.0, marginal=True, kind="Scratch")
    small = make_defect(x_px=40, y_px=90, size_px=4, confidence=0.9, zone="Core")
    large = make_defect(x_px=90, y_px=90, size_px=12, confidence=0.9)
    found = answer_to(small, close, large, WORST)
    assert [mark.severity for mark in found.defects] == ["critical", "marginal", "minor", "minor"]
    assert [mark.kind for mark in found.defects] == ["pit", "scratch", "pit", "pit"]
    assert found.defects[0].box == (147, 197, 7, 7) and found.defects[0].confidence == 0.99
    assert found.defects[2].box[2] == 12 and found.defects[3].zone == "Core"
    assert (found.pass_fail, found.explanation) == ("FAIL", "Rejected: Pit/Dig in Core; Pit/Dig > 5um in Core.")
    passed = answer_to(small, close)
    assert (passed.pass_fail, passed.explanation) == ("PASS", "2 marks, none beyond the limits.")
    assert answer_to() == Answer((), "PASS", "No mark is to be seen.")


def test_a_crop_is_judged_by_what_it_shows():
    inside = make_defect(x_px=130, y_px=100, size_px=9, confidence=1.0)
    found = answer_to(WORST, inside, view=CROP)
    assert found.pass_fail == "PASS" and [mark.box for mark in found.defects] == [(26, 16, 9, 9)]


def test_a_view_with_a_doubtful_mark_is_no_example():
    doubtful = make_defect(x_px=130, y_px=100, confidence=0.89)
    assert answer_to(WORST, doubtful) == answer_to(doubtful, view=CROP) == DOUBTFUL
    assert answer_to(WORST, doubtful, min_confidence=0.89).pass_fail == "FAIL"
    assert answer_to(make_defect(x_px=300, y_px=300, confidence=0.1), view=CROP).pass_fail == "PASS"


def test_an_answer_names_so_many_marks_and_no_more():
    marks = [make_defect(x_px=20 + 10 * k, y_px=40, size_px=5, confidence=1.0) for k in range(MAX_LISTED + 5)]
    found = answer_to(*marks, WORST)
    assert len(found.defects) == MAX_LISTED and found.defects[0].severity == "critical"


_MARKS = st.builds(
    rectangle,
    st.floats(-30, 560),
    st.floats(-30, 400),
    st.floats(1, 400),
    st.floats(1, 60),
    st.floats(0, 180),
    kind=st.sampled_from(["Scratch", "Pit/Dig", "Contamination", "Chip", "Crack"]),
    confidence=st.floats(0.9, 1),
    violates=st.lists(st.text(max_size=20), max_size=7).map(tuple),
)


@settings(max_examples=30)
@given(st.lists(_MARKS, max_size=6), st.sampled_from([FULL, CROP, View("full", 0, 0, 520, 360, 112, 78)]))
def test_every_answer_passes_the_schema(marks, view):
    found = answer_to(*marks, view=view)
    if isinstance(found, Answer):
        assert parse_answer(found.to_text(), view.shown_width, view.shown_height) == found
