"""Disturb a picture together with its truth: light, focus, noise, compression, and where the fibre lies in the frame.

Every function is pure: arrays come in and new ones go out, (H, W) uint8 grey and (H, W) uint16 labels of the truth.
What moves the picture moves the labels (nearest neighbour) and the fibre (by formula) in the same way. Pixels that no
camera saw become 65535, do not judge. They continue the picture by reflection, which keeps its grain, but only so deep
that no part of the fibre is mirrored into the frame; beyond that the last row or column is repeated. The dark border of
a frame grabber stays where it is, as it would if the fibre itself were moved.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from evaluation.truth import DO_NOT_JUDGE, TruthImage
from records import Ellipse
from rendering.optics import encode
from vision.preprocess import picture_box

_FIBER_MARGIN_PX = 4  # kept free around the cladding when it is shifted or the surroundings are mirrored
_TIE_PX = 0.01  # exactly between two pixels the nearest one would be the even one: every second row twice

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Disturbance:
    """One kind of disturbance at one level; ``unit`` is that of the level, for people."""

    kind: str
    level: float
    unit: str

    @property
    def text(self) -> str:
        """Such as ``rotation 15 deg``."""
        return f"{self.kind} {self.level:g} {self.unit}".rstrip()

    @property
    def is_identity(self) -> bool:
        """Whether this is the level at which nothing changes."""
        return self.level == DRIFT_LEVELS[self.kind].undisturbed


@dataclass(frozen=True)
class Levels:
    """Levels of one kind in ascending order; ``undisturbed`` is the one among them that changes nothing."""

    title: str
    unit: str
    undisturbed: float
    levels: tuple[float, ...]


DRIFT_LEVELS: dict[str, Levels] = {
    "illumination": Levels("change of the illumination", "%", 0.0, (-60.0, -40.0, -20.0, 0.0, 20.0, 40.0, 60.0)),
    "gradient": Levels("shading from left to right", "of the mean", 0.0, (0.0, 0.2, 0.4, 0.6, 0.8)),
    "gamma": Levels("exponent of the grey levels", "", 1.0, (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)),
    "defocus": Levels("Gaussian blur", "px", 0.0, (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)),
    "noise": Levels("added noise, sigma", "grey levels", 0.0, (0.0, 2.0, 4.0, 8.0, 12.0)),
    # 100 stands for: not compressed again.
    "jpeg": Levels("JPEG quality", "", 100.0, (50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 100.0)),
    "rotation": Levels("rotation about the fibre", "deg", 0.0, tuple(15.0 * step for step in range(24))),
    "shift": Levels("shift in whole pixels", "of the frame", 0.0, (-0.15, -0.08, 0.0, 0.08, 0.15)),
    "subpixel": Levels("shift within a pixel", "px", 0.0, (0.0, 0.25, 0.5, 0.75)),
    "magnification": Levels("magnification", "x", 1.0, (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)),
}


def default_disturbances() -> tuple[Disturbance, ...]:
    """Every kind at every level of :data:`DRIFT_LEVELS`, the undisturbed ones included."""
    return tuple(Disturbance(kind, level, k.unit) for kind, k in DRIFT_LEVELS.items() for level in k.levels)


def disturb(
    grey: np.ndarray, labels: np.ndarray, truth: TruthImage, disturbance: Disturbance
) -> tuple[np.ndarray, np.ndarray, TruthImage]:
    """Disturb a picture (H, W) uint8 with its labels (H, W) uint16 and its truth; the inputs stay as they are.

    Only a magnification changes the shape. Raises KeyError for a kind that :data:`DRIFT_LEVELS` does not know and
    ValueError for a level that its kind cannot take.
    """
    level = disturbance.level
    if disturbance.is_identity:
        return grey.copy(), labels.copy(), truth
    if disturbance.kind in _LIGHT:
        return _LIGHT[disturbance.kind](grey, level), labels.copy(), truth
    if disturbance.kind == "noise":
        return add_noise(grey, level, seed=zlib.crc32(truth.name.encode())), labels.copy(), truth
    cladding = truth.fiber.cladding if truth.fiber else None
    if disturbance.kind == "magnification":
        (grey, labels), matrix = resized(grey, labels, level)
    else:
        matrix = _MOVES[disturbance.kind](grey, cladding, level)
        grey, labels = moved(grey, labels, matrix, cladding)
    return grey, labels, moved_truth(truth, matrix)


# --- light, focus, noise, codec ------------------------------------------------------------------------------------


def change_illumination(grey: np.ndarray, percent: float) -> np.ndarray:
    """Multiply by ``1 + percent / 100`` and clip, as a camera does. Raises ValueError for -100 or less."""
    if percent <= -100:
        raise ValueError(f"the illumination cannot change by {percent:g} %")
    return _as_grey(grey * np.float32(1 + percent / 100))


def add_gradient(grey: np.ndarray, share: float) -> np.ndarray:
    """Shade linearly along the rows: factor ``1 - share / 2`` in the first column, ``1 + share / 2`` in the last."""
    if abs(share) > 2:
        raise ValueError(f"a gradient of {share:g} of the mean would be darker than black")
    return _as_grey(grey * (1 + share * np.linspace(-0.5, 0.5, grey.shape[1], dtype=np.float32)))


def change_gamma(grey: np.ndarray, exponent: float) -> np.ndarray:
    """Raise the grey levels, as shares of 255, to ``exponent``: above 1 the middle tones get darker."""
    if exponent <= 0:
        raise ValueError(f"the exponent must be above 0, got {exponent:g}")
    return _as_grey(255 * (np.arange(256) / 255) ** exponent)[grey]


def defocus(grey: np.ndarray, sigma_px: float) -> np.ndarray:
    """Blur with a Gaussian of ``sigma_px``. Raises ValueError for less than 0."""
    if sigma_px < 0:
        raise ValueError(f"the blur must not be negative, got {sigma_px:g}")
    return _as_grey(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), sigma_px)) if sigma_px else grey.copy()


def add_noise(grey: np.ndarray, sigma_grey: float, *, seed: int) -> np.ndarray:
    """Add Gaussian noise; the same seed gives the same pattern, however strong it is."""
    noise = np.random.default_rng(seed).standard_normal(grey.shape, dtype=np.float32)
    return _as_grey(grey + np.float32(sigma_grey) * noise)


def compress(grey: np.ndarray, quality: float) -> np.ndarray:
    """The picture as it reads back from a JPEG of this quality, 1..100."""
    return encode(grey, round(quality))[2]


def _as_grey(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_LIGHT: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "illumination": change_illumination,
    "gradient": add_gradient,
    "gamma": change_gamma,
    "defocus": defocus,
    "jpeg": compress,
}

# --- where the fibre lies: affine maps (2, 3) from points of the picture to points of the disturbed one ---------------


def rotation(grey: np.ndarray, cladding: Ellipse | None, degrees: float) -> np.ndarray:
    """Turn from +x towards +y (clockwise on the screen) about the fibre, without one about the frame's centre."""
    height, width = grey.shape
    x, y = (cladding.x_px, cladding.y_px) if cladding else ((width - 1) / 2, (height - 1) / 2)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]])


