"""Pixels in, confirmed defect regions out: preprocess, locate, zone, detect, fuse. The parts are in ``vision``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from records import NAN, Fiber, ZoneExtent
from vision import fields
from vision.core import measure_core_px
from vision.evidence import Evidence, black_hat, do2mr, edge_skeleton, lei
from vision.fields import WorkingCrop
from vision.fusion import confirmed_regions
from vision.localization import locate_cladding
from vision.preprocess import Preprocessed
from vision.regions import Region
from vision.residual import Residual, radial_residual
from vision.ring_frame import ring_frame
from vision.settings import DetectionSettings, LocalizationSettings, ResidualSettings
from vision.significance import Significance, significance, strong_marks

ROUGH_LOOKS = 3
LARGE_MARKS_SHARE = 0.01  # of the inspected area: newly found marks that call for another rough look


@dataclass(frozen=True)
class Located:
    """A located fibre, or why there is none; ``score`` is the best share of rays seen."""

    fiber: Fiber | None
    score: float
    reason: str = ""


@dataclass(frozen=True)
class Detection:
    """Defect regions of one image.

    ``labels`` (H, W) int32 at full resolution: k = region k - 1 of ``regions``. ``residual_grey`` (float32) covers the
    working crop, in whose pixels the regions are given.
    """

    labels: np.ndarray
    regions: tuple[Region, ...]
    residual_grey: np.ndarray


def locate(
    image: Preprocessed, settings: LocalizationSettings, *, core_um: float | None, cladding_um: float | None
) -> Located:
    """Find the cladding and the core. The core is measured, else nominal (known diameters), else unknown."""
    found = locate_cladding(image.grey, image.enhanced, settings)
    if found.ring is None:
        return Located(None, found.score, found.reason)
    cladding = found.ring.ellipse
    nominal_px = NAN
    if core_um and cladding_um:
        nominal_px = 2 * cladding.mean_radius_px * core_um / cladding_um
    core_px = measure_core_px(image.grey, cladding, nominal_px, settings.core)
    source = "measured" if math.isfinite(core_px) else "nominal" if math.isfinite(nominal_px) else "unknown"
    core_px = nominal_px if source == "nominal" else core_px
    fiber = Fiber(cladding, core_px, source, found.method, found.score)
    return Located(fiber, found.score)


def detect(grey: np.ndarray, fiber: Fiber, zones: tuple[ZoneExtent, ...], settings: DetectionSettings) -> Detection:
    """Detect marks in the inspected zones of a grey image (H, W) uint8 that was not contrast-enhanced."""
    reach_px = max((z.outer_radius_px for z in zones if z.inspected), default=0.0)
    labels = np.zeros(grey.shape, np.int32)
    if reach_px <= 0:
        return Detection(labels, (), np.zeros((0, 0), np.float32))
    reach_px = min(reach_px, 3 * math.hypot(*grey.shape))  # beyond there is no pixel, however a zone is defined
    reach_px = max(reach_px, fields.BACKGROUND_SHARE * fiber.cladding.mean_radius_px)
    crop = fields.working_crop(grey, fiber.cladding, reach_px, settings.working_radius_px)
    core_px = 0.5 * fiber.core_diameter_px * crop.factor
    half = fields.halved(crop)
    marked = rough_marks(half, 0.5 * core_px, settings)
    marked_fully = cv2.resize(marked.view(np.uint8), crop.grey.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    if fields.has_ferrule_field(crop):
        regions, residual_grey = _both_fields(crop, half, marked_fully, marked, core_px, zones, settings)
    else:
        regions, residual = _marks_of(crop, marked_fully, core_px, zones, settings)
        residual_grey = residual.grey
    labels = full_resolution_labels(regions, grey.shape, crop.factor, crop.offset)
    return Detection(labels, tuple(regions), residual_grey)


def _both_fields(
    crop: WorkingCrop,
    half: WorkingCrop,
    marked: np.ndarray,
    marked_half: np.ndarray,
    core_px: float,
    zones: tuple[ZoneExtent, ...],
    settings: DetectionSettings,
) -> tuple[list[Region], np.ndarray]:
    """Regions and residual (H, W) of a crop from the fibre at its scale and the ferrule at half of it."""
    radius_px = crop.ellipse.mean_radius_px
    within_px, beyond_px = fields.FERRULE_SHARE * radius_px, fields.FIBRE_SHARE * radius_px
    window = fields.fibre_window(crop)
    fibre = fields.windowed(crop, window, beyond_px + 2 * fields.MARGIN_PX)
    inner, near = _marks_of(fibre, marked[window], core_px, zones, settings, beyond=beyond_px)
    outer, far = _marks_of(half, marked_half, 0.5 * core_px, zones, ferrule_look(settings), within=0.5 * within_px)
    top, left = window[0].start, window[1].start
    residual_grey = cv2.resize(far.grey, crop.grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    np.copyto(residual_grey[window], near.grey, where=near.inside)
    return fields.united_over_border(fields.moved(inner, top, left), fields.doubled(outer)), residual_grey


def _marks_of(
    field: WorkingCrop,
    marked: np.ndarray,
    core_px: float,
    zones: tuple[ZoneExtent, ...],
    settings: DetectionSettings,
    *,
    within: float = 0.0,
    beyond: float = math.inf,
) -> tuple[list[Region], Residual]:
    """Confirmed regions of a field between two radii (px), and its residual; ``marked`` (H, W) bool: strong marks."""
    frame = ring_frame(field.grey.shape, field.ellipse, field.reach_px)
    residual = radial_residual(field.grey, frame, settings.residual, marked, core_px)
    found = significance(residual, settings, marked)
    radius = field.ellipse.mean_radius_px
    evidence = all_evidence(found, residual, radius, settings)
    skeletons = settings.algorithms.skeleton.enabled
    skeleton = edge_skeleton(found, residual.inside, settings) if skeletons else None
    inspected = fields.inspected_pixels(residual, zones, field.factor, within=within, beyond=beyond)
    return confirmed_regions(found, evidence, skeleton, residual, inspected, radius, core_px, settings), residual


def rough_marks(half: WorkingCrop, core_radius_px: float, settings: DetectionSettings) -> np.ndarray:
    """Pixels (H, W) bool of strong marks, which would bias the background and the noise around them.

    Found at half the scale, where a strong mark is as strong. Each look leaves out what the ones before have found,
    until nothing large is added.
    """
    frame = ring_frame(half.grey.shape, half.ellipse, half.reach_px)
    rough = rough_look(settings, half.ellipse.mean_radius_px)
    marked = None
    for _ in range(ROUGH_LOOKS):
        before = 0 if marked is None else np.count_nonzero(marked)
        residual = radial_residual(half.grey, frame, rough.residual, marked, core_radius_px)
        marked = strong_marks(significance(residual, rough, marked), rough.residual)
        if np.count_nonzero(marked) < before + LARGE_MARKS_SHARE * residual.inside.sum():
            break
    return marked


def all_evidence(
    found: Significance, residual: Residual, cladding_radius_px: float, settings: DetectionSettings
) -> list[Evidence]:
    """What the algorithms that are switched on say, the edge skeleton apart."""
    use = settings.algorithms
    evidence = []
    if use.do2mr.enabled:
        evidence.append(do2mr(found, residual, settings))
    if use.blackhat.enabled:
        evidence.append(black_hat(found, residual, cladding_radius_px, settings))
    if use.lei.enabled:
        evidence.append(lei(found, residual, cladding_radius_px, settings))
    return evidence


def rough_look(settings: DetectionSettings, cladding_radius_px: float) -> DetectionSettings:
    """The same settings with fewer and wider sectors, the finest smoothing only, and whole rings inside.

    A scratch along a ring fills a sector, and a large mark near the centre any sector there; half a ring hardly ever.
    """
    own = settings.residual
    ring_px = max(own.ring_radius_px, 0.5 * own.inner_share * cladding_radius_px)
    residual = replace(
        coarser(own),
        sectors=max(6, own.sectors // 3),
        sector_width_deg=2 * own.sector_width_deg,
        ring_radius_px=ring_px,
    )
    return replace(settings, residual=residual, smoothing_px=settings.smoothing_px[:1])


def ferrule_look(settings: DetectionSettings) -> DetectionSettings:
    """The same settings without the widest lines: at half the scale they would be as wide as a zone."""
    line = settings.algorithms.lei
    narrow = replace(line, widths_px=line.widths_px[:1])
    algorithms = replace(settings.algorithms, lei=narrow)
    return replace(settings, residual=coarser(settings.residual), algorithms=algorithms)


def coarser(residual: ResidualSettings) -> ResidualSettings:
    """What half the scale needs: half the rays, samples half a pixel apart."""
    return replace(residual, angles=residual.angles // 2, radial_oversampling=max(1, residual.radial_oversampling - 1))


def full_resolution_labels(
    regions: list[Region], shape: tuple[int, int], factor: float, offset: tuple[float, float]
) -> np.ndarray:
    """Label image (H, W) int32 of the original image from regions at working scale; outlines interpolated."""
    labels = np.zeros(shape, np.int32)
    for k, region in enumerate(regions, start=1):
        if factor == 1.0:
            labels[region.rows + int(offset[1]), region.cols + int(offset[0])] = k
            continue
        top, left = max(0, region.rows.min() - 2), max(0, region.cols.min() - 2)
        patch = np.zeros((region.rows.max() - top + 3, region.cols.max() - left + 3), np.float32)
        patch[region.rows - top, region.cols - left] = 1
        rows = np.arange(int((top + offset[1]) / factor), int((top + offset[1] + patch.shape[0]) / factor) + 1)
        cols = np.arange(int((left + offset[0]) / factor), int((left + offset[0] + patch.shape[1]) / factor) + 1)
        rows, cols = rows[rows < shape[0]], cols[cols < shape[1]]
        y = ((rows + 0.5) * factor - 0.5 - offset[1] - top).astype(np.float32)
        x = ((cols + 0.5) * factor - 0.5 - offset[0] - left).astype(np.float32)
        fine = cv2.remap(patch, *np.meshgrid(x, y), cv2.INTER_LINEAR)
        window = labels[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        window[(fine > 0.5) & (window == 0)] = k
    return labels
