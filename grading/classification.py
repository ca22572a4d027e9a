"""Which of the five classes a measured mark belongs to. Limits come from config.json."""

from __future__ import annotations

from dataclasses import dataclass

from grading.measurement import Shape
from settings import Classification


@dataclass(frozen=True)
class Appearance:
    """Grey-level features of a mark at working scale."""

    contrast_grey: float  # mean residual of its stronger half, negative = dark
    sharpness: float  # median outline slope times equivalent radius over contrast: about 1 or more = sharp


def classify(shape: Shape, look: Appearance, cladding_radius_px: float, limits: Classification) -> str:
    """Scratch, Crack, Chip, Pit/Dig or Contamination.

    Long thin marks are scratches when straight or smoothly curved and cracks when jagged; other marks that reach the
    cladding edge are chips; of the compact rest, small round ones are pits, soft, large or ragged ones contamination.
    """
    long = shape.length_px >= limits.scratch_min_aspect_ratio * shape.width_px
    if long or shape.path_px >= limits.line_min_aspect_ratio * shape.line_width_px:
        jagged = shape.tortuosity >= limits.crack_min_tortuosity or shape.roughness >= limits.crack_min_roughness
        return "Crack" if jagged else "Scratch"
    edge = limits.chip_max_edge_distance_share * cladding_radius_px
    if shape.inner_radius_px < cladding_radius_px and shape.outer_radius_px > cladding_radius_px - edge:
        return "Chip"
    compact = shape.circularity >= limits.pit_min_circularity and shape.solidity >= limits.pit_min_solidity
    small = shape.diameter_px <= limits.pit_max_diameter_share * cladding_radius_px
    if compact and small and look.sharpness >= limits.pit_min_sharpness:
        return "Pit/Dig"
    return "Contamination"
