"""The scale of a picture of a calibration target: ``measure_target`` for pictures, ``measure_dots`` for lists of dots.

Coordinates: x right, y down, pixel centres at whole numbers. The distance between neighbouring marks of the target is
taken as exact; its own tolerance has to be added to the uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from errors import CalibrationError
from metrology import grid
from metrology.dots import Candidates, contrast, edge_sigma, find_candidates, refine_centres, window_radius
from metrology.lattice import Numbering
from metrology.picture import check_spacing, checked, even_light, saturated_share
from metrology.ruler import coherence_of, measure_ruler
from metrology.scale import DOT_GRID, LINE_RULER, MatchedMarks, TargetLimits, TargetScale

__all__ = ["DOT_GRID", "LINE_RULER", "MatchedMarks", "TargetLimits", "TargetScale", "measure_dots", "measure_target"]

KINDS = ("auto", "dots", "ruler")
_SURELY_DOTS, _SURELY_RULER = 0.2, 0.6  # coherence of the gradients: between both, either is tried
_RIVAL_SHARE = 0.5


@dataclass(frozen=True)
class _Grid:
    """A lattice among the candidates of one polarity."""

    bright: bool
    candidates: Candidates
    points: np.ndarray
    numbering: Numbering
    spacing_px: float

    @property
    def count(self) -> int:
        return int(self.numbering.known.sum())


def measure_target(
    grey: np.ndarray, *, spacing_um: float = 10.0, kind: str = "auto", limits: TargetLimits | None = None
) -> TargetScale:
    """Measure the scale on a picture (H, W) of a dot grid or a line ruler; uint8, uint16 or float.

    ``spacing_um``: between neighbouring dots or adjacent ticks. ``kind``: "dots", "ruler", or "auto" to let the
    directions of the edges decide. Raises :class:`CalibrationError` with what is wrong and what to do.
    """
    limits = limits or TargetLimits()
    check_spacing(spacing_um)
    if kind not in KINDS:
        raise CalibrationError(f"There is no target of kind {kind!r}.", f"Choose one of: {', '.join(KINDS)}.")
    flat = even_light(checked(grey, limits))
    warnings = _exposure_warnings(np.asarray(grey), limits)
    ways = {
        "dots": lambda: _measure_grid(flat, spacing_um, limits, warnings),
        "ruler": lambda: measure_ruler(flat, spacing_um=spacing_um, limits=limits, warnings=warnings),
    }
    if kind != "auto":
        return ways[kind]()
    coherence = coherence_of(flat)
    first, second = ("ruler", "dots") if coherence > (_SURELY_DOTS + _SURELY_RULER) / 2 else ("dots", "ruler")
    try:
        return ways[first]()
    except CalibrationError:
        if not _SURELY_DOTS < coherence < _SURELY_RULER:
            raise
        try:
            return ways[second]()
        except CalibrationError:
            pass
        raise


def measure_dots(
    points_px: np.ndarray,
    *,
    image_size_px: tuple[int, int],
    spacing_um: float = 10.0,
    limits: TargetLimits | None = None,
) -> TargetScale:
    """Measure the scale from the centres of dots, (N, 2) x, y in px, of a picture of size (width, height).

    Raises :class:`CalibrationError` when they are too few or no single square grid.
    """
    limits = limits or TargetLimits()
    check_spacing(spacing_um)
    points = np.array(points_px, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise CalibrationError(
            f"The dots must be finite x, y pairs, not an array of shape {points.shape}.", "Pass an array (N, 2)."
        )
    grid.check_count(len(points), limits)
    numbered = grid.number_dots(points)
    if numbered is None:
        raise _no_grid(len(points))
    grid.check_lattice(points, np.zeros((0, 2)), numbered[0], limits)
    return grid.measure_lattice(points, numbered[0], spacing_um=spacing_um, image_size_px=image_size_px, limits=limits)


def _measure_grid(flat: np.ndarray, spacing_um: float, limits: TargetLimits, warnings: tuple[str, ...]) -> TargetScale:
    found = _best_grid(flat, limits)
    candidates = found.candidates
    grid.check_lattice(found.points, candidates.points[~candidates.alike], found.numbering, limits)
    if found.spacing_px < limits.min_spacing_px:
        raise CalibrationError(
            f"The dots are only {found.spacing_px:.1f} px apart, and {limits.min_spacing_px:.0f} px are needed.",
            "Use a coarser grid or a higher magnification.",
        )
    around = window_radius(candidates.radius_px, found.spacing_px)
    standing_out, contrast_share = contrast(flat, candidates, window_px=around)
    centres, _ = refine_centres(standing_out, found.points, window_px=around)
    edge_px = edge_sigma(standing_out, centres[found.numbering.known], spacing_px=found.spacing_px)
    _check_focus(edge_px, contrast_share, found, limits)
    # now that the softness is known: as narrow as the dot allows, which keeps dust and noise out
    around = min(around, candidates.radius_px + 2.5 * edge_px + 1.0)
    centres, trusted = refine_centres(standing_out, found.points, window_px=around)
    numbering = Numbering(found.numbering.index, found.numbering.known & trusted)
    return grid.measure_lattice(
        centres,
        numbering,
        spacing_um=spacing_um,
        image_size_px=(flat.shape[1], flat.shape[0]),
        limits=limits,
        warnings=warnings,
    )


def _best_grid(flat: np.ndarray, limits: TargetLimits) -> _Grid:
    """The lattice of dark or of bright dots, whichever has more dots; refuses where both polarities form one."""
    grids, most = [], 0
    for bright in (False, True):
        candidates = find_candidates(flat, bright=bright)
        points = candidates.points[candidates.alike]
        most = max(most, len(points))
        numbered = grid.number_dots(points) if len(points) >= limits.min_dots else None
        if numbered is not None:
            grids.append(_Grid(bright, candidates, points, numbered[0], grid.spacing_of(numbered[1])))
    if most < limits.min_dots:
        grid.check_count(most, limits)
    if not grids:
        raise _no_grid(most)
    grids.sort(key=lambda item: item.count)
    if len(grids) == 2 and grids[0].count > max(limits.min_dots, _RIVAL_SHARE * grids[1].count):
        raise CalibrationError(
            f"The picture shows {grids[0].count} bright and {grids[1].count} dark marks on equal lattices, "
            "as a checkerboard does.",
            "Use a target with separate dots on a plain ground, or one with ticks.",
        )
    return grids[-1]


def _check_focus(edge_px: float, contrast_share: float, found: _Grid, limits: TargetLimits) -> None:
    allowed_px = limits.max_edge_share * found.spacing_px
    if edge_px > allowed_px:
        reason = (
            f"the dots' edges are {edge_px:.1f} px soft (sigma) at a spacing of {found.spacing_px:.1f} px, "
            f"and {allowed_px:.1f} px are allowed"
        )
    elif contrast_share < limits.min_mark_contrast_share:
        # a blur beyond the spacing leaves faint waves, whose edges look no softer
        reason = (
            f"dots and ground differ by {contrast_share:.0%} only, and {limits.min_mark_contrast_share:.0%} are needed"
        )
    else:
        return
    raise CalibrationError(f"The picture is blurred: {reason}.", "Focus on the target and take the picture again.")


def _no_grid(count: int) -> CalibrationError:
    return CalibrationError(
        f"The dots are no regular square grid: {count} dots were found, but no two directions in which they repeat.",
        "Use a target with dots on a square grid, and clean it if dust covers it.",
    )


def _exposure_warnings(grey: np.ndarray, limits: TargetLimits) -> tuple[str, ...]:
    share = saturated_share(grey)
    if share <= limits.warn_saturated_share:
        return ()
    return (f"{share:.0%} of the pixels are saturated. Lower the exposure, or dots may look smaller than they are.",)
