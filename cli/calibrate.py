"""What calibration.py does: a picture of a target in, the scale and its documents out; frames and flat fields.

Nothing is written before the new scale is known and valid, so a failed run leaves the old calibration as it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cli.calibration_options import CAMERA
from cli.run_info import now
from errors import CameraError, ExitCode
from image_io import read_image, reduce_to_8_bit, write_bytes, write_png
from metrology import files
from metrology.flat_field import smoothed_flat_field
from metrology.report import report_png
from metrology.target import TargetScale, measure_dots, measure_target
from settings import CameraSettings

logger = logging.getLogger("dscope.calibration")


@dataclass(frozen=True)
class Picture:
    """A picture (H, W) uint8 with where it comes from; ``camera`` is the state of the camera that took it."""

    grey: np.ndarray
    source: str
    camera: dict[str, Any] | None = None


def calibrate(options: argparse.Namespace, *, parse: Callable[..., Any]) -> ExitCode:
    """Measure the target, write calibration.json and what was asked for besides.

    ``parse`` checks the text of a calibration file. Raises :class:`errors.BlinkError` for every expected failure.
    """
    picture, content, found = None, _given_distance(options), None
    if content is None and options.from_csv is not None:
        found = _from_dot_list(options)
        source, camera = options.from_csv.name, None
    elif content is None:
        picture = target_picture(options)
        if options.save_image is not None:
            write_png(options.save_image, picture.grey)
        found = measure_target(picture.grey, spacing_um=options.dot_spacing_um, kind=options.target)
        source, camera = picture.source, picture.camera
    if found is not None:
        content = {**files.content_of(found, spacing_um=options.dot_spacing_um), "source": source, "camera": camera}
    if options.from_csv is not None:
        content["image_size_px"] = None  # dots do not tell how large the picture was
    content = {**content, "date": now(), "operator": options.operator, "note": options.note}
    parse(json.dumps(content), source="The new calibration")
    before = _write_all(options.output, content, found, picture, report=options.report)
    for warning in content.get("warnings", ()):
        logger.warning("%s", warning)
    print(_summary(options.output, content, before))
    return ExitCode.OK


def store_target(
    path: Path, found: TargetScale, picture: Picture, *, spacing_um: float, operator: str, parse: Callable[..., Any]
) -> str:
    """Write what a picture of a target gave as calibration file ``path``; returns a sentence on it.

    ``parse`` checks the text of a calibration file. Raises :class:`errors.BlinkError` for every expected failure.
    """
    content = files.content_of(found, spacing_um=spacing_um)
    content |= {"source": picture.source, "camera": picture.camera, "date": now(), "operator": operator, "note": ""}
    parse(json.dumps(content), source="The new calibration")
    return _summary(path, content, _write_all(path, content, found, picture))


def _given_distance(options: argparse.Namespace) -> dict[str, Any] | None:
    """The content for a distance that was measured by hand."""
    if options.distance_um is None:
        return None
    return {
        "um_per_px": options.distance_um / options.distance_px,
        "um_per_px_x": None,
        "um_per_px_y": None,
        "method": "measured distance",
        "distance_um": options.distance_um,
        "distance_px": options.distance_px,
        "image_size_px": None,
    }


def _from_dot_list(options: argparse.Namespace) -> TargetScale:
    points = files.read_points(options.from_csv)
    size = tuple(max(1, math.ceil(value) + 1) for value in points.max(axis=0)) if len(points) else (1, 1)
    return measure_dots(points, image_size_px=size, spacing_um=options.dot_spacing_um)


def _write_all(
    output: Path,
    content: dict[str, Any],
    found: TargetScale | None,
    picture: Picture | None,
    *,
    report: Path | None = None,
) -> dict[str, Any] | None:
    """Write the documents, all made beforehand, calibration.json last; returns what it held before."""
    history = output.with_name(files.HISTORY_NAME)
    documents: dict[Path, bytes] = {}
    if found is not None:
        documents[files.marks_path(output)] = files.marks_bytes(found.marks)
    if report is not None:
        title = f"{content['source']}, {content['date']}"
        documents[report] = report_png(found, None if picture is None else picture.grey, title=title)
    before = files.read_json(output)
    documents[output] = files.json_bytes(content, before)
    files.check_writable([*documents, history])
    files.append_history(history, content)
    for path, data in documents.items():
        write_bytes(path, data)
    return before


def _summary(path: Path, content: dict[str, Any], before: dict[str, Any] | None) -> str:
    scale, sigma = content["um_per_px"], content.get("uncertainty_um_per_px")
    text = f"{path}: {scale:.6g}"
    text += f" +- {sigma:.2g} um per pixel" if sigma else " um per pixel"
    if content.get("marks_used"):
        text += f" ({content['method']}, {content['marks_used']} marks, residual {content['rms_residual_px']:.2f} px)"
    old = (before or {}).get("um_per_px")
    if isinstance(old, float):
        date = f" ({before['date']})" if before.get("date") else ""
        text += f". It was {old:.6g} before{date}"
    return text + "."


# --- pictures ------------------------------------------------------------------------------------------------------


def target_picture(options: argparse.Namespace) -> Picture:
    """The picture of ``--image``, or one that the camera takes."""
    if options.image is not None:
        image = read_image(options.image)
        for warning in image.warnings:
            logger.warning("%s: %s", image.name, warning)
        return Picture(image.grey, image.name)
    with camera_of(options) as taking:
        return taking.picture()


@dataclass(frozen=True)
class _Taking:
    """An open camera that was set up, and what it says of itself."""

    camera: Any
    settings: CameraSettings
    state: dict[str, Any]
    average: int

    def picture(self) -> Picture:
        from camera import grab

        frame = grab(self.camera, self.settings.timeout_s, self.average)
        return Picture(reduce_to_8_bit(frame)[0], f"camera {self.camera.serial}", self.state)


@contextmanager
def camera_of(options: argparse.Namespace) -> Iterator[_Taking]:
    """The camera of config.json, set up as it and the options ask for; closed in the end."""
    from camera import auto_exposure, configure, open_camera, read_state, save_user_set
    from config_loader import load_config

    settings = load_config(options.config).camera
    automatic = options.exposure == "auto"
    if options.exposure is not None and not automatic:
        settings = dataclasses.replace(settings, exposure_us=options.exposure)
    with open_camera(settings) as camera:
        state = configure(camera, settings)
        if state.sends_test_picture:
            raise CameraError("The camera sends a test picture, not what it sees.", "Switch its test pattern off.")
        for text in state.differences:
            logger.warning("%s", text)
        if state.skipped:
            logger.info("The camera has no %s.", ", ".join(state.skipped))
        if automatic:
            limit_us = settings.auto_exposure_max_us
            found = auto_exposure(camera, timeout_s=settings.timeout_s, max_exposure_us=limit_us)
            logger.log(logging.INFO if found.outcome.name == "GOOD" else logging.WARNING, "%s", found.message)
            state = read_state(camera)
        if options.save_user_set:
            print(save_user_set(camera))
        yield _Taking(camera, settings, state.as_dict(), options.average)


def capture_frames(options: argparse.Namespace) -> ExitCode:
    """Take the frames of ``--capture`` and print where they are."""
    from camera import capture

    number, folder = options.capture
    with camera_of(options) as taking:
        timeout_s = taking.settings.timeout_s
        for path in capture(taking.camera, number, folder, options.label, options.average, timeout_s=timeout_s):
            print(path)
    return ExitCode.OK


def store_flat_field(options: argparse.Namespace) -> ExitCode:
    """Smooth a blank reference and store it beside the calibration."""
    if options.flat_field == CAMERA:
        with camera_of(options) as taking:
            picture = taking.picture()
    else:
        picture = Picture(read_image(Path(options.flat_field)).grey, Path(options.flat_field).name)
    smooth = smoothed_flat_field(picture.grey)
    path = options.output.with_name(files.FLAT_FIELD_NAME)
    write_png(path, smooth)
    even = float(smooth.min()) / float(smooth.max())
    print(f"{path}: the darkest place gets {even:.0%} of the light of the brightest.")
    beside = path.absolute().parent == options.config.absolute().parent
    name = path.name if beside else path.absolute().as_posix()
    print(f'To use it, set in config.json: "preprocessing": {{"flat_field_image": {json.dumps(name)}}}')
    return ExitCode.OK
