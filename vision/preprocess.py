"""Preparing an image: flat field, the copy for localisation, illumination and focus checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from records import Ellipse
from settings import Clahe, Preprocessing
from vision.geometry import Box, unwrap
from vision.robust import medians

LIGHT_SAMPLE_PX = 250_000  # pixels that tell how an image is lit
MARGIN_SAMPLES = 128  # along a side of the frame: what lies along all of it shows in so many
FAINT_QUANTILE = 0.15  # of the differences along a row: a margin differs nearly everywhere


@dataclass(frozen=True)
class Preprocessed:
    """Grey levels for measuring, (H, W) uint8, and how to make the contrast-enhanced copy for finding circles."""

    grey: np.ndarray
    warnings: tuple[str, ...]
    clahe: Clahe | None  # None: the flat field has evened the light
    blur_kernel_px: int

    @cached_property
    def box(self) -> Box:
        """The picture without black margins; see :func:`picture_box`."""
        return picture_box(self.grey)

    def enhanced(self, reduced: np.ndarray, factor: float) -> np.ndarray:
        """The copy for finding circles (h, w) uint8, from the image reduced by ``factor``; never for detection."""
        if self.clahe is not None:
            tiles = self.clahe.tile_grid
            reduced = cv2.createCLAHE(self.clahe.clip_limit, (tiles, tiles)).apply(reduced)
        if self.blur_kernel_px <= 1:
            return reduced
        sigma = factor * (0.15 * self.blur_kernel_px + 0.35)  # OpenCV's for this kernel
        return cv2.GaussianBlur(reduced, (0, 0), sigma)


def preprocess(grey: np.ndarray, flat_field: np.ndarray | None, settings: Preprocessing) -> Preprocessed:
    """Correct and check the illumination.

    ``flat_field`` is a picture of a blank target, (H, W) uint8; one of another size is ignored with a warning.
    """
    warnings = []
    if poorly_lit(grey, settings.poor_illumination.share, settings.poor_illumination.band):
        warnings.append(
            f"Poor illumination: over {settings.poor_illumination.share:.0%} of the pixels are nearly black or white."
        )
    if flat_field is not None and flat_field.shape != grey.shape:
        warnings.append(
            f"The flat-field image ({flat_field.shape[1]}x{flat_field.shape[0]} px) does not fit this image and was "
            "not used: capture it again at this image size."
        )
        flat_field = None
    if flat_field is not None:
        grey = divide_by_flat_field(grey, flat_field)
    clahe = settings.clahe if flat_field is None else None
    return Preprocessed(grey, tuple(warnings), clahe, settings.blur_kernel_px)


def poorly_lit(grey: np.ndarray, share: float, band: float) -> bool:
    """Whether more than ``share`` of the pixels lie in the bottom or in the top ``band`` of the 8-bit range."""
    step = max(1, math.isqrt(grey.size // LIGHT_SAMPLE_PX))
    sample = np.ascontiguousarray(grey[::step, ::step])
    counts = cv2.calcHist([sample], [0], None, [256], [0, 256]).ravel() / sample.size
    width = round(256 * band)
    return bool(counts[:width].sum() > share or counts[-width:].sum() > share)


def picture_box(grey: np.ndarray) -> Box:
    """Box (top, bottom, left, right; half open) of the picture proper, without black borders or lines along the frame.

    Frame grabbers and video cameras leave dark margins or bright lines there, which run along a whole side; the edge
    of a large fibre does not.
    """
    rows, cols = grey.shape
    top, bottom = _margin(grey), _margin(grey[::-1])
    left, right = _margin(grey.T), _margin(grey.T[::-1])
    return top, rows - bottom, left, cols - right


def _margin(grey: np.ndarray) -> int:
    """How many of the first rows differ nearly along their whole length from the picture further in."""
    depth = len(grey) // 16
    if depth < 3:
        return 0
    sample = grey[: 2 * depth, :: max(1, grey.shape[1] // MARGIN_SAMPLES)].astype(np.float32)
    picture = medians(np.ascontiguousarray(sample[depth:].T))
    difference = np.abs(sample[:depth] - picture)
    faint = int(FAINT_QUANTILE * len(picture))
    difference = np.partition(difference, faint, axis=1)[:, faint]
    strange = np.flatnonzero(difference > max(12.0, 0.3 * float(np.median(picture))))
    return min(int(strange[-1]) + 4, depth) if len(strange) else 0


def divide_by_flat_field(grey: np.ndarray, flat_field: np.ndarray) -> np.ndarray:
    """Grey divided by the smoothed flat field, its mean level kept, (H, W) uint8."""
    smooth = cv2.GaussianBlur(flat_field.astype(np.float32), (0, 0), 5)
    smooth = np.maximum(smooth, 0.05 * float(smooth.max()) + 1.0)
    return np.clip(np.rint(grey * (float(smooth.mean()) / smooth)), 0, 255).astype(np.uint8)


def focus_score(grey: np.ndarray, cladding: Ellipse) -> float:
    """Sharpness of the cladding edge, 0..1: 2 % of the radius over the edge's width (step over steepest slope).

    It does not depend on contrast, exposure or marks on the end face. NaN when the edge cannot be seen.
    """
    radius = cladding.mean_radius_px
    step = max(0.1, 0.002 * radius)
    radii = np.arange(0.9 * radius, 1.1 * radius, step)
    polar = unwrap(grey, cladding, radii, np.arange(180) * (2 * np.pi / 180))
    polar = polar[np.isfinite(polar).all(axis=1)]
    if len(polar) < 12:
        return math.nan
    profile = np.median(polar, axis=0)
    middle = np.abs(radii - radius) <= 0.031 * radius  # half a step more than 3 %: rounding decides nothing
    slope = float(np.max(np.abs(np.gradient(profile, step))[middle]))
    contrast = float(np.ptp(profile))
    if contrast <= 0 or slope <= 0:
        return math.nan
    return min(1.0, 0.02 * radius / (contrast / slope))
