"""The inspection of one image: image and settings in, record and arrays out. Nothing is written, nothing is printed.

Data flow: preprocess -> locate -> scale -> zones -> detect -> characterise -> judge -> record; where a vision-language
model is asked, it looks at what has come of that.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import image_io
from analysis import characterise, numbered
from batchwide.optics_dirt import with_optics_marked
from errors import UnreadableImage
from grading.acceptance import Judgement, judge
from grading.matrix import zone_matrix
from image_processing import Detection, Located, detect, locate
from inspection_settings import InspectionSettings
from records import (
    LOCALIZATION_FAILED,
    TOO_BLURRED,
    UNREADABLE,
    Defect,
    Fiber,
    Inspection,
    InspectionRecord,
    Scale,
    ZoneCell,
    ZoneExtent,
)
from scale_and_zones import choose_scale, choose_zones
from second_opinion.networks import Networks
from second_opinion.opinions import Opinion, opinion_on_face, witness_of
from second_opinion.policy import second_opinion
from settings import Config, MatrixSettings, enabled_algorithms
from vision.fingerprint import fingerprint
from vision.flat_field import flat_field_flaw, misfit_warnings
from vision.geometry import Box
from vision.preprocess import Preprocessed, focus_score, preprocess
from vision.witness import Witness
from vision.zoning import Zoning

if TYPE_CHECKING:
    from learning.vlm.asking import Ask

logger = logging.getLogger("dscope.inspection")


@dataclass
class _Clock:
    """Durations of the steps, logged as they end."""

    steps_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        logger.info("Starting %s...", title)
        started = time.perf_counter()
        yield
        duration = time.perf_counter() - started
        self.steps_s[title] = duration
        logger.info("%s Complete. Duration: %.2fs", title, duration)


def inspect_bytes(
    data: bytes,
    path: Path,
    settings: InspectionSettings,
    *,
    name: str,
    image: image_io.DecodedImage | None = None,
) -> Inspection:
    """Inspect an image file whose content has been read; one that cannot be decoded becomes a record that says why.

    ``image`` is what the content decodes to, where that is known.
    """
    started = time.perf_counter()
    origin = {"image_path": str(path), "content_sha256": hashlib.sha256(data).hexdigest()}
    try:
        limit = settings.config.preprocessing.max_image_pixels
        image = image or image_io.decode_image(data, name=name, max_pixels=limit)
    except UnreadableImage as error:
        result = Inspection(_blank_record(name, settings, UNREADABLE, str(error)))
    else:
        result = inspect_image(
            image,
            settings,
            flat_field=flat_field_of(settings.config),
            networks=networks_of(settings),
            ask=model_of(settings),
        )
    record = replace(result.record, **origin, processing_time_s=time.perf_counter() - started)
    return replace(result, record=record)


def flat_field_of(config: Config) -> np.ndarray | None:
    """The flat field that the configuration names, (H, W) uint8; None without one, or where it would spoil images."""
    path = config.preprocessing.flat_field_image
    return None if path is None else _read_flat_field(path)[0]


def flat_field_problem(config: Config) -> str:
    """Why the configured flat field is not used, as a sentence; empty when it is, or when there is none."""
    path = config.preprocessing.flat_field_image
    return "" if path is None else _read_flat_field(path)[1]


@lru_cache(maxsize=1)
def _read_flat_field(path: str) -> tuple[np.ndarray | None, str]:
    try:
        grey = image_io.read_image(path).grey
    except UnreadableImage as error:
        return None, error.message
    flaw = flat_field_flaw(grey)
    return (None, f"It {flaw}.") if flaw else (grey, "")


def networks_of(settings: InspectionSettings) -> Networks:
    """The networks that the settings name, loaded once per process.

    Raises :class:`errors.ModelError` where a file has changed, :class:`errors.MissingDependency` without onnxruntime.
    """
    if not settings.models:
        return Networks()
    from second_opinion.models import load_all  # without a model nothing of it is loaded

    return load_all(settings.models)


def model_of(settings: InspectionSettings) -> Ask | None:
    """The vision-language model that the settings name, loaded once per process; None where none is asked.

    Raises :class:`errors.ModelError` where it cannot be used or has changed, and :class:`errors.MissingDependency`.
    """
    if settings.vlm is None:
        return None
    from learning.vlm.loading import loaded  # without a model nothing of it is loaded

    vlm = settings.config.vlm
    return partial(loaded(settings.vlm).generate, batch=vlm.batch, max_new_tokens=vlm.max_new_tokens)


def inspect_image(
    image: image_io.DecodedImage,
    settings: InspectionSettings,
    *,
    flat_field: np.ndarray | None = None,
    networks: Networks = Networks(),  # noqa: B008 (frozen)
    ask: Ask | None = None,
) -> Inspection:
    """Inspect one decoded image (8-bit grey, (H, W)); the same input always gives the same record, times aside.

    ``ask`` is the vision-language model, see :func:`learning.vlm.asking.ask_about`.
    """
    config, clock = settings.config, _Clock()
    started = time.perf_counter()
    with clock.step("Preprocessing"):
        prepared = preprocess(image.grey, flat_field, config.preprocessing)
    warnings = [*image.warnings, *prepared.warnings]
    with clock.step("Fiber Localization"):
        located = locate(prepared, config.localization, core_um=settings.core_um, cladding_um=settings.cladding_um)
    height, width = image.grey.shape
    record = replace(
        _blank_record(image.name, settings, LOCALIZATION_FAILED, _why_lost(located)),
        image_width_px=width,
        image_height_px=height,
        warnings=tuple(warnings),
        timings_s=clock.steps_s,
        processing_time_s=time.perf_counter() - started,
    )
    if located.fiber is None:
        return Inspection(record, grey=prepared.grey)
    if prepared.grey is not image.grey:
        warnings += misfit_warnings(image.grey, prepared.grey, located.fiber.cladding)
    found = _inspect_face(replace(record, warnings=tuple(warnings)), prepared, located.fiber, settings, networks, clock)
    if ask is not None:
        with clock.step("Vision-Language Model"):
            found = with_opinion(found, ask, settings)
    if config.matrix.enabled:
        with clock.step("Zone Matrix"):
            matrix = _matrix(found, prepared.box, config.matrix)
        found = replace(found, record=replace(found.record, matrix=matrix))
    return replace(found, record=replace(found.record, processing_time_s=time.perf_counter() - started))


def _inspect_face(
    record: InspectionRecord,
    prepared: Preprocessed,
    fiber: Fiber,
    settings: InspectionSettings,
    networks: Networks,
    clock: _Clock,
) -> Inspection:
    """What follows once the fibre is found: scale, zones, marks, verdict; ``record`` is filled in."""
    config, grey = settings.config, prepared.grey
    focus = focus_score(grey, fiber.cladding)
    warnings = [*record.warnings, *_focus_warnings(focus, config.preprocessing.min_focus_score)]
    scale, scale_warnings = choose_scale(fiber, grey.shape, settings)
    with clock.step("Zone Detection"):
        zoning, unplaceable, zone_warnings = choose_zones(fiber, scale, grey.shape, prepared.box, settings)
    warnings += [*scale_warnings, *zone_warnings, *zoning.warnings]
    opinion, witness = Opinion(), None
    if networks.quality is not None:
        opinion, doubts = opinion_on_face(networks.quality, grey, fiber.cladding)
        warnings += doubts
    with clock.step("Defect Detection"):
        if networks.segment is not None:
            witness, doubts = witness_of(networks.segment, grey, fiber.cladding, config.learning)
            warnings += doubts
        found = detect(grey, prepared.box, fiber, zoning.zones, config.detection, witness)
    with clock.step("Defect Analysis"):
        marks, vetoed = _marks(found, fiber, zoning, scale, settings, witness), ()
        if networks.patch is not None:
            asked = second_opinion(networks.patch, grey, found, marks, fiber.cladding, scale, config.learning)
            marks, vetoed, doubts = asked
            warnings += doubts
        hindrance = _too_blurred(focus, config.preprocessing.min_judged_focus_score) or unplaceable
        judgement, doubts = _judged(marks, vetoed, zoning.zones, scale, settings, hindrance)
        warnings += doubts
    labels = _relabelled(found.labels, judgement.defects)
    defects = tuple(replace(d, label=k) for k, d in enumerate(judgement.defects, start=1))
    record = replace(
        record,
        status=judgement.status,
        reasons=judgement.reasons,
        fiber=fiber,
        scale=scale,
        zones=zoning.zones,
        defects=defects,
        vetoed=vetoed,
        warnings=tuple(warnings),
        marginal=judgement.marginal,
        focus_score=focus,
        fingerprint=fingerprint(grey, fiber.cladding),
        torch_quality_label=opinion.name,
        torch_quality_confidence=opinion.confidence,
    )
    return Inspection(record, grey, zoning.zone_map, labels)


def _marks(
    found: Detection,
    fiber: Fiber,
    zoning: Zoning,
    scale: Scale,
    settings: InspectionSettings,
    witness: Witness | None,
) -> tuple[Defect, ...]:
    """Measure and classify the marks, and set apart those on the optics."""
    config = settings.config
    voices = [*enabled_algorithms(config.detection.algorithms).values(), *([witness] if witness else [])]
    total = sum(voice.weight for voice in voices)
    defects = characterise(found, fiber, zoning.zones, zoning.zone_map, scale, config.classification, total)
    return with_optics_marked(defects, zoning.zone_map.shape, settings.optics, config.optics_dirt)


def _judged(
    marks: tuple[Defect, ...],
    vetoed: tuple[Defect, ...],
    zones: Sequence[ZoneExtent],
    scale: Scale,
    settings: InspectionSettings,
    hindrance: str | None,
) -> tuple[Judgement, list[str]]:
    """Judge the marks; a warning says where the verdict would be another one with those that were left out."""
    uncertainty_px = settings.config.measurement.size_uncertainty_px
    given = {
        "rule_set": settings.rule_set,
        "scale_known": scale.known,
        "judged_zones": [z.name for z in zones if z.inspected],
        "size_uncertainty_um": uncertainty_px * scale.um_per_px if scale.known else 0.0,
        "hindrance": hindrance,
    }
    judgement = judge(marks, **given)
    if not vetoed or judge((*marks, *vetoed), **given).status == judgement.status:
        return judgement, []
    count = "1 mark" if len(vetoed) == 1 else f"{len(vetoed)} marks"
    return judgement, [f"{judgement.status} only without {count} that the patch network takes for artifacts."]


def _matrix(found: Inspection, box: Box, settings: MatrixSettings) -> tuple[ZoneCell, ...]:
    record = found.record
    return zone_matrix(
        found.grey,
        found.zone_map,
        found.labels,
        box=box,
        cladding=record.fiber.cladding,
        scale=record.scale,
        zones=record.zones,
        defects=record.counted_defects,
        settings=settings,
    )


def with_opinion(found: Inspection, ask: Ask, settings: InspectionSettings) -> Inspection:
    """Ask the vision-language model about an image with a located fibre; its marks are judged like any others."""
    from learning.vlm.watchdog import second_look

    def judged(defects: Sequence[Defect]) -> Judgement:
        shape, dirt = found.grey.shape, settings.config.optics_dirt
        marks = with_optics_marked(numbered(defects), shape, settings.optics, dirt)
        return _judged(marks, (), found.record.zones, found.record.scale, settings, None)[0]

    return second_look(found, ask, judged, settings.config.vlm)


def _focus_warnings(focus: float, limit: float) -> list[str]:
    if math.isfinite(focus) and focus < limit:
        return [f"Out of focus: score {focus:.2f}, limit {limit:.2f}."]
    return []


def _blank_record(name: str, settings: InspectionSettings, status: str, reason: str) -> InspectionRecord:
    return InspectionRecord(
        image_filename=name,
        status=status,
        reasons=(reason,) if reason else (),
        rule_set=settings.rule_set.name,
        rule_set_verified=settings.rule_set.verified,
        profile=settings.config.profile,
    )


def _why_lost(located: Located) -> str:
    reason = located.reason or "no fibre found"
    return f"{reason[0].upper()}{reason[1:]}."


def _too_blurred(focus: float, limit: float) -> str | None:
    return f"{TOO_BLURRED}: focus score {focus:.2f}, limit {limit:.2f}" if focus < limit else None


def _relabelled(labels: np.ndarray, defects: tuple[Defect, ...]) -> np.ndarray:
    """Label image (uint16) in which value k is the k-th defect and regions that are no defects are 0."""
    marked = np.flatnonzero(labels != 0)
    values = labels.ravel()[marked]
    table = np.zeros(int(values.max(initial=0)) + 1, np.uint16)
    for k, defect in enumerate(defects, start=1):
        table[defect.label] = k
    result = np.zeros(labels.shape, np.uint16)
    result.ravel()[marked] = table[values]
    return result
