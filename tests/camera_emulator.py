"""The emulated camera of the pylon runtime, for the tests.

Import this module at the top of a test file: the runtime looks at PYLON_CAMEMU when it starts, once per process.
"""

from __future__ import annotations

import contextlib
import functools
import os
from unittest import mock

import pytest

os.environ["PYLON_CAMEMU"] = "2"
pytest.importorskip("pypylon", reason="pypylon is not installed")

from camera import Camera, find_cameras, open_camera, runtime
from image_io import write_png
from settings import CameraSettings

SERIALS = ("0815-0000", "0815-0001")
SETTINGS = CameraSettings(
    serial=SERIALS[0],
    exposure_us=10000.0,
    gain_db=0.0,
    pixel_format="Mono8",
    timeout_s=2.0,
    grab_retries=3,
    auto_exposure_max_us=500000.0,
)
HEIGHT, WIDTH = 48, 80


runtime.load_pylon()  # imported otherwise, its warnings would be errors here and crash the interpreter
_seen_once = functools.cache(find_cameras)  # searching the network takes a quarter of a second


def node(camera: Camera, name: str):
    return camera.device.GetNodeMap().GetNode(name)


@contextlib.contextmanager
def small_camera(settings: CameraSettings = SETTINGS):
    """An open emulated camera of (HEIGHT, WIDTH) pixels that shows a diagonal ramp, which moves from frame to frame."""
    with mock.patch.object(runtime, "find_cameras", _seen_once), open_camera(settings) as camera:
        node(camera, "Width").SetValue(WIDTH)
        node(camera, "Height").SetValue(HEIGHT)
        node(camera, "TestImageSelector").FromString("Testimage1")
        yield camera


def show(camera: Camera, path, picture) -> None:
    """Let the camera see this picture, through a file."""
    write_png(path, picture)
    node(camera, "TestImageSelector").FromString("Off")
    node(camera, "ImageFilename").SetValue(str(path))
    node(camera, "ImageFileMode").FromString("On")


def fail_next(camera: Camera, count: int) -> None:
    """Let the camera deliver this many incomplete buffers."""
    node(camera, "ForceFailedBufferCount").SetValue(count)
    node(camera, "ForceFailedBuffer").Execute()


def send_nothing(camera: Camera) -> None:
    """Let the camera wait for a trigger that never comes."""
    node(camera, "TriggerMode").FromString("On")
