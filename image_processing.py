"""Pixels in, confirmed defect regions out: preprocess, locate, zone, detect, fuse. The parts are in ``vision``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from records import NAN, Fiber, ZoneExtent
from vision import fields
from vision.core import measure_core_px
from vision.core_centre import measure_core_centre
from vision.fields import WorkingCrop
from vision.geometry import Box
from vision.localization import locate_cladding
from vision.looks import Look, ferrule_look, look_at, marks_seen, rough_looks
from vision.preprocess import Preprocessed
from vision.regions import Region
from vision.settings import DetectionSettings, LocalizationSettings
from vision.witness import Witness


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
    centre = measure_core_centre(image.grey, cladding, core_px) if source == "measured" else None
    core_x_px, core_y_px = centre or (NAN, NAN)
    fiber = Fiber(cladding, core_px, source, found.method, found.score, core_x_px, core_y_px)
    return Located(fiber, found.score)


def detect(
    grey: np.ndarray,
    box: Box,
    fiber: Fiber,
    zones: tuple[ZoneExtent, ...],
    settings: DetectionSettings,
    witness: Witness | None = None,
) -> Detection:
    """Detect marks in the inspected zones of a grey image (H, W) uint8 that was not contrast-enhanced.

    ``box`` is the picture without black margins; a ``witness`` is one more voice in the fusion.
    """
    reach_px = max((z.outer_radius_px for z in zones if z.inspected), default=0.0)
    labels = np.zeros(grey.shape, np.int32)
    if reach_px <= 0:
        return Detection(labels, (), np.zeros((0, 0), np.float32))
    reach_px = min(reach_px, 3 * math.hypot(*grey.shape))  # beyond there is no pixel, however a zone is defined
    reach_px = max(reach_px, fields.BACKGROUND_SHARE * fiber.cladding.mean_radius_px)
    crop = fields.working_crop(grey, box, fiber.cladding, reach_px, settings.working_radius_px)
    if min(crop.grey.shape) < fields.LEAST_SIDE_PX:
        return Detection(labels, (), crop.grey)
    core_px = 0.5 * fiber.core_diameter_px * crop.factor
    rough, marked = rough_looks(fields.halved(crop), 0.5 * core_px, settings)
    marked = cv2.resize(marked.view(np.uint8), crop.grey.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    if fields.has_ferrule_field(crop):
        regions, residual_grey = _both_fields(crop, rough, marked, core_px, zones, settings, witness)
    else:
        own = look_at(crop, settings, marked, core_px)
        regions, residual_grey = marks_seen(own, zones, core_px, settings, witness), own.residual.grey
    labels = full_resolution_labels(regions, grey.shape, crop.factor, crop.offset)
    return Detection(labels, tuple(regions), residual_grey)


def _both_fields(
    crop: WorkingCrop,
    rough: Look,
    marked: np.ndarray,
    core_px: float,
    zones: tuple[ZoneExtent, ...],
    settings: DetectionSettings,
    witness: Witness | None,
) -> tuple[list[Region], np.ndarray]:
    """Regions and residual (H, W) of a crop: of the fibre at its scale, of the ferrule as the rough look at half of it.

    ``marked`` (H, W) bool: strong marks.
    """
    radius_px = crop.ellipse.mean_radius_px
    within_px, beyond_px = fields.FERRULE_SHARE * radius_px, fields.FIBRE_SHARE * radius_px
    window = fields.fibre_window(crop)
    fibre = fields.windowed(crop, window, beyond_px + 2 * fields.MARGIN_PX)
    near = look_at(fibre, settings, marked[window], core_px)
    inner = marks_seen(near, zones, core_px, settings, witness, beyond_px=beyond_px)
    outer = marks_seen(rough, zones, 0.5 * core_px, ferrule_look(settings), witness, within_px=0.5 * within_px)
    top, left = window[0].start, window[1].start
    residual_grey = cv2.resize(rough.residual.grey, crop.grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    np.copyto(residual_grey[window], near.residual.grey, where=near.residual.inside)
    return fields.united_over_border(fields.moved(inner, top, left), fields.doubled(outer)), residual_grey


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
