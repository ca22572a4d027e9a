"""Labelled images for the tests of the evaluation: rendered ones, and hand-made results with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from faces import shipped_config

from cli.job_settings import choose_settings
from evaluation.assessment import assess
from evaluation.results import ImageResult, ReportedOutcome, Sizes, TrueOutcome
from evaluation.truth import TrueDefect, TrueFiber, TruthImage, parse_truth
from image_io import DecodedImage
from inspection_settings import InspectionSettings
from records import Ellipse
from rendering.engine import Rendering

CLADDING = Ellipse(100.0, 80.0, 120.0, 120.0, 0.0)


def shipped_settings(profile: str | None = None) -> InspectionSettings:
    """The settings as delivered, without a fibre type."""
    return choose_settings(shipped_config(profile), None)


def assess_rendering(scene: Rendering, name: str, profile: str | None = None) -> ImageResult:
    """Inspect a rendered scene and score it."""
    truth = parse_truth(scene.truth, Path(name))
    return assess(DecodedImage(name, scene.image), scene.labels, truth, shipped_settings(profile))


def block(value: int, row: int, col: int, size: int = 10, width: int | None = None) -> np.ndarray:
    """A label image, (160, 200) uint16, with one rectangle, for the fibre :data:`CLADDING`."""
    labels = np.zeros((160, 200), np.uint16)
    labels[row : row + size, col : col + (width or size)] = value
    return labels


def true_outcome(number: int = 1, found: bool = True, **changes: object) -> TrueOutcome:
    """A true pit of 10 px, found as one of the same size."""
    kind = changes.get("kind", "Pit/Dig")
    values = {
        "kind": kind,
        "kind_certain": True,
        "counted": True,
        "zone": "Cladding",
        "size_band": "2-5 %",
        "contrast_band": ">= 8",
        "contrast_sigma": -9.0,
        "sizes": Sizes(10.0, 10.0, 10.0, 80.0),
        "box_px": (10, 10, 20, 20),
        "matched_label": 1 if found else None,
        "matched_kind": kind if found else None,
        "measured": Sizes(10.0, 10.0, 10.0, 80.0) if found else None,
    }
    return TrueOutcome(id=number, found=found, **{**values, **changes})


def reported_outcome(label: int = 1, true: bool = True, **changes: object) -> ReportedOutcome:
    """A reported pit of 10 px."""
    values = {
        "defect_id": f"P{label}",
        "kind": "Pit/Dig",
        "counted": True,
        "zone": "Cladding",
        "size_band": "2-5 %",
        "contrast_band": ">= 8",
        "contrast_sigma": -9.0,
        "confidence": 1.0,
        "sizes": Sizes(10.0, 10.0, 10.0, 80.0),
        "centroid_px": (15.0, 15.0),
        "radius_share": 0.5,
        "angle_deg": 0.0,
        "box_px": (10, 10, 20, 20),
        "outlines_px": (((10, 10), (19, 10), (19, 19), (10, 19)),),
        "matched_id": label if true else None,
    }
    return ReportedOutcome(label=label, true=true, **{**values, **changes})


def image_result(name: str, asked: int = 0, found: int = 0, reported: int = 0, true: int = 0, **changes) -> ImageResult:
    """A result with these counts."""
    values = {
        "profile": "deep_inspection",
        "status": "PASS",
        "located": True,
        "centre_error_share": 0.01,
        "radius_error_share": -0.02,
        "truth_verdict": "defective" if asked else "clean",
        "verdict": "defective" if reported else "clean",
        "true_defects": tuple(true_outcome(k, k <= found) for k in range(1, asked + 1)),
        "reported_defects": tuple(reported_outcome(k, k <= true) for k in range(1, reported + 1)),
        "time_s": 1.0,
    }
    return ImageResult(name, **{**values, **changes})


def truth_image(*defects: TrueDefect, name: str = "a.png", **fiber: object) -> TruthImage:
    """The truth of an image with the fibre :data:`CLADDING`."""
    return TruthImage(name, Path(name), fiber=TrueFiber(CLADDING, **fiber), defects=defects, verdict="defective")
