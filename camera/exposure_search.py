"""Find the exposure with the camera: frames in, :mod:`camera.exposure` decides, the exposure stays fixed."""

from __future__ import annotations

import logging

from camera.exposure import ExposureGoal, ExposureResult, FrameSeen, conclude, look_at, next_exposure_us
from camera.features import Adjuster, read_feature
from camera.grabbing import full_scale, grab
from camera.runtime import Camera, explained
from camera.setup import EXPOSURE, exposure_limits_us, set_exposure_us

DEFAULT_GOAL = ExposureGoal()
logger = logging.getLogger("dscope.camera")


def auto_exposure(
    camera: Camera, *, timeout_s: float, max_exposure_us: float, goal: ExposureGoal = DEFAULT_GOAL
) -> ExposureResult:
    """Search the exposure that fills the grey scale without saturating, and leave the camera at it.

    Starts at the exposure that is set, takes at most ``goal.max_frames`` frames, and goes no longer than
    ``max_exposure_us`` or what the camera can do. ``ExposureAuto`` stays off.

    Raises :class:`CameraError` when the camera fails or has no exposure time.
    """
    with explained(f"The exposure of camera {camera} cannot be set", camera):
        Adjuster(camera).choose("ExposureAuto", "Off", optional=True)
    shortest, longest = exposure_limits_us(camera)
    limits = (shortest, max(shortest, min(longest, max_exposure_us)))
    scale = full_scale(str(read_feature(camera, "PixelFormat")))
    frames: list[FrameSeen] = []
    wish: float | None = min(max(float(read_feature(camera, *EXPOSURE)), limits[0]), limits[1])
    while wish is not None:
        exposure_us = set_exposure_us(camera, wish)
        frames.append(look_at(grab(camera, timeout_s), exposure_us, scale))
        logger.debug("auto exposure: %s", frames[-1])
        wish = next_exposure_us(frames, limits, goal)
    result = conclude(frames, limits, goal)
    set_exposure_us(camera, result.exposure_us)
    logger.info("auto exposure: %s", result.message)
    return result
