"""Fusion: from the algorithms' evidence to confirmed regions, grown to their true extent.

Confidence map per polarity: the sum of the weights of the algorithms that respond. Where it reaches the threshold and
the residual itself stands out, a region is seeded and grown. Faint lines, which no single pixel shows, are grown on
the line detector's own map, outside of what compact marks explain. Fragments of one mark are joined and sharpening
halos dropped.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from vision.evidence import Evidence
from vision.halos import absorb_halos, without_halo, without_index_dip
from vision.likelihood import likely_regions
from vision.regions import Region, axis_of, box_px, join_fragments
from vision.residual import Residual
from vision.settings import DetectionSettings, GrowthSettings
from vision.significance import Significance
from vision.voting import Votes, cast_votes


def confirmed_regions(
    found: Significance,
    evidence: list[Evidence],
    skeleton: np.ndarray | None,
    residual: Residual,
    inside: np.ndarray,
    cladding_radius_px: float,
    core_radius_px: float,
    settings: DetectionSettings,
) -> list[Region]:
    """All confirmed marks of both polarities at working scale; ``core_radius_px`` NaN = unknown."""
    votes = {polarity: cast_votes(evidence, skeleton, inside, polarity, settings) for polarity in (-1, 1)}
    regions = [r for p in votes for r in _compact_regions(found, votes[p], p, inside, settings)]
    line = next((e for e in evidence if e.name == "LEI"), None)
    if line is not None:
        compact = list(regions)
        for polarity in votes:
            free = inside & ~_explained(compact, polarity, inside.shape, settings.growth)
            regions += _faint_lines(found, line, votes[polarity], polarity, free, cladding_radius_px, settings)
    regions = [r for r in regions if not runs_along_boundary(r, residual, settings.growth)]
    regions = [piece for r in regions for piece in trimmed(r, found, residual, settings.growth)]
    regions = without_index_dip(regions, residual, cladding_radius_px, core_radius_px, settings.growth)
    regions = absorb_halos(regions, inside.shape, settings.growth)
    regions = [r for r in regions if not is_shading(r, cladding_radius_px, settings.growth)]
    regions = join_fragments(regions, cladding_radius_px, settings.growth)
    regions = [r for r in regions if len(r.rows) >= settings.growth.min_area_px]
    likely = likely_regions(regions, found, evidence, residual, cladding_radius_px, settings.likelihood)
    return [without_halo(r, found, residual, settings.growth) for r in likely]


def _explained(regions: list[Region], polarity: int, shape: tuple[int, int], growth: GrowthSettings) -> np.ndarray:
    """Pixels (H, W) bool where the line detector only echoes compact marks: on them, and on the flanks of others."""
    own, other = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for region in regions:
        (own if region.polarity == polarity else other)[region.rows, region.cols] = 1
    reach = 2 * int(growth.halo_reach_px) + 1
    return (
        cv2.dilate(own, np.ones((5, 5), np.uint8)) | cv2.dilate(other, np.ones((reach + 4, reach + 4), np.uint8))
    ) > 0


def _dilated(mask: np.ndarray) -> np.ndarray:
    """A mask (bool) with a rim of one pixel."""
    return cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)


def _local_maximum(values: np.ndarray, radius_px: int) -> np.ndarray:
    size = 2 * radius_px + 1
    return cv2.dilate(values, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))


def _compact_regions(
    found: Significance, votes: Votes, polarity: int, inside: np.ndarray, settings: DetectionSettings
) -> list[Region]:
    """Marks that stand out by themselves, grown where the residual stays above noise and near its local peak."""
    growth = settings.growth
    peak, fine, coarse = polarity * found.peak, polarity * found.extent, polarity * found.coarse
    seeds = _dilated(votes.confirmed) & (peak >= settings.min_peak_sigma) & inside
    both = votes.both_compact()
    if both is not None:  # line detectors also answer to shading and JPEG blocks
        seeds &= _dilated(both) | (peak >= settings.min_lone_peak_sigma)
    if not seeds.any():
        return []
    extent = (fine > growth.min_sigma) & (fine > growth.share_of_peak * _local_maximum(fine, 4))
    extent |= (coarse > growth.min_sigma) & (coarse > 0.5 * _local_maximum(coarse, 6)) & (coarse > fine)
    extent = (extent & inside) | seeds
    return _regions_at(seeds, extent, votes, peak, polarity)


def _faint_lines(
    found: Significance,
    line: Evidence,
    votes: Votes,
    polarity: int,
    free: np.ndarray,
    cladding_radius_px: float,
    settings: DetectionSettings,
) -> list[Region]:
    """Lines seen only by the line detector: long enough, and bright or dark along their own length too."""
    growth = settings.growth
    response = line.of(polarity)
    extent = (response > growth.line_sigma) & (response > 0.6 * _local_maximum(response, 3)) & free
    sure = response >= growth.sure_line_sigma
    seeds = extent & (votes.confirmed & (response >= line.threshold) | sure)
    fine = polarity * found.fine
    lines = _regions_at(seeds, extent, votes, polarity * found.peak, polarity)
    lines = join_fragments(lines, cladding_radius_px, growth)
    kept = []
    for region in lines:
        length, width = box_px(region)
        support = float(fine[region.rows, region.cols].mean()) * math.sqrt(length / 2.5)
        agreed = votes.confirmed[region.rows, region.cols].any()
        shortest = growth.min_line_length_share if agreed else growth.sure_line_length_share
        needed = growth.min_line_sigma * (1.0 if agreed else growth.sure_line_support_share)
        if _along_pixel_grid(region):  # JPEG blocks, row and column noise
            needed, shortest = growth.grid_line_factor * growth.min_line_sigma, growth.sure_line_length_share
        straight = len(region.rows) / (length * width) >= growth.min_line_fill
        if straight and length >= shortest * cladding_radius_px and support >= needed:
            kept.append(replace(region, line=True, peak_sigma=max(region.peak_sigma, support)))
    return kept


def _along_pixel_grid(region: Region) -> bool:
    """Whether a line runs exactly along rows or columns: within 2 degrees."""
    axis = axis_of(region)
    return min(abs(axis.dx), abs(axis.dy)) < math.sin(math.radians(2))


def _regions_at(seeds: np.ndarray, extent: np.ndarray, votes: Votes, peak: np.ndarray, polarity: int) -> list[Region]:
    """The connected parts of ``extent`` that hold a seed; all (H, W) bool."""
    seeded = np.flatnonzero(seeds)
    if not len(seeded):
        return []
    count, labels = cv2.connectedComponents(extent.view(np.uint8), connectivity=8)
    wanted = np.zeros(count, bool)
    wanted[labels.ravel()[seeded]] = True
    wanted[0] = False
    places = np.flatnonzero(wanted[labels])
    of = labels.ravel()[places]
    order = np.argsort(of, kind="stable")
    groups = np.split(places[order], np.flatnonzero(np.diff(of[order])) + 1)
    regions = []
    for rows, cols in (np.divmod(group, extent.shape[1]) for group in groups):
        confidence, strongest = votes.confidence(rows, cols), float(peak[rows, cols].max())
        regions.append(Region(rows, cols, polarity, confidence, strongest, votes.voters(rows, cols)))
    return regions


def runs_along_boundary(region: Region, residual: Residual, growth: GrowthSettings) -> bool:
    """Whether a region is a thin arc along a circular boundary of the fibre: fringe or misfit, not a mark."""
    boundary = float(np.mean(residual.edge[region.rows, region.cols]))
    if boundary < growth.arc_min_boundary or region.peak_sigma >= growth.arc_max_sigma:
        return False
    radius = residual.radius_px[region.rows, region.cols]
    angle = residual.angle_rad[region.rows, region.cols]
    mean = float(np.mean(radius))
    middle = np.angle(np.mean(np.exp(1j * angle)))
    turned = np.angle(np.exp(1j * (angle - middle)))
    tangential = mean * float(np.ptp(turned)) + 1.0
    thickness = len(region.rows) / tangential
    radial = 2.0 * float(np.std(radius)) * math.sqrt(3.0) + 1.0  # width of a uniform band of that spread
    return tangential >= growth.arc_min_ratio * max(thickness, 0.6 * radial)


def is_shading(region: Region, cladding_radius_px: float, growth: GrowthSettings) -> bool:
    """Whether a region is broad and weak: the noise would average out over it, so a mark of that size is clearer."""
    length, _ = box_px(region)
    broad = len(region.rows) / length >= growth.broad_width_share * cladding_radius_px
    return broad and not region.line and region.peak_sigma < growth.broad_min_sigma


def trimmed(region: Region, found: Significance, residual: Residual, growth: GrowthSettings) -> list[Region]:
    """A clear mark cut back to a share of its own contrast: its size must not depend on how strong it is.

    Growth works on smoothed significance, which spreads a strong mark and runs on into its neighbours: what falls apart
    here is several marks. Faint marks are left as they were grown.
    """
    if region.line:
        return [region]
    top, left = max(0, region.rows.min() - 5), max(0, region.cols.min() - 5)
    window = np.s_[top : region.rows.max() + 6, left : region.cols.max() + 6]
    values = cv2.GaussianBlur(region.polarity * residual.grey[window], (0, 0), 0.6)
    own = np.zeros(values.shape, bool)
    own[region.rows - top, region.cols - left] = True
    if np.max(values[own] / residual.noise[window][own]) < growth.trim_sigma:
        return [region]
    peak = _local_maximum(np.where(own, values, 0).astype(np.float32), 4)
    inside = own & (values >= growth.trim_share * peak) & (values > 2 * residual.noise[window])
    count, labels = cv2.connectedComponents(_dilated(inside).astype(np.uint8), connectivity=8)
    pieces = []
    for number in range(1, count):
        rows, cols = np.nonzero(inside & (labels == number))
        if len(rows) < growth.min_area_px:  # a crumb of the mark's skirt
            continue
        rows, cols = rows + top, cols + left
        strongest = float((region.polarity * found.peak[rows, cols]).max())
        pieces.append(replace(region, rows=rows, cols=cols, peak_sigma=strongest))
    return pieces
