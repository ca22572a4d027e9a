"""From what the user asked for to the settings of one batch: fibre type, dimensions, rule set, zones."""

from __future__ import annotations

from collections.abc import Sequence

from calibration import Calibration
from cli.arguments import pick
from cli.model_options import describe_networks
from errors import UsageError
from inspection_settings import InspectionSettings
from settings import Config, FiberType, RuleSet


def choose_settings(
    config: Config,
    calibration: Calibration | None,
    *,
    core_um: float | None = None,
    cladding_um: float | None = None,
    fiber_type: str | None = None,
    zones: str | None = None,
) -> InspectionSettings:
    """Combine the options of a batch with the configuration.

    Given diameters replace those of the fibre type. ``zones`` is a comma-separated list of zones to inspect.
    Raises :class:`UsageError` for an unknown name and for a core that is not smaller than the cladding.
    """
    fiber = config.fiber_types[pick(fiber_type, config.fiber_types, "fiber type")] if fiber_type is not None else None
    source = "given dimensions" if cladding_um is not None else f"fiber type {fiber.name}" if fiber else ""
    core = core_um if core_um is not None else fiber.core_um if fiber else None
    cladding = cladding_um if cladding_um is not None else fiber.cladding_um if fiber else None
    if core is not None and cladding is not None and core >= cladding:
        raise UsageError(f"The core ({core:g} um) must be smaller than the cladding ({cladding:g} um).")
    rule_set = _rule_set(config, fiber, core)
    return InspectionSettings(
        config=config,
        rule_set=rule_set,
        fiber_type=fiber,
        core_um=core,
        cladding_um=cladding,
        dimensions_source=source if cladding is not None else "",
        calibration=calibration,
        zones=_zones(zones, config, rule_set),
    )


def describe_settings(settings: InspectionSettings) -> list[str]:
    """The settings of a batch, for people."""

    def um(value: float | None) -> str:
        return "unknown" if value is None else f"{value:g} um"

    scale = settings.calibration
    return [
        f"Profile: {settings.config.profile}",
        f"Rule set: {settings.rule_set.name} ({settings.rule_set.title})",
        f"Fiber type: {settings.fiber_type.name if settings.fiber_type else 'not given'}",
        f"Core: {um(settings.core_um)}, cladding: {um(settings.cladding_um)}",
        f"Calibration: {f'{scale.mean_um_per_px:.6g} um per pixel' if scale else 'none'}",
        f"Networks: {'; '.join(describe_networks(settings)) or 'none'}",
        f"Zones: {', '.join(settings.zones) if settings.zones else 'all of the rule set'}",
    ]


def _rule_set(config: Config, fiber: FiberType | None, core_um: float | None) -> RuleSet:
    return config.rule_sets[fiber.rule_set] if fiber else config.rule_set_for_core(core_um)


def _zones(text: str | None, config: Config, rule_set: RuleSet) -> tuple[str, ...] | None:
    if text is None:
        return None
    known = dict.fromkeys(zone.name for zone in (*rule_set.zones, *config.zones_without_scale))
    names: Sequence[str] = [pick(part, known, "zone") for part in text.split(",") if part.strip()]
    if not names:
        raise UsageError("--zones names no zone.", f"Known: {', '.join(known)}.")
    return tuple(name for name in known if name in names)
