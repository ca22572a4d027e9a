"""Pixels in, confirmed defect regions out: preprocess, locate, zone, detect, fuse. The parts are in ``vision``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from records import NAN, Ellipse, Fiber, ZoneExtent
from vision.core import measure_core_px
from vision.evidence import Evidence, black_hat, do2mr, edge_skeleton, lei
from vision.fusion import confirmed_regions
from vision.geometry import scaled
from vision.localization import locate_cladding
from vision.preprocess import Preprocessed, picture_box
from vision.regions import Region
from vision.residual import Residual, radial_residual
from vision.ring_frame import ring_frame
from vision.settings import DetectionSettings, LocalizationSettings
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
    reach_px = max(reach_px, 1.06 * fiber.cladding.mean_radius_px)  # the background needs both sides of the edge
    work, ellipse, factor, offset = working_crop(grey, fiber.cladding, reach_px, settings.working_radius_px)
    core_px = 0.5 * fiber.core_diameter_px * factor
    frame = ring_frame(work.shape, ellipse, reach_px * factor)
    marked = rough_marks(work, ellipse, reach_px * factor, core_px, settings)
    residual = radial_residual(work, frame, settings.residual, marked, core_px)
    found = significance(residual, settings, marked)
    radius = ellipse.mean_radius_px
    evidence = all_evidence(found, residual, radius, settings)
    skeletons = settings.algorithms.skeleton.enabled
    skeleton = edge_skeleton(found, residual.inside, settings) if skeletons else None
    inspected = residual.inside & np.logical_or.reduce(
        [
            (residual.radius_px >= z.inner_radius_px * factor) & (residual.radius_px < z.outer_radius_px * factor)
            for z in zones
            if z.inspected
        ]
    )
    regions = confirmed_regions(found, evidence, skeleton, residual, inspected, radius, core_px, settings)
    labels = full_resolution_labels(regions, grey.shape, factor, offset)
    return Detection(labels, tuple(regions), residual.grey)


def rough_marks(
    work: np.ndarray, ellipse: Ellipse, reach_px: float, core_radius_px: float, settings: DetectionSettings
) -> np.ndarray:
    """Pixels (H, W) bool of strong marks, which would bias the background and the noise around them.

    Found at half the scale, where a strong mark is as strong. Each look leaves out what the ones before have found,
    until nothing large is added.
    """
    size = ((work.shape[1] + 1) // 2, (work.shape[0] + 1) // 2)
    half = cv2.resize(work, size, interpolation=cv2.INTER_AREA)
    frame = ring_frame(half.shape, scaled(ellipse, 0.5), 0.5 * reach_px)
    rough = rough_look(settings, frame.ellipse.mean_radius_px)
    marked = None
    for _ in range(ROUGH_LOOKS):
        before = 0 if marked is None else np.count_nonzero(marked)
        residual = radial_residual(half, frame, rough.residual, marked, 0.5 * core_radius_px)
        marked = strong_marks(significance(residual, rough, marked), rough.residual)
        if np.count_nonzero(marked) < before + LARGE_MARKS_SHARE * residual.inside.sum():
            break
    return cv2.resize(marked.view(np.uint8), work.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


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
        own, sectors=max(6, own.sectors // 3), sector_width_deg=2 * own.sector_width_deg, ring_radius_px=ring_px
    )
    return replace(settings, residual=residual, smoothing_px=settings.smoothing_px[:1])


def working_crop(
    grey: np.ndarray, cladding: Ellipse, reach_px: float, working_radius_px: float
) -> tuple[np.ndarray, Ellipse, float, tuple[int, int]]:
    """The inspected box at working scale, without the frame's margins.

    Returns the image (float32), the ellipse in it, the reduction factor and the offset (x, y) in the reduced image.
    """
    factor = min(1.0, working_radius_px / cladding.mean_radius_px)
    work = grey.astype(np.float32)
    if factor < 1:
        work = cv2.resize(work, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        factor = work.shape[1] / grey.shape[1]
    ellipse = scaled(cladding, factor)
    half = reach_px * factor * math.sqrt(cladding.major_px / cladding.minor_px) + 6
    top, bottom, left, right = picture_box(work)
    x0, y0 = max(left, int(ellipse.x_px - half)), max(top, int(ellipse.y_px - half))
    x1, y1 = min(right, int(ellipse.x_px + half) + 1), min(bottom, int(ellipse.y_px + half) + 1)
    moved = Ellipse(ellipse.x_px - x0, ellipse.y_px - y0, ellipse.major_px, ellipse.minor_px, ellipse.angle_deg)
    return work[y0:y1, x0:x1], moved, factor, (x0, y0)


def full_resolution_labels(
    regions: list[Region], shape: tuple[int, int], factor: float, offset: tuple[int, int]
) -> np.ndarray:
    """Label image (H, W) int32 of the original image from regions at working scale; outlines interpolated."""
    labels = np.zeros(shape, np.int32)
    for k, region in enumerate(regions, start=1):
        if factor == 1.0:
            labels[region.rows + offset[1], region.cols + offset[0]] = k
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
