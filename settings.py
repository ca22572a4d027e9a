"""Everything that config.json can say, as frozen dataclasses.

``config_loader.load_config`` builds them; no stage reads JSON itself. Field names are the JSON keys, and units are part
of the names; what each value means, its unit and its limits are described once, in ``config.schema.json``. A field
without a default must be present in config.json, so no number hides in the code.

To add a setting: a field here, its value in config.json, its line in config.schema.json. The builder in
``configuration.build`` is driven by these type hints and needs no change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from vision.settings import DetectionSettings, LocalizationSettings

NAN = float("nan")


# --- preprocessing -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clahe:
    clip_limit: float
    tile_grid: int


@dataclass(frozen=True)
class PoorIllumination:
    share: float
    band: float


@dataclass(frozen=True)
class Preprocessing:
    clahe: Clahe
    blur_kernel_px: int
    flat_field_image: str | None
    flat_field_max_age_days: float
    poor_illumination: PoorIllumination
    min_focus_score: float
    min_judged_focus_score: float
    max_image_pixels: int


def enabled_algorithms(algorithms: Any) -> dict[str, Any]:
    """The detection algorithms that are switched on, by name, in the order of their fields."""
    return {spec.name: item for spec in fields(algorithms) if (item := getattr(algorithms, spec.name)).enabled}


# --- measurement and classification --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measurement:
    size_uncertainty_px: float
    max_zone_cut_off_share: float


@dataclass(frozen=True)
class MatrixSettings:
    """When a cell of a zone's 3 x 3 matrix deviates from the others."""

    enabled: bool
    deviation_sigma: float
    min_difference_grey: float


@dataclass(frozen=True)
class PitEvidence:
    """Weights of the log odds that a compact mark is a pit and no contamination."""

    bias: float
    size: float
    edge_slope: float
    unevenness: float
    rim: float
    edge_width: float
    roundness: float


@dataclass(frozen=True)
class Classification:
    chip_max_edge_distance_share: float
    chip_min_diameter_share: float
    chip_min_width_share: float
    line_min_aspect_ratio: float
    line_min_path_ratio: float
    short_scratch_min_aspect_ratio: float
    short_scratch_max_width_share: float
    crack_min_jaggedness: float
    crack_min_body_jaggedness: float
    pit: PitEvidence


# --- scale, camera, reports ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CalibrationSettings:
    max_scale_difference_share: float
    max_axis_difference_share: float
    max_age_days: float


@dataclass(frozen=True)
class CameraSettings:
    serial: str | None
    exposure_us: float
    gain_db: float
    pixel_format: str
    timeout_s: float
    grab_retries: int
    auto_exposure_max_us: float


@dataclass(frozen=True)
class ReportingSettings:
    """Report options; every colour is ``#RRGGBB``."""

    annotated_image: bool
    face_image: bool
    plots: bool
    face_map: bool
    zone_colors: Mapping[str, str]
    class_colors: Mapping[str, str]
    status_colors: Mapping[str, str]
    zone_line_px: int
    defect_line_px: int
    label_scale: float
    scale_bar_um: tuple[float, ...]
    png_compression: int


@dataclass(frozen=True)
class BatchSettings:
    """How a batch is worked off; nothing here changes a result."""

    image_timeout_s: float
    read_timeout_s: float
    max_stalls: int
    poll_s: float
    settle_s: float


@dataclass(frozen=True)
class FileNames:
    """What the names of the image files say; ``pattern`` is a regular expression, None = nothing."""

    pattern: str | None


# --- networks beside the rules ---------------------------------------------------------------------------------------

REPORT_ONLY, RECLASSIFY, VETO_ARTIFACTS = "report_only", "reclassify", "veto_artifacts"


@dataclass(frozen=True)
class ModelPaths:
    """Files with trained networks, by their tasks; None = the inspection does without."""

    quality: str | None
    patch: str | None
    segment: str | None


@dataclass(frozen=True)
class LearningSettings:
    """Which networks are asked besides the rules, and what their answers may change."""

    models: ModelPaths
    patch_policy: str  # report_only | reclassify | veto_artifacts
    reclassify_min_confidence: float
    veto_min_confidence: float
    veto_max_probability: float
    veto_protected_zones: tuple[str, ...]
    segment_weight: float
    segment_threshold: float
    segment_odds: float


# --- findings over a batch ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpticsDirt:
    """When a mark lies on the camera, and whether it is counted; the defaults are for records without a config."""

    count: bool = True
    min_images: int = 5
    min_share: float = 0.5
    position_px: float = 1.5
    position_share: float = 0.1


@dataclass(frozen=True)
class SameFaceSettings:
    """When two pictures show one end face."""

    min_similarity: float = 0.6


# --- the vision-language model --------------------------------------------------------------------------------------

ADVISE, DECIDE_WITH_WATCHDOG = "advise", "decide_with_watchdog"


