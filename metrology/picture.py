"""From a camera's picture to even light, and the refusal of pictures that cannot be measured."""

from __future__ import annotations

import math

import cv2
import numpy as np

from errors import CalibrationError
from metrology.scale import TargetLimits

_FULL_SCALES = (255, 1023, 4095, 16383, 65535)  # where cameras clip: 8, 10, 12, 14 and 16 bit
_LIGHT_SIZE_PX = 96  # the light is fitted on a picture of about this size
_MOST_PIXELS = 10_000  # per material, when its brightness is fitted
_EXPOSE = "Lower the exposure time or the light and take the picture again."


def check_spacing(spacing_um: float) -> None:
    """Raise :class:`CalibrationError` unless ``spacing_um`` is a finite number above zero."""
    if not math.isfinite(spacing_um) or spacing_um <= 0:
        raise CalibrationError(
            f"The spacing of the target must be a number of micrometres above zero, not {spacing_um}.",
            "Read it from the target's certificate, for example 10.",
        )


def checked(grey: np.ndarray, limits: TargetLimits) -> np.ndarray:
    """A float32 copy of a grey picture (H, W); raises :class:`CalibrationError` when it cannot hold a target."""
    grey = np.asarray(grey)
    if grey.ndim != 2:
        raise CalibrationError(
            f"A grey picture with two axes is needed, not one of shape {grey.shape}.", "Convert it to grey values."
        )
    height, width = grey.shape
    if min(height, width) < limits.min_size_px:
        raise CalibrationError(
            f"The picture is too small: {width} x {height} px, and {limits.min_size_px} px are needed each way.",
            "Take the picture with the full sensor.",
        )
    picture = grey.astype(np.float32, order="C")
    if not np.isfinite(picture).all():
        raise CalibrationError("The picture holds values that are not finite.", "Take the picture again.")
    _check_contrast(picture, limits)
    share = saturated_share(grey)
    if share > limits.max_saturated_share:
        raise CalibrationError(
            f"The picture is over-exposed: {share:.0%} of its pixels are saturated "
            f"(allowed: {limits.max_saturated_share:.0%}).",
            _EXPOSE,
        )
    return picture


def saturated_share(grey: np.ndarray) -> float:
    """Share of the pixels, 0..1, at the value where a camera clips; 0 when the brightest is no such value."""
    top = float(grey.max())
    if top not in _FULL_SCALES and not (grey.dtype.kind == "f" and top == 1.0):
        return 0.0
    return float(np.mean(grey == top))


def _check_contrast(picture: np.ndarray, limits: TargetLimits) -> None:
    low, high = np.percentile(cv2.GaussianBlur(picture, (0, 0), 1.0)[::2, ::2], (0.5, 99.5))
    if high - low <= limits.min_contrast_share * max(abs(high), abs(low)):
        raise CalibrationError(
            f"The picture is blank: its brightest and darkest parts differ by {high - low:.1f} grey values.",
            "Check the light and the focus, and put the target under the lens.",
        )


def even_light(picture: np.ndarray) -> np.ndarray:
    """Divide a picture by its light, a smooth surface of second order (in logarithms); the mean comes out near 1."""
    height, width = picture.shape
    shrink = max(1.0, max(height, width) / _LIGHT_SIZE_PX)
    size = max(8, round(width / shrink)), max(8, round(height / shrink))
    base = picture - min(0.0, float(picture.min()))
    small = cv2.resize(base, size, interpolation=cv2.INTER_AREA)
    small = np.log(np.maximum(small, 0.02 * float(small.max())))
    y, x = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
    terms = [np.ones_like(x), x, y, x * x, x * y, y * y]
    design = np.stack([term.ravel() for term in terms], axis=1)
    weights, *_ = np.linalg.lstsq(design, small.ravel(), rcond=None)
    x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    c = weights
    light = c[0] + c[1] * x + c[2] * y + c[3] * x * x + c[4] * x * y + c[5] * y * y
    return (base * np.exp(-light)).astype(np.float32)


def two_level_threshold(values: np.ndarray) -> float:
    """The value that best parts ``values`` (any shape, finite) into two groups (Otsu 1979)."""
    low, high = np.percentile(values, (0.1, 99.9))
    scaled = np.clip((values - low) * (255.0 / max(high - low, 1e-12)), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(low + (level + 0.5) * (high - low) / 255.0)


def standing_out(flat: np.ndarray, *, ground: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Rescale a picture (H, W) so that the ground is 0 and the marks are 1 everywhere, whatever the light.

    ``ground`` and ``marks`` (H, W) bool say where either is surely seen. Both get a smooth brightness of their own, so
    that neither a black level nor a gradient of the light leaves a slope under a mark, which would shift its centre.
    """
    low = _surface(flat, ground, order=4)
    high = _surface(flat, marks, order=2)
    middle = float(np.median(flat[marks]) - np.median(flat[ground]))
    step = high - low
    # extrapolated surfaces must not cross
    least = 0.2 * abs(middle)
    step = np.maximum(step, least) if middle > 0 else np.minimum(step, -least)
    return ((flat - low) / step).astype(np.float32)


def _surface(flat: np.ndarray, where: np.ndarray, *, order: int) -> np.ndarray:
    """A polynomial surface through the pixels ``where``; three rounds without the outliers (dust, scratches)."""
    height, width = flat.shape
    rows, columns = np.nonzero(where)
    step = max(1, len(rows) // _MOST_PIXELS)
    rows, columns = rows[::step], columns[::step]
    values = flat[rows, columns].astype(float)
    x, y = columns * (2 / (width - 1)) - 1, rows * (2 / (height - 1)) - 1
    powers = [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]
    design = np.stack([x**i * y**j for i, j in powers], axis=1)
    keep = np.ones(len(values), bool)
    for _ in range(3):
        some = design[keep]
        weights, *_ = np.linalg.lstsq(some.T @ some, some.T @ values[keep], rcond=1e-10)
        off = np.abs(values - design @ weights)
        keep = off <= 3.0 * 1.4826 * float(np.median(off)) + 1e-9
    along = np.stack([np.linspace(-1, 1, width) ** i for i in range(order + 1)])
    down = np.stack([np.linspace(-1, 1, height) ** j for j in range(order + 1)], axis=1)
    table = np.zeros((order + 1, order + 1))
    for (i, j), weight in zip(powers, weights, strict=True):
        table[j, i] = weight
    return (down @ table @ along).astype(np.float32)
