"""The station with the emulated Basler camera: its picture arrives unchanged, and comes back when it was unplugged."""

from __future__ import annotations

import contextlib
import dataclasses

import camera_emulator as emulator
import faces
import numpy as np
import pytest
import station_fakes as fakes
from main_runs import until

import camera
from errors import CameraError
from image_io import decode_image
from station import sources
from station.calibrating import CalibrationGuide
from station.session import Phase

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """The cameras that the station has opened, each of which sees a face."""
    cameras = []
    open_camera = camera.open_camera

    @contextlib.contextmanager
    def open_and_show(settings):
        with open_camera(settings) as each:
            emulator.show(each, tmp_path / "face.png", faces.clean_grey())
            cameras.append(each)
            yield each

    monkeypatch.setattr(sources.basler, "open_camera", open_and_show)
    return cameras


@pytest.fixture
def session(opened, tmp_path):
    settings = dataclasses.replace(emulator.SETTINGS, exposure_us=2000.0)
    with fakes.running(tmp_path / "out", sources.CameraSource(settings)) as each:
        until(lambda: each.live.view.sight is not None and each.live.view.sight.fiber is not None)
        yield each


def told(session, beginning: str) -> None:
    """Until the session says a sentence that begins like this."""
    until(lambda: session.poll() or session.message.text.startswith(beginning))


def test_the_picture_arrives_as_it_is_and_is_saved_as_it_is(session):
    np.testing.assert_array_equal(session.live.view.sight.frame, faces.clean_grey())
    fakes.saved(session)
    (path,) = session.folder.joinpath("captures").iterdir()
    np.testing.assert_array_equal(decode_image(path.read_bytes(), name="a.png").grey, faces.clean_grey())


def test_exposure_and_gain_are_set_between_two_pictures(session):
    assert session.live.view.camera.exposure_us == 2000.0
    session.live.ask(lambda feed: feed.set_exposure_us(3000.0))
    told(session, "Exposure: 3000 us.")
    session.live.ask(lambda feed: feed.set_gain_db(99.0))
    told(session, "Gain: 48.0 dB. Gain: 99 dB is outside the camera's range")
    until(lambda: session.live.view.camera.exposure_us == 3000.0 and session.live.view.camera.gain > 47.0)


def test_the_exposure_is_searched_and_the_picture_goes_on(session):
    number = session.live.view.number
    session.live.ask(lambda feed: feed.find_exposure())
    told(session, "No exposure met the goal in 10 images")
    until(lambda: session.live.view.number > number + 5 and session.live.view.sight is not None)


def test_an_unplugged_camera_is_said_and_opened_again(session, opened):
    fakes.captured(session)
    emulator.node(opened[-1], "TriggerSelector").FromString("FrameStart")
    emulator.send_nothing(opened[-1])  # or the emulator goes on sending although it is unplugged
    emulator.node(opened[-1], "FirePnPCallback").Execute()
    until(lambda: "was unplugged" in session.live.view.trouble)
    session.save()  # what was captured is not touched by it
    fakes.wait_for(session, Phase.SAVED)
    until(lambda: len(opened) > 1 and session.live.view.sight is not None)


def test_the_frames_of_a_stream_are_the_newest():
    with emulator.small_camera() as each, camera.streaming(each, 2.0) as newest:
        assert newest().shape == (emulator.HEIGHT, emulator.WIDTH)
        with pytest.raises(CameraError):
            camera.grab(each, 2.0)  # one at a time
    with emulator.small_camera() as each:
        with camera.streaming(each, 2.0) as newest:
            newest()
        assert not each.device.IsGrabbing()


def test_a_test_picture_is_not_calibrated_with(monkeypatch, tmp_path):
    source = sources.CameraSource(emulator.SETTINGS)
    monkeypatch.setattr("camera.runtime.find_cameras", emulator._seen_once)
    with fakes.running(tmp_path / "out", source) as session:
        until(lambda: session.live.view.sight is not None)
        guide = CalibrationGuide(session)
        guide.measure(10.0)
        until(lambda: guide.poll() or not guide.is_busy)
        guide.close()
    assert "sends a test picture" in guide.message.text and guide.measured is None
