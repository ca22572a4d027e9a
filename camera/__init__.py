"""A Basler camera through pypylon: open it, set it up, take frames, find the exposure, write a series.

pypylon is imported inside functions only, so the inspection runs without it. Whatever goes wrong with the hardware is
an :class:`errors.CameraError` (or :class:`errors.MissingDependency` without pypylon): one sentence and the remedy.
"""

from camera.exposure import ExposureGoal, ExposureResult, FrameSeen, Outcome
from camera.exposure_search import auto_exposure
from camera.grabbing import full_scale, grab, streaming
from camera.runtime import Camera, CameraInfo, find_cameras, open_camera
from camera.series import capture
from camera.setup import CameraState, configure, read_state, save_user_set, set_exposure_us, set_gain_db

__all__ = [
    "Camera",
    "CameraInfo",
    "CameraState",
    "ExposureGoal",
    "ExposureResult",
    "FrameSeen",
    "Outcome",
    "auto_exposure",
    "capture",
    "configure",
    "find_cameras",
    "full_scale",
    "grab",
    "open_camera",
    "read_state",
    "save_user_set",
    "set_exposure_us",
    "set_gain_db",
    "streaming",
]