def shift(grey: np.ndarray, cladding: Ellipse | None, share: float) -> np.ndarray:
    """Move right and down by a share of width and height, in whole pixels, but never the fibre out of the picture.

    Where the fibre would come closer than 4 px to the picture's edge, it stops there; one that is cut off already is
    not moved further out.
    """
    height, width = grey.shape
    dx, dy = round(share * width), round(share * height)
    if cladding:
        left, top, right, bottom = (math.floor(room) for room in _clearances(cladding, picture_box(grey)))
        dx, dy = max(-left, min(right, dx)), max(-top, min(bottom, dy))
    return np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])


def subpixel_shift(grey: np.ndarray, cladding: Ellipse | None, distance_px: float) -> np.ndarray:
    """Move right and down by ``distance_px`` each: what sampling on another grid does."""
    return np.array([[1.0, 0.0, distance_px], [0.0, 1.0, distance_px]])


_MOVES = {"rotation": rotation, "shift": shift, "subpixel": subpixel_shift}


def moved(grey: np.ndarray, labels: np.ndarray, matrix: np.ndarray, cladding: Ellipse | None) -> Arrays:
    """Warp what the frame shows by ``matrix`` (2, 3), within the same frame; a frame grabber's border stays."""
    top, bottom, left, right = box = picture_box(grey)
    window, corner, size = (slice(top, bottom), slice(left, right)), (left, top), (right - left, bottom - top)
    before_x, before_y, after_x, after_y = _mirror_depths(box, cladding)
    padded = cv2.copyMakeBorder(grey[window], before_y, after_y, before_x, after_x, cv2.BORDER_REFLECT_101)
    to_padded = _between(matrix, (left - before_x, top - before_y), corner)
    to_labels = _between(matrix, corner, corner) + np.array([0.0, 0.0, _TIE_PX])
    keep, skip = {"borderMode": cv2.BORDER_REPLICATE}, {"borderMode": cv2.BORDER_CONSTANT, "borderValue": DO_NOT_JUDGE}
    out_grey, out_labels = grey.copy(), labels.copy()
    out_grey[window] = cv2.warpAffine(padded, to_padded, size, flags=cv2.INTER_CUBIC, **keep)
    out_labels[window] = cv2.warpAffine(labels[window], to_labels, size, flags=cv2.INTER_NEAREST, **skip)
    return out_grey, out_labels


