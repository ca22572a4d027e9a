"""The map of an end face, the heat map of its matrix, and the files that they come in."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from faces import shipped_config
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import (
    REPORTING,
    failed_inspection,
    files_in,
    make_defect,
    make_inspection,
    make_matrix,
    read_png,
    rows_of,
)

import reporting
from records import DEFECT_CLASSES, LOCALIZATION_FAILED, NAN, STATUSES, ZONE_NAMES, Ellipse, Scale
from reports.density import marked_density
from reports.dimensions import dimension_lines
from reports.drawing import View
from reports.face_map import map_picture
from reports.histograms import zone_histograms
from reports.layout import Box
from reports.matrix_plot import matrix_picture, share_text
from reports.tables import csv_bytes, matrix_table

MATRIX_HEADER = (
    "Zone,Row,Column,Area_px,Area_um2,Mean_grey,Spread_grey,Gradient_X_grey_per_px,Gradient_Y_grey_per_px,"
    "Defect_Count,Defect_Area_px,Deviates"
)

# --- the map ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_the_map_has_one_size_whatever_the_image(scale):
    inspection = make_inspection(make_defect(), scale=scale)
    assert map_picture(inspection, REPORTING).shape == (776, 900, 3)


def test_without_a_fibre_there_is_no_map():
    lost = failed_inspection(LOCALIZATION_FAILED, grey=np.zeros((90, 120), np.uint8))
    assert map_picture(lost, REPORTING) is None
    assert matrix_picture(lost.record) is None


def test_dimensions_are_those_of_the_record_in_um_and_without_a_scale_in_px():
    record = make_inspection(image_width_px=520, image_height_px=360).record
    text = "\n".join(dimension_lines(record))
    um = record.scale.um_per_px
    radius = record.fiber.cladding.mean_radius_px
    for part in (
        f"Core diameter: {40.123 * um:.1f} um (measured)",
        f"Core edge to cladding edge: {(radius - 20.0615) * um:.1f} um",
        "Cladding diameter: 125.0 um",
        f"Cladding axes: {220 * um:.1f} um and {200 * um:.1f} um, ratio 1.100",
        "left 250, right 270",
        "top 170, bottom 190 px",
    ):
        assert part in text
    assert "off centre" not in text
    moved = dataclasses.replace(record.fiber, core_x_px=250.0, core_y_px=167.0)
    moved_um = 3.0 * math.sqrt(200 / 220) * um
    lines = dimension_lines(dataclasses.replace(record, fiber=moved))
    assert f"Core off centre by {moved_um:.2f} um, towards 90 deg" in lines
    unscaled = "\n".join(dimension_lines(dataclasses.replace(record, scale=Scale())))
    assert " um" not in unscaled and "Core diameter: 40.1 px" in unscaled
    nocore = dataclasses.replace(record, fiber=dataclasses.replace(record.fiber, core_diameter_px=NAN))
    assert dimension_lines(nocore)[0] == "Core diameter: not known"


def test_the_density_is_the_marked_share_of_the_area():
    """A square mark of 40 x 40 px in a view of 400 px across: all marked inside, none beyond."""
    labels = np.zeros((500, 600), np.uint16)
    labels[200:240, 300:340] = 3
    view = View(Box(0, 0, 200, 200), 150, 60, 0.5)
    density = marked_density(labels, view, 100, 1.0)
    assert density[(220 - 60) // 4, (320 - 150) // 4] == pytest.approx(1.0, abs=0.01)
    assert density.sum() * 16 == pytest.approx(1600, rel=0.01)
    assert density[(220 - 60) // 4, (300 - 150) // 4 - 6] == pytest.approx(0.0, abs=0.01)
    rows, columns = np.indices(density.shape)
    assert np.average(rows, weights=density) * 4 + 60 == pytest.approx(219.5, abs=2.5)
    assert np.average(columns, weights=density) * 4 + 150 == pytest.approx(319.5, abs=2.5)


def test_histograms_count_the_pixels_of_their_zone():
    grey = np.zeros((60, 80), np.uint8)
    zone_map = np.zeros((60, 80), np.uint8)
    zone_map[:30], zone_map[30:, :40] = 1, 2
    grey[:30], grey[30:] = 40, 200
    grey[:15] = 60
    first, second, absent = zone_histograms(grey, zone_map, [1, 2, 4])
    assert {k: v for k, v in enumerate(first) if v} == pytest.approx({20: 0.5, 30: 0.5})
    assert {k: v for k, v in enumerate(second) if v} == {100: 1.0}
    assert not absent.any()


def test_the_density_shows_where_a_mark_is():
    left, right = (
        map_picture(make_inspection(make_defect(x_px=x, size_px=8.0)), REPORTING)[90:500, 470:880].astype(int)
        for x in (190.0, 310.0)
    )
    differs = np.abs(left - right).sum(axis=2) > 60
    columns = np.nonzero(differs.any(axis=0))[0]
    assert columns.min() < 170 and columns.max() > 240


numbers = st.one_of(st.floats(-1e4, 1e4), st.just(NAN))


@settings(max_examples=30, deadline=None)
@given(
    x=st.floats(-2000, 3000),
    y=st.floats(-2000, 3000),
    axes=st.tuples(st.floats(3, 3000), st.floats(1, 1.3)),
    core_share=st.one_of(st.just(NAN), st.floats(0, 1.5)),
    shape=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    um_per_px=st.one_of(st.just(NAN), st.floats(1e-4, 1e3)),
    name=st.text(max_size=300),
    count=st.integers(0, 45),
)
def test_any_record_with_a_fibre_is_drawn(x, y, axes, core_share, shape, um_per_px, name, count):
    base = make_inspection()
    ellipse = Ellipse(x, y, axes[0], axes[0] / axes[1], 30.0)
    radius = ellipse.mean_radius_px
    rings = zip(base.record.zones, (0.2, 0.92, 1.08, 2.0), strict=True)
    record = dataclasses.replace(
        base.record,
        image_filename=name + "\udcff",
        serial_number=name,
        port=name,
        fiber=dataclasses.replace(base.record.fiber, cladding=ellipse, core_diameter_px=core_share * 2 * radius),
        scale=Scale(um_per_px),
        zones=tuple(dataclasses.replace(zone, outer_radius_px=factor * radius) for zone, factor in rings),
        defects=tuple(make_defect(k, DEFECT_CLASSES[k % 5], x_px=x + k, y_px=y) for k in range(1, count + 1)),
        matrix=make_matrix(*ZONE_NAMES, mean_grey=NAN if count % 2 else 100.0),
        status=STATUSES[count % 3],
    )
    inspection = dataclasses.replace(
        base,
        record=record,
        grey=np.full(shape, 90, np.uint8),
        zone_map=np.full(shape, 1, np.uint8),
        labels=np.full(shape, count, np.uint16),
    )
    assert map_picture(inspection, REPORTING).shape == (776, 900, 3)
    assert matrix_picture(record).shape[1] == 800


# --- the matrix ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("zones", "height"), [(1, 368), (2, 368), (3, 608), (4, 608)])
def test_the_heat_map_has_a_block_for_each_zone(zones, height):
    record = make_inspection(matrix=make_matrix(*ZONE_NAMES[:zones])).record
    assert matrix_picture(record).shape == (height, 800, 3)


def test_a_deviating_cell_has_a_thick_frame_and_a_sign_and_no_other_has():
    """Told in grey alone: black pixels in the cell's frame and in its corner."""
    calm = matrix_picture(make_inspection(matrix=make_matrix("Core", deviates=False)).record)
    found = matrix_picture(make_inspection(matrix=make_matrix("Core")).record)
    changed = (np.abs(calm.astype(int) - found).sum(axis=2) > 100)[120:, :380]
    rows, columns = np.nonzero(changed)
    assert rows.size > 300
    assert calm[112 + 2 * 60 + 30, 19 + 240 : 22 + 240].any()
    assert not found[112 + 2 * 60 + 30, 19 + 240 : 22 + 240].any()
    assert rows.min() + 120 >= 112 + 2 * 60 - 4 and columns.min() >= 20 + 2 * 120 - 4


