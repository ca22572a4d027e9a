"""The centre of the core: against rendered fibres whose core lies off centre."""

from __future__ import annotations

import math

import numpy as np
import pytest
from faces import clean_grey, face_scene, inspect_grey

from records import Ellipse
from rendering.engine import render
from rendering.scene import FIBRE_KINDS, FibreView, Frame
from vision.core_centre import measure_core_centre


@pytest.mark.parametrize("kind", [0, 2, 3])
@pytest.mark.parametrize(("radius_px", "offset"), [(90.0, (1.5, -0.8)), (90.0, (0.0, 0.0)), (160.0, (-2.5, 2.0))])
def test_the_centre_is_where_the_core_was_drawn(kind, radius_px, offset):
    fibre = FibreView(FIBRE_KINDS[kind], x_px=231.3, y_px=193.4, radius_px=radius_px, core_offset_px=offset)
    grey = render(face_scene(fibre=fibre, frame=Frame(440, 400))).image
    cladding = Ellipse(fibre.x_px, fibre.y_px, 2 * radius_px, 2 * radius_px, 0.0)
    core_px = 2 * radius_px * fibre.kind.core_um / fibre.kind.cladding_um
    x, y = measure_core_centre(grey, cladding, core_px)
    assert (x - fibre.x_px, y - fibre.y_px) == pytest.approx(offset, abs=0.15)


@pytest.mark.parametrize("core_px", [0.5, 20.0, 100.0])
def test_without_an_edge_there_is_no_centre(core_px):
    grey = np.random.default_rng(1).integers(80, 120, (300, 320), np.uint8)
    assert measure_core_centre(grey, Ellipse(160.0, 150.0, 200.0, 200.0, 0.0), core_px) is None


def test_a_core_that_is_mostly_outside_the_image_has_no_centre():
    assert measure_core_centre(clean_grey(), Ellipse(-40.0, 143.0, 180.0, 180.0, 0.0), 60.0) is None


def test_an_inspection_knows_the_centre_of_a_measured_core():
    fiber = inspect_grey(clean_grey(), cladding_um=125.0).record.fiber
    assert fiber.core_source == "measured"
    assert math.dist((fiber.core_x_px, fiber.core_y_px), (fiber.cladding.x_px, fiber.cladding.y_px)) < 0.3
