"""Settings of the image-processing stages, as read from config.json (meaning and limits: config.schema.json)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HoughSettings:
    dp: float
    param1: float
    param2: tuple[float, ...]
    median_kernel_px: int
    min_dist_share: float
    min_radius_share: float
    max_radius_share: float
    max_candidates: int


@dataclass(frozen=True)
class RaySettings:
    count: int
    smoothing_share: float
    max_residual_share: float
    min_seed_share: float
    min_share: float
    min_visible: float
    min_snr: float
    max_axis_ratio: float
    ring_sigma: float
    max_rings: int
    min_relative_step: float
    cluster_share: float
    cluster_strength: float
    adhesive_max_share: float
    adhesive_min_edge: float
    adhesive_min_separation: float


@dataclass(frozen=True)
class ContourSettings:
    enabled: bool
    block_share: float
    offset_grey: float
    min_area_share: float
    max_area_share: float


@dataclass(frozen=True)
class CoreSettings:
    min_radius_share: float
    max_radius_share: float
    min_step_grey: float
    min_step_sigma: float
    min_sector_share: float
    nominal_tolerance: float


@dataclass(frozen=True)
class LocalizationSettings:
    working_size_px: int
    hough: HoughSettings
    rays: RaySettings
    contour: ContourSettings
    core: CoreSettings


@dataclass(frozen=True)
class ResidualSettings:
    radial_oversampling: int
    angles: int
    sectors: int
    sector_width_deg: float
    harmonics: int
    ring_radius_px: float
    centre_share: float
    inner_share: float
    edge_position_px: float
    flat_slope_grey: float
    sigma_floor_grey: float
    noise_bins: int
    clip_sigma: float
    ring_quantile: float
    least_unrest: float
    sector_cap: float
    mark_sigma: float
    extent_unrest: float
    ferrule_factor: float


@dataclass(frozen=True)
class AlgorithmSettings:
    """What every detection algorithm has."""

    enabled: bool
    weight: float


@dataclass(frozen=True)
class Do2mrSettings(AlgorithmSettings):
    threshold_sigma: float
    window_px: int
    median_kernel_px: int


@dataclass(frozen=True)
class BlackhatSettings(AlgorithmSettings):
    threshold_sigma: float
    kernels_share: tuple[float, ...]


@dataclass(frozen=True)
class LeiSettings(AlgorithmSettings):
    threshold_sigma: float
    angles: int
    widths_px: tuple[float, ...]
    length_share: float
    clip_sigma: float


@dataclass(frozen=True)
class SkeletonSettings(AlgorithmSettings):
    low_sigma: float
    high_sigma: float
    min_length_px: int


@dataclass(frozen=True)
class AlgorithmsSettings:
    do2mr: Do2mrSettings
    blackhat: BlackhatSettings
    lei: LeiSettings
    skeleton: SkeletonSettings


@dataclass(frozen=True)
class GrowthSettings:
    min_sigma: float
    share_of_peak: float
    line_sigma: float
    min_line_sigma: float
    sure_line_sigma: float
    sure_line_length_share: float
    sure_line_support_share: float
    grid_line_factor: float
    min_line_length_share: float
    min_line_fill: float
    arc_min_boundary: float
    arc_min_ratio: float
    arc_max_sigma: float
    halo_reach_px: float
    halo_ratio: float
    rim_share: float
    rim_ratio: float
    halo_clear_sigma: float
    index_dip_share: float
    index_dip_contrast_share: float
    mode_spot_share: float
    join_gap_share: float
    join_angle_deg: float
    broad_width_share: float
    broad_min_sigma: float
    trim_share: float
    trim_sigma: float
    min_area_px: float


@dataclass(frozen=True)
class LikelihoodSettings:
    min_probability: float
    contrast_smoothing_px: float
    bias: float
    blackhat: float
    significance: float
    line: float
    contrast: float
    length: float
    dot: float
    boundary: float


@dataclass(frozen=True)
class DetectionSettings:
    confidence_threshold: float
    working_radius_px: float
    smoothing_px: tuple[float, ...]
    min_peak_sigma: float
    min_lone_peak_sigma: float
    residual: ResidualSettings
    algorithms: AlgorithmsSettings
    growth: GrowthSettings
    likelihood: LikelihoodSettings
