"""Whether a calibrated scale belongs to an image: its size, and the shape that it gives to the cladding."""

from __future__ import annotations

import math

import numpy as np

from records import Ellipse

SAME_FACTOR_SHARE = 0.005  # width and height that changed by factors closer than this were resized together


def size_warnings(shape: tuple[int, int], calibrated_size_px: tuple[int, int] | None) -> list[str]:
    """A warning when an image of ``shape`` (rows, cols) is not of the calibrated size (width, height).

    A picture that was binned or resized is named as such, but its scale is not guessed: it may as well come from
    another camera.
    """
    height, width = shape
    if calibrated_size_px is None or calibrated_size_px == (width, height):
        return []
    factors = width / calibrated_size_px[0], height / calibrated_size_px[1]
    resized = ""
    if abs(factors[0] / factors[1] - 1) <= SAME_FACTOR_SHARE:
        resized = f" ({math.sqrt(factors[0] * factors[1]):.4g} times the size: binned or resized)"
    return [
        f"calibration.json belongs to images of {calibrated_size_px[0]}x{calibrated_size_px[1]} px, this one has "
        f"{width}x{height}{resized}: calibrate at this size."
    ]


def axes_um(ellipse: Ellipse, *, um_per_px_x: float, um_per_px_y: float) -> tuple[float, float]:
    """Full axes (long, short) in um of an ellipse of the image, whose pixels need not be square."""
    angle = math.radians(ellipse.angle_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    to_um = np.diag([um_per_px_x, um_per_px_y])
    long, short = np.linalg.svd(to_um @ turn @ np.diag([ellipse.major_px, ellipse.minor_px]), compute_uv=False)
    return float(long), float(short)


def roundness_warnings(
    cladding: Ellipse, *, um_per_px_x: float, um_per_px_y: float, max_difference_share: float
) -> list[str]:
    """A warning when the cladding is not round in calibrated micrometres, by more than a share of its short axis.

    A round fibre in pixels that are not square is an ellipse along the image's axes, which the calibration explains.
    What it does not explain is an inclined face: seen at an angle t, a flat face is shorter by cos t along the tilt;
    a face polished at t and seen square on is longer by 1 / cos t. One axis is true, and the image cannot tell which.
    The fibre frame takes their geometric mean, which is wrong by half the difference either way: 0.5 % for an 8 degree
    polish. A difference beyond the limit is a steeper face or a calibration of another microscope.
    """
    long, short = axes_um(cladding, um_per_px_x=um_per_px_x, um_per_px_y=um_per_px_y)
    difference = long / short - 1
    if difference <= max_difference_share:
        return []
    return [
        f"By calibration.json the cladding is {long:.1f} um long and {short:.1f} um wide, a difference of "
        f"{difference:.1%} (limit {max_difference_share:.1%}): an inclined face, or the wrong calibration."
    ]
