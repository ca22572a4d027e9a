"""The real pylon runtime with its emulated camera: choosing, opening, grabbing, failing, closing."""

from __future__ import annotations

import _thread
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from camera_emulator import HEIGHT, SERIALS, SETTINGS, WIDTH, fail_next, node, send_nothing, show, small_camera

from camera import auto_exposure, configure, find_cameras, grab, open_camera, read_state, save_user_set
from camera.exposure import Outcome
from errors import CameraError, ExitCode, MissingDependency, describe

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def camera():
    with small_camera() as each:
        yield each


def changed(**values):
    return dataclasses.replace(SETTINGS, **values)


def refused(work) -> str:
    """The sentence with which ``work`` fails, as a user of the program reads it."""
    with pytest.raises(CameraError) as caught:
        work()
    sentence, code = describe(caught.value)
    assert code == ExitCode.MISSING_DEPENDENCY
    assert caught.value.remedy
    assert "Exception" not in sentence and "\n" not in sentence
    return sentence


# --- which camera ----------------------------------------------------------------------------------------------------


def test_every_camera_is_listed():
    assert [(each.model, each.serial) for each in find_cameras()] == [("Emulation", serial) for serial in SERIALS]


def test_first_camera_is_taken_and_said():
    with open_camera(changed(serial=None)) as camera:
        assert camera.serial == SERIALS[0]
        assert camera.choice == (
            "Using camera Emulation 0815-0000, the first of 2 found (Emulation 0815-0000, Emulation 0815-0001);"
            " camera.serial in config.json chooses another."
        )


def test_camera_is_taken_by_its_serial_number():
    with open_camera(changed(serial=SERIALS[1])) as camera:
        assert node(camera, "Width").GetValue() > 0
        assert camera.device.GetDeviceInfo().GetSerialNumber() == camera.serial == SERIALS[1]
        assert camera.choice == "Using camera Emulation 0815-0001, chosen by its serial number."


def test_unknown_serial_number_lists_those_that_are_there():
    sentence = refused(lambda: open_camera(changed(serial="123")).__enter__())
    assert sentence.startswith("No camera with serial number 123 was found; there are: Emulation 0815-0000, Emul")


def run_python(code: str, **environment: str) -> str:
    variables = {name: value for name, value in os.environ.items() if name != "PYLON_CAMEMU"} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_no_camera_at_all():
    code = (
        "import camera, errors\ntry: print(*camera.find_cameras(), sep=', ') or camera.runtime.choose_camera((), None)"
    )
    out = run_python(code + "\nexcept errors.CameraError as error: print(error, int(error.exit_code))")
    if not out.startswith("No camera"):
        pytest.skip(f"there is a real camera: {out}")
    assert out == ("No camera was found. Connect the camera, wait until its light is steady, then try again. 5")


def test_package_loads_without_pypylon():
    assert run_python("import sys, camera; print('pypylon' in sys.modules)") == "False"


def test_missing_pypylon_is_one_sentence(monkeypatch):
    monkeypatch.delitem(sys.modules, "pypylon.pylon", raising=False)
    monkeypatch.setitem(sys.modules, "pypylon", None)
    with pytest.raises(MissingDependency, match=r"is not installed\. Run: pip install") as caught:
        find_cameras()
    assert describe(caught.value)[1] == 5


# --- frames ----------------------------------------------------------------------------------------------------------


def test_picture_arrives_byte_for_byte(camera, tmp_path, picture):
    show(camera, tmp_path / "picture.png", picture)
    frame = grab(camera, 2.0)
    assert frame.dtype == np.uint8
    np.testing.assert_array_equal(frame, picture)


@pytest.fixture
def picture():
    return np.random.default_rng(4).integers(0, 256, (37, 53), np.uint8)


@pytest.mark.parametrize(("pixel_format", "bits"), [("Mono8", 8), ("Mono10", 10), ("Mono12", 12), ("Mono16", 16)])
def test_depth_of_the_sensor_is_kept(camera, tmp_path, picture, pixel_format, bits):
    show(camera, tmp_path / "picture.png", picture)
    node(camera, "PixelFormat").FromString(pixel_format)
    frame = grab(camera, 2.0)
    assert frame.dtype == (np.uint8 if bits == 8 else np.uint16)
    np.testing.assert_array_equal(frame, picture.astype(frame.dtype) << (bits - 8))


