"""Frames from an open camera, as arrays."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from camera.runtime import Camera, explained, load_pylon, sdk_exception, sdk_reason, unplugged
from errors import CameraError

_SLICE_S = 0.1  # waiting is done in slices, because Python sees Ctrl-C only between two SDK calls
_BITS = {"Mono8": 8, "Mono10": 10, "Mono12": 12, "Mono16": 16}
logger = logging.getLogger("dscope.camera")


def grab(camera: Camera, timeout_s: float, average: int = 1) -> np.ndarray:
    """Take one frame: (H, W) uint8, or uint16 for Mono10, Mono12 and Mono16 with the values as the sensor gave them.

    ``average`` frames are averaged pixel by pixel and rounded. Colour becomes grey of 8 bit. Each frame may take up to
    ``timeout_s``; a failed or incomplete one is taken again, up to ``camera.grab_retries`` times.

    Raises :class:`CameraError` for a timeout, for frames that keep failing, and for a camera that was unplugged.
    """
    if average < 1:
        raise ValueError(f"average must be at least 1, got {average}")
    with _grabbing(camera):
        frame = _good_frame(camera, timeout_s)
        if average == 1:
            return frame
        # whole numbers are exact up to 65537 frames of 16 bit, and take the memory of float32
        total = frame.astype(np.uint32)
        for _ in range(average - 1):
            total += _good_frame(camera, timeout_s)
    total += average // 2
    total //= average
    return total.astype(frame.dtype)


@contextlib.contextmanager
def streaming(camera: Camera, timeout_s: float) -> Iterator[Callable[[], np.ndarray]]:
    """Let the camera run while the block does: each call gives its newest frame, as :func:`grab` does."""
    with _grabbing(camera, newest_only=True):
        yield lambda: _good_frame(camera, timeout_s)


def full_scale(pixel_format: str) -> int:
    """The largest grey level that :func:`grab` returns for this pixel format of the camera."""
    return 2 ** _BITS.get(pixel_format, 8) - 1


@contextlib.contextmanager
def _grabbing(camera: Camera, *, newest_only: bool = False) -> Iterator[None]:
    pylon = load_pylon()
    strategy = pylon.GrabStrategy_LatestImageOnly if newest_only else pylon.GrabStrategy_OneByOne
    with explained(f"Camera {camera} cannot take images", camera):
        if not camera.device.IsOpen() and not camera.removed:
            # StartGrabbing would open it again, with whatever settings it wakes up with
            raise CameraError(f"Camera {camera} is closed.", "Start again.")
        camera.device.StartGrabbing(strategy)
        try:
            yield
        finally:
            _stop(camera)


def _stop(camera: Camera) -> None:
    """Never raises: what happened in the block is more worth saying."""
    try:
        camera.device.StopGrabbing()
    except (sdk_exception(), RuntimeError) as error:
        logger.debug("stopping the grab: %s", sdk_reason(error))


def _good_frame(camera: Camera, timeout_s: float) -> np.ndarray:
    reason = ""
    for attempt in range(camera.grab_retries + 1):
        result = _wait_for_result(camera, timeout_s)
        try:
            if result.GrabSucceeded():
                return _to_array(camera, result)
            reason = sdk_reason(RuntimeError(result.GetErrorDescription())) or f"error {result.GetErrorCode()}"
        finally:
            result.Release()
        logger.warning("camera %s: image %d of %d failed: %s", camera, attempt + 1, camera.grab_retries + 1, reason)
    raise CameraError(
        f"Camera {camera} sent {camera.grab_retries + 1} failed or incomplete images in a row: {reason}.",
        "Check the cable, use a USB 3 port or network adapter of its own, and close programs that load the computer.",
    )


def _wait_for_result(camera: Camera, timeout_s: float) -> Any:
    pylon = load_pylon()
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0.0:
        slice_ms = max(1, round(1000.0 * min(left_s, _SLICE_S)))
        result = camera.device.RetrieveResult(slice_ms, pylon.TimeoutHandling_Return)
        if result.IsValid():
            return result
        if camera.removed:
            raise unplugged(camera)
        if not camera.device.IsGrabbing():
            raise CameraError(f"Camera {camera} was closed while it took an image.", "Start again.")
    raise CameraError(
        f"Camera {camera} sent no image within {timeout_s:g} s.",
        "Check that its trigger is off, and that camera.timeout_s in config.json is longer than the exposure.",
    )


def _to_array(camera: Camera, result: Any) -> np.ndarray:
    pylon = load_pylon()
    try:
        if result.GetPixelType() in {getattr(pylon, f"PixelType_{name}") for name in _BITS}:
            return result.GetArray()
        converter = pylon.ImageFormatConverter()
        converter.OutputPixelFormat = pylon.PixelType_Mono8
        grey = converter.Convert(result).GetArray()
        if pylon.IsBayer(result.GetPixelType()):
            # a pixel there has no neighbour to take its missing colours from, and pylon leaves it black
            grey[-1], grey[:, -1] = grey[-2], grey[:, -2]
            grey[-1, -1] = grey[-2, -2]
        return grey
    except ValueError as error:  # what pypylon raises for a format it has no array type for
        raise CameraError(
            f"Camera {camera} sends a pixel format that cannot be used: {sdk_reason(error)}.",
            'Set camera.pixel_format in config.json to "Mono8".',
        ) from error
