"""What a measurement on a calibration target yields, and the limits that it has to keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DOT_GRID = "dot grid"
LINE_RULER = "line ruler"


@dataclass(frozen=True)
class TargetLimits:
    """Limits of a measurement. The ``min_`` and ``max_`` ones refuse a picture, the ``warn_`` ones add a warning."""

    min_dots: int = 12
    min_ticks: int = 5
    min_size_px: int = 48  # of the picture, each side
    min_spacing_px: float = 5.0
    min_contrast_share: float = 0.05  # of the light: below it the picture counts as blank
    min_explained_share: float = 0.6  # of the marks that look alike: so many have to lie on the lattice
    min_occupied_share: float = 0.4  # of the lattice sites between the marks: so many have to hold one
    max_residual_share: float = 0.04  # rms distance from the lattice / spacing
    max_edge_share: float = 0.129  # sigma of a mark's edge / spacing: above it the picture counts as blurred
    min_mark_contrast_share: float = 0.1  # between dots and ground, of the brighter: below it they count as blurred
    max_saturated_share: float = 0.2  # of all pixels at the brightest value
    min_coherence: float = 0.25  # of the gradients' directions, 0..1: below it nothing is a ruler
    warn_saturated_share: float = 0.02
    warn_marks: int = 30  # fewer dots than that
    warn_ticks: int = 10
    warn_distortion_px: float = 1.0
    warn_non_square_share: float = 0.002
    warn_shear_deg: float = 0.1


@dataclass(frozen=True)
class MatchedMarks:
    """The marks that the scale rests on, arrays of shape (N,): image positions, places on the target, residuals.

    Ticks of a ruler are numbered by ``column``; their ``row`` is 0 and their position the middle of what was seen.
    """

    x_px: np.ndarray
    y_px: np.ndarray
    column: np.ndarray
    row: np.ndarray
    residual_x_px: np.ndarray
    residual_y_px: np.ndarray


@dataclass(frozen=True)
class TargetScale:
    """The scale at the picture's centre, its uncertainty, and how the target lies in the picture.

    ``um_per_px`` keeps areas: an area in px times its square is the area in um2. ``um_per_px_x`` and ``um_per_px_y``
    are the lengths on the target of one pixel step along a row and along a column; a ruler measures one direction
    only, and all three are equal then. ``rotation_deg`` is the direction of the target's rows (0..90) or of the
    ruler's length (0..180), turning from x towards y, that is clockwise on the screen.
    """

    kind: str  # DOT_GRID or LINE_RULER
    um_per_px: float
    uncertainty_um_per_px: float  # 1 sigma; the spacing of the target itself is taken as exact
    um_per_px_x: float
    um_per_px_y: float
    shear_deg: float  # how far the pixel axes are from 90 degrees on the target
    rotation_deg: float
    marks_found: int
    marks_used: int
    rms_residual_px: float
    distortion_px: float  # largest displacement by radial distortion among the marks; 0 = none that is significant
    image_size_px: tuple[int, int]  # (width, height)
    marks: MatchedMarks
    warnings: tuple[str, ...] = ()
