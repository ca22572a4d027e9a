"""Fibre and ferrule as two fields: what lies where is found at its place, and once."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from faces import shipped_config

from image_processing import detect
from records import Ellipse, Fiber, ZoneExtent
from vision import fields
from vision.regions import Region

DETECTION = shipped_config().detection
SHAPE = (700, 760)
WHOLE = (0, 700, 0, 760)
CLADDING = Ellipse(390.0, 345.0, 320.0, 320.0, 0.0)  # radius 160 px: the working scale itself
ZONES = (
    ZoneExtent("Cladding", 2, 0.0, 160.0),
    ZoneExtent("Adhesive", 3, 160.0, 175.0, inspected=False),
    ZoneExtent("Contact", 4, 175.0, 320.0),
)


def face(*discs: tuple[float, float, float, float]) -> np.ndarray:
    """A fibre in its ferrule with discs (x, y, radius, step in grey levels), blurred and with noise."""
    rows, cols = np.indices(SHAPE, np.float32)
    grey = np.where(np.hypot(cols - CLADDING.x_px, rows - CLADDING.y_px) < 160, 120.0, 160.0)
    for x, y, radius, step in discs:
        grey += step * (np.hypot(cols - x, rows - y) < radius)
    grey = cv2.GaussianBlur(grey, (0, 0), 1.2) + np.random.default_rng(2).normal(0, 1.5, SHAPE)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def found(grey: np.ndarray, zones, settings):
    """The label image of a picture of the fibre."""
    return detect(grey, WHOLE, Fiber(CLADDING, 60.0, "measured"), zones, settings).labels


def places(grey: np.ndarray, zones=ZONES) -> list[tuple[float, float, float]]:
    """Centre (x, y) and area of every detected mark."""
    labels = found(grey, zones, DETECTION)
    rows_cols = [np.nonzero(labels == k) for k in range(1, labels.max() + 1)]
    return [(float(c.mean()), float(r.mean()), float(len(r))) for r, c in rows_cols]


def test_marks_of_both_fields_are_found_at_their_place_and_size():
    ((x1, y1, area1), (x2, y2, area2)) = places(face((420, 400, 6, -60), (390, 90, 9, -60)))
    assert (x1, y1) == pytest.approx((420, 400), abs=1)
    assert area1 == pytest.approx(np.pi * 6**2, rel=0.4)
    assert (x2, y2) == pytest.approx((390, 90), abs=1.5)
    assert area2 == pytest.approx(np.pi * 9**2, rel=0.4)


@pytest.mark.parametrize("off", ["do2mr", "blackhat", "lei"])
def test_a_mark_of_the_ferrule_is_found_whatever_is_switched_off(off):
    own = DETECTION.algorithms
    algorithms = dataclasses.replace(own, **{off: dataclasses.replace(getattr(own, off), enabled=False)})
    settings = dataclasses.replace(DETECTION, algorithms=algorithms)
    labels = found(face((390, 90, 16, -90)), ZONES, settings)
    assert labels[90, 390] > 0


def test_a_clear_scratch_of_the_ferrule_is_found():
    scratch = cv2.line(np.zeros(SHAPE, np.float32), (300, 60), (480, 90), 1.0, 3, cv2.LINE_AA)
    labels = found(np.clip(face() - 50 * scratch, 0, 255).astype(np.uint8), ZONES, DETECTION)
    assert (labels[scratch > 0.5] > 0).mean() > 0.8


@pytest.mark.parametrize("offset_px", [-12.0, -6.0, 0.0, 6.0])
def test_a_mark_across_the_border_is_one(offset_px):
    radius = fields.FIBRE_SHARE * 160 + offset_px
    everything = (ZoneExtent("Cladding", 2, 0.0, 320.0),)
    ((x, y, area),) = places(face((390 + radius, 345, 14, -60)), everything)
    assert (x, y) == pytest.approx((390 + radius, 345), abs=2)
    assert area == pytest.approx(np.pi * 14**2, rel=0.3)


def test_what_is_not_inspected_is_not_reported():
    discs = ((420, 400, 6, -60), (390 + 167, 345, 4, -60), (390, 90, 9, -60))
    assert len(places(face(*discs), ZONES[:1])) == 1
    assert len(places(face(*discs))) == 2


def test_a_fibre_alone_has_one_field():
    crop = fields.working_crop(face(), WHOLE, CLADDING, 1.06 * 160, 160)
    assert not fields.has_ferrule_field(crop)
    assert fields.has_ferrule_field(fields.working_crop(face(), WHOLE, CLADDING, 320, 160))
    small = Ellipse(390.0, 345.0, 80.0, 80.0, 0.0)
    assert not fields.has_ferrule_field(fields.working_crop(face(), WHOLE, small, 80, 160))


@pytest.mark.parametrize("working_radius_px", [160.0, 80.0, 57.3])
def test_the_crop_says_where_it_lies(working_radius_px):
    grey = np.zeros(SHAPE, np.uint8)
    cv2.circle(grey, (390, 345), 9, 255, cv2.FILLED)
    crop = fields.working_crop(grey, WHOLE, CLADDING, 200, working_radius_px)
    rows, cols = np.indices(crop.grey.shape)
    x, y = ((crop.grey * axis).sum() / crop.grey.sum() for axis in (cols, rows))
    assert (x, y) == pytest.approx((crop.ellipse.x_px, crop.ellipse.y_px), abs=0.1)
    back = [(value + start + 0.5) / crop.factor - 0.5 for value, start in zip((x, y), crop.offset, strict=True)]
    assert back == pytest.approx((390, 345), abs=0.2)
    assert all(side % 2 == 0 for side in crop.grey.shape)


def region(top: int, left: int, size: int, polarity: int = -1) -> Region:
    rows, cols = np.mgrid[top : top + size, left : left + size]
    return Region(rows.ravel(), cols.ravel(), polarity, 1.0, 5.0, ("DO2MR",))


def test_only_neighbours_of_one_polarity_are_united():
    inner = [region(10, 10, 8), region(40, 40, 8)]
    outer = [region(10, 20, 8), region(10, 80, 8), region(40, 50, 8, polarity=1)]
    merged = fields.united_over_border(inner, outer)
    assert sorted(len(r.rows) for r in merged) == [64, 64, 64, 128]


def test_a_bridge_unites_both_banks():
    merged = fields.united_over_border([region(10, 10, 8), region(10, 30, 8)], [region(10, 19, 10)])
    assert [len(r.rows) for r in merged] == [64 + 64 + 100]


def test_doubled_regions_cover_twice_the_side():
    (twice,) = fields.doubled([region(3, 5, 2)])
    assert set(zip(twice.rows.tolist(), twice.cols.tolist(), strict=True)) == {
        (r, c) for r in range(6, 10) for c in range(10, 14)
    }
