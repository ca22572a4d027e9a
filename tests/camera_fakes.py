"""Cameras that the emulator cannot be: nodes that are missing, locked or raw; user sets; a sensor that sees light."""

from __future__ import annotations

from typing import Any

import camera_emulator  # noqa: F401  (loads pypylon)
import numpy as np
from pypylon import genicam, pylon

from camera import Camera


class Node:
    """A feature: ``low`` and ``high`` bound a number, ``choices`` a choice; ``access`` is GenApi's EAccessMode."""

    def __init__(self, value: Any = None, *, low=0.0, high=0.0, choices=(), access=4, locked=False) -> None:
        self.value, self.low, self.high, self.choices = value, low, high, choices
        self.access, self.locked, self.executed = access, locked, 0

    def GetAccessMode(self):  # noqa: N802
        return self.access

    def GetMin(self):  # noqa: N802
        return self.low

    def GetMax(self):  # noqa: N802
        return self.high

    def GetValue(self):  # noqa: N802
        return self.value

    def GetSymbolics(self):  # noqa: N802
        return self.choices

    def SetValue(self, value):  # noqa: N802
        if self.locked:
            raise genicam.AccessException("Node is not writable. : AccessException thrown (file 'x.h', line 1)")
        if not isinstance(value, bool) and not self.low <= value <= self.high:
            raise genicam.OutOfRangeException("Value is out of range.")
        self.value = value

    def FromString(self, value):  # noqa: N802
        if self.locked or value not in self.choices:
            raise genicam.InvalidArgumentException(f"cannot convert value '{value}', the value is invalid.")
        self.value = value

    def Execute(self):  # noqa: N802
        self.executed += 1

    def IsDone(self):  # noqa: N802
        return True


class Result:
    def __init__(self, array: np.ndarray, pixel_type: int) -> None:
        self.array, self.pixel_type = array, pixel_type

    def IsValid(self):  # noqa: N802
        return True

    def GrabSucceeded(self):  # noqa: N802
        return True

    def GetPixelType(self):  # noqa: N802
        return self.pixel_type

    def GetArray(self):  # noqa: N802
        return self.array

    def Release(self):  # noqa: N802
        pass


class Device:
    """Stands for pylon's InstantCamera. ``picture`` makes an array from the nodes."""

    def __init__(self, nodes: dict[str, Node], picture=None, pixel_type: int = pylon.PixelType_Mono8) -> None:
        self.nodes, self.picture, self.pixel_type = nodes, picture, pixel_type
        self.open_error: Exception | None = None
        self.closed = False

    def GetNodeMap(self):  # noqa: N802
        return self

    def GetNode(self, name):  # noqa: N802
        if name not in self.nodes:  # as older releases of pypylon do
            raise genicam.LogicalErrorException(f"Node {name} does not exist.")
        return self.nodes[name]

    def IsCameraDeviceRemoved(self):  # noqa: N802
        return False

    def Attach(self, device):  # noqa: N802
        pass

    def Open(self):  # noqa: N802
        if self.open_error is not None:
            raise self.open_error

    def IsOpen(self):  # noqa: N802
        return not self.closed

    def StartGrabbing(self, strategy):  # noqa: N802
        pass

    def StopGrabbing(self):  # noqa: N802
        pass

    def Close(self):  # noqa: N802
        self.closed = True

    def DestroyDevice(self):  # noqa: N802
        pass

    def RetrieveResult(self, timeout_ms, handling):  # noqa: N802
        return Result(self.picture(self.nodes), self.pixel_type)


def fake_camera(device: Device) -> Camera:
    return Camera("Model", "4711", "Using the fake.", 0, device)


def onoff(value: str = "On") -> Node:
    return Node(value, choices=("Off", "On"))


def auto() -> Node:
    return Node("Continuous", choices=("Off", "Once", "Continuous"))


def sensor_nodes(**extra: Node) -> dict[str, Node]:
    """A modern monochrome model; ``extra`` replaces or adds, None removes."""
    nodes = {
        "PixelFormat": Node("Mono12", choices=("Mono8", "Mono12")),
        "ExposureAuto": auto(),
        "GainAuto": auto(),
        "ExposureTime": Node(5000.0, low=20.0, high=1e7),
        "Gain": Node(6.0, low=0.0, high=24.0),
        "Gamma": Node(0.5, low=0.25, high=4.0),
        "TriggerMode": onoff(),
        "OffsetX": Node(16, low=0, high=0),
        "OffsetY": Node(8, low=0, high=0),
        "Width": Node(640, low=16, high=1920),
        "Height": Node(480, low=16, high=1200),
    } | extra
    return {name: each for name, each in nodes.items() if each is not None}
