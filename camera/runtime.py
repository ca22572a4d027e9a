"""The pylon runtime: load it, find cameras, open one, and turn every SDK exception into one sentence."""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from errors import CameraError, MissingDependency
from settings import CameraSettings

_SDK_TAIL = re.compile(r"[\s.:]*\w*Exception thrown.*$", re.DOTALL)
# GigE: "controlled by another application"; USB: "exclusively opened by another client"
_HELD = re.compile(r"another (application|client|process)|exclusive|in use", re.IGNORECASE)
logger = logging.getLogger("dscope.camera")


@dataclass(frozen=True)
class CameraInfo:
    """A camera that the runtime sees. ``handle`` is the SDK's own description of it."""

    model: str
    serial: str
    handle: Any = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.model} {self.serial}"


@dataclass(frozen=True)
class Camera:
    """An open camera. ``choice`` says which one was taken and why; ``device`` is pylon's InstantCamera."""

    model: str
    serial: str
    choice: str
    grab_retries: int
    device: Any = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.model} {self.serial}"

    @property
    def removed(self) -> bool:
        """Whether the runtime noticed that the camera was unplugged."""
        with contextlib.suppress(sdk_exception()):  # which it raises when it has no device any more
            return bool(self.device.IsCameraDeviceRemoved())
        return False


def load_pylon() -> ModuleType:
    """``pypylon.pylon``; raises :class:`MissingDependency` where it is not installed or does not load."""
    return _load("pypylon.pylon")


def sdk_exception() -> type[Exception]:
    """The class that every exception of the SDK derives from; raises :class:`MissingDependency` as load_pylon."""
    return _load("pypylon.genicam").GenericException


def _load(module: str) -> ModuleType:
    if (loaded := sys.modules.get(module)) is not None:
        return loaded
    try:
        # its extension modules warn while they load, and crash the interpreter where warnings are errors
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == "pypylon"
        raise MissingDependency(
            "pypylon, the library for Basler cameras, is not installed."
            if absent
            else f"pypylon, the library for Basler cameras, is broken ({error}).",
            "Run: pip install -r requirements.txt",
        ) from error


def find_cameras() -> tuple[CameraInfo, ...]:
    """Every camera the runtime sees, in its order; empty when there is none.

    Raises :class:`MissingDependency` without pypylon and :class:`CameraError` when the runtime fails.
    """
    pylon = load_pylon()
    with explained("The cameras cannot be listed"):
        devices = pylon.TlFactory.GetInstance().EnumerateDevices()
        return tuple(CameraInfo(each.GetModelName(), each.GetSerialNumber(), each) for each in devices)


def choose_camera(cameras: Sequence[CameraInfo], serial: str | None) -> tuple[CameraInfo, str]:
    """The camera with this serial number, or the first one; with a sentence that says which.

    Raises :class:`CameraError` when there is none, or none with this serial number.
    """
    if not cameras:
        raise CameraError("No camera was found.", "Connect the camera, wait until its light is steady, then try again.")
    there = ", ".join(str(each) for each in cameras)
    if serial is None:
        first = cameras[0]
        more = f", the first of {len(cameras)} found ({there}); camera.serial in config.json chooses another"
        return first, f"Using camera {first}{more if len(cameras) > 1 else ', the only one found'}."
    for each in cameras:
        if each.serial == serial:
            return each, f"Using camera {each}, chosen by its serial number."
    raise CameraError(
        f"No camera with serial number {serial} was found; there are: {there}.",
        "Set camera.serial in config.json to one of them, or to null for the first one found.",
    )


@contextlib.contextmanager
def open_camera(settings: CameraSettings) -> Iterator[Camera]:
    """Open the camera that ``settings.serial`` names, or the first one found; it is closed however the block ends.

    Raises :class:`MissingDependency` without pypylon; :class:`CameraError` when no camera is there, none has this
    serial number, it cannot be opened, or an SDK call inside the block fails.
    """
    pylon = load_pylon()
    info, choice = choose_camera(find_cameras(), settings.serial)
    device = pylon.InstantCamera()
    try:
        camera = Camera(info.model, info.serial, choice, settings.grab_retries, device)
        _open(pylon, camera, info)
        logger.info("%s", choice)
        try:
            yield camera
        except sdk_exception() as error:
            raise _failure(f"Camera {info} failed", error, camera) from error
        except SystemError as error:
            # a Ctrl-C that arrives inside an SDK call comes out of older releases of pypylon like this
            if isinstance(error.__cause__, KeyboardInterrupt):
                raise KeyboardInterrupt from error
            raise
    finally:
        _release(device)


def _open(pylon: ModuleType, camera: Camera, info: CameraInfo) -> None:
    try:
        camera.device.Attach(pylon.TlFactory.GetInstance().CreateDevice(info.handle))
        camera.device.Open()
    except sdk_exception() as error:
        reason = sdk_reason(error)
        if _HELD.search(reason):
            raise CameraError(
                f"Camera {info} is held by another program ({reason}).",
                "Close that program, for example pylon Viewer, then try again.",
            ) from error
        raise CameraError(
            f"Camera {info} cannot be opened: {reason}.",
            "Close other programs that use it; unplug the camera, plug it in again, then try again.",
        ) from error


def _release(device: Any) -> None:
    """Stop, close, detach. Each step is tried: a camera that was unplugged refuses some of them."""
    for step in (device.StopGrabbing, device.Close, device.DestroyDevice):
        try:
            step()
        except (sdk_exception(), RuntimeError) as error:
            logger.debug("closing the camera: %s", sdk_reason(error))


@contextlib.contextmanager
def explained(what: str, camera: Camera | None = None) -> Iterator[None]:
    """Turn an exception of the SDK inside the block into a :class:`CameraError` beginning with ``what``."""
    try:
        yield
    except (sdk_exception(), RuntimeError) as error:
        raise _failure(what, error, camera) from error


def _failure(what: str, error: Exception, camera: Camera | None) -> CameraError:
    if camera is not None and camera.removed:
        return unplugged(camera)
    return CameraError(f"{what}: {sdk_reason(error)}.", "Check the camera's cable and power, then try again.")


def unplugged(camera: Camera) -> CameraError:
    """The error for a camera that went away while it was open."""
    return CameraError(
        f"Camera {camera} was unplugged or lost its power.", "Check its cable and power supply, then start again."
    )


def sdk_reason(error: BaseException) -> str:
    """What the SDK says, without the place in its source and without the full stop."""
    lines = _SDK_TAIL.sub("", str(error)).split()
    return " ".join(lines).rstrip(".") or type(error).__name__
