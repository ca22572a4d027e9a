"""What a mark's neighbourhood owes to the mark: halos, rims of light, and the light around the centre of a core."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from vision.regions import Region, box_px, united
from vision.residual import Residual
from vision.settings import GrowthSettings
from vision.significance import Significance

MULTIMODE_CORE_SHARE = 0.2  # of the cladding radius: larger cores guide many modes
CENTRED_PX = 1.5  # at working scale: how well the centre of a core is known ...
CENTRED_SHARE = 0.015  # ... of the cladding radius: cores are not quite concentric


def absorb_halos(regions: list[Region], shape: tuple[int, int], growth: GrowthSettings) -> list[Region]:
    """Marks of opposite polarity that hug each other are one: a mark and its halo, or a bump with its shadow.

    A halo weaker than the mark by ``halo_ratio`` does not count for its size and is dropped; a comparable one is part
    of the mark, and so is whatever lies inside of the mark.
    """
    kept: list[Region] = []
    for region in sorted(regions, key=lambda r: -r.peak_sigma):
        host = next((k for k, other in enumerate(kept) if _hugs(region, other, shape, growth.halo_reach_px)), None)
        rim = next((k for k, other in enumerate(kept) if _is_rim(region, other, shape, growth)), None)
        if host is None and rim is None:
            kept.append(region)
        elif host is not None and kept[host].peak_sigma <= growth.halo_ratio * region.peak_sigma:
            kept[host] = replace(united([kept[host], region], []), mixed=True)
        else:
            nearest = host if host is not None else rim
            if _encloses(kept[nearest], region):
                kept[nearest] = replace(united([kept[nearest], region], []), mixed=True)
    return kept


def without_halo(region: Region, found: Significance, residual: Residual, growth: GrowthSettings) -> Region:
    """A mark of two polarities without the weaker one where that is clearly its halo: a halo does not count as size.

    A body inside of a stronger rim stays, and so does a part that is nearly as strong. Faint marks are left as they
    were grown.
    """
    if not region.mixed:
        return region
    own = (region.rows, region.cols)
    dark, bright = float((-found.peak[own]).max()), float(found.peak[own].max())
    side, strong, weak = (-1, dark, bright) if dark >= bright else (1, bright, dark)
    if strong < max(growth.rim_ratio * weak, growth.halo_clear_sigma):
        return region
    body = side * residual.grey[own] > 0
    if not body.any() or body.all():
        return region
    part = replace(region, rows=region.rows[body], cols=region.cols[body], polarity=side)
    halo = replace(region, rows=region.rows[~body], cols=region.cols[~body])
    inside_out = len(part.rows) > len(halo.rows) and _encloses(part, halo)
    return region if inside_out or len(part.rows) < growth.min_area_px else part


def _encloses(outer: Region, inner: Region) -> bool:
    """Whether a region surrounds another: then that is the body of the mark, and the stronger region its rim."""
    hull = cv2.convexHull(np.column_stack([outer.cols, outer.rows]).astype(np.float32))
    return cv2.pointPolygonTest(hull, (float(np.mean(inner.cols)), float(np.mean(inner.rows))), False) > 0


def _is_rim(region: Region, other: Region, shape: tuple[int, int], growth: GrowthSettings) -> bool:
    """Whether a region is the rim of light of a stronger mark, or what it leaves in the background of its rings.

    Both reach further around thicker marks. They are dropped and not joined: the outline of the mark is its own.
    """
    if other.peak_sigma < growth.rim_ratio * region.peak_sigma:
        return False
    thickness_px = len(other.rows) / box_px(other)[0]
    return _hugs(region, other, shape, growth.halo_reach_px + growth.rim_share * thickness_px)


def _hugs(region: Region, other: Region, shape: tuple[int, int], reach_px: float) -> bool:
    """Whether most of a region lies within reach of another one of the opposite polarity."""
    if other.polarity == region.polarity:
        return False
    margin = int(reach_px) + 1
    top, left = max(0, region.rows.min() - margin), max(0, region.cols.min() - margin)
    bottom, right = min(shape[0], region.rows.max() + margin + 1), min(shape[1], region.cols.max() + margin + 1)
    near = (other.rows >= top) & (other.rows < bottom) & (other.cols >= left) & (other.cols < right)
    if not near.any():
        return False
    free = np.ones((bottom - top, right - left), np.uint8)
    free[other.rows[near] - top, other.cols[near] - left] = 0
    distance = cv2.distanceTransform(free, cv2.DIST_L2, 5)[region.rows - top, region.cols - left]
    return bool(np.mean(distance <= reach_px) >= 0.5)


def is_index_dip(region: Region, residual: Residual, cladding_radius_px: float, growth: GrowthSettings) -> bool:
    """Whether a region is the dot that the refractive index leaves at the exact centre of a core.

    It is small, centred as well as the centre is known, and a shade darker or brighter than the core: a hole there is
    as black as elsewhere.
    """
    own = (region.rows, region.cols)
    radius, angle = residual.radius_px[own], residual.angle_rad[own]
    if radius.max() > growth.index_dip_share * cladding_radius_px:
        return False
    off_centre = math.hypot(float(np.mean(radius * np.cos(angle))), float(np.mean(radius * np.sin(angle))))
    if off_centre > max(CENTRED_PX, CENTRED_SHARE * cladding_radius_px):
        return False
    contrast = float(np.abs(residual.grey[own]).max())
    return contrast <= growth.index_dip_contrast_share * float(residual.background[own].mean())


def without_index_dip(
    regions: list[Region],
    residual: Residual,
    cladding_radius_px: float,
    core_radius_px: float,
    growth: GrowthSettings,
) -> list[Region]:
    """The regions without the index dip and without the light around it.

    The rim of the dip goes with it. In a multimode core the lowest modes leave a spot or two of light beside the dip,
    weaker than it: those go, too, when they lie wholly within ``mode_spot_share``.
    """
    is_dip = [is_index_dip(r, residual, cladding_radius_px, growth) for r in regions]
    dips = [r for r, dip in zip(regions, is_dip, strict=True) if dip]
    multimode = core_radius_px >= MULTIMODE_CORE_SHARE * cladding_radius_px
    spot_px = growth.mode_spot_share * cladding_radius_px

    def belongs(region: Region, dip: Region) -> bool:
        if region.peak_sigma > dip.peak_sigma or region.polarity == dip.polarity:
            return False
        beside = multimode and residual.radius_px[region.rows, region.cols].max() <= spot_px
        return beside or _hugs(region, dip, residual.inside.shape, growth.halo_reach_px)

    others = [r for r, dip in zip(regions, is_dip, strict=True) if not dip]
    return [r for r in others if not any(belongs(r, dip) for dip in dips)]
