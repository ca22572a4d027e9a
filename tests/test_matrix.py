"""The 3 x 3 matrix: every number against a direct computation, and which cells deviate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from faces import clean_grey, inspect_grey, shipped_config
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import make_defect

from grading import matrix
from grading.matrix import zone_matrix
from records import Ellipse, InspectionRecord, Scale, ZoneExtent
from settings import MatrixSettings

LIMITS = MatrixSettings(True, deviation_sigma=6.0, min_difference_grey=3.0)
SHAPE = (210, 260)


def disc_and_ring(shape, x, y, radius, ring=1.6):
    """A core zone (label 1) and a ring around it (label 2) in a zone map, with their extents."""
    rows, columns = np.indices(shape)
    distance = np.hypot(rows - y, columns - x)
    zone_map = np.zeros(shape, np.uint8)
    zone_map[distance < ring * radius] = 2
    zone_map[distance < radius] = 1
    zones = (ZoneExtent("Core", 1, 0.0, radius), ZoneExtent("Cladding", 2, radius, ring * radius))
    return zone_map, zones, Ellipse(x, y, 2 * ring * radius, 2 * ring * radius, 0.0)


def cells_of(grey, x=128.0, y=101.0, radius=55.0, labels=None, defects=(), box=None, um_per_px=0.5):
    zone_map, zones, cladding = disc_and_ring(grey.shape, x, y, radius)
    labels = np.zeros(grey.shape, np.uint16) if labels is None else labels
    box = box or (0, grey.shape[0], 0, grey.shape[1])
    cells = zone_matrix(
        grey,
        zone_map,
        labels,
        box=box,
        cladding=cladding,
        scale=Scale(um_per_px, "given dimensions"),
        zones=zones,
        defects=defects,
        settings=LIMITS,
    )
    return cells, zone_map


def noise(seed, shape=SHAPE, level=110, sigma=3.0):
    return np.clip(np.rint(np.random.default_rng(seed).normal(level, sigma, shape)), 0, 255).astype(np.uint8)


def thirds(first, size):
    return [first + k * size // 3 for k in range(4)]


@settings(max_examples=25, deadline=None)
@given(
    x=st.floats(-40, 300),
    y=st.floats(-40, 250),
    radius=st.floats(2, 90),
    margins=st.tuples(*[st.integers(0, 20)] * 4),
    seed=st.integers(0, 9),
)
def test_every_number_is_that_of_the_pixels_in_the_cell(x, y, radius, margins, seed):
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(matrix, "SAMPLE_PX", 10**6)  # all pixels
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 256, SHAPE, np.uint8)
    labels = (rng.random(SHAPE) < 0.02).astype(np.uint16) * 7
    top, bottom, left, right = margins[0], SHAPE[0] - margins[1], margins[2], SHAPE[1] - margins[3]
    cells, zone_map = cells_of(grey, x, y, radius, labels, box=(top, bottom, left, right))
    monkeypatch.undo()
    inside = np.zeros(SHAPE, bool)
    inside[top:bottom, left:right] = True
    assert [(cell.zone, cell.row, cell.column) for cell in cells] == [
        (zone, row, column) for zone in ("Core", "Cladding") for row in range(3) for column in range(3)
    ]
    for cell in cells:
        own = inside & (zone_map == (1 if cell.zone == "Core" else 2))
        rows, columns = np.nonzero(own)
        if rows.size == 0:
            assert cell.area_px == 0 and math.isnan(cell.mean_grey) and not cell.deviates
            continue
        row_ends, column_ends = thirds(rows.min(), np.ptp(rows) + 1), thirds(columns.min(), np.ptp(columns) + 1)
        here = (row_ends[cell.row] <= rows) & (rows < row_ends[cell.row + 1])
        here &= (column_ends[cell.column] <= columns) & (columns < column_ends[cell.column + 1])
        rows, columns = rows[here], columns[here]
        values = grey[rows, columns].astype(float)
        assert cell.area_px == len(rows)
        assert cell.area_um2 == pytest.approx(len(rows) * 0.25)
        assert cell.defect_area_px == np.count_nonzero(labels[rows, columns])
        if len(rows) == 0:
            assert math.isnan(cell.mean_grey) and math.isnan(cell.spread_grey)
            continue
        assert cell.mean_grey == pytest.approx(values.mean(), abs=6e-4)
        assert cell.spread_grey == pytest.approx(values.std(), abs=6e-4)
        design = np.column_stack([np.ones(len(rows)), columns - columns.mean(), rows - rows.mean()])
        found = (cell.gradient_x_grey_per_px, cell.gradient_y_grey_per_px)
        if np.linalg.matrix_rank(design) < 3:
            assert all(math.isnan(value) for value in found)
        elif np.linalg.cond(design) < 100:
            assert found == pytest.approx(np.linalg.lstsq(design, values, rcond=None)[0][1:], abs=2e-6)


def test_a_sample_of_a_large_zone_tells_the_same():
    rows, columns = np.indices((1400, 1500))
    grey = np.clip(np.rint(90 + 0.02 * columns - 0.01 * rows + noise(1, rows.shape, 0.0, 4.0)), 0, 255)
    grey = (grey + np.random.default_rng(2).integers(-3, 4, grey.shape)).astype(np.uint8)
    cells, zone_map = cells_of(grey, 750.0, 700.0, 400.0)
    disc = zone_map == 1
    assert sum(cell.area_px for cell in cells[:9]) == np.count_nonzero(disc)
    assert np.average([c.mean_grey for c in cells[:9]], weights=[c.area_px for c in cells[:9]]) == pytest.approx(
        grey[disc].mean(), abs=0.2
    )
    assert [c.gradient_x_grey_per_px for c in cells[:9]] == pytest.approx([0.02] * 9, abs=0.006)
    assert [c.gradient_y_grey_per_px for c in cells[:9]] == pytest.approx([-0.01] * 9, abs=0.006)


def test_a_cell_on_one_line_has_no_gradient():
    """A disc of one row: its rows cannot tell a slope."""
    cells, _ = cells_of(noise(3), y=101.4, radius=30.0, box=(101, 102, 0, 260))
    seen = [cell for cell in cells[:9] if cell.area_px]
    assert len(seen) == 3
    assert all(math.isnan(cell.gradient_x_grey_per_px) and math.isfinite(cell.mean_grey) for cell in seen)


def test_the_middle_of_a_thin_ring_is_empty_and_never_deviates():
    cells, _ = cells_of(noise(4))
    middle = cells[9 + 4]
    assert (middle.area_px, middle.defect_count, middle.deviates) == (0, 0, False)
    assert math.isnan(middle.mean_grey) and middle.area_um2 == 0


def test_without_a_scale_there_are_no_square_micrometres():
    cells, _ = cells_of(noise(5), um_per_px=math.nan)
    assert all(math.isnan(cell.area_um2) for cell in cells)


# --- defects ---------------------------------------------------------------------------------------------------------


def test_defects_count_where_their_centroid_lies():
    """Also one whose centroid lies beside the box of its zone: every defect of an inspected zone counts once."""
    defects = [
        make_defect(1, x_px=100.0, y_px=70.0, zone="Core"),
        make_defect(2, x_px=128.0, y_px=101.0, zone="Core"),
        make_defect(3, x_px=129.0, y_px=99.0, zone="Core"),
        make_defect(4, x_px=5.0, y_px=205.0, zone="Cladding"),
        make_defect(5, x_px=5.0, y_px=205.0, zone="Contact"),
    ]
    cells, _ = cells_of(noise(6), defects=defects)
    counts = {(cell.zone, cell.row, cell.column): cell.defect_count for cell in cells if cell.defect_count}
    assert counts == {("Core", 0, 0): 1, ("Core", 1, 1): 2, ("Cladding", 2, 0): 1}


# --- deviation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_no_cell_of_a_clean_zone_deviates(seed):
    assert not any(cell.deviates for cell in cells_of(noise(seed))[0])


@pytest.mark.parametrize(("place", "step"), [((80, 60), -14), ((101, 190), 12), ((160, 128), -10)])
def test_the_darkened_or_brightened_cell_deviates_and_no_other(place, step):
    plain, _ = cells_of(noise(1))
    grey = noise(1).astype(int)
    rows, columns = np.indices(SHAPE)
    _, zone_map = cells_of(noise(1))
    ring_rows, ring_columns = np.nonzero(zone_map == 2)
    row_ends, column_ends = (thirds(v.min(), np.ptp(v) + 1) for v in (ring_rows, ring_columns))
    row = int(np.searchsorted(row_ends[1:-1], place[0], side="right"))
    column = int(np.searchsorted(column_ends[1:-1], place[1], side="right"))
    cell = (rows >= row_ends[row]) & (rows < row_ends[row + 1])
    cell &= (columns >= column_ends[column]) & (columns < column_ends[column + 1])
    grey[cell & (zone_map == 2)] += step
    cells, _ = cells_of(grey.astype(np.uint8))
    assert [(c.row, c.column) for c in cells[9:] if c.deviates] == [(row, column)]
    assert not any(c.deviates for c in cells[:9]) and not any(c.deviates for c in plain)


def test_a_restless_cell_deviates_by_its_spread():
    """Half of its pixels darker, half brighter by as much: the mean stays."""
    grey = noise(2).astype(int)
    grey[60:82, 88:110] += np.where(np.indices((22, 22)).sum(axis=0) % 2, 15, -15)
    cells, _ = cells_of(grey.astype(np.uint8))
    assert [(c.row, c.column) for c in cells[:9] if c.deviates] == [(0, 0)]


def test_a_calmer_cell_does_not_deviate():
    grey = noise(2, sigma=9.0)
    grey[60:82, 88:110] = 110
    assert not any(cell.deviates for cell in cells_of(grey)[0])


@pytest.mark.parametrize(("along_x", "along_y"), [(0.3, 0.0), (0.0, -0.3), (0.2, 0.2)])
def test_light_that_falls_off_to_one_side_does_not_alarm(along_x, along_y):
    rows, columns = np.indices(SHAPE)
    grey = np.clip(noise(3, sigma=1.0) + along_x * (columns - 130) + along_y * (rows - 105), 0, 255).astype(np.uint8)
    cells, _ = cells_of(grey)
    assert np.ptp([cell.mean_grey for cell in cells if cell.area_px]) > 20
    assert not any(cell.deviates for cell in cells)


def test_what_is_round_and_centred_does_not_alarm():
    rows, columns = np.indices(SHAPE)
    distance = np.hypot(rows - 101, columns - 128)
    grey = noise(4, sigma=1.0) + 80 * (distance < 12) + 40 * (np.abs(distance - 70) < 3)
    cells, _ = cells_of(grey.astype(np.uint8))
    assert cells[4].mean_grey > cells[0].mean_grey + 5
    assert not any(cell.deviates for cell in cells)


@pytest.mark.parametrize("level", [0, 100, 255])
def test_quantised_flat_pictures_do_not_alarm(level):
    cells, _ = cells_of(np.full(SHAPE, level, np.uint8))
    assert {cell.spread_grey for cell in cells if cell.area_px} == {0.0}
    stepped = np.full(SHAPE, level, np.uint8)
    stepped[:60, :100] = abs(level - 2)
    assert not any(cell.deviates for cell in (*cells, *cells_of(stepped)[0]))


# --- in an inspection ------------------------------------------------------------------------------------------------


def test_an_inspection_measures_the_inspected_zones_and_its_record_keeps_them():
    record = inspect_grey(clean_grey(), cladding_um=125.0, zones="core,cladding").record
    assert [cell.zone for cell in record.matrix] == ["Core"] * 9 + ["Cladding"] * 9
    assert InspectionRecord.from_dict(record.to_dict()).matrix[:3] == record.matrix[:3]
    assert not any(cell.deviates for cell in record.matrix)


def test_inputs_are_not_changed():
    grey, labels = noise(1), np.ones(SHAPE, np.uint16)
    before = grey.copy()
    cells_of(grey, labels=labels)
    assert np.array_equal(grey, before) and (labels == 1).all()


@pytest.mark.parametrize("change", [{"zone": "Edge"}, {"row": 3}, {"column": -1}])
def test_a_record_with_an_impossible_cell_is_refused(change):
    data = inspect_grey(clean_grey(), cladding_um=125.0).record.to_dict()
    data["matrix"][0] |= change
    with pytest.raises(ValueError):
        InspectionRecord.from_dict(data)


def test_only_the_deep_profile_measures_it():
    assert shipped_config("deep_inspection").matrix.enabled
    assert not shipped_config("fast_scan").matrix.enabled