@pytest.mark.parametrize("pixel_format", ["BGR8Packed", "RGB8Packed", "BayerRG8", "BayerBG12"])
def test_colour_becomes_grey(camera, tmp_path, pixel_format):
    show(camera, tmp_path / "picture.png", np.full((32, 48), 90, np.uint8))
    node(camera, "PixelFormat").FromString(pixel_format)
    frame = grab(camera, 2.0)
    assert (frame.shape, frame.dtype) == ((32, 48), np.uint8)
    assert np.abs(frame.astype(int) - 90).max() <= 1


def test_frame_has_the_size_that_was_set(camera):
    assert grab(camera, 2.0).shape == (HEIGHT, WIDTH)


def test_average_of_one_picture_is_that_picture(camera, tmp_path, picture):
    show(camera, tmp_path / "picture.png", picture)
    np.testing.assert_array_equal(grab(camera, 2.0, average=5), picture)


def test_average_is_taken_over_successive_frames(camera):
    """This ramp gains one grey level from frame to frame: the average of three is the one in the middle."""
    node(camera, "TestImageSelector").FromString("Testimage2")
    first = grab(camera, 2.0)
    assert int(first.max()) < 255 - 3
    np.testing.assert_array_equal(grab(camera, 2.0, average=3), first + 1)
    np.testing.assert_array_equal(grab(camera, 2.0, average=2), first + 1)  # a half is rounded up


def test_average_of_no_frame_is_a_mistake_of_the_caller(camera):
    with pytest.raises(ValueError, match="at least 1"):
        grab(camera, 2.0, average=0)


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("average", [1, 4])
def test_failed_buffers_are_taken_again(camera, average, caplog):
    fail_next(camera, SETTINGS.grab_retries)
    assert grab(camera, 2.0, average).shape == (HEIGHT, WIDTH)
    assert caplog.text.count("The buffer was incompletely grabbed") == SETTINGS.grab_retries
    assert node(camera, "ForcedFailedBuffersRemaining").GetValue() == 0


def test_buffers_that_keep_failing_are_given_up(camera):
    fail_next(camera, 50)
    assert refused(lambda: grab(camera, 2.0)).startswith(
        "Camera Emulation 0815-0000 sent 4 failed or incomplete images in a row: The buffer was incompletely grabbed."
    )
    assert node(camera, "ForcedFailedBuffersRemaining").GetValue() <= 50 - 4
    assert not camera.device.IsGrabbing()


def test_no_retries_means_the_first_failure_counts():
    with small_camera(changed(grab_retries=0)) as camera:
        fail_next(camera, 1)
        assert "sent 1 failed" in refused(lambda: grab(camera, 2.0))


def test_timeout_and_then_an_image(camera):
    send_nothing(camera)
    assert "sent no image within 0.25 s" in refused(lambda: grab(camera, 0.25))
    assert not camera.device.IsGrabbing()
    node(camera, "TriggerMode").FromString("Off")
    assert grab(camera, 2.0).shape == (HEIGHT, WIDTH)


def during_grab(camera, action, timeout_s=5.0) -> None:
    """Grab while the camera sends nothing; ``action`` happens meanwhile."""
    send_nothing(camera)
    timer = threading.Timer(0.2, action)
    timer.start()
    try:
        grab(camera, timeout_s)
    finally:
        timer.join()


def test_unplugged_in_mid_grab(camera):
    unplug = node(camera, "FirePnPCallback").Execute
    sentence = refused(lambda: during_grab(camera, unplug))
    assert sentence.startswith("Camera Emulation 0815-0000 was unplugged or lost its power.")
    for work in (lambda: grab(camera, 1.0), lambda: configure(camera, SETTINGS), lambda: read_state(camera)):
        assert "was unplugged" in refused(work)
    assert "was unplugged" in refused(lambda: save_user_set(camera))
    assert "was unplugged" in refused(lambda: auto_exposure(camera, timeout_s=1.0, max_exposure_us=1e5))


@pytest.mark.parametrize("method", ["Close", "DestroyDevice"])
def test_closed_under_the_grab(camera, method):
    assert "Camera Emulation 0815-0000" in refused(lambda: during_grab(camera, getattr(camera.device, method)))
    assert "Camera Emulation 0815-0000" in refused(lambda: grab(camera, 1.0))


