"""Put a camera into a known state: nothing automatic, whole sensor, linear; then read back what it really does."""

from __future__ import annotations

import dataclasses
import logging
import time
from dataclasses import dataclass
from typing import Any

from camera.features import Adjuster, find_feature, read_feature
from camera.runtime import Camera, explained
from errors import CameraError
from settings import CameraSettings

NAN = float("nan")
EXPOSURE = ("ExposureTime", "ExposureTimeAbs")
# SFNC 2 and before; GigE models of the first generation say "Packed" at the end
_FORMAT_ALIASES = {"BGR8": ("BGR8", "BGR8Packed"), "RGB8": ("RGB8", "RGB8Packed")}
_USER_SET = "UserSet1"
_SAVING_S = 5.0
_TEST_PICTURE = "the camera sends a test picture"
logger = logging.getLogger("dscope.camera")


@dataclass(frozen=True)
class CameraState:
    """What the camera says about itself. A number that the model does not tell is NaN and its name is in ``skipped``.

    ``gain`` is in ``gain_unit``: ``dB``, or ``raw`` on models that know only their own steps. ``differences`` are
    sentences: whatever is not as it was asked.
    """

    model: str
    serial: str
    pixel_format: str
    exposure_us: float
    gain: float
    gain_unit: str
    gamma: float
    width_px: int
    height_px: int
    skipped: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def sends_test_picture(self) -> bool:
        """Whether the frames are a pattern that the camera makes up."""
        return any(_TEST_PICTURE in text for text in self.differences)

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file: NaN becomes None, tuples become lists."""
        tree = dataclasses.asdict(self)
        tidy = {key: list(value) if isinstance(value, tuple) else value for key, value in tree.items()}
        return {key: None if value != value else value for key, value in tidy.items()}


def configure(camera: Camera, settings: CameraSettings) -> CameraState:
    """Set the camera up for measuring, and read everything back.

    Automatic exposure, gain and white balance off; pixel format, exposure (us) and gain (dB) as configured; gamma 1;
    trigger off; the whole sensor. What a model lacks is skipped and named; what is out of range is clamped and said.

    Raises :class:`CameraError` when the camera fails or was unplugged.
    """
    adjust = Adjuster(camera)
    with explained(f"Camera {camera} cannot be set up", camera):
        _end_automatics(adjust)
        adjust.choose("PixelFormat", *_FORMAT_ALIASES.get(settings.pixel_format, (settings.pixel_format,)))
        if not str(read_feature(camera, "PixelFormat")).startswith("Mono"):
            adjust.choose("BalanceWhiteAuto", "Off")
        _use_whole_sensor(adjust)
        adjust.number(EXPOSURE, settings.exposure_us, unit="us")
        _set_gain(adjust, settings.gain_db)
        _make_linear(adjust)
        _warn_of_test_picture(adjust)
    state = read_state(camera, skipped=tuple(adjust.skipped), differences=tuple(adjust.differences))
    logger.info("camera set up: %s", state)
    return state


def read_state(camera: Camera, *, skipped: tuple[str, ...] = (), differences: tuple[str, ...] = ()) -> CameraState:
    """Ask the camera for its settings; raises :class:`CameraError` when it does not answer."""
    gain, gain_unit = read_feature(camera, "Gain"), "dB"
    if gain is None:
        gain, gain_unit = read_feature(camera, "GainRaw"), "raw"
    # with the switch off, the value that the camera keeps is not applied
    gamma = 1.0 if read_feature(camera, "GammaEnable") is False else read_feature(camera, "Gamma")
    return CameraState(
        model=camera.model,
        serial=camera.serial,
        pixel_format=str(read_feature(camera, "PixelFormat") or ""),
        exposure_us=_number(read_feature(camera, *EXPOSURE)),
        gain=_number(gain),
        gain_unit=gain_unit,
        gamma=_number(gamma),
        width_px=int(read_feature(camera, "Width") or 0),
        height_px=int(read_feature(camera, "Height") or 0),
        skipped=skipped,
        differences=differences,
    )


def exposure_limits_us(camera: Camera) -> tuple[float, float]:
    """Shortest and longest exposure; raises :class:`CameraError` on a model without a settable exposure."""
    with explained(f"The exposure limits of camera {camera} cannot be read", camera):
        node = find_feature(camera, *EXPOSURE)
        if node is None:
            raise CameraError(
                f"Camera {camera} has no exposure time that can be set.", "Adjust the light or the lens aperture."
            )
        return float(node.GetMin()), float(node.GetMax())


def set_exposure_us(camera: Camera, exposure_us: float) -> float:
    """Set the exposure within the camera's limits; returns what the camera made of it (us)."""
    with explained(f"The exposure of camera {camera} cannot be set", camera):
        Adjuster(camera).number(EXPOSURE, exposure_us, unit="us")
    return _number(read_feature(camera, *EXPOSURE))