def resized(grey: np.ndarray, labels: np.ndarray, factor: float) -> tuple[Arrays, np.ndarray]:
    """Resize the whole frame, nothing is cut off or invented; with the map of its points, (2, 3).

    The map follows the rounding of the size to whole pixels. Raises ValueError unless ``factor`` is above 0.
    """
    if factor <= 0:
        raise ValueError(f"the magnification must be above 0, got {factor:g}")
    height, width = grey.shape
    rows, cols = max(1, round(height * factor)), max(1, round(width * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    nearest_row = ((np.arange(rows) + 0.5) * height / rows).astype(int)
    nearest_col = ((np.arange(cols) + 0.5) * width / cols).astype(int)
    fx, fy = cols / width, rows / height
    matrix = np.array([[fx, 0.0, 0.5 * fx - 0.5], [0.0, fy, 0.5 * fy - 0.5]])
    arrays = cv2.resize(grey, (cols, rows), interpolation=method), labels[np.ix_(nearest_row, nearest_col)]
    return arrays, matrix


def moved_truth(truth: TruthImage, matrix: np.ndarray) -> TruthImage:
    """The truth of a picture whose points were moved by ``matrix`` (2, 3): the fibre and its core follow."""
    fiber = truth.fiber
    if fiber is None:
        return truth
    core = fiber.core_diameter_px
    if core is not None:
        core *= math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    cladding = moved_ellipse(fiber.cladding, matrix)
    return replace(truth, fiber=replace(fiber, cladding=cladding, core_diameter_px=core))


def moved_ellipse(ellipse: Ellipse, matrix: np.ndarray) -> Ellipse:
    """Image of an ellipse under an affine map (2, 3): its half axes are the singular values of map times half axes."""
    x, y = matrix[:, :2] @ (ellipse.x_px, ellipse.y_px) + matrix[:, 2]
    angle = math.radians(ellipse.angle_deg)
    axes = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    directions, lengths, _ = np.linalg.svd(matrix[:, :2] @ axes @ np.diag([ellipse.major_px, ellipse.minor_px]))
    turned_deg = math.degrees(math.atan2(directions[1, 0], directions[0, 0])) % 180.0
    return Ellipse(float(x), float(y), float(lengths[0]), float(lengths[1]), turned_deg)


def _between(matrix: np.ndarray, source: tuple[int, int], target: tuple[int, int]) -> np.ndarray:
    """The same map between windows of the frame that begin at ``source`` and ``target`` (x, y)."""
    offset = matrix[:, :2] @ source + matrix[:, 2] - target
    return np.column_stack([matrix[:, :2], offset])


def _mirror_depths(box: tuple[int, int, int, int], cladding: Ellipse | None) -> tuple[int, int, int, int]:
    """How deep the picture may be mirrored at its left, top, right and bottom edge without showing fibre again."""
    top, bottom, left, right = box
    sides = (right - left - 1, bottom - top - 1) * 2
    rooms = sides if cladding is None else _clearances(cladding, box)
    return tuple(max(0, min(side, math.floor(room))) for side, room in zip(sides, rooms, strict=True))


def _clearances(cladding: Ellipse, box: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    """Room between the cladding and the picture's left, top, right and bottom edge, at least 0 px."""
    top, bottom, left, right = box
    angle = math.radians(cladding.angle_deg)
    a, b = cladding.major_px / 2, cladding.minor_px / 2
    reach_x = math.hypot(a * math.cos(angle), b * math.sin(angle)) + _FIBER_MARGIN_PX
    reach_y = math.hypot(a * math.sin(angle), b * math.cos(angle)) + _FIBER_MARGIN_PX
    rooms = (
        cladding.x_px - reach_x - left,
        cladding.y_px - reach_y - top,
        right - 1 - cladding.x_px - reach_x,
        bottom - 1 - cladding.y_px - reach_y,
    )
    return tuple(max(0.0, room) for room in rooms)