@pytest.fixture
def ctrl_c():
    """Ctrl-C interrupts, also where the shell ignores it, as for what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_closes_the_camera():
    start_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt), small_camera() as camera:
        during_grab(camera, _thread.interrupt_main, timeout_s=20.0)
    assert time.monotonic() - start_s < 10.0
    assert not camera.device.IsOpen()
    assert not camera.device.IsPylonDeviceAttached()
    with small_camera() as again:
        assert grab(again, 2.0).shape == (HEIGHT, WIDTH)


def test_sdk_error_in_the_block_is_a_sentence_and_closes_the_camera():
    def use_it_wrongly():
        with small_camera() as camera:
            kept.append(camera)
            node(camera, "Width").SetValue(10**6)

    kept = []
    assert "Camera Emulation 0815-0000 failed: Value = 1000000 must be" in refused(use_it_wrongly)
    assert not kept[0].device.IsOpen()


def test_mistake_of_the_caller_is_not_blamed_on_the_camera():
    with pytest.raises(RuntimeError, match="mine"), small_camera() as camera:
        raise RuntimeError("mine")
    assert not camera.device.IsOpen()


# --- settings --------------------------------------------------------------------------------------------------------


def test_configuration_is_read_back(camera):
    for name, value in (("ExposureAuto", "Continuous"), ("GainAuto", "Once"), ("PixelFormat", "Mono12")):
        node(camera, name).FromString(value)
    for kind in ("FrameStart", "FrameBurstStart"):
        node(camera, "TriggerSelector").FromString(kind)
        node(camera, "TriggerMode").FromString("On")
    for name, value in (("Gamma", 2.0), ("OffsetX", 64), ("BinningVertical", 2), ("DigitalShift", 3)):
        node(camera, name).SetValue(value)
    state = configure(camera, changed(exposure_us=2500.0, gain_db=3.0))
    assert state.exposure_us == 2500.0
    assert state.gain == pytest.approx(3.0, abs=0.01)
    assert (state.model, state.serial, state.pixel_format) == ("Emulation", SERIALS[0], "Mono8")
    assert (state.gamma, state.gain_unit, state.skipped) == (1.0, "dB", ())
    size = node(camera, "SensorHeight").GetValue(), node(camera, "SensorWidth").GetValue()
    assert (state.height_px, state.width_px) == size
    assert state.differences == ("TestImageSelector is Testimage1: the camera sends a test picture, not what it sees.",)
    for name in ("ExposureAuto", "GainAuto"):
        assert node(camera, name).ToString() == "Off"
    assert [node(camera, name).GetValue() for name in ("OffsetX", "BinningVertical", "DigitalShift")] == [0, 1, 0]
    frame = grab(camera, 2.0)
    assert (frame.shape, frame.dtype) == (size, np.uint8)
    assert read_state(camera) == dataclasses.replace(state, differences=())


def test_values_out_of_range_are_clamped_and_said(camera):
    node(camera, "TestImageSelector").FromString("Off")
    state = configure(camera, changed(exposure_us=0.2, gain_db=60.0))
    assert (state.exposure_us, state.gain) == (1.0, pytest.approx(48.0, abs=0.01))
    assert state.differences == (
        "ExposureTime: 0.2 us is outside the camera's range of 1 to 10000000 us; the nearest end is used.",
        "Gain: 60 dB is outside the camera's range of 0 to 48 dB; the nearest end is used.",
    )


def test_colour_format_under_its_older_name(camera):
    state = configure(camera, changed(pixel_format="BGR8"))
    assert state.pixel_format == "BGR8Packed"
    assert state.skipped == ("BalanceWhiteAuto",)


def test_test_picture_does_not_react_to_the_exposure(camera):
    configured = read_state(camera)
    result = auto_exposure(camera, timeout_s=2.0, max_exposure_us=500_000.0)
    assert result.outcome is Outcome.NO_REACTION
    assert "does not react to the exposure time" in result.message
    assert 2 <= len(result.frames) <= 10
    assert read_state(camera) == configured


def test_emulator_keeps_no_user_sets(camera):
    assert "has no user set that can be saved" in refused(lambda: save_user_set(camera))
