"""What the rows of the data set say about an image: figures of its regions, its fibre and its marks."""

from __future__ import annotations

import json
import math
from typing import Any

import cv2
import numpy as np

from evaluation.marks import measure_marks
from grading.measurement import measure_shape
from learning.labelling import REGIONS, Labelled
from records import CLASS_OF_KIND, Inspection
from vision.geometry import to_frame

_BORDER_PX = 3  # of a region: the step to its neighbour is no trend of its own
_VARIANCE_WINDOW_PX = 5
Row = dict[str, Any]


def region_rows(grey: np.ndarray, regions: np.ndarray) -> list[Row]:
    """Grey levels of each region that is there, and how they change from pixel to pixel.

    The gradient is in grey levels per pixel (Sobel), the Laplacian in grey levels, the local variance that of windows
    of 5 x 5 pixels. These leave the outermost three pixels of a region out.
    """
    values = grey.astype(np.float32)
    along_x, along_y = (cv2.Sobel(values, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    window = (_VARIANCE_WINDOW_PX, _VARIANCE_WINDOW_PX)
    variance = cv2.blur(values * values, window) - cv2.blur(values, window) ** 2
    trends = {
        "gradient": np.sqrt(along_x**2 + along_y**2),  # OpenCV's last digits depend on where arrays lie in memory
        "laplacian": cv2.Laplacian(values, cv2.CV_32F),
        "local_variance": np.maximum(variance, 0),
    }
    kernel = np.ones((2 * _BORDER_PX + 1,) * 2, np.uint8)
    rows = []
    for value, name in REGIONS.items():
        mask = regions == value
        if not mask.any():
            continue
        inner = cv2.erode(mask.astype(np.uint8), kernel, borderValue=0) > 0
        inner = inner if inner.any() else mask
        row: Row = {"region": name, "pixels": int(mask.sum()), **_intensity(grey[mask])}
        for trend, map_ in trends.items():
            found = map_[inner]
            row[f"{trend}_mean"] = float(found.mean(dtype=np.float64))
            row[f"{trend}_std"] = float(found.std(dtype=np.float64))
        rows.append(row)
    return rows


def _intensity(pixels: np.ndarray) -> Row:
    q25, q50, q75 = np.percentile(pixels, (25, 50, 75))
    return {
        "mean": float(pixels.mean()),
        "std": float(pixels.std()),
        "min": int(pixels.min()),
        "max": int(pixels.max()),
        "q25": float(q25),
        "q50": float(q50),
        "q75": float(q75),
    }


def geometry_row(labelled: Labelled, inspection: Inspection) -> Row | None:
    """Where the fibre is; None without one."""
    fiber = labelled.fiber
    if fiber is None:
        return None
    outline, scale = fiber.cladding, labelled.um_per_px
    ends = [zone.outer_radius_px for zone in inspection.record.zones if zone.inspected]
    return {
        "centre_x_px": outline.x_px,
        "centre_y_px": outline.y_px,
        "major_axis_px": outline.major_px,
        "minor_axis_px": outline.minor_px,
        "angle_deg": outline.angle_deg,
        "core_diameter_px": fiber.core_diameter_px,
        "core_source": fiber.core_source,
        "core_radius_px": 0.5 * fiber.core_diameter_px,
        "cladding_radius_px": outline.mean_radius_px,
        "inspected_radius_px": max(ends, default=math.nan),
        "core_diameter_um": fiber.core_diameter_px * scale,
        "cladding_diameter_um": 2 * outline.mean_radius_px * scale,
    }


def defect_rows(labelled: Labelled, grey: np.ndarray, inspection: Inspection) -> list[Row]:
    """One row per mark, measured by the product's own function, whoever found it."""
    if labelled.fiber is None:
        return []
    cladding, scale = labelled.fiber.cladding, labelled.um_per_px
    marks = measure_marks(labelled.kinds, labelled.labels, grey, cladding, labelled.labels > 0)
    zones = [(zone.outer_radius_px, zone.name) for zone in inspection.record.zones]
    rows = []
    for number, kind in labelled.kinds.items():
        mark, report = marks[number], labelled.reports.get(number)
        shape = measure_shape(mark.rows, mark.cols, cladding)
        length, width = shape.length_and_width_px(CLASS_OF_KIND[kind])
        left, top, right, bottom = mark.box_px
        zone = next((name for end, name in zones if mark.radius_px < end), None)
        u, v = to_frame(cladding, *shape.centroid_px)
        rows.append(
            {
                "number": number,
                "kind": kind,
                "zone": report.zone if report else zone,
                "source": labelled.source,
                "confidence": report.confidence if report else None,
                "box_left_px": left,
                "box_top_px": top,
                "box_width_px": right - left,
                "box_height_px": bottom - top,
                "centroid_x_px": shape.centroid_px[0],
                "centroid_y_px": shape.centroid_px[1],
                "area_px": int(shape.area_px),
                "length_px": float(length),
                "width_px": float(width),
                "diameter_px": float(shape.diameter_px),
                "perimeter_px": float(shape.perimeter_px),
                "circularity": float(shape.circularity),
                "solidity": float(shape.solidity),
                "orientation_deg": shape.orientation_deg,
                "contrast_grey": mark.contrast_grey,
                "contrast_sigma": mark.contrast_sigma,
                "radius_share": mark.radius_px / cladding.mean_radius_px,
                "angle_deg": math.degrees(math.atan2(-float(v), float(u))) % 360.0,
                "length_um": float(length) * scale,
                "width_um": float(width) * scale,
                "diameter_um": float(shape.diameter_px) * scale,
                "area_um2": shape.area_px * scale * scale,
                "rle": json.dumps(run_lengths(mark.rows, mark.cols, grey.shape), separators=(",", ":")),
            }
        )
    return rows


def run_lengths(rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> list[int]:
    """The pixels (rows, cols) of an image as COCO writes masks: lengths of runs, column by column, outside first."""
    places = np.sort(cols.astype(np.int64) * shape[0] + rows)
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts = places[np.concatenate([[0], breaks + 1])]
    ends = places[np.concatenate([breaks, [len(places) - 1]])] + 1
    bounds = np.column_stack([starts, ends]).ravel()
    counts = np.diff(np.concatenate([[0], bounds, [shape[0] * shape[1]]]))
    return [int(n) for n in (counts if counts[-1] else counts[:-1])]


def mask_of(counts: list[int], shape: tuple[int, int]) -> np.ndarray:
    """Inverse of :func:`run_lengths`: (H, W) bool."""
    values = np.arange(len(counts)) % 2 == 1
    flat = np.zeros(shape[0] * shape[1], bool)
    flat[: sum(counts)] = np.repeat(values, counts)
    return flat.reshape(shape[::-1]).T