def test_a_darker_cell_is_bluer_and_a_brighter_one_more_orange():
    cells = list(make_matrix("Core"))
    cells[0] = dataclasses.replace(cells[0], mean_grey=95.0)
    cells[1] = dataclasses.replace(cells[1], mean_grey=125.0)
    picture = matrix_picture(make_inspection(matrix=tuple(cells)).record)
    dark, bright, same = (picture[112 + 52, 20 + x].astype(int) for x in (100, 220, 340))
    assert dark[0] > dark[2] + 50 and bright[2] > bright[0] + 50 and np.ptp(same) == 0


def test_the_table_of_a_matrix_has_a_row_for_each_cell():
    data = csv_bytes(matrix_table(make_matrix("Core", "Cladding", gradient_y_grey_per_px=NAN)))
    assert data.decode().splitlines()[0] == MATRIX_HEADER
    rows = rows_of(data)
    assert len(rows) == 18
    assert (rows[8]["Row"], rows[8]["Column"], rows[8]["Deviates"], rows[0]["Deviates"]) == ("2", "2", "True", "False")
    assert (rows[9]["Zone"], rows[9]["Mean_grey"]) == ("Cladding", "110.123")
    assert (rows[0]["Gradient_X_grey_per_px"], rows[0]["Gradient_Y_grey_per_px"]) == ("0.01235", "")


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0.0 %"), (0.0004, "< 0.1 %"), (0.012, "1.2 %"), (0.4, "40 %"), (1.0, "100 %")]
)
def test_shares_as_text(share, text):
    assert share_text(share) == text


# --- files and switches ----------------------------------------------------------------------------------------------


def test_map_and_matrix_are_files_of_the_image(tmp_path):
    inspection = make_inspection(make_defect(), matrix=make_matrix("Core", "Contact"))
    reporting.write_image_files(inspection, tmp_path, "a", REPORTING)
    names = {"a_annotated.png", "a_polar.png", "a_map.png", "a_matrix.png", "a_matrix.csv", "a_report.csv"}
    assert files_in(tmp_path) == names
    assert len(rows_of((tmp_path / "a_matrix.csv").read_bytes())) == 18
    assert read_png(tmp_path / "a_map.png").shape == (776, 900, 3)


def test_the_table_of_defects_is_written_last(tmp_path, monkeypatch):
    written = []
    real = reporting.write_bytes
    monkeypatch.setattr(reporting, "write_bytes", lambda path, data: (written.append(path.name), real(path, data)))
    reporting.write_image_files(make_inspection(matrix=make_matrix("Core")), tmp_path, "a", REPORTING)
    assert written == ["a_matrix.csv", "a_report.csv"]


def test_the_fast_profile_writes_none_of_them(tmp_path):
    fast = shipped_config("fast_scan").reporting
    reporting.write_image_files(make_inspection(), tmp_path, "a", fast)
    assert files_in(tmp_path) == {"a_annotated.png", "a_face.jpg", "a_report.csv"}
    assert shipped_config("deep_inspection").reporting.face_map
