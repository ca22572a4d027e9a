"""Regions in, measured and classified defects and a verdict out. The parts are in ``grading``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from grading.appearance import appearance_of, body_of, body_pixels
from grading.classification import classify
from grading.measurement import Shape, measure_shape
from image_processing import Detection
from records import CLASS_LETTERS, Defect, Ellipse, Fiber, Scale, ZoneExtent
from settings import Classification


def characterise(
    detection: Detection,
    fiber: Fiber,
    zones: tuple[ZoneExtent, ...],
    zone_map: np.ndarray,
    scale: Scale,
    limits: Classification,
    total_weight: float,
) -> tuple[Defect, ...]:
    """Measure, classify and number the regions of a detection; only those that touch an inspected zone.

    ``total_weight`` is the largest value that the confidence map can have: confidences are shares of it, 0..1.
    """
    inspected = {z.label for z in zones if z.inspected}
    defects = []
    pixels = pixels_of(detection.labels, len(detection.regions))
    for k, (region, (rows, cols)) in enumerate(zip(detection.regions, pixels, strict=True), start=1):
        touched = np.bincount(zone_map[rows, cols], minlength=1)
        touched[0] = 0
        if inspected.isdisjoint(np.flatnonzero(touched).tolist()):
            continue
        shape = measure_shape(rows, cols, fiber.cladding)
        body = body_of(region, detection.residual_grey)
        body_rows, body_cols = body_pixels(rows, cols, region, body)
        whole = len(body_rows) == len(rows)
        body_shape = shape if whole else measure_shape(body_rows, body_cols, fiber.cladding)
        look = appearance_of(region, body, detection.residual_grey)
        kind = classify(shape, body_shape, look, fiber.cladding.mean_radius_px, limits)
        defects.append(
            measured_defect(
                shape,
                touched,
                zones,
                scale,
                label=k,
                kind=kind,
                confidence=min(1.0, region.confidence / total_weight),
                contrast_grey=look.contrast_grey,
                is_dark=region.polarity < 0,
                detected_by=region.detected_by,
            )
        )
    return numbered(defects)


def pixels_of(labels: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and columns of the pixels with each of the values 1 to ``count`` of a label image (H, W)."""
    marked = np.flatnonzero(labels != 0)  # of booleans it is ten times as fast
    values = labels.ravel()[marked]
    marked = marked[np.argsort(values, kind="stable")]
    ends = np.cumsum(np.bincount(values, minlength=count + 1))
    for k in range(1, count + 1):
        yield np.unravel_index(marked[ends[k - 1] : ends[k]], labels.shape)


def measured_defect(
    shape: Shape,
    touched: np.ndarray,
    zones: Sequence[ZoneExtent],
    scale: Scale,
    *,
    label: int,
    kind: str,
    confidence: float,
    contrast_grey: float,
    is_dark: bool,
    detected_by: tuple[str, ...],
) -> Defect:
    """A mark of this shape as a defect without ID, in the zone of its centroid, else in the one that holds most of it.

    ``touched`` (n,): how many of its pixels lie in the zone of each label, 0 for none.
    """
    names = {z.label: z.name for z in zones}
    length, width = shape.length_and_width_px(kind)
    u, v = shape.centroid_frame_px
    radius = math.hypot(u, v)
    centred = next((z.name for z in zones if z.inner_radius_px <= radius < z.outer_radius_px), None)
    draft = Defect(
        defect_id="",
        label=label,
        zone=centred or names[int(np.argmax(touched))],
        kind=kind,
        confidence=confidence,
        centroid_x_px=shape.centroid_px[0],
        centroid_y_px=shape.centroid_px[1],
        length_px=length,
        width_px=width,
        diameter_px=shape.diameter_px,
        area_px=shape.area_px,
        perimeter_px=shape.perimeter_px,
        circularity=shape.circularity,
        aspect_ratio=length / max(width, 1e-6),
        orientation_deg=shape.orientation_deg,
        contrast=contrast_grey,
        polarity="dark" if is_dark else "bright",
        radius_px=radius,
        angle_deg=math.degrees(math.atan2(-v, u)) % 360.0,
        zones_touched=tuple(names[number] for number in np.flatnonzero(touched).tolist()),
        detected_by=detected_by,
        box_px=shape.box_px,
    )
    return in_micrometres(draft, shape, scale)


def in_micrometres(defect: Defect, shape: Shape, scale: Scale) -> Defect:
    """Fill the micrometre fields; they stay NaN without a scale."""
    s = scale.um_per_px
    u, v = shape.centroid_frame_px
    return replace(
        defect,
        centroid_x_um=u * s,
        centroid_y_um=-v * s,
        length_um=defect.length_px * s,
        width_um=defect.width_px * s,
        diameter_um=defect.diameter_px * s,
        area_um2=defect.area_px * s * s,
        radius_um=defect.radius_px * s,
    )


def as_class(defect: Defect, kind: str, rows: np.ndarray, cols: np.ndarray, cladding: Ellipse, scale: Scale) -> Defect:
    """The defect with these pixels as one of another class, and so with the length and width of that class."""
    shape = measure_shape(rows, cols, cladding)
    length, width = shape.length_and_width_px(kind)
    sizes = {"length_px": length, "width_px": width, "aspect_ratio": length / max(width, 1e-6)}
    return in_micrometres(replace(defect, kind=kind, rule_class=defect.kind, **sizes), shape, scale)


def numbered(defects: Sequence[Defect]) -> tuple[Defect, ...]:
    """Largest first within each class, with IDs S1, S2, P1 ...; classes in their usual order."""
    ranked = sorted(defects, key=lambda d: (list(CLASS_LETTERS).index(d.kind), -d.diameter_px, d.label))
    counter: Counter[str] = Counter()
    result = []
    for defect in ranked:
        letter = CLASS_LETTERS[defect.kind]
        counter[letter] += 1
        result.append(replace(defect, defect_id=f"{letter}{counter[letter]}"))
    return tuple(result)
