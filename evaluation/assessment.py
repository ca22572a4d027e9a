"""The inspection of one labelled image beside its truth: the product's own inspection, scored.

Sizes that the truth gives in um are compared with those; what it does not give is measured in its label image, with
the function that measures the reports. The zone of a true defect follows from its position, by the zones in use.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

import image_io
from errors import BlinkError
from evaluation.boxes import TrueBox
from evaluation.matching import JUDGED_SHARE
from evaluation.model_outcome import ModelOutcome, model_outcome
from evaluation.results import ImageResult, ReportedOutcome, TrueOutcome
from evaluation.scene import Scene
from evaluation.truth import TrueFiber, TruthImage, read_labels
from inspection import flat_field_of, inspect_image, model_of, networks_of
from inspection_settings import InspectionSettings
from records import NAN, UNREADABLE, Ellipse, Fiber

LOCATED_SHARE = 0.015  # of the true radius: how far centre and radius may be off


def assess_file(truth: TruthImage, settings: InspectionSettings, *, judged_share: float = JUDGED_SHARE) -> ImageResult:
    """Read, inspect and score one labelled image; whatever goes wrong becomes a result that says so."""
    started = time.perf_counter()
    try:
        image = image_io.read_image(truth.image_path, max_pixels=settings.config.preprocessing.max_image_pixels)
    except BlinkError as error:
        return replace(not_assessed(truth, settings, str(error)), status=UNREADABLE)
    reading_s = time.perf_counter() - started
    try:
        labels = read_labels(truth, image.grey.shape)
        result = assess(replace(image, name=truth.name), labels, truth, settings, judged_share=judged_share)
    except BlinkError as error:
        return not_assessed(truth, settings, str(error))
    except Exception as error:
        return not_assessed(truth, settings, f"Internal error ({type(error).__name__}: {error}).")
    return replace(result, time_s=result.time_s + reading_s)


def assess(
    image: image_io.DecodedImage,
    labels: np.ndarray,
    truth: TruthImage,
    settings: InspectionSettings,
    *,
    judged_share: float = JUDGED_SHARE,
) -> ImageResult:
    """Inspect a decoded image and score it against its label image, (H, W) uint16, and its truth.

    Dimensions that the truth gives are given to the inspection, see :func:`settings_for`. ``judged_share`` of the
    cladding radius is where true defects are asked for and reports counted.
    """
    settings = settings_for(truth, settings)
    inspection = inspect_image(
        image,
        settings,
        flat_field=flat_field_of(settings.config),
        networks=networks_of(settings),
        ask=model_of(settings),
    )
    record = inspection.record
    result = ImageResult(
        name=truth.name,
        profile=settings.config.profile,
        status=record.status,
        truth_verdict=truth.verdict,
        face=truth.face,
        warnings=record.warnings,
        time_s=record.processing_time_s,
    )
    if truth.fiber is None:
        return replace(result, located=False if record.fiber else None)
    scene = Scene.of(image.grey, labels, truth.fiber, inspection, settings, judged_share)
    true_outcomes = tuple(scene.true_outcome(defect) for defect in truth.defects if defect.id in scene.true_marks)
    reported = tuple(scene.reported_outcome(defect) for defect in record.defects if defect.label in scene.marks)
    lost = [str(d.id) for d in truth.defects if d.id not in scene.true_marks]
    if lost:
        note = f"The label image has no pixel of the true defects {', '.join(lost)}: they are not asked for."
        result = replace(result, warnings=(*result.warnings, note))
    return replace(
        result,
        **_localisation(truth.fiber, record.fiber),
        verdict=_verdict(reported) if record.fiber else None,
        radius_px=truth.fiber.cladding.mean_radius_px,
        um_per_px=scene.um_per_px,
        true_defects=true_outcomes,
        reported_defects=reported,
        verdicts=scene.rule_set_verdicts(true_outcomes, reported, settings.config),
        model=_model_outcome(scene, true_outcomes, labels, settings, judged_share),
    )


def _model_outcome(
    scene: Scene,
    true_outcomes: tuple[TrueOutcome, ...],
    labels: np.ndarray,
    settings: InspectionSettings,
    judged_share: float,
) -> ModelOutcome | None:
    """What a vision-language model has said beside the truth; None where none was asked."""
    record, cladding = scene.inspection.record, scene.fiber.cladding
    if record.vlm is None:
        return None
    judgement = scene.judged_truth(true_outcomes, settings.rule_set, settings.config)
    critical = {defect.defect_id for defect in judgement.defects if defect.violates} if judgement else set()
    truths = []
    for item in true_outcomes:
        left, top, right, bottom = item.box_px
        box = (left, top, right - left, bottom - top)
        truths.append(TrueBox(item.kind, box, critical=str(item.id) in critical, ignored=not item.counted))
    return model_outcome(record, truths, labels, cladding, judged_share, judgement)


def not_assessed(truth: TruthImage, settings: InspectionSettings, problem: str) -> ImageResult:
    """The result of an image that could not be assessed, and why."""
    profile = settings.config.profile
    return ImageResult(truth.name, profile, "", truth.verdict, face=truth.face, problem=problem)


def settings_for(truth: TruthImage, settings: InspectionSettings) -> InspectionSettings:
    """The settings with the dimensions that the truth gives for this image, and the rule set for such a core."""
    fiber = truth.fiber
    if fiber is None or fiber.cladding_um is None:
        return settings
    return replace(
        settings,
        core_um=fiber.core_um,
        cladding_um=fiber.cladding_um,
        dimensions_source="given dimensions",
        rule_set=settings.config.rule_set_for_core(fiber.core_um),
    )


def is_located(found: Ellipse | None, truth: Ellipse, tolerance: float = LOCATED_SHARE) -> bool:
    """Whether centre and mean radius agree within a share of the true radius."""
    if found is None:
        return False
    radius = truth.mean_radius_px
    off_centre = math.hypot(found.x_px - truth.x_px, found.y_px - truth.y_px)
    return off_centre <= tolerance * radius and abs(found.mean_radius_px - radius) <= tolerance * radius


def _localisation(truth: TrueFiber, found: Fiber | None) -> dict[str, object]:
    if found is None:
        return {"located": False}
    true, fitted = truth.cladding, found.cladding
    radius, core = true.mean_radius_px, truth.core_diameter_px
    return {
        "located": is_located(fitted, true),
        "centre_error_share": math.hypot(fitted.x_px - true.x_px, fitted.y_px - true.y_px) / radius,
        "radius_error_share": fitted.mean_radius_px / radius - 1,
        "core_error_share": found.core_diameter_px / core - 1 if core else NAN,
    }


def _verdict(reported: tuple[ReportedOutcome, ...]) -> str | None:
    """Clean or defective by the reports in the judged area; None when they lie on do-not-judge areas alone."""
    counted = [defect for defect in reported if defect.counted]
    if not counted:
        return "clean"
    return "defective" if any(not d.true or d.matched_id is not None for d in counted) else None
