"""Camera features by name: read what a model has, set what it lets set, remember what did not go as asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from camera.runtime import Camera, explained, sdk_exception, sdk_reason

_WRITE_ONLY, _READ_ONLY, _READ_WRITE = 2, 3, 4  # GenApi's EAccessMode
_SAME_SHARE = 0.01  # cameras round to their own steps; less than this is no difference worth a sentence


def find_feature(camera: Camera, *names: str) -> Any | None:
    """The node of the first of these features that the camera has and that is available now; None without any."""
    nodes = camera.device.GetNodeMap()
    for name in names:
        try:
            node = nodes.GetNode(name)
        except sdk_exception():  # older releases of pypylon raise for an unknown name
            continue
        if node is not None and node.GetAccessMode() in (_WRITE_ONLY, _READ_ONLY, _READ_WRITE):
            return node
    return None


def read_feature(camera: Camera, *names: str) -> Any | None:
    """Value of the first of these features that the camera has; None without any.

    Raises :class:`CameraError` when the camera does not answer.
    """
    with explained(f"{names[0]} of camera {camera} cannot be read", camera):
        node = find_feature(camera, *names)
        return None if node is None or node.GetAccessMode() == _WRITE_ONLY else node.GetValue()


class Adjuster:
    """Sets features one by one. ``skipped`` names those the model lacks; ``differences`` are sentences on the rest.

    Every method returns whether the feature now is as wanted. ``optional`` features are set where they exist and not
    mentioned where they do not. What the SDK raises when the camera went away passes through: use it in ``explained``.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.skipped: list[str] = []
        self.differences: list[str] = []

    def select(self, name: str, *wanted: str) -> bool:
        """Point a selector at the first of ``wanted`` it has; silent, since a selector changes nothing by itself."""
        node = self._find((name,), optional=True)
        return node is not None and any(not self._attempt(node.FromString, value) for value in wanted)

    def choose(self, name: str, *wanted: str, optional: bool = False) -> bool:
        """Set an enumeration to the first of ``wanted`` that it takes."""
        node = self._find((name,), optional)
        if node is None:
            return False
        reason = ""
        for value in wanted:
            if node.GetAccessMode() == _READ_ONLY:
                reason = "it cannot be set on this camera"
                break
            reason = self._attempt(node.FromString, value)
            if not reason:
                break
        now = str(node.GetValue())
        if now not in wanted:
            self.differences.append(f"{name} is {now} and not {wanted[0]}: {reason or 'the camera did not take it'}.")
        return now in wanted

    def switch(self, name: str, on: bool, *, optional: bool = False) -> bool:
        """Set a boolean."""
        node = self._find((name,), optional)
        if node is None:
            return False
        reason = self._attempt(node.SetValue, on)
        if bool(node.GetValue()) != on:
            self.differences.append(
                f"{name} stays {'off' if on else 'on'}: {reason or 'the camera did not take the value'}."
            )
        return bool(node.GetValue()) == on

    def number(self, names: Sequence[str], wanted: float | None, *, unit: str = "", optional: bool = False) -> bool:
        """Set the first of these numeric features, clamped to its range; None = to the top of the range."""
        node = self._find(names, optional)
        if node is None:
            return False
        name = names[0]
        low, high = node.GetMin(), node.GetMax()
        goal = high if wanted is None else min(max(wanted, low), high)
        if wanted is not None and goal != wanted:
            self.differences.append(
                f"{name}: {_quantity(wanted, unit)} is outside the camera's range of {_quantity(low)} to"
                f" {_quantity(high, unit)}; the nearest end is used."
            )
        now = node.GetValue()
        reason = ""
        if now != goal:
            reason = self._attempt(node.SetValue, type(low)(goal))
            now = node.GetValue()
        as_wanted = abs(now - goal) <= _SAME_SHARE * max(abs(goal), 1e-9)
        if not as_wanted:
            why = reason or "the camera rounds to its own steps"
            self.differences.append(
                f"{name}: {_quantity(goal, unit)} was asked and {_quantity(now, unit)} is set ({why})."
            )
        return as_wanted and goal == (high if wanted is None else wanted)

    def _find(self, names: Sequence[str], optional: bool) -> Any | None:
        node = find_feature(self.camera, *names)
        if node is not None and node.GetAccessMode() == _WRITE_ONLY:
            node = None
        if node is None and not optional and names[0] not in self.skipped:
            self.skipped.append(names[0])
        return node

    def _attempt(self, setter: Any, value: Any) -> str:
        """Call a setter; the SDK's reason when it refuses, else an empty text."""
        try:
            setter(value)
        except sdk_exception() as error:
            return sdk_reason(error)
        return ""


def _quantity(value: float, unit: str = "") -> str:
    return f"{round(value, 3):.10g} {unit}".strip()
