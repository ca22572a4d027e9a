"""The scale of an image and the zones of its face, from what is known and what was found."""

from __future__ import annotations

import math

from inspection_settings import InspectionSettings
from records import Fiber, Scale
from settings import RuleSet
from vision.geometry import Box
from vision.scale import roundness_warnings, size_warnings
from vision.zoning import Zoning, place_zones, zone_radii_px


def choose_scale(fiber: Fiber, shape: tuple[int, int], settings: InspectionSettings) -> tuple[Scale, list[str]]:
    """Known dimensions before calibration.json before pixels; a calibration that does not fit the image is a warning.

    The scale is that of the fibre frame, which keeps areas: of pixels that are not square it is sqrt(x * y).
    """
    calibration, limits = settings.calibration, settings.config.calibration
    scale = Scale()
    if settings.cladding_um is not None:
        scale = Scale(settings.cladding_um / (2 * fiber.cladding.mean_radius_px), settings.dimensions_source)
    if calibration is None:
        return scale, []
    along = {"um_per_px_x": calibration.um_per_px_x, "um_per_px_y": calibration.um_per_px_y}
    warnings = [
        *size_warnings(shape, calibration.image_size_px),
        *roundness_warnings(fiber.cladding, **along, max_difference_share=limits.max_axis_difference_share),
    ]
    calibrated = calibration.mean_um_per_px
    if not scale.known:
        return Scale(calibrated, "calibration.json"), warnings
    difference = scale.um_per_px / calibrated - 1
    if abs(difference) > limits.max_scale_difference_share:
        warnings.append(
            f"The scale from the {settings.dimensions_source} ({scale.um_per_px:.4f} um/px) differs by "
            f"{difference:+.0%} from calibration.json ({calibrated:.4f} um/px): check the dimensions, or calibrate "
            "again."
        )
    return scale, warnings


def choose_zones(
    fiber: Fiber, scale: Scale, shape: tuple[int, int], box: Box, settings: InspectionSettings
) -> tuple[Zoning, str | None, list[str]]:
    """Zones of the rule set; those without a scale when it is missing or the rule set's cannot be placed.

    ``shape`` is the image's, ``box`` the picture without black margins in it.
    """
    rule_set, config = settings.rule_set, settings.config
    radii = zone_radii_px(rule_set.zones, fiber, scale)
    missing = [name for name, value in radii.items() if not math.isfinite(value)]
    unplaceable, warnings = None, []
    definitions = rule_set.zones
    if not scale.known or missing:
        definitions = config.zones_without_scale
        if scale.known:
            unplaceable = f"The {missing[0]} zone of {rule_set.name} needs a core diameter that is not known"
    else:
        warnings = _misfit(radii, fiber, scale, rule_set)
    cut_off = config.measurement.max_zone_cut_off_share
    zoning = place_zones(definitions, fiber, scale, shape, box=box, only=settings.zones, cut_off_share=cut_off)
    if zoning.missing:
        warnings.append(f"The core was not found: there is no {zoning.missing[0]} zone.")
    return zoning, unplaceable, warnings


def _misfit(radii: dict[str, float], fiber: Fiber, scale: Scale, rule_set: RuleSet) -> list[str]:
    """A warning when the cladding's edge lies far from the adhesive zone: the rule set is for another fibre."""
    inner, outer = radii.get("Cladding"), radii.get("Adhesive")
    edge = fiber.cladding.mean_radius_px
    if inner is None or outer is None or inner * 0.97 <= edge <= outer * 1.03:
        return []
    return [
        f"The cladding measures {2 * edge * scale.um_per_px:.1f} um, but {rule_set.name} expects its edge between "
        f"{2 * inner * scale.um_per_px:.0f} and {2 * outer * scale.um_per_px:.0f} um: check the fibre type."
    ]
