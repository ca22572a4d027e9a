"""The flat field: a picture of a blank, clean reference, smoothed, that divides the unevenness of the light out."""

from __future__ import annotations

import cv2
import numpy as np

from errors import CalibrationError
from vision.flat_field import flat_field_flaw

SMOOTHING_SHARE = 0.02  # sigma, of the shorter side: keeps the light's course and no dust
MAX_SATURATED_SHARE = 0.001
MIN_LEVEL_GREY = 30
_REMEDY = "Take a blank, clean surface, slightly out of focus, with its brightest part at 60 to 90 % of full scale."


def smoothed_flat_field(grey: np.ndarray) -> np.ndarray:
    """The flat field (H, W) uint8 of a picture (H, W) uint8 of a blank reference.

    Specks of dust are taken out by a median before the smoothing. Raises :class:`CalibrationError` for a picture that
    is saturated, dark, or not blank.
    """
    if grey.size == 0 or min(grey.shape) < 16:
        raise CalibrationError("The picture for the flat field is too small.", _REMEDY)
    saturated = float(np.mean(grey >= 255))
    if saturated > MAX_SATURATED_SHARE:
        raise CalibrationError(f"{saturated:.1%} of the picture for the flat field are saturated.", _REMEDY)
    level = float(np.median(grey))
    if level < MIN_LEVEL_GREY:
        raise CalibrationError(f"The picture for the flat field is too dark (median {level:.0f} of 255).", _REMEDY)
    sigma = max(2.0, SMOOTHING_SHARE * min(grey.shape))
    small = cv2.medianBlur(grey, 5)
    smooth = cv2.GaussianBlur(small.astype(np.float32), (0, 0), sigma)
    flaw = flat_field_flaw(grey) or flat_field_flaw(np.rint(smooth).astype(np.uint8))
    if flaw:
        raise CalibrationError(f"The picture for the flat field {flaw}.", _REMEDY)
    return np.clip(np.rint(smooth), 0, 255).astype(np.uint8)
