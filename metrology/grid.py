"""The scale from dots of a square grid: numbering, fit of lattice and distortion, and what speaks against them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from errors import CalibrationError
from metrology.fit import LinearFit, fit_marks, with_shared_shift
from metrology.lattice import Numbering, find_basis, number_marks, without_doubles
from metrology.scale import DOT_GRID, MatchedMarks, TargetLimits, TargetScale

_SIGNIFICANT = 3.0  # sigma
_BLOCKS = 6  # per side: neighbouring dots share errors of light and of the lens
_SECOND_GRID_SHARE = 0.25  # of the first grid's dots


def number_dots(points: np.ndarray) -> tuple[Numbering, np.ndarray] | None:
    """Number dots (N, 2) on the square lattice that they form; also its basis (2, 2). None when they form none."""
    basis = find_basis(points)
    if basis is None:
        return None
    numbering = number_marks(points, np.linalg.inv(basis), unit_px=spacing_of(basis))
    return (numbering, basis) if numbering.known.any() else None


def spacing_of(basis: np.ndarray) -> float:
    """Mean spacing in px of a lattice with the basis vectors (2, 2) in columns."""
    return math.sqrt(abs(float(np.linalg.det(basis))))


def check_lattice(points: np.ndarray, others: np.ndarray, numbering: Numbering, limits: TargetLimits) -> None:
    """Raise :class:`CalibrationError` unless the dots are one grid; ``others`` are marks of other sizes."""
    known = numbering.known
    share = float(known.mean())
    _check_second_grid(np.concatenate([points[~known], others]), int(known.sum()))
    if share < limits.min_explained_share:
        raise _irregular(f"only {share:.0%} of {len(points)} dots lie on a common lattice")
    check_count(int(known.sum()), limits)
    extent = np.ptp(numbering.index[known], axis=0) + 1
    if extent.min() < 3:
        raise _irregular(f"the dots found span only {extent[0]} columns and {extent[1]} rows")
    occupied = _occupied_share(numbering.index[known])
    if occupied < limits.min_occupied_share:
        raise _irregular(f"only {occupied:.0%} of its places hold a dot")


def check_count(count: int, limits: TargetLimits) -> None:
    """Raise :class:`CalibrationError` when there are fewer dots than the limits ask for."""
    if count < limits.min_dots:
        raise CalibrationError(
            f"Too few dots: {count} found, and {limits.min_dots} are needed.",
            "Bring the dot grid into focus and let it fill the picture.",
        )


def _check_second_grid(rest: np.ndarray, first: int) -> None:
    if len(rest) < max(12, _SECOND_GRID_SHARE * first):
        return
    second = number_dots(rest)
    count = int(second[0].known.sum()) if second else 0
    if count >= max(12, _SECOND_GRID_SHARE * first, 0.6 * len(rest)):
        raise CalibrationError(
            f"Two grids lie in the picture: one of {first} dots and another of {count}.",
            "Move the target until only one grid, of one spacing, fills the picture.",
        )


def _irregular(reason: str) -> CalibrationError:
    return CalibrationError(
        f"The dots are no regular square grid: {reason}.",
        "Use a target with dots on a square grid, and clean it if dust covers it.",
    )


def _occupied_share(index: np.ndarray) -> float:
    """Share of the places between a row's first and last dot that hold one, over all rows and columns."""
    places = 0
    for axis in (0, 1):
        line, place = index[:, axis] - index[:, axis].min(), index[:, 1 - axis]
        first = np.full(line.max() + 1, place.max())
        last = np.full(line.max() + 1, place.min() - 1)
        np.minimum.at(first, line, place)
        np.maximum.at(last, line, place)
        places += int(np.maximum(last - first + 1, 0).sum())
    return 2 * len(index) / max(places, 1)


def measure_lattice(
    points: np.ndarray,
    numbering: Numbering,
    *,
    spacing_um: float,
    image_size_px: tuple[int, int],
    limits: TargetLimits,
    warnings: Sequence[str] = (),
) -> TargetScale:
    """Fit lattice and radial distortion to numbered dots (N, 2); raises :class:`CalibrationError` on a poor fit."""
    found = len(points)
    centre = (np.array(image_size_px) - 1) / 2
    half_diagonal = math.hypot(*image_size_px) / 2
    known = without_doubles(numbering.index, numbering.known, _misfit(points, numbering))
    points, index = points[known], numbering.index[known]
    check_count(len(points), limits)
    fit = _fit(points - centre, index, half_diagonal)
    vectors = _vectors(fit.parameters)
    rms = float(np.sqrt((fit.residual_px[fit.used] ** 2).sum(axis=1).mean()))
    spacing_px = spacing_of(vectors)
    _check_fit(rms, spacing_px, int(fit.used.sum()), limits)
    along = _pixel_steps(vectors, spacing_um)
    distortion_px, distortion_share = _distortion(fit, points - centre, half_diagonal)
    used = fit.used
    um_per_px = spacing_um / spacing_px
    sigma = fit.sigma(lambda p: spacing_um / spacing_of(_vectors(p)))
    return TargetScale(
        kind=DOT_GRID,
        um_per_px=um_per_px,
        uncertainty_um_per_px=with_shared_shift(sigma, um_per_px, points[used]),
        um_per_px_x=along[0],
        um_per_px_y=along[1],
        shear_deg=along[2],
        rotation_deg=math.degrees(math.atan2(vectors[1, 0] - vectors[0, 1], vectors[0, 0] + vectors[1, 1])) % 90.0,
        marks_found=found,
        marks_used=int(used.sum()),
        rms_residual_px=rms,
        distortion_px=distortion_px,
        image_size_px=image_size_px,
        marks=MatchedMarks(*points[used].T, *index[used].T, *fit.residual_px[used].T),
        warnings=(*warnings, *_warnings(fit, spacing_um, distortion_px, distortion_share, limits)),
    )


