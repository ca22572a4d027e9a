"""Pictures of calibration targets with exactly known geometry: dot grids and stage micrometers.

Every picture is sampled backwards: a point of the picture is undistorted, then carried to the target, so that the
truth needs no approximation. Coordinates: x right, y down, pixel centres at whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

_SUBSAMPLES = 3  # per side; together with the soft edge of each sample well below 0.01 px
_TABLE = 1024  # marks per axis whose fate (missing, jitter) is drawn; the picture shows the middle of them
_DARK, _BRIGHT = 45.0, 205.0  # grey values of the two materials under full light


@dataclass(frozen=True)
class TargetTruth:
    """What a rendered target measures. ``to_px`` (2, 2) maps steps of one spacing to pixels at the picture's centre."""

    spacing_um: float
    um_per_px: float
    um_per_px_x: float
    um_per_px_y: float
    shear_deg: float
    origin_px: tuple[float, float]
    to_px: np.ndarray
    k1: float


@dataclass(frozen=True)
class _Disturbance:
    """What lies between an ideal target and a camera's picture of it."""

    blur_px: float
    noise_grey: float
    gradient: float
    vignetting: float
    dust: int
    scratches: int


def render_dot_grid(
    *,
    size: tuple[int, int] = (640, 480),
    spacing_px: float = 24.0,
    spacing_um: float = 10.0,
    rotation_deg: float = 0.0,
    dot_share: float = 0.5,
    bright_dots: bool = False,
    missing_share: float = 0.0,
    jitter_px: float = 0.0,
    blur_px: float = 0.7,
    noise_grey: float = 0.0,
    gradient: float = 0.0,
    vignetting: float = 0.0,
    dust: int = 0,
    scratches: int = 0,
    x_stretch: float = 1.0,
    shear_deg: float = 0.0,
    k1: float = 0.0,
    offset_px: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
) -> tuple[np.ndarray, TargetTruth]:
    """Render a square grid of dots; returns (uint8 picture of ``size`` = (width, height), truth).

    ``dot_share``: dot diameter / spacing, below 0.9. ``gradient``, ``vignetting``: light lost at one corner and at all
    corners, 0..0.6. ``k1``: a point at the picture's corner lies ``k1`` half diagonals too near to the centre.
    """
    random = np.random.default_rng(seed)
    truth = _geometry(size, spacing_px, spacing_um, rotation_deg, x_stretch, shear_deg, k1, offset_px)
    missing = random.random((_TABLE, _TABLE)) < missing_share
    jitter = random.normal(0.0, jitter_px / spacing_px, (2, _TABLE, _TABLE)) if jitter_px else None

    def coverage(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        column, row = np.rint(u), np.rint(v)
        at = (row.astype(np.int32) + _TABLE // 2) % _TABLE, (column.astype(np.int32) + _TABLE // 2) % _TABLE
        du, dv = u - column, v - row
        if jitter is not None:
            du, dv = du - jitter[0][at], dv - jitter[1][at]
        edge = (dot_share / 2 - np.hypot(du, dv)) * spacing_px
        return np.where(missing[at], 0.0, np.clip(edge * _SUBSAMPLES + 0.5, 0.0, 1.0))

    disturbance = _Disturbance(blur_px, noise_grey, gradient, vignetting, dust, scratches)
    share = _sample(coverage, size, truth, _margin(blur_px))
    return _expose(share, bright_dots, spacing_px, disturbance, random), truth


def render_ruler(
    *,
    size: tuple[int, int] = (640, 480),
    spacing_px: float = 24.0,
    spacing_um: float = 10.0,
    rotation_deg: float = 0.0,
    tick_share: float = 0.25,
    tick_length_px: float = 160.0,
    longer_ticks: bool = True,
    bright_ticks: bool = False,
    missing_share: float = 0.0,
    jitter_px: float = 0.0,
    blur_px: float = 0.7,
    noise_grey: float = 0.0,
    gradient: float = 0.0,
    vignetting: float = 0.0,
    dust: int = 0,
    scratches: int = 0,
    k1: float = 0.0,
    offset_px: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
) -> tuple[np.ndarray, TargetTruth]:
    """Render a stage micrometer whose scale runs along ``rotation_deg``; returns (uint8 picture, truth).

    ``tick_share``: tick width / spacing. Every fifth tick is 1.4, every tenth 1.8 times ``tick_length_px`` long where
    ``longer_ticks``; all start on one line. The other options are those of :func:`render_dot_grid`.
    """
    random = np.random.default_rng(seed)
    truth = _geometry(size, spacing_px, spacing_um, rotation_deg, 1.0, 0.0, k1, offset_px)
    missing = random.random(_TABLE) < missing_share
    jitter = random.normal(0.0, jitter_px / spacing_px, _TABLE)

    def coverage(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        tick = np.rint(u)
        number = tick.astype(np.int32)
        at = (number + _TABLE // 2) % _TABLE
        length = np.where(number % 10 == 0, 1.8, np.where(number % 5 == 0, 1.4, 1.0)) if longer_ticks else 1.0
        across = (tick_share / 2 - np.abs(u - tick - jitter[at])) * spacing_px
        start = v * spacing_px + tick_length_px / 2
        along = np.minimum(start, length * tick_length_px - start)
        return np.where(missing[at], 0.0, np.clip(np.minimum(across, along) * _SUBSAMPLES + 0.5, 0.0, 1.0))

    disturbance = _Disturbance(blur_px, noise_grey, gradient, vignetting, dust, scratches)
    share = _sample(coverage, size, truth, _margin(blur_px))
    return _expose(share, bright_ticks, spacing_px, disturbance, random), truth


def _geometry(size, spacing_px, spacing_um, rotation_deg, x_stretch, shear_deg, k1, offset_px) -> TargetTruth:
    turn = math.radians(rotation_deg)
    rotate = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    skew = np.array([[1.0, math.tan(math.radians(shear_deg))], [0.0, 1.0]])
    to_px = np.diag([x_stretch, 1.0]) @ skew @ rotate * spacing_px
    step = np.linalg.inv(to_px) * spacing_um  # columns: where one pixel step leads on the target, in um
    along_x, along_y = np.hypot(step[0], step[1])
    return TargetTruth(
        spacing_um=spacing_um,
        um_per_px=math.sqrt(abs(np.linalg.det(step))),
        um_per_px_x=float(along_x),
        um_per_px_y=float(along_y),
        shear_deg=90.0 - math.degrees(math.acos(float(step[:, 0] @ step[:, 1]) / (along_x * along_y))),
        origin_px=((size[0] - 1) / 2 + offset_px[0], (size[1] - 1) / 2 + offset_px[1]),
        to_px=to_px,
        k1=k1,
    )


def _margin(blur_px: float) -> int:
    """Pixels beyond the frame that a blur brings into the picture."""
    return math.ceil(4 * blur_px)


def _sample(
    coverage: Callable[[np.ndarray, np.ndarray], np.ndarray], size: tuple[int, int], truth: TargetTruth, margin: int
) -> np.ndarray:
    """Share of each pixel that the marks cover, averaged over sub-samples; ``margin`` px are added on every side."""
    width, height = size
    centre = (width - 1) / 2, (height - 1) / 2
    half_diagonal = math.hypot(width, height) / 2
    back = np.linalg.inv(truth.to_px)
    total = np.zeros((height + 2 * margin, width + 2 * margin), np.float32)
    steps = (np.arange(_SUBSAMPLES) + 0.5) / _SUBSAMPLES - 0.5
    for dy in steps:
        for dx in steps:
            x = (np.arange(-margin, width + margin) + dx - centre[0])[None, :]
            y = (np.arange(-margin, height + margin) + dy - centre[1])[:, None]
            swell = 1.0 + truth.k1 * (x * x + y * y) / half_diagonal**2
            x = x * swell + (centre[0] - truth.origin_px[0])
            y = y * swell + (centre[1] - truth.origin_px[1])
            total += coverage(back[0, 0] * x + back[0, 1] * y, back[1, 0] * x + back[1, 1] * y)
    return total / _SUBSAMPLES**2


def _expose(
    share: np.ndarray, bright_marks: bool, spacing_px: float, disturbance: _Disturbance, random: np.random.Generator
) -> np.ndarray:
    """Turn the share covered by marks, margin included, into the camera's uint8 picture without it."""
    mark, ground = (_BRIGHT, _DARK) if bright_marks else (_DARK, _BRIGHT)
    scene = ground + (mark - ground) * share
    height, width = scene.shape
    veil = np.zeros(scene.shape, np.float32)
    for _ in range(disturbance.dust):
        radius = max(1.0, random.uniform(0.05, 0.25) * spacing_px)
        _spot(veil, random.uniform(0, width), random.uniform(0, height), radius, random.uniform(0.3, 0.9))
    for _ in range(disturbance.scratches):
        start, end = ((random.uniform(0, width), random.uniform(0, height)) for _ in range(2))
        cv2.line(veil, tuple(map(int, start)), tuple(map(int, end)), random.uniform(0.3, 0.8), 1, cv2.LINE_AA)
    scene = scene * (1.0 - veil)
    if disturbance.blur_px > 0:
        scene = cv2.GaussianBlur(scene, (0, 0), disturbance.blur_px)
    margin = _margin(disturbance.blur_px)
    scene = scene[margin : height - margin, margin : width - margin]
    height, width = scene.shape
    x = np.linspace(0.0, 1.0, width)[None, :]
    y = np.linspace(0.0, 1.0, height)[:, None]
    light = 1.0 - disturbance.gradient * (0.6 * x + 0.4 * y)
    light = light * (1.0 - disturbance.vignetting * 2.0 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
    grey = scene * light + random.normal(0.0, 1.0, scene.shape) * disturbance.noise_grey
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _spot(veil: np.ndarray, x: float, y: float, radius: float, depth: float) -> None:
    """Lay a speck of dust of ``radius`` px upon ``veil``, in place."""
    reach = math.ceil(radius) + 1
    left, top = max(0, int(x) - reach), max(0, int(y) - reach)
    part = veil[top : int(y) + reach + 1, left : int(x) + reach + 1]
    rows, columns = np.indices(part.shape)
    inside = np.clip(radius - np.hypot(columns + left - x, rows + top - y) + 0.5, 0.0, 1.0)
    np.maximum(part, (depth * inside).astype(np.float32), out=part)