@dataclass(frozen=True)
class LoraSettings:
    """What fine-tuning adds to the model and how its training goes."""

    r: int
    alpha: float
    dropout: float
    targets: tuple[str, ...]
    vision: bool
    gradient_checkpointing: bool
    warmup_share: float
    max_gradient: float
    checkpoint_steps: int
    checked_answers: int


@dataclass(frozen=True)
class VlmSettings:
    """How pictures are shown to a vision-language model, and what its answers decide."""

    enabled: bool
    model: str | None
    policy: str  # advise | decide_with_watchdog
    violation_confidence: float
    max_new_tokens: int
    attempts: int
    batch: int
    max_side_px: int
    views: tuple[str, ...]
    lora: LoraSettings


# --- fibres and acceptance rules -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FiberType:
    """A fibre with its nominal diameters; None = not known beforehand."""

    name: str
    title: str
    core_um: float | None
    cladding_um: float | None
    rule_set: str
    notes: str = ""


@dataclass(frozen=True)
class ZoneBoundary:
    """Where a zone ends.

    ``basis`` is ``diameter_um`` | ``offset_from_cladding_um`` | ``offset_from_core_um`` | ``times_cladding`` |
    ``times_core``. Offsets are radial: 5 um outside the edge widens the diameter by 10 um; negative = inside.
    """

    basis: str
    value: float

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> ZoneBoundary:
        """``{"diameter_um": 25}`` -> ``ZoneBoundary("diameter_um", 25.0)``."""
        ((basis, value),) = data.items()
        return cls(basis, float(value))

    def diameter_um(self, core_um: float | None, cladding_um: float | None) -> float:
        """Diameter of the boundary in um for a fibre of these diameters; NaN when the one it needs is unknown."""
        core = NAN if core_um is None else core_um
        cladding = NAN if cladding_um is None else cladding_um
        diameters = {
            "diameter_um": self.value,
            "offset_from_cladding_um": cladding + 2.0 * self.value,
            "offset_from_core_um": core + 2.0 * self.value,
            "times_cladding": cladding * self.value,
            "times_core": core * self.value,
        }
        return diameters[self.basis]


@dataclass(frozen=True)
class ZoneDef:
    """A ring; its inner boundary is the outer one of the zone before it."""

    name: str
    outer: ZoneBoundary
    inspected: bool = True


@dataclass(frozen=True)
class SizeBand:
    """At most ``max_count`` defects of a size in this band; None = no limit, or an open end."""

    max_count: int | None
    from_um: float | None = None
    from_inclusive: bool = True
    to_um: float | None = None
    to_inclusive: bool = True

    def contains(self, size_um: float) -> bool:
        """Whether a size (um; um2 for the measure ``area``) lies in the band; never for NaN."""
        low = -float("inf") if self.from_um is None else self.from_um
        high = float("inf") if self.to_um is None else self.to_um
        above = size_um >= low if self.from_inclusive else size_um > low
        below = size_um <= high if self.to_inclusive else size_um < high
        return above and below


@dataclass(frozen=True)
class Criterion:
    """How many defects of some classes a zone may hold, by size."""

    zone: str
    classes: tuple[str, ...]
    measure: str  # width | diameter | length | area
    bands: tuple[SizeBand, ...]
    polarity: str = "any"  # any | dark | bright
    ignore_below_um: float | None = None


@dataclass(frozen=True)
class RuleSet:
    """Zones and acceptance criteria; ``verified`` says whether the limits were checked against the source."""

    name: str
    title: str
    source: str
    verified: bool
    zones: tuple[ZoneDef, ...]
    criteria: tuple[Criterion, ...]
    edition: str = ""
    zone_policy: str = "touching"  # touching | centroid
    notes: str = ""


@dataclass(frozen=True)
class CoreRule:
    """The rule set for cores up to ``max_core_um`` (inclusive); None = for every core above the entries before."""

    max_core_um: float | None
    rule_set: str


@dataclass(frozen=True)
class Config:
    """config.json with one profile applied. ``raw`` is the merged JSON tree, as run.json keeps it."""

    profile: str
    preprocessing: Preprocessing
    localization: LocalizationSettings
    detection: DetectionSettings
    measurement: Measurement
    matrix: MatrixSettings
    classification: Classification
    calibration: CalibrationSettings
    camera: CameraSettings
    reporting: ReportingSettings
    batch: BatchSettings
    file_names: FileNames
    optics_dirt: OpticsDirt
    same_face: SameFaceSettings
    vlm: VlmSettings
    learning: LearningSettings
    fiber_types: Mapping[str, FiberType]
    rule_sets: Mapping[str, RuleSet]
    default_rule_set: str
    rule_set_by_core_um: tuple[CoreRule, ...]
    zones_without_scale: tuple[ZoneDef, ...]
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def rule_set_for_core(self, core_um: float | None) -> RuleSet:
        """The rule set for a core of this diameter (um); the default one when it is unknown or no entry covers it."""
        if core_um is not None:
            for rule in self.rule_set_by_core_um:
                if rule.max_core_um is None or core_um <= rule.max_core_um:
                    return self.rule_sets[rule.rule_set]
        return self.rule_sets[self.default_rule_set]
