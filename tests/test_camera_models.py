"""What the emulator cannot be: other models' features, user sets, a camera that is held, a sensor that sees light."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from camera_emulator import SETTINGS
from camera_fakes import Device, Node, auto, fake_camera, onoff, sensor_nodes
from pypylon import genicam, pylon

from camera import auto_exposure, configure, open_camera, save_user_set
from camera.exposure import Outcome
from camera.runtime import sdk_reason
from errors import CameraError, ExitCode

HELD_USB = (
    "Failed to open device '2676:ba02:2:2:25' for XML file download. Error: 'Device is exclusively opened by another"
    " client.' : RuntimeException thrown (file 'PylonUsbTL.cpp', line 474)"
)
HELD_GIGE = (
    "Failed to open 'Basler raL2048'. The device is controlled by another application. Err: An attempt was made to"
    " access an address location which is currently/momentary not accessible. (0xE1018006)\n"
    " : RuntimeException thrown (file 'gigedevice.cpp', line 274)"
)


def set_up(settings=SETTINGS, **nodes):
    device = Device(sensor_nodes(**nodes))
    return configure(fake_camera(device), settings), device


def changed(**values):
    return dataclasses.replace(SETTINGS, **values)


# --- features --------------------------------------------------------------------------------------------------------


def test_modern_model_takes_everything():
    state, device = set_up(changed(exposure_us=1500.0, gain_db=2.0), LUTEnable=Node(True), TestPattern=onoff("Off"))
    assert (state.skipped, state.differences) == ((), ())
    assert (state.pixel_format, state.exposure_us, state.gain, state.gamma) == ("Mono8", 1500.0, 2.0, 1.0)
    assert (state.width_px, state.height_px) == (1920, 1200)
    assert [device.nodes[name].value for name in ("OffsetX", "OffsetY")] == [0, 0]
    assert {device.nodes[name].value for name in ("ExposureAuto", "GainAuto", "TriggerMode")} == {"Off"}
    assert device.nodes["LUTEnable"].value is False


def test_older_model_under_its_own_names():
    state, device = set_up(
        ExposureTime=None,
        Gain=None,
        ExposureTimeAbs=Node(35000.0, low=20.0, high=1e6),
        GainRaw=Node(500, low=192, high=1023),
        GainSelector=Node("Red", choices=("All", "Red")),
        GammaEnable=Node(True),
    )
    assert (state.skipped, state.differences) == ((), ())
    assert (state.exposure_us, state.gain, state.gain_unit, state.gamma) == (10000.0, 192.0, "raw", 1.0)
    assert device.nodes["GammaEnable"].value is False
    assert device.nodes["GainSelector"].value == "All"


def test_gain_in_raw_steps_stays_at_its_minimum_and_says_so():
    state, _ = set_up(changed(gain_db=6.0), Gain=None, GainRaw=Node(500, low=192, high=1023))
    assert (state.gain, state.gain_unit) == (192.0, "raw")
    assert state.differences == (
        "Gain: this model counts its gain in raw steps, so 6 dB cannot be set; it is at its minimum.",
    )


def test_gain_that_starts_above_zero_is_no_difference():
    state, _ = set_up(Gain=Node(6.0, low=1.5, high=24.0))
    assert (state.gain, state.differences) == (1.5, ())


def test_features_that_are_missing_are_skipped_and_named():
    gone = ("ExposureAuto", "GainAuto", "TriggerMode", "Gamma", "Gain", "ExposureTime")
    state, device = set_up(**dict.fromkeys(gone))
    assert sorted(state.skipped) == sorted(gone)
    assert state.differences == ()
    assert all(math.isnan(value) for value in (state.exposure_us, state.gain, state.gamma))
    tree = json.loads(json.dumps(state.as_dict(), allow_nan=False))
    assert tree["exposure_us"] is None
    assert tree["skipped"] == list(state.skipped)
    with pytest.raises(CameraError, match="no exposure time that can be set"):
        auto_exposure(fake_camera(device), timeout_s=1.0, max_exposure_us=1e5)


def test_camera_without_any_feature_is_described():
    state = configure(fake_camera(Device({})), SETTINGS)
    assert (state.pixel_format, state.width_px, state.height_px) == ("", 0, 0)
    assert {"PixelFormat", "Width", "Height", "OffsetX", "OffsetY"} <= set(state.skipped)


def test_locked_features_are_said_with_the_reason():
    state, _ = set_up(
        ExposureAuto=Node("Continuous", choices=("Off", "Continuous"), access=3),
        Gamma=Node(2.0, low=0.0, high=4.0, locked=True),
    )
    assert state.differences == (
        "ExposureAuto is Continuous and not Off: it cannot be set on this camera.",
        "Gamma: 1 was asked and 2 is set (Node is not writable).",
    )
    assert state.gamma == 2.0


def test_format_that_is_not_offered_is_said():
    state, _ = set_up(PixelFormat=Node("BayerRG8", choices=("BayerRG8",)), BalanceWhiteAuto=auto())
    assert state.pixel_format == "BayerRG8"
    (sentence,) = state.differences
    assert sentence.startswith("PixelFormat is BayerRG8 and not Mono8: cannot convert value 'Mono8'")


def test_white_balance_of_a_colour_format_is_fixed():
    state, device = set_up(
        changed(pixel_format="RGB8"), PixelFormat=Node("Mono8", choices=("Mono8", "RGB8")), BalanceWhiteAuto=auto()
    )
    assert (state.pixel_format, state.skipped, state.differences) == ("RGB8", (), ())
    assert device.nodes["BalanceWhiteAuto"].value == "Off"


def test_every_kind_of_trigger_is_switched_off():
    class Selected(dict):
        """TriggerMode is another node for each kind of trigger."""

        def __getitem__(self, name):
            return super().__getitem__(f"{name}/{self['TriggerSelector'].value}" if name == "TriggerMode" else name)

        def __contains__(self, name):
            return super().__contains__(name) or name == "TriggerMode"

    kinds = ("AcquisitionStart", "FrameStart")
    nodes = sensor_nodes(TriggerMode=None, TriggerSelector=Node(kinds[0], choices=kinds))
    nodes |= {f"TriggerMode/{kind}": onoff() for kind in kinds}
    configure(fake_camera(Device(Selected(nodes))), SETTINGS)
    assert [nodes[f"TriggerMode/{kind}"].value for kind in kinds] == ["Off", "Off"]


# --- user sets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("default", ["UserSetDefault", "UserSetDefaultSelector"])
def test_user_set_is_saved_for_power_on(default):
    sets = ("Default", "UserSet1", "UserSet2")
    nodes = {
        "UserSetSelector": Node("Default", choices=sets),
        "UserSetSave": Node(access=2),
        default: Node("Default", choices=sets),
    }
    sentence = save_user_set(fake_camera(Device(nodes)))
    assert sentence == "The settings were saved as UserSet1; camera Model 4711 starts with them when it is switched on."
    assert (nodes["UserSetSelector"].value, nodes["UserSetSave"].executed, nodes[default].value) == (
        "UserSet1",
        1,
        "UserSet1",
    )


def test_user_set_that_cannot_be_the_default_is_said():
    nodes = {"UserSetSelector": Node("Default", choices=("UserSet1",)), "UserSetSave": Node(access=2)}
    assert "does not let it be the set at power-on" in save_user_set(fake_camera(Device(nodes)))


@pytest.mark.parametrize(
    "nodes", [{}, {"UserSetSave": Node(access=2), "UserSetSelector": Node("Default", choices=("Default",))}]
)
def test_no_user_set_is_a_sentence(nodes):
    with pytest.raises(CameraError, match="has no user set that can be saved"):
        save_user_set(fake_camera(Device(nodes)))
    assert all(node.executed == 0 for node in nodes.values())


# --- a camera that is held -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [HELD_USB, HELD_GIGE])
def test_camera_held_by_another_program(monkeypatch, reason):
    device = Device({})
    device.open_error = genicam.RuntimeException(reason)
    monkeypatch.setattr(pylon, "InstantCamera", lambda: device)
    with pytest.raises(CameraError) as caught, open_camera(SETTINGS):
        pytest.fail("it was opened")
    assert caught.value.exit_code == ExitCode.MISSING_DEPENDENCY
    assert caught.value.message.startswith("Camera Emulation 0815-0000 is held by another program (Failed to open")
    assert caught.value.remedy == "Close that program, for example pylon Viewer, then try again."
    assert "thrown" not in str(caught.value) and "\n" not in str(caught.value)
    assert device.closed


def test_camera_that_does_not_open_names_the_reason(monkeypatch):
    device = Device({})
    device.open_error = genicam.RuntimeException("Insufficient system resources. : RuntimeException thrown (file 'x')")
    monkeypatch.setattr(pylon, "InstantCamera", lambda: device)
    with pytest.raises(CameraError, match=r"cannot be opened: Insufficient system resources\. "), open_camera(SETTINGS):
        pytest.fail("it was opened")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Grab timed out. : TimeoutException thrown (file 'InstantCameraImpl.h', line 1447)", "Grab timed out"),
        ("Two\n lines : AccessException thrown in node 'Gain' while calling 'x()' (file 'y')", "Two lines"),
        ("", "RuntimeError"),
    ],
)
def test_reason_of_the_sdk_without_its_source(text, reason):
    assert sdk_reason(RuntimeError(text)) == reason


# --- a sensor that sees light ----------------------------------------------------------------------------------------


def lit(full_us: float, bits: int = 8):
    """A scene whose brightest part reaches full scale at ``full_us``."""
    scene = np.linspace(0.02, 1.0, 64 * 64).reshape(64, 64)

    def picture(nodes):
        values = scene * (nodes["ExposureTime"].value / full_us) * (2**bits - 1)
        return np.clip(np.rint(values), 0, 2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)

    return picture


@pytest.mark.parametrize("full_us", [300.0, 9_000.0, 400_000.0])
@pytest.mark.parametrize("bits", [8, 12])
def test_exposure_is_found_and_stays(full_us, bits):
    nodes = sensor_nodes(PixelFormat=Node(f"Mono{bits}"))
    device = Device(nodes, lit(full_us, bits), getattr(pylon, f"PixelType_Mono{bits}"))
    result = auto_exposure(fake_camera(device), timeout_s=1.0, max_exposure_us=500_000.0)
    assert result.outcome is Outcome.GOOD, result.message
    assert 0.78 * full_us <= result.exposure_us <= 0.88 * full_us
    assert nodes["ExposureTime"].value == result.exposure_us
    assert nodes["ExposureAuto"].value == "Off"
    assert len(result.frames) <= 10


def test_longest_exposure_is_respected():
    nodes = sensor_nodes(PixelFormat=Node("Mono8"))
    result = auto_exposure(fake_camera(Device(nodes, lit(1e7))), timeout_s=1.0, max_exposure_us=80_000.0)
    assert (result.outcome, nodes["ExposureTime"].value) == (Outcome.TOO_WEAK, 80_000.0)
    assert max(each.exposure_us for each in result.frames) == 80_000.0
