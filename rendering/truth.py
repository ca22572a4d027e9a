"""Ground truth of a rendering: label image and the JSON that CONTRACT's evaluation reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rendering.geometry import FibreFrame
from rendering.scene import Mark, Scene, zone_at, zone_radii_px

DO_NOT_JUDGE = 65535
JUDGED_SHARE = 0.97  # of the cladding radius: what decides "clean" or "defective"
VISIBLE_SHARE = 0.30  # of a mark's peak: its true extent
HALO_SHARE = 0.12
RIM_PX = 2


@dataclass(frozen=True)
class VisibleMark:
    """A mark as the noise-free picture shows it; arrays cover the window that starts at (x0, y0)."""

    mark: Mark
    x0_px: int
    y0_px: int
    delta_grey: np.ndarray  # (h, w) float32: picture with the mark minus picture without
    sigma_grey: float  # noise of one pixel nearby


def visible_masks(seen: VisibleMark) -> tuple[np.ndarray, np.ndarray]:
    """Masks (h, w) of the mark's visible extent and of the rim and halo around it."""
    strength = seen.delta_grey * np.float32(seen.mark.sign)
    body = (strength > VISIBLE_SHARE * float(strength.max())).astype(np.uint8)
    if seen.mark.kind in ("contamination", "chip", "pit"):
        body = cv2.morphologyEx(body, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM_PX + 1, 2 * RIM_PX + 1))
    halo = np.abs(strength) > HALO_SHARE * float(strength.max())
    rim = (cv2.dilate(body, disc) > 0) | halo
    return body > 0, rim & (body == 0)


def build_truth(scene: Scene, seen: list[VisibleMark]) -> tuple[np.ndarray, dict]:
    """Label image (H, W) uint16 and truth dictionary of a scene."""
    labels = np.zeros((scene.frame.height_px, scene.frame.width_px), np.uint16)
    defects = []
    rims = []
    for item in seen:
        body, rim = visible_masks(item)
        window = (slice(item.y0_px, item.y0_px + body.shape[0]), slice(item.x0_px, item.x0_px + body.shape[1]))
        free = body & (labels[window] == 0)
        if not item.mark.judged:
            rims.append((window, body | rim))
            continue
        if not free.any():
            continue
        number = len(defects) + 1
        labels[window][free] = number
        rims.append((window, rim))
        defects.append(_describe(number, item, free, scene))
    for window, rim in rims:
        view = labels[window]
        view[rim & (view == 0)] = DO_NOT_JUDGE
    return labels, _document(scene, labels, defects)


def _document(scene: Scene, labels: np.ndarray, defects: list[dict]) -> dict:
    if scene.fibre is None:
        return {"fiber": None, "verdict": None, "defects": []}
    place = scene.fibre.frame(scene.frame.pixel_aspect)
    axes_px, angle_deg = place.ellipse()
    kind = scene.fibre.kind
    visible_core = abs(scene.face.core.step_grey) > 0
    inside = _inside_cladding(labels, place)
    return {
        "fiber": {
            "center_px": [round(place.x_px, 3), round(place.y_px, 3)],
            "axes_px": [round(value, 3) for value in axes_px],
            "angle_deg": round(angle_deg, 3),
            "core_diameter_px": round(2 * scene.fibre.core_radius_px, 3) if visible_core else None,
            "core_um": kind.core_um,
            "cladding_um": kind.cladding_um,
            "kind": kind.name,
        },
        "verdict": "defective" if inside else "clean",
        "defects": defects,
        "um_per_px": scene.fibre.um_per_px,
        "seed": scene.seed,
        "contrast": scene.contrast,
    }


def _inside_cladding(labels: np.ndarray, place: FibreFrame) -> bool:
    rows, columns = np.nonzero((labels > 0) & (labels < DO_NOT_JUDGE))
    if rows.size == 0:
        return False
    points = place.to_frame(np.column_stack([columns, rows]))
    return bool((np.hypot(points[:, 0], points[:, 1]) < JUDGED_SHARE * place.radius_px).any())


def _describe(number: int, item: VisibleMark, body: np.ndarray, scene: Scene) -> dict:
    """One entry of the truth's defect list; sizes are those of the visible extent, measured in the fibre frame."""
    assert scene.fibre is not None
    rows, columns = np.nonzero(body)
    image_points = np.column_stack([columns + item.x0_px, rows + item.y0_px]).astype(float)
    place = scene.fibre.frame(scene.frame.pixel_aspect)
    points = place.to_frame(image_points).astype(np.float32)
    um = scene.fibre.um_per_px
    area_px = float(len(points))
    (_, _), sides, _ = cv2.minAreaRect(points)
    diameter_px = 2 * cv2.minEnclosingCircle(points)[1] + 1.0
    length_px, width_px = max(sides) + 1.0, min(sides) + 1.0
    if item.mark.kind in ("scratch", "crack"):
        width_px = min(width_px, area_px / length_px)
    centre = points.mean(axis=0)
    radii = zone_radii_px(scene.fibre, scene.face.adhesive)
    touched = {zone_at(float(r), radii) for r in np.hypot(points[:, 0], points[:, 1])}
    values = item.delta_grey[body]
    peak = float(np.abs(values).max())
    sizes = {"length": length_px, "width": width_px, "diameter": diameter_px}
    return {
        "id": number,
        "kind": item.mark.kind,
        **{f"{name}_um": round(value * um, 3) for name, value in sizes.items()},
        "area_um2": round(area_px * um * um, 3),
        "zone": zone_at(math.hypot(*centre), radii),
        "zones_touched": sorted(touched),
        "polarity": item.mark.polarity,
        "contrast_grey": round(float(values.mean()), 2),
        "peak_contrast_grey": round(math.copysign(peak, item.mark.sign), 2),
        "contrast_sigma": round(peak / item.sigma_grey, 2),
        "mean_contrast_sigma": round(abs(float(values.mean())) / item.sigma_grey, 2),
        "centroid_px": [round(float(value), 2) for value in image_points.mean(axis=0)],
        "style": item.mark.style,
    }
