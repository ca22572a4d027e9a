"""Made-up inspections for the tests of the reports."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from pathlib import Path

import cv2
import numpy as np

from records import (
    CLASS_LETTERS,
    DEFECT_CLASSES,
    NAN,
    PASS,
    Defect,
    Ellipse,
    Fiber,
    Inspection,
    InspectionRecord,
    Scale,
    ZoneCell,
    ZoneExtent,
)
from reports.drawing import bgr
from settings import ReportingSettings

REPORTING = ReportingSettings(
    annotated_image=True,
    face_image=False,
    plots=True,
    face_map=True,
    zone_colors={"Core": "#3DA5FF", "Cladding": "#37C871", "Adhesive": "#FFC83D", "Contact": "#B07CFF"},
    class_colors={
        kind: color
        for kind, color in zip(DEFECT_CLASSES, ("#FF4FA3", "#FF5A36", "#FFD400", "#00D5E0", "#FF2020"), strict=True)
    },
    status_colors={"PASS": "#1FA34A", "FAIL": "#D9281E", "UNGRADED": "#C98A00"},
    zone_line_px=1,
    defect_line_px=2,
    label_scale=1.0,
    scale_bar_um=(1, 2, 5, 10, 20, 50, 100),
    png_compression=1,
)
ELLIPSE = Ellipse(x_px=250.0, y_px=170.0, major_px=220.0, minor_px=200.0, angle_deg=90.0)
UM_PER_PX = 125 / (2 * ELLIPSE.mean_radius_px)


def make_defect(label=1, kind="Pit/Dig", x_px=250.0, y_px=170.0, size_px=8.0, um_per_px=UM_PER_PX, **changes) -> Defect:
    numbers = {item.name: 1.0 for item in dataclasses.fields(Defect) if item.type == "float"}
    half = size_px / 2
    values = {
        **numbers,
        "defect_id": f"{CLASS_LETTERS[kind]}{label}",
        "label": label,
        "zone": "Cladding",
        "kind": kind,
        "polarity": "dark",
        "ml_confidence": NAN,
        "centroid_x_px": x_px,
        "centroid_y_px": y_px,
        "length_px": size_px,
        "diameter_px": size_px,
        "radius_px": math.hypot(x_px - 250, y_px - 170),
        "angle_deg": math.degrees(math.atan2(170 - y_px, x_px - 250)),
        "length_um": size_px * um_per_px,
        "diameter_um": size_px * um_per_px,
        "zones_touched": ("Core", "Cladding"),
        "detected_by": ("do2mr", "lei"),
        "box_px": tuple((x_px + sx * half, y_px + sy * half) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))),
    }
    if math.isnan(um_per_px):
        values |= {name: NAN for name in numbers if name.endswith(("_um", "_um2"))}
    return Defect(**{**values, **changes})


def make_matrix(*zones: str, **changes) -> tuple[ZoneCell, ...]:
    """Nine cells for each zone, of which the last one deviates and holds a defect."""
    values = {
        "area_px": 1000,
        "mean_grey": 110.123,
        "spread_grey": 2.5,
        "gradient_x_grey_per_px": 0.012345,
        "gradient_y_grey_per_px": -0.02,
        "defect_count": 0,
        "defect_area_px": 0,
        "deviates": False,
        "area_um2": 1000 * UM_PER_PX**2,
    }
    last = {"defect_count": 1, "defect_area_px": 25, "deviates": True}
    return tuple(
        ZoneCell(zone, *divmod(number, 3), **{**values, **(last if number == 8 else {}), **changes})
        for zone in zones
        for number in range(9)
    )


def make_inspection(*defects: Defect, status=PASS, shape=(360, 520), scale=1.0, **changes) -> Inspection:
    """An off-centre fibre in a non-square frame; ``scale`` enlarges everything but the defects."""
    height, width = (round(scale * side) for side in shape)
    grey = np.random.default_rng(1).integers(90, 130, (height, width)).astype(np.uint8)
    ellipse = Ellipse(*(scale * v for v in (250.0, 170.0, 220.0, 200.0)), angle_deg=90.0)
    radius = ellipse.mean_radius_px
    rings = (("Core", 0, 0.2), ("Cladding", 0.2, 0.92), ("Adhesive", 0.92, 1.08), ("Contact", 1.08, 2.0))
    zones = tuple(ZoneExtent(n, k, a * radius, b * radius) for k, (n, a, b) in enumerate(rings, start=1))
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((x - ellipse.x_px) / ellipse.minor_px, (y - ellipse.y_px) / ellipse.major_px) * 2
    zone_map = np.zeros((height, width), np.uint8)
    labels = np.zeros((height, width), np.uint16)
    for zone, (_, inner, outer) in zip(zones, rings, strict=True):
        zone_map[(distance >= inner) & (distance < outer)] = zone.label
    for defect in defects:
        row, column = round(defect.centroid_y_px), round(defect.centroid_x_px)
        labels[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = defect.label
    values = {
        "image_filename": "face.png",
        "status": status,
        "image_path": "/images/face.png",
        "processing_time_s": 0.12345,
        "fiber": Fiber(ellipse, 40.123, "measured", "rays", 0.98765),
        "scale": Scale(UM_PER_PX / scale, "given dimensions"),
        "zones": zones,
        "defects": defects,
        "rule_set": "house",
        **changes,
    }
    return Inspection(InspectionRecord(**values), grey, zone_map, labels)


def failed_inspection(status: str, **arrays) -> Inspection:
    return Inspection(InspectionRecord("bad.png", status, reasons=("No ring was found",), rule_set="house"), **arrays)


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"))))


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def has_hue(picture: np.ndarray, color: str) -> np.ndarray:
    """(H, W) mask of the pixels in the hue of a colour, however much it is mixed with the grey image."""
    target = np.array(bgr({"x": color}, "x"), float)
    chroma, wanted = picture - picture.mean(axis=2, keepdims=True), target - target.mean()
    length = np.linalg.norm(chroma, axis=2)
    cosine = chroma @ wanted / np.maximum(length * np.linalg.norm(wanted), 1e-9)
    return (length > 30) & (cosine > 0.95)


def read_png(path: Path) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
