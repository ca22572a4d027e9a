"""The live picture: the fibre is followed where it goes, and light, focus and failures are said in words."""

from __future__ import annotations

import re

import cv2
import faces
import numpy as np
import pytest
from main_runs import until
from station_fakes import GIVEN, FakeCamera, running

from image_io import image_of_pixels
from inspection import inspect_image
from station import words
from station.setup import Choice, make_setup
from station.sources import FolderSource
from station.tracking import Tracker

SETTINGS = make_setup(GIVEN, Choice()).settings
TRUE_CENTRE, TRUE_RADIUS_PX = (211.0, 143.0), 90.0
GREY = faces.clean_grey()


def moved(dx: float, dy: float, zoom: float = 1.0) -> np.ndarray:
    """The face shifted by so many pixels; the picture goes on beyond its edges."""
    matrix = np.array([[zoom, 0, dx], [0, zoom, dy]], np.float32)
    return cv2.warpAffine(GREY, matrix, GREY.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def see(tracker: Tracker, *pictures: np.ndarray):
    for picture in pictures:
        sight = tracker.follow(picture, np.iinfo(picture.dtype).max, SETTINGS)
    return sight


@pytest.fixture
def tracker(monkeypatch):
    """One that has found the fibre, and does not search again while it can follow it."""
    monkeypatch.setattr("station.tracking._SEARCH_EVERY_S", 3600.0)
    monkeypatch.setattr("station.tracking._REST_SHARE", 0.0)
    fresh = Tracker()
    assert see(fresh, GREY).fiber is not None
    return fresh


def assert_at(sight, x_px: float, y_px: float, radius_px: float = TRUE_RADIUS_PX, within_px: float = 0.3):
    found = sight.fiber.cladding
    assert abs(found.x_px - x_px) < within_px and abs(found.y_px - y_px) < within_px
    assert abs(found.mean_radius_px - radius_px) < within_px


def test_a_fibre_at_rest_is_where_the_inspection_finds_it(tracker):
    sight, record = see(tracker, GREY, GREY), inspect_image(image_of_pixels(GREY, name="a.png"), SETTINGS).record
    assert_at(sight, record.fiber.cladding.x_px, record.fiber.cladding.y_px, within_px=0.15)
    assert [zone.name for zone in sight.zones] == [zone.name for zone in record.zones]
    for live, still in zip(sight.zones, record.zones, strict=True):
        assert live.outer_radius_px == pytest.approx(still.outer_radius_px, abs=0.3)
    assert sight.focus_score == pytest.approx(record.focus_score, abs=0.05)
    assert sight.scale.um_per_px == pytest.approx(record.scale.um_per_px, rel=0.003)


def test_a_moving_fibre_is_followed_without_a_search(tracker, monkeypatch):
    monkeypatch.setattr("station.tracking.locate", None)  # a search would fail
    for step in range(1, 9):
        dx, dy = 2.5 * step, -1.5 * step
        assert_at(see(tracker, moved(dx, dy)), TRUE_CENTRE[0] + dx, TRUE_CENTRE[1] + dy)


def test_a_jump_is_found_again(tracker):
    assert_at(see(tracker, moved(70.0, 25.0), moved(70.0, 25.0)), TRUE_CENTRE[0] + 70, TRUE_CENTRE[1] + 25)


def test_a_larger_magnification_is_followed(tracker):
    zoom = 1.06
    shift = [(1 - zoom) * value for value in TRUE_CENTRE]
    sight = see(tracker, moved(*shift, zoom=1.03), moved(*shift, zoom=zoom))
    assert sight.fiber.cladding.mean_radius_px == pytest.approx(zoom * TRUE_RADIUS_PX, abs=0.5)


def test_no_fibre_is_said_in_words_until_it_is_back(tracker):
    blank = np.full_like(GREY, 120)
    sight = see(tracker, blank)
    assert sight.fiber is None and np.isnan(sight.focus_score) and sight.zones == ()
    assert words.fiber_in_words(sight).startswith("Fibre not found: ")
    assert_at(see(tracker, GREY), *TRUE_CENTRE)


def test_more_blur_is_less_focus(tracker):
    scores = [see(tracker, cv2.GaussianBlur(GREY, (0, 0), sigma)).focus_score for sigma in (0.5, 1.5, 3.0)]
    assert scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize(("gain", "words_said"), [(2.6, "Too bright"), (0.2, "Too dark"), (1.0, "Light good")])
def test_light_is_said_in_words(gain, words_said):
    picture = np.clip(GREY * gain, 0, 255).astype(np.uint8)
    assert words.light_in_words(see(Tracker(), picture)).startswith(words_said)


def test_a_picture_of_16_bit_is_seen_as_it_is_inspected(tracker):
    picture = GREY.astype(np.uint16) * 200
    sight = see(tracker, picture)
    assert sight.frame is picture
    np.testing.assert_array_equal(sight.grey, image_of_pixels(picture, name="a.png").grey)
    assert_at(sight, *TRUE_CENTRE)


@pytest.mark.parametrize("shape", [(1, 1), (5, 700), (30, 30)])
def test_degenerate_pictures_have_no_fibre(shape):
    assert see(Tracker(), np.zeros(shape, np.uint8)).fiber is None


def test_pictures_are_not_changed(tracker):
    picture = moved(1.0, 1.0)
    before = picture.copy()
    see(tracker, picture)
    np.testing.assert_array_equal(picture, before)


# --- the thread ------------------------------------------------------------------------------------------------------


def test_a_camera_that_comes_back_is_opened_again(tmp_path):
    camera = FakeCamera()
    with running(tmp_path / "out", camera) as session:
        until(lambda: session.live.view.sight is not None)
        camera.unplugged = True
        until(lambda: session.live.view.sight is None)
        assert session.live.view.trouble == "The camera was unplugged. Plug it in. The station tries again by itself."
        session.capture()
        assert "no picture to capture" in session.message.text and "unplugged" in session.message.text
        camera.unplugged = False
        until(lambda: session.live.view.sight is not None)


def test_what_is_asked_of_the_camera_is_answered(tmp_path):
    camera = FakeCamera()
    with running(tmp_path / "out", camera) as session:
        session.live.ask(lambda feed: feed.set_exposure_us(500.0))
        until(lambda: session.poll() or session.message.text == "Exposure: 500 us.")
        session.live.ask(lambda feed: feed.set_gain_db(1.0))
        until(lambda: session.poll() or session.message.text == "There is no gain.")
        assert camera.asked == [500.0] and session.live.view.sight is not None


def test_a_mistake_in_the_program_does_not_end_the_picture(tmp_path):
    camera = FakeCamera()
    with running(tmp_path / "out", camera) as session:
        camera.picture = "no picture"
        until(lambda: "Internal error" in session.live.view.trouble)
        camera.picture = GREY
        until(lambda: session.live.view.sight is not None)


def test_an_unreadable_image_of_a_folder_is_named_and_passed_over(tmp_path):
    good = faces.write(tmp_path / "b.png", faces.clean_png())
    bad = faces.write(tmp_path / "a.png", b"nothing")
    with running(tmp_path / "out", FolderSource((bad, good), 60.0)) as session:
        assert session.live.view.trouble.startswith("a.png: The file is not an image")
        until(lambda: session.live.view.sight is not None)


@pytest.mark.parametrize("text", ["x" * 45, "a short text", "/a/path/without/any/place/where/a/line/may/end.png"])
def test_long_words_may_be_broken_and_stay_the_same_words(text):
    broken = words.breakable(text)
    assert broken.replace("\u200b", "") == text
    assert max(len(part) for part in re.split("[\u200b ]", broken)) <= 20