def _misfit(points: np.ndarray, numbering: Numbering) -> np.ndarray:
    """Distance of each dot from a bent lattice through all of them, to choose between dots on one place."""
    local = (points - points.mean(axis=0)) / max(float(np.ptp(points)), 1.0)
    x, y = local.T
    design = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=1)
    known = numbering.known
    weights, *_ = np.linalg.lstsq(design[known], numbering.index[known], rcond=1e-4)
    return np.abs(design @ weights - numbering.index).max(axis=1)


def _fit(local: np.ndarray, index: np.ndarray, half_diagonal: float) -> LinearFit:
    """Parameters: origin x, y; both vectors' x, then both vectors' y; the distortion k1."""
    design = np.zeros((len(local), 2, 7))
    design[:, 0, 0] = design[:, 1, 1] = 1.0
    design[:, 0, 2:4] = design[:, 1, 4:6] = index
    # ideal = seen * (1 + k1 r^2), and the ideal lies on the lattice: linear in k1 with r as it is seen
    design[:, :, 6] = -local * ((local / half_diagonal) ** 2).sum(axis=1, keepdims=True)
    cells = np.maximum(np.ptp(local, axis=0) / _BLOCKS, 1e-6)
    block = np.floor((local - local.min(axis=0)) / cells).astype(int)
    return fit_marks(design, local, block[:, 0] * (_BLOCKS + 1) + block[:, 1])


def _vectors(parameters: np.ndarray) -> np.ndarray:
    return parameters[2:6].reshape(2, 2)


def _pixel_steps(vectors: np.ndarray, spacing_um: float) -> tuple[float, float, float]:
    """Length in um of one pixel step along x and along y, and how far both are from a right angle in degrees."""
    steps = np.linalg.inv(vectors) * spacing_um
    along_x, along_y = np.hypot(steps[0], steps[1])
    cosine = float(steps[:, 0] @ steps[:, 1] / (along_x * along_y))
    return float(along_x), float(along_y), 90.0 - math.degrees(math.acos(cosine))


def _distortion(fit: LinearFit, local: np.ndarray, half_diagonal: float) -> tuple[float, float]:
    """Largest displacement among the used dots in px, and as a share of the distance from the centre; 0 if unsure."""
    k1 = float(fit.parameters[6])
    if abs(k1) < _SIGNIFICANT * fit.sigma(lambda p: p[6]):
        return 0.0, 0.0
    radius = float(np.hypot(*local[fit.used].T).max())
    share = abs(k1) * (radius / half_diagonal) ** 2
    return share * radius, share


def _check_fit(rms: float, spacing_px: float, used: int, limits: TargetLimits) -> None:
    check_count(used, limits)
    if rms > limits.max_residual_share * spacing_px:
        raise _irregular(
            f"its dots lie {rms:.2f} px (rms) off a lattice of {spacing_px:.1f} px, "
            f"and {limits.max_residual_share * spacing_px:.2f} px are allowed"
        )


def _warnings(
    fit: LinearFit, spacing_um: float, distortion_px: float, distortion_share: float, limits: TargetLimits
) -> list[str]:
    found = []
    vectors = _vectors(fit.parameters)
    along_x, along_y, shear = _pixel_steps(vectors, spacing_um)
    unequal = along_x / along_y - 1.0

    def inequality(parameters: np.ndarray) -> float:
        steps = _pixel_steps(_vectors(parameters), spacing_um)
        return steps[0] / steps[1]

    if abs(unequal) > max(limits.warn_non_square_share, 2 * fit.sigma(inequality)):
        found.append(
            f"The pixels are not square: a step along x is {unequal:+.2%} longer than one along y. "
            "Check that target and camera face each other squarely and that the picture was not resized."
        )
    if abs(shear) > max(limits.warn_shear_deg, 2 * fit.sigma(lambda p: _pixel_steps(_vectors(p), spacing_um)[2])):
        found.append(
            f"The pixel axes are {90 - shear:.2f} degrees apart on the target instead of 90. "
            "Check that the target lies flat and square to the optical axis."
        )
    if distortion_px > limits.warn_distortion_px:
        found.append(
            f"The lens distorts: marks are displaced by up to {distortion_px:.1f} px ({distortion_share:.2%}). "
            "The scale holds at the picture's centre; keep the fibre there."
        )
    used = int(fit.used.sum())
    if used < limits.warn_marks:
        found.append(
            f"The scale rests on {used} dots only. Use a finer grid or a lower magnification for at least "
            f"{limits.warn_marks}."
        )
    return found
