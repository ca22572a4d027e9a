"""Where zones are placed, in um and in shares of the fibre, and what of them the image shows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from faces import shipped_config
from hypothesis import given
from hypothesis import strategies as st

from records import NAN, ZONE_NAMES, Ellipse, Fiber, Scale
from settings import ZoneBoundary, ZoneDef
from vision.geometry import polar_maps
from vision.zoning import place_zones, zone_radii_px

SHAPE = (300, 400)
ROUND = Ellipse(211.0, 143.0, 160.0, 160.0, 0.0)
TILTED = Ellipse(211.0, 143.0, 167.0, 153.0, 35.0)
SCALE = Scale(0.5, "given dimensions")


def rings(basis: str, *values: float, inspected: bool = True) -> tuple[ZoneDef, ...]:
    return tuple(ZoneDef(n, ZoneBoundary(basis, v), inspected) for n, v in zip(ZONE_NAMES, values, strict=False))


MICROMETRES = rings("diameter_um", 25, 78, 86, 130)
SHARES = (
    ZoneDef("Core", ZoneBoundary("times_core", 1.0)),
    ZoneDef("Cladding", ZoneBoundary("times_cladding", 1.0)),
    ZoneDef("Adhesive", ZoneBoundary("times_cladding", 1.1)),
    ZoneDef("Contact", ZoneBoundary("times_cladding", 1.5)),
)


def place(definitions, fiber, scale=SCALE, shape=SHAPE, only=None, cut_off_share=0.02, box=None):
    return place_zones(definitions, fiber, scale, shape, only=only, cut_off_share=cut_off_share, box=box)


# --- radii ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("basis", "value", "radius_px"),
    [
        ("diameter_um", 25.0, 25.0),  # 25 um across at 0.5 um/px: 25 px from the centre
        ("offset_from_cladding_um", 5.0, 90.0),  # radial: 5 um are 10 px
        ("offset_from_cladding_um", -5.0, 70.0),
        ("offset_from_core_um", 2.0, 24.0),
        ("times_cladding", 1.25, 100.0),
        ("times_core", 0.5, 10.0),
    ],
)
def test_every_basis_in_pixels(basis, value, radius_px):
    radii = zone_radii_px(rings(basis, value), Fiber(ROUND, 40.0), SCALE)
    assert radii == {"Core": pytest.approx(radius_px)}


@given(st.floats(0.05, 5), st.floats(1, 500))
def test_a_zone_in_micrometres_has_that_diameter(um_per_px, diameter_um):
    radii = zone_radii_px(rings("diameter_um", diameter_um), Fiber(ROUND), Scale(um_per_px, "x"))
    assert 2 * radii["Core"] * um_per_px == pytest.approx(diameter_um)


@given(st.floats(20, 2000), st.floats(0.7, 1), st.floats(0.1, 3))
def test_a_zone_as_a_share_follows_the_cladding(major_px, ratio, share):
    cladding = Ellipse(0, 0, major_px, ratio * major_px, 20.0)
    for scale in (Scale(), SCALE):
        radii = zone_radii_px(rings("times_cladding", share), Fiber(cladding), scale)
        assert radii["Core"] == pytest.approx(share * cladding.mean_radius_px)


@pytest.mark.parametrize(
    ("basis", "core_px", "scale"),
    [
        ("diameter_um", 40.0, Scale()),
        ("offset_from_cladding_um", 40.0, Scale()),
        ("offset_from_core_um", NAN, SCALE),
        ("times_core", NAN, SCALE),
    ],
)
def test_a_radius_that_needs_what_is_unknown_is_nan(basis, core_px, scale):
    assert math.isnan(zone_radii_px(rings(basis, 2.0), Fiber(ROUND, core_px), scale)["Core"])


# --- placed zones --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cladding", [ROUND, TILTED])
@pytest.mark.parametrize("definitions", [MICROMETRES, SHARES])
def test_zones_follow_one_another_without_gap_or_overlap(cladding, definitions):
    placed = place(definitions, Fiber(cladding, 40.0))
    assert [z.name for z in placed.zones] == list(ZONE_NAMES)
    assert [z.label for z in placed.zones] == [1, 2, 3, 4]
    assert placed.zones[0].inner_radius_px == 0
    for inner, outer in itertools.pairwise(placed.zones):
        assert inner.outer_radius_px == outer.inner_radius_px
    radius, _ = polar_maps(SHAPE, cladding)
    for zone in placed.zones:
        ring = (radius >= zone.inner_radius_px) & (radius < zone.outer_radius_px)
        np.testing.assert_array_equal(placed.zone_map == zone.label, ring)
    assert np.all(placed.zone_map[radius >= placed.zones[-1].outer_radius_px] == 0)


@pytest.mark.parametrize("cladding", [ROUND, TILTED])
def test_areas_are_those_of_rings(cladding):
    placed = place(MICROMETRES, Fiber(cladding))
    for zone in placed.zones:
        area = math.pi * (zone.outer_radius_px**2 - zone.inner_radius_px**2)
        assert np.count_nonzero(placed.zone_map == zone.label) == pytest.approx(area, rel=0.02)
        assert zone.visible_share == pytest.approx(1.0, abs=0.02)
    assert placed.warnings == () and placed.missing == ()


def test_the_map_is_row_column_with_the_fibre_off_centre():
    placed = place(MICROMETRES, Fiber(ROUND))
    assert placed.zone_map.shape == SHAPE and placed.zone_map.dtype == np.uint8
    assert placed.zone_map[143, 211] == 1  # row 143, column 211
    assert placed.zone_map[143, 211 + 50] == 2
    assert placed.zone_map[143 + 82, 211] == 3
    assert placed.zone_map[143, 211 - 120] == 4
    assert placed.zone_map[143, 211 - 140] == 0


def test_an_unknown_core_leaves_out_its_zone_and_names_it():
    placed = place(SHARES, Fiber(ROUND, NAN))
    assert placed.missing == ("Core",)
    assert [z.name for z in placed.zones] == ["Cladding", "Adhesive", "Contact"]
    assert placed.zones[0].inner_radius_px == 0 and placed.zone_map[143, 211] == 2


def test_a_zone_inside_the_one_before_is_not_placed():
    placed = place(rings("diameter_um", 60, 50, 90), Fiber(ROUND))
    assert [(z.name, z.inner_radius_px, z.outer_radius_px) for z in placed.zones] == [
        ("Core", 0.0, pytest.approx(60)),
        ("Adhesive", pytest.approx(60), pytest.approx(90)),
    ]


@pytest.mark.parametrize(
    ("only", "inspected"),
    [
        (None, {"Core", "Cladding", "Adhesive", "Contact"}),
        (("Core", "Cladding"), {"Core", "Cladding"}),
        (("Contact",), {"Contact"}),
        ((), set()),
    ],
)
def test_only_restricts_what_is_inspected_not_what_is_placed(only, inspected):
    placed = place(MICROMETRES, Fiber(ROUND), only=only)
    assert {z.name for z in placed.zones if z.inspected} == inspected
    assert set(np.unique(placed.zone_map)) == {0, 1, 2, 3, 4}


def test_a_zone_that_the_rule_set_leaves_alone_stays_so():
    definitions = (*MICROMETRES[:2], *rings("diameter_um", 0, 0, 86, inspected=False)[2:])
    placed = place(definitions, Fiber(ROUND), only=("Cladding", "Adhesive"))
    assert [z.name for z in placed.zones if z.inspected] == ["Cladding"]


# --- cut off at the edge of the image ------------------------------------------------------------------------------


def test_a_fibre_cut_in_half_shows_half_of_each_zone():
    placed = place(MICROMETRES, Fiber(Ellipse(-0.5, 150.0, 160.0, 160.0, 0.0)))
    for zone in placed.zones:
        assert zone.visible_share == pytest.approx(0.5, abs=0.02)
    assert len(placed.warnings) == 4
    assert "Contact" in placed.warnings[-1] and "%" in placed.warnings[-1]


def test_the_warning_names_the_zone_and_the_visible_share():
    placed = place(MICROMETRES, Fiber(Ellipse(211.0, 112.0, 160.0, 160.0, 0.0)))  # 18 px of the contact zone are above
    visible = {z.name: z.visible_share for z in placed.zones}
    assert [visible[name] for name in ("Core", "Cladding", "Adhesive")] == pytest.approx([1, 1, 1], abs=0.02)
    beyond = 130**2 * math.acos(112.5 / 130) - 112.5 * math.sqrt(130**2 - 112.5**2)
    assert visible["Contact"] == pytest.approx(1 - beyond / (math.pi * (130**2 - 86**2)), abs=0.005)
    assert placed.warnings == (f"The image shows only {visible['Contact']:.0%} of the Contact zone.",)


@pytest.mark.parametrize("core_px", [2.0, 4.0, 6.0, 9.0, 13.0])
def test_a_small_zone_inside_the_image_is_wholly_visible(core_px):
    placed = place(SHARES, Fiber(ROUND, core_px))
    assert placed.warnings == ()
    assert placed.zones[0].visible_share == pytest.approx(1.0, abs=0.02)


def test_no_warning_for_a_zone_that_is_not_inspected_or_hardly_cut():
    cut = Fiber(Ellipse(211.0, 112.0, 160.0, 160.0, 0.0))
    assert place(MICROMETRES, cut, only=("Core", "Cladding")).warnings == ()
    assert place(MICROMETRES, cut, cut_off_share=0.2).warnings == ()


def test_a_black_margin_over_the_fibre_hides_what_it_covers():
    whole, cut = place(MICROMETRES, Fiber(ROUND, 40.0)), place(MICROMETRES, Fiber(ROUND, 40.0), box=(143, 300, 0, 400))
    visible = {z.name: z.visible_share for z in cut.zones}
    assert [visible[name] for name in ("Core", "Cladding", "Adhesive")] == pytest.approx([0.5] * 3, abs=0.02)
    assert len(cut.warnings) == 4 and "only 51% of the Core zone" in cut.warnings[0]
    np.testing.assert_array_equal(cut.zone_map, whole.zone_map)


def test_a_zone_outside_of_the_image_is_not_visible_at_all():
    placed = place(MICROMETRES, Fiber(Ellipse(-300.0, 150.0, 160.0, 160.0, 0.0)))
    assert all(zone.visible_share == 0 for zone in placed.zones)
    assert not placed.zone_map.any()


# --- the shipped rule sets -----------------------------------------------------------------------------------------


def test_the_shipped_rule_sets_place_growing_zones_on_the_fibre_types_that_use_them():
    config = shipped_config()
    for fiber_type in config.fiber_types.values():
        rule_set = config.rule_sets[fiber_type.rule_set]
        um_per_px = fiber_type.cladding_um / (2 * ROUND.mean_radius_px)
        fiber = Fiber(ROUND, fiber_type.core_um / um_per_px, "nominal")
        radii = list(zone_radii_px(rule_set.zones, fiber, Scale(um_per_px, "x")).values())
        assert len(radii) == 4 and all(a < b for a, b in itertools.pairwise([0.0, *radii])), fiber_type.name
