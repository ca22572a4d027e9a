"""Whether a flat field can be used, and whether it fits the light of an image."""

import numpy as np
import pytest
from faces import clean_grey, inspect_grey, shipped_config

from cli.job_settings import choose_settings
from image_io import DecodedImage
from inspection import inspect_image
from records import Ellipse
from vision.flat_field import flat_field_flaw, misfit_warnings
from vision.geometry import scaled
from vision.preprocess import divide_by_flat_field

CLADDING = Ellipse(211.0, 143.0, 180.0, 180.0, 0.0)


def vignette(shape=(300, 400), *, depth=0.5, x=0.5, y=0.5) -> np.ndarray:
    """Light that falls from 1 to 1 - depth half a frame's width from (x, y), given as shares of the frame."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    far = ((rows / shape[0] - y) * shape[0] / shape[1]) ** 2 + (cols / shape[1] - x) ** 2
    return np.clip(1 - 4 * depth * far, 0.1, None)


def grey_levels(light: np.ndarray, level: float = 200.0) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 2, light.shape)
    return np.clip(np.rint(level * light + noise), 0, 255).astype(np.uint8)


LEFT = vignette(x=0.3, y=0.4)
EVEN = np.ones((300, 400))
PAIRS = {
    "fitting": (LEFT, LEFT, False),
    "weaker than the light": (LEFT, vignette(depth=0.3, x=0.3, y=0.4), False),
    "a little shifted": (LEFT, vignette(x=0.33, y=0.4), False),
    "even": (EVEN, EVEN, False),
    "even field": (LEFT, EVEN, False),
    "shifted": (LEFT, vignette(x=0.9, y=0.6), True),
    "rotated": (LEFT, LEFT[::-1, ::-1], True),
    "inverted": (LEFT, 0.35 / LEFT, True),
    "for other light": (EVEN, vignette(), True),
}


@pytest.mark.parametrize(("light", "field", "warned"), PAIRS.values(), ids=PAIRS.keys())
def test_a_field_that_makes_the_light_uneven(light, field, warned):
    before = np.clip(np.rint(clean_grey() * light), 0, 255).astype(np.uint8)
    kept = before.copy()
    after = divide_by_flat_field(before, grey_levels(field))
    warnings = misfit_warnings(before, after, CLADDING)
    assert len(warnings) == warned
    assert not warned or "capture it again" in warnings[0]
    np.testing.assert_array_equal(before, kept)


@pytest.mark.parametrize("factor", [1, 2, 6])
def test_a_misfit_does_not_depend_on_the_magnification(factor):
    light, field = (np.kron(item, np.ones((factor, factor))) for item in (LEFT, LEFT[::-1, ::-1]))
    before = np.rint(np.kron(clean_grey(), np.ones((factor, factor), np.uint8)) * light).astype(np.uint8)
    cladding = scaled(CLADDING, factor)
    (warning,) = misfit_warnings(before, divide_by_flat_field(before, grey_levels(field)), cladding)
    assert (int(warning.split("varies by ")[1][:3]), int(warning.split("and by ")[1][:2])) == pytest.approx(
        (130, 84), abs=3
    )


def test_the_fibre_itself_and_marks_do_not_count():
    before = clean_grey().copy()
    before[20:26, 20:380] = 0
    after = before.copy()
    rows, cols = np.mgrid[:300, :400]
    after[np.hypot(rows - 143, cols - 211) < 95] = 250
    assert misfit_warnings(before, after, CLADDING) == []


def test_the_dark_beyond_the_ferrule_does_not_count():
    light = vignette(x=0.5)
    before = np.rint(clean_grey() * light).astype(np.uint8)
    before[:, :60] = 4
    assert misfit_warnings(before, divide_by_flat_field(before, grey_levels(light)), CLADDING) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (300, 400)])
def test_a_picture_without_ferrule_says_nothing(shape):
    before = np.full(shape, 100, np.uint8)
    after = np.linspace(0, 255, before.size).reshape(shape).astype(np.uint8)
    assert misfit_warnings(before, after, Ellipse(shape[1] / 2, shape[0] / 2, 900.0, 900.0, 0.0)) == []


def test_the_warning_reaches_the_record():
    settings = choose_settings(shipped_config(), None, zones="core", core_um=9.0, cladding_um=125.0)
    shaded = np.rint(clean_grey() * LEFT).astype(np.uint8)
    for field, warned in ((LEFT, False), (LEFT[::-1, ::-1], True)):
        record = inspect_image(DecodedImage("face.png", shaded), settings, flat_field=grey_levels(field)).record
        assert any("flat-field image does not fit" in text for text in record.warnings) is warned
    assert not any("flat-field" in text for text in inspect_grey(shaded, cladding_um=125.0).record.warnings)


# --- fields that cannot be used ------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("shape", [(300, 400), (1200, 1600)])
def test_uneven_light_and_noise_are_what_a_field_is_for(shape, depth):
    assert flat_field_flaw(grey_levels(vignette(shape, depth=depth, x=0.4))) == ""


def test_the_round_field_of_an_eyepiece_is_sound():
    rows, cols = np.mgrid[:300, :400]
    assert flat_field_flaw(grey_levels((np.hypot(rows - 150, cols - 200) < 148) * vignette(depth=0.3))) == ""


def test_a_few_specks_of_dust_on_the_sensor_belong_into_a_field():
    field = grey_levels(vignette(depth=0.3))
    for row, col in ((80, 100), (200, 300), (150, 180)):
        field[row : row + 8, col : col + 8] //= 2
    assert flat_field_flaw(field) == ""


def scratched() -> np.ndarray:
    field = grey_levels(EVEN)
    for col in (90, 160, 240, 300):
        field[:, col : col + 6] //= 2
    return field


FLAWS = {
    "black": (grey_levels(EVEN, 3), "black"),
    "saturated": (grey_levels(EVEN, 290), "overexposed"),
    "a fibre": (clean_grey(), "edges or marks"),
    "scratched": (scratched(), "edges or marks"),
}


@pytest.mark.parametrize(("field", "words"), FLAWS.values(), ids=FLAWS.keys())
def test_a_field_that_would_spoil_every_image(field, words):
    assert words in flat_field_flaw(field)


def test_fields_of_one_pixel_have_no_detail():
    assert flat_field_flaw(np.full((1, 1), 100, np.uint8)) == ""