def set_gain_db(camera: Camera, gain_db: float) -> tuple[str, ...]:
    """Set the gain within the camera's limits; returns a sentence on whatever is not as it was asked."""
    adjust = Adjuster(camera)
    with explained(f"The gain of camera {camera} cannot be set", camera):
        _set_gain(adjust, gain_db)
    return tuple(adjust.differences)


def save_user_set(camera: Camera) -> str:
    """Keep the present settings in the camera as UserSet1 and wake up with them; returns a sentence for the user.

    Raises :class:`CameraError` for a model that keeps no user sets, or one that refuses.
    """
    adjust = Adjuster(camera)
    with explained(f"Camera {camera} did not save its settings", camera):
        save = find_feature(camera, "UserSetSave")
        if save is None or not adjust.choose("UserSetSelector", _USER_SET):
            raise CameraError(
                f"Camera {camera} cannot keep its settings: it has no user set that can be saved.",
                "Nothing is lost: the settings come from config.json every time the camera is opened.",
            )
        save.Execute()
        _wait_until_done(save)
        at_power_on = any(
            adjust.choose(name, _USER_SET, optional=True) for name in ("UserSetDefault", "UserSetDefaultSelector")
        )
    if not at_power_on:
        return f"The settings were saved as {_USER_SET}, but camera {camera} does not let it be the set at power-on."
    return f"The settings were saved as {_USER_SET}; camera {camera} starts with them when it is switched on."


def _wait_until_done(command: Any) -> None:
    """Cameras write their flash memory for a while, and refuse the next setting meanwhile."""
    deadline = time.monotonic() + _SAVING_S
    while not command.IsDone() and time.monotonic() < deadline:
        time.sleep(0.02)


def _end_automatics(adjust: Adjuster) -> None:
    adjust.choose("ExposureAuto", "Off")
    adjust.choose("GainAuto", "Off")
    adjust.choose("AcquisitionMode", "Continuous", optional=True)
    adjust.choose("ExposureMode", "Timed", optional=True)
    adjust.switch("AcquisitionFrameRateEnable", False, optional=True)  # a slow rate would look like a dead camera
    # every kind of trigger has a switch of its own, and one that is on makes the camera wait for ever
    selector = find_feature(adjust.camera, "TriggerSelector")
    for kind in selector.GetSymbolics() if selector is not None else ():
        if adjust.select("TriggerSelector", kind):
            adjust.choose("TriggerMode", "Off", optional=True)
    if find_feature(adjust.camera, "TriggerMode") is None:
        adjust.skipped.append("TriggerMode")
    elif selector is None:
        adjust.choose("TriggerMode", "Off")


def _use_whole_sensor(adjust: Adjuster) -> None:
    for name in ("CenterX", "CenterY"):  # while it centres by itself, the offset is locked
        adjust.switch(name, False, optional=True)
    for name in ("BinningHorizontal", "BinningVertical", "DecimationHorizontal", "DecimationVertical"):
        adjust.number((name,), 1, optional=True)
    for offset, size in (("OffsetX", "Width"), ("OffsetY", "Height")):
        adjust.number((offset,), 0)  # first, since the offset limits the size
        adjust.number((size,), None, unit="px")


def _set_gain(adjust: Adjuster, gain_db: float) -> None:
    adjust.select("GainSelector", "All", "AnalogAll")
    node = find_feature(adjust.camera, "Gain", "GainRaw")
    in_db = find_feature(adjust.camera, "Gain") is not None
    if node is not None and not in_db and gain_db > 0.0:
        adjust.differences.append(
            f"Gain: this model counts its gain in raw steps, so {gain_db:g} dB cannot be set; it is at its minimum."
        )
    if node is not None and (not in_db or gain_db == 0.0):  # 0 dB means as little as there is
        adjust.number(("Gain", "GainRaw"), max(node.GetMin(), 0) if in_db else node.GetMin())
        return
    adjust.number(("Gain",), gain_db, unit="dB")


def _make_linear(adjust: Adjuster) -> None:
    """Grey levels in proportion to light: no gamma, no lookup table, no shift."""
    adjust.number(("Gamma",), 1.0)
    adjust.switch("GammaEnable", False, optional=True)
    adjust.switch("LUTEnable", False, optional=True)
    adjust.number(("DigitalShift",), 0, optional=True)


def _warn_of_test_picture(adjust: Adjuster) -> None:
    for name in ("TestPattern", "TestImageSelector"):
        value = read_feature(adjust.camera, name)
        if value is not None and str(value) != "Off":
            adjust.differences.append(f"{name} is {value}: {_TEST_PICTURE}, not what it sees.")


def _number(value: Any) -> float:
    return NAN if value is None else float(value)
