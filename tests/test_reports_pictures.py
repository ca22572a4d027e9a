"""Annotated picture and polar plot: what is drawn where, and where labels go."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import (
    ELLIPSE,
    REPORTING,
    failed_inspection,
    has_hue,
    make_defect,
    make_inspection,
)

from records import (
    DEFECT_CLASSES,
    FAIL,
    LOCALIZATION_FAILED,
    NAN,
    PASS,
    UNGRADED,
    UNREADABLE,
    Ellipse,
    Scale,
)
from reports.annotate import MAX_LABELS, annotated_picture, label_text, worst_first
from reports.boxes import horizontal_stretch, scale_bar, stamp_box
from reports.drawing import TextStyle, View, bgr, padded_outline, plain, shortened, wrapped
from reports.layout import Box, Canvas, Circle, LabelItem, leader_line, place_in_corner, place_labels
from reports.polar_plot import name_boxes, polar_picture

# --- the annotated picture -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("serial_number", ["", "SN 7"])
def test_the_stamp_owns_up_to_marks_on_the_optics(serial_number):
    changes = {"status": PASS, "serial_number": serial_number}
    record = make_inspection(make_defect(1), make_defect(2, on_optics=True), **changes).record
    lines = stamp_box(record, 1, REPORTING, TextStyle(0.5, 1), 2000).lines
    assert "1 mark on the optics, neither counted nor judged" in lines and "1 defect" in lines


@pytest.mark.parametrize(
    ("status", "color"),
    [(PASS, "#1FA34A"), (FAIL, "#D9281E"), (UNGRADED, "#C98A00"), (LOCALIZATION_FAILED, "#4A4A6A")],
)
def test_the_stamp_has_the_colour_of_the_verdict(status, color):
    inspection = make_inspection(status=status, shape=(576, 720))
    picture = annotated_picture(inspection, REPORTING)
    stamp = (picture == bgr({"x": color}, "x")).all(axis=2)
    top_left = stamp[: picture.shape[0] // 4, : picture.shape[1] // 3]
    assert np.count_nonzero(top_left) > 1000
    assert np.count_nonzero(stamp) - np.count_nonzero(top_left) < 50


@pytest.mark.parametrize("kind", DEFECT_CLASSES)
def test_a_defect_is_framed_in_the_colour_of_its_class(kind):
    inspection = make_inspection(make_defect(1, kind, 250.0, 300.0, 20.0), shape=(576, 720), scale=1.3)
    picture = annotated_picture(inspection, REPORTING)
    framed = has_hue(picture[280:321, 230:271], REPORTING.class_colors[kind])
    assert np.count_nonzero(framed) > 60
    assert not framed[12:-12, 12:-12].any()


def test_the_frame_keeps_its_pixels_where_nothing_is_drawn():
    inspection = make_inspection(shape=(480, 700))
    picture = annotated_picture(inspection, REPORTING)
    assert np.array_equal(picture[160:180, 160:175, 1], inspection.grey[160:180, 160:175])


def test_a_zone_is_drawn_where_its_pixels_end():
    """The outline of the cladding zone runs along the border of that zone in the zone map."""
    inspection = make_inspection(shape=(480, 700))
    picture = annotated_picture(inspection, REPORTING)
    drawn = has_hue(picture[:300, :700], REPORTING.zone_colors["Cladding"])
    inside = np.isin(inspection.zone_map[:300], (1, 2)).astype(np.uint8)
    kernel = np.ones((5, 5), np.uint8)
    border = (cv2.dilate(inside, kernel) - cv2.erode(inside, kernel)).astype(bool)
    on_border = np.count_nonzero(drawn & border)
    assert on_border > 200
    assert np.count_nonzero(drawn & cv2.dilate(inside, kernel).astype(bool)) == on_border


def test_a_small_fibre_gets_a_magnified_panel_and_a_large_one_does_not():
    small = make_inspection(make_defect(), shape=(864, 1152))
    large = make_inspection(make_defect(), shape=(400, 700))
    assert annotated_picture(small, REPORTING).shape[1] > 1.3 * 1152
    assert annotated_picture(large, REPORTING).shape == (400, 700, 3)


@pytest.mark.parametrize("shape", [(1, 1), (10, 10), (3000, 20), (20, 3000), (576, 720), (3000, 4000)])
def test_any_frame_gives_a_picture_of_a_usable_size(shape):
    inspection = failed_inspection(LOCALIZATION_FAILED, grey=np.zeros(shape, np.uint8))
    height, width = annotated_picture(inspection, REPORTING).shape[:2]
    assert 360 <= height <= 2400
    assert 480 <= width <= 2400


def test_no_image_no_picture():
    assert annotated_picture(failed_inspection(UNREADABLE), REPORTING) is None
    assert polar_picture(failed_inspection(LOCALIZATION_FAILED).record, REPORTING) is None


def test_many_defects_are_drawn_and_the_worst_come_first():
    rng = np.random.default_rng(5)
    defects = [
        make_defect(k, x_px=250 + rng.uniform(-80, 80), y_px=170 + rng.uniform(-80, 80), size_px=rng.uniform(3, 12))
        for k in range(1, 61)
    ]
    defects[40] = dataclasses.replace(defects[40], violates=("Pit/Dig in Core",))
    defects[30] = dataclasses.replace(defects[30], marginal=True)
    order = worst_first(defects)
    assert [defect.label for defect in order[:2]] == [41, 31]
    assert order[2].diameter_px == max(d.diameter_px for d in defects if d.label not in (41, 31))
    assert annotated_picture(make_inspection(*defects, status=FAIL), REPORTING) is not None
    assert len(defects) > MAX_LABELS


@pytest.mark.parametrize(
    ("kind", "scale_known", "text"),
    [
        ("Scratch", True, "S1: Scratch, 15.2 um"),
        ("Pit/Dig", True, "P1: Pit/Dig, 4.5 um"),
        ("Crack", False, "K1: Crack, 30.0 px"),
        ("Chip", False, "H1: Chip, 9.0 px"),
    ],
)
def test_label_texts(kind, scale_known, text):
    defect = make_defect(1, kind, length_um=15.2, diameter_um=4.5, length_px=30.0, diameter_px=9.0)
    assert label_text(defect, scale_known) == text


def test_undefined_numbers_are_drawn_without_failing():
    broken = make_defect(diameter_px=NAN, diameter_um=NAN, radius_px=NAN, angle_deg=NAN, box_px=())
    inspection = make_inspection(broken)
    assert label_text(broken, True) == "P1: Pit/Dig, size unknown"
    assert annotated_picture(inspection, REPORTING) is not None
    assert polar_picture(inspection.record, REPORTING) is not None


def test_the_polar_plot_puts_a_defect_at_its_angle():
    """A chip straight above the centre (y up): nothing of its colour in the lower half of the plot."""
    record = make_inspection(make_defect(1, "Chip", 250.0, 100.0)).record
    picture = polar_picture(record, REPORTING)
    colored = (picture[:, :700] == bgr(REPORTING.class_colors, "Chip")).all(axis=2)
    rows, columns = np.nonzero(colored)
    assert rows.size > 20
    assert rows.max() < 398
    assert abs(columns.mean() - 350) < 5


def test_names_in_the_polar_plot_cover_neither_marks_nor_each_other():
    places = [(300.0, 300.0), (312.0, 303.0), (305.0, 330.0), (500.0, 120.0)]
    boxes = name_boxes(["P1", "P12", "S3", "K4"], places)
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])
        assert not any(box.overlaps(Box(int(x) - 8, int(y) - 8, int(x) + 9, int(y) + 9)) for x, y in places)
        x, y = box.nearest_point(places[index])
        assert math.dist((x, y), places[index]) < 25


def test_the_scale_bar_is_as_long_as_it_says():
    """Non-square pixels: 100 image px across the fibre are not 100 px down it."""
    assert horizontal_stretch(ELLIPSE) == pytest.approx(100 / ELLIPSE.mean_radius_px)
    bar = scale_bar(make_inspection().record, 2.0, 150, (10, 20, 50, 100), TextStyle(0.5, 1))
    assert bar.text == "20 um"
    assert bar.length_px == round(20 / 125 * 200 * 2)
    unscaled = make_inspection(scale=1.0).record
    unscaled = dataclasses.replace(unscaled, scale=Scale())
    assert scale_bar(unscaled, 2.0, 150, (10, 20), TextStyle(0.5, 1)) is None


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 150])
def test_the_stretch_along_x_ends_on_the_ellipse(angle_deg):
    ellipse = Ellipse(0, 0, major_px=300, minor_px=200, angle_deg=angle_deg)
    x = horizontal_stretch(ellipse) * ellipse.mean_radius_px
    angle = math.radians(angle_deg)
    assert (x * math.cos(angle) / 150) ** 2 + (x * math.sin(angle) / 100) ** 2 == pytest.approx(1)


# --- layout and text -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    places=st.lists(st.tuples(st.floats(0, 700), st.floats(0, 500), st.floats(1, 120), st.floats(1, 20)), max_size=30),
    angle_deg=st.floats(0, 180),
)
def test_labels_cover_neither_each_other_nor_defects_nor_boxes(places, angle_deg):
    area = Box(0, 0, 700, 500)
    canvas = Canvas(area)
    outlines = [tuple(map(tuple, cv2.boxPoints(((x, y), (w, h), angle_deg)).tolist())) for x, y, w, h in places]
    for outline in outlines:
        canvas.block_outline(outline)
    stamp = place_in_corner(200, 80, canvas, margin_px=8, corners=("top left", "bottom right"))
    items = [LabelItem(130, 16, outline) for outline in outlines]
    boxes = [box for box in place_labels(items, canvas, avoid=Circle(350, 250, 180)) if box is not None]
    taken = np.zeros((500, 700), np.uint8)
    for outline in outlines:
        cv2.fillPoly(taken, [np.round(outline).astype(np.int32).reshape(-1, 1, 2)], 1)
    for index, box in enumerate(boxes):
        assert box.left >= 0 and box.top >= 0 and box.right <= 700 and box.bottom <= 500
        assert (box.right - box.left, box.bottom - box.top) == (130, 16)
        assert not box.overlaps(stamp)
        assert not any(box.overlaps(other) for other in boxes[:index])
        assert not taken[box.top : box.bottom, box.left : box.right].any()


def test_every_label_is_placed_where_there_is_room():
    outlines = [padded_outline([(x, 240), (x + 4, 240), (x + 4, 244), (x, 244)], 3) for x in range(100, 600, 50)]
    canvas = Canvas(Box(0, 0, 700, 500))
    for outline in outlines:
        canvas.block_outline(outline)
    boxes = place_labels([LabelItem(120, 16, outline) for outline in outlines], canvas, avoid=Circle(350, 250, 100))
    assert None not in boxes


def test_a_leader_may_cross_another_before_a_label_covers_anything():
    """Two free places; the leader to the second one has to cross that to the first."""
    canvas = Canvas(Box(0, 0, 400, 300))
    for blocked in (Box(0, 0, 400, 200), Box(0, 220, 400, 300), Box(110, 200, 290, 220)):
        canvas.block_box(blocked)
    outlines = [((x, y), (x + 4.0, y), (x + 4.0, y + 4.0), (x, y + 4.0)) for x, y in ((180.0, 100.0), (100.0, 120.0))]
    first, second = place_labels([LabelItem(100, 16, outline) for outline in outlines], canvas, avoid=Circle(0, 0, 0))
    assert first.left < 110 and second.left >= 290
    assert all(box.top >= 200 and box.bottom <= 220 for box in (first, second))


def test_no_room_no_label():
    canvas = Canvas(Box(0, 0, 100, 30))
    canvas.block_box(Box(0, 0, 100, 30))
    outline = ((1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0))
    assert place_labels([LabelItem(50, 16, outline)], canvas, avoid=Circle(0, 0, 0)) == [None]
    assert place_labels([LabelItem(500, 16, outline)], Canvas(Box(0, 0, 100, 30)), avoid=Circle(0, 0, 0)) == [None]


def test_a_box_goes_to_the_first_free_corner():
    canvas = Canvas(Box(0, 0, 400, 300))
    canvas.block_box(Box(10, 10, 30, 30))
    corners = ("top left", "top right")
    assert place_in_corner(100, 50, canvas, margin_px=5, corners=corners) == Box(295, 5, 395, 55)


def test_a_leader_runs_from_the_outline_to_the_label():
    square = ((10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0))
    assert leader_line(square, Box(40, 12, 80, 24)) == ((20, 15), (40, 15))


def test_a_view_keeps_pixel_centres():
    view = View(Box(100, 0, 200, 100), crop_x=10, crop_y=20, scale=2.0)
    assert view.point(10, 20) == (100.5, 0.5)
    assert view.shows(10, 20) and not view.shows(9, 20)


def test_padding_keeps_the_direction_of_a_rectangle():
    corners = cv2.boxPoints(((50.0, 40.0), (30.0, 6.0), 30.0)).tolist()
    _, size, _ = cv2.minAreaRect(np.array(padded_outline(corners, 3), np.float32))
    assert sorted(size) == pytest.approx([12, 36], abs=1e-3)
    assert len(padded_outline([(5.0, 5.0)] * 4, 3)) == 4


@pytest.mark.parametrize(
    ("text", "drawn"), [("Größe 3 \u00b5m", "Grosse 3 um"), ("é", "e"), ("光.png", "?.png"), ("a\udcff", "a?")]
)
def test_text_that_opencv_can_draw(text, drawn):
    assert plain(text) == drawn


def test_long_text_is_wrapped_and_cut():
    style = TextStyle(0.5, 1)
    lines = wrapped("No scale known: the limits of the rule set are in um", 150, style)
    assert " ".join(lines) == "No scale known: the limits of the rule set are in um"
    assert max(style.width(line) for line in lines) <= 150
    assert shortened("x" * 200, 150, style).endswith("...")
    assert style.width(shortened("x" * 200, 150, style)) <= 150
