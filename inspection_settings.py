"""What an inspection depends on besides the image."""

from __future__ import annotations

from dataclasses import dataclass

from batchwide.optics_dirt import OpticsSpot
from calibration import Calibration
from learning.vlm.model_folder import ModelFolder
from second_opinion.networks import ModelFile
from settings import Config, FiberType, RuleSet


@dataclass(frozen=True)
class InspectionSettings:
    """Everything that the inspection of an image depends on besides the image."""

    config: Config
    rule_set: RuleSet
    fiber_type: FiberType | None = None
    core_um: float | None = None
    cladding_um: float | None = None
    dimensions_source: str = ""  # "given dimensions" | "fiber type NAME", where the cladding diameter is known
    calibration: Calibration | None = None
    zones: tuple[str, ...] | None = None  # restricts what is inspected and judged; None = as the rule set says
    optics: tuple[OpticsSpot, ...] = ()  # what is known to lie on the optics: marks there are not counted
    models: tuple[ModelFile, ...] = ()  # networks that are asked besides the rules
    vlm: ModelFolder | None = None  # the vision-language model that is asked
