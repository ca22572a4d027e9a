"""Which of the five classes a measured mark belongs to. Limits and weights come from config.json."""

from __future__ import annotations

import math

from grading.appearance import Appearance
from grading.measurement import Shape
from settings import Classification, PitEvidence

LEAST_SHARE = 0.02  # of a mark's contrast: smaller slopes and spreads say no more
STRONGEST_RIM = 0.5
RESOLVED_PX = 2.0  # two pixels side by side are no line


def classify(shape: Shape, body: Shape, look: Appearance, cladding_radius_px: float, limits: Classification) -> str:
    """Scratch, Crack, Chip, Pit/Dig or Contamination; ``body`` is the shape of the mark's stronger part.

    Large wide marks that reach the cladding edge are chips. Of the others long thin ones are scratches when straight or
    smoothly curved and cracks when jagged, and the compact rest are pits when small, sharp, even and round, else
    contamination.
    """
    if _is_chip(body, cladding_radius_px, limits):
        return "Chip"
    if _is_line(shape, body, cladding_radius_px, limits):
        return "Crack" if _is_jagged(shape, body, limits) else "Scratch"
    return "Pit/Dig" if pit_log_odds(body, look, cladding_radius_px, limits.pit) > 0 else "Contamination"


def pit_log_odds(body: Shape, look: Appearance, cladding_radius_px: float, weights: PitEvidence) -> float:
    """Logarithm of the odds that a compact mark is a pit and no contamination.

    A hole is round with a steep wall all around, an even floor and often a rim of light; what lies on the surface is
    larger, out of focus at least in part, textured and ragged.
    """
    return (
        weights.bias
        + weights.size * math.log(body.diameter_px / cladding_radius_px)
        + weights.edge_slope * math.log(max(look.edge_slope, LEAST_SHARE))
        + weights.unevenness * math.log(max(look.unevenness, LEAST_SHARE))
        + weights.rim * min(look.rim, STRONGEST_RIM)
        + weights.edge_width * look.edge_width
        + weights.roundness * look.roundness
    )


def _is_chip(body: Shape, cladding_radius_px: float, limits: Classification) -> bool:
    """Whether a mark is a piece out of the edge: there, large, and not the end of a line."""
    near_px = (1 - limits.chip_max_edge_distance_share) * cladding_radius_px
    return (
        body.inner_radius_px < cladding_radius_px
        and body.outer_radius_px > near_px
        and body.diameter_px >= limits.chip_min_diameter_share * cladding_radius_px
        and body.mean_width_px >= limits.chip_min_width_share * cladding_radius_px
    )


def _is_line(shape: Shape, body: Shape, cladding_radius_px: float, limits: Classification) -> bool:
    """Whether a mark is long and thin, as a whole or in its body: blur and halos make a short scratch look compact."""
    long = max(shape.length_px / shape.width_px, body.length_px / body.width_px) >= limits.line_min_aspect_ratio
    thin = body.mean_width_px <= limits.short_scratch_max_width_share * cladding_radius_px
    short = body.length_px >= limits.short_scratch_min_aspect_ratio * max(body.width_px, RESOLVED_PX)
    return long or shape.path_px >= limits.line_min_path_ratio * shape.line_width_px or (short and thin)


def _is_jagged(shape: Shape, body: Shape, limits: Classification) -> bool:
    """Whether a line is longer than a smooth one; the body, free of specks beside the line, tells smaller detours."""
    return shape.jaggedness >= limits.crack_min_jaggedness or body.jaggedness >= limits.crack_min_body_jaggedness
