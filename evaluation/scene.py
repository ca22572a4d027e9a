"""Truth and reports of one inspected image in the true fibre's frame, and what became of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from evaluation.marks import Mark, contrast_band, measure_marks, outlines_of, size_band
from evaluation.matching import Matching, match
from evaluation.results import ReportedOutcome, RuleSetVerdict, Sizes, TrueOutcome
from evaluation.truth import DO_NOT_JUDGE, TrueDefect, TrueFiber
from evaluation.verdicts import Placed, in_rings, place_rings, statuses
from grading.acceptance import Judgement, judge
from grading.measurement import Shape, measure_shape
from inspection_settings import InspectionSettings
from records import NAN, Defect, Fiber, Inspection, Scale
from scale_and_zones import choose_zones
from settings import Config, RuleSet
from vision.geometry import to_frame
from vision.preprocess import picture_box


@dataclass(frozen=True)
class Scene:
    """Truth and reports of one image in the true fibre's frame."""

    fiber: TrueFiber
    inspection: Inspection
    um_per_px: float  # NaN when unknown
    zones: tuple[tuple[str, float], ...]  # name and outer radius (px), from the centre outwards
    matching: Matching
    true_marks: Mapping[int, Mark]
    marks: Mapping[int, Mark]  # of the reports, by their labels
    defects: Mapping[int, Defect]

    @classmethod
    def of(
        cls,
        grey: np.ndarray,
        labels: np.ndarray,
        fiber: TrueFiber,
        inspection: Inspection,
        settings: InspectionSettings,
        judged_share: float,
    ) -> Scene:
        cladding = fiber.cladding
        reported = np.zeros(labels.shape, np.uint16) if inspection.labels is None else inspection.labels
        occupied = (labels > 0) | (reported > 0)
        true_ids = [int(k) for k in np.unique(labels) if 0 < k < DO_NOT_JUDGE]
        um_per_px = fiber.um_per_px or NAN
        zones = choose_zones(fiber.as_found(), Scale(um_per_px), grey.shape, picture_box(grey), settings)[0].zones
        return cls(
            fiber=fiber,
            inspection=inspection,
            um_per_px=um_per_px,
            zones=tuple((zone.name, zone.outer_radius_px) for zone in zones),
            matching=match(reported, labels, cladding, judged_share),
            true_marks=measure_marks(true_ids, labels, grey, cladding, occupied),
            marks=measure_marks(np.unique(reported[reported > 0]).tolist(), reported, grey, cladding, occupied),
            defects={defect.label: defect for defect in inspection.record.defects},
        )

    def true_outcome(self, defect: TrueDefect) -> TrueOutcome:
        """What became of a true defect."""
        mark = self.true_marks[defect.id]
        sizes = self._true_sizes(defect, measure_shape(mark.rows, mark.cols, self.fiber.cladding))
        match = self.defects.get(self.matching.report_of.get(defect.id, 0))
        return TrueOutcome(
            id=defect.id,
            kind=defect.class_name,
            kind_certain=defect.kind_certain,
            counted=defect.id in self.matching.asked,
            found=defect.id in self.matching.found,
            zone=next((name for name, outer in self.zones if mark.radius_px < outer), "Outside"),
            size_band=self._size_band(sizes.diameter_px),
            contrast_band=contrast_band(mark.contrast_sigma),
            contrast_sigma=mark.contrast_sigma,
            sizes=sizes,
            box_px=mark.box_px,
            matched_label=match.label if match else None,
            matched_kind=match.kind if match else None,
            measured=self._measured_sizes(match) if match else None,
            style=defect.style,
        )

    def reported_outcome(self, defect: Defect) -> ReportedOutcome:
        """What became of a reported defect."""
        mark = self.marks[defect.label]
        sizes = self._measured_sizes(defect)
        return ReportedOutcome(
            label=defect.label,
            defect_id=defect.defect_id,
            kind=defect.kind,
            counted=defect.label in self.matching.reported,
            true=defect.label in self.matching.true,
            zone=defect.zone,
            size_band=self._size_band(sizes.diameter_px),
            contrast_band=contrast_band(mark.contrast_sigma),
            contrast_sigma=mark.contrast_sigma,
            confidence=defect.confidence,
            sizes=sizes,
            centroid_px=(defect.centroid_x_px, defect.centroid_y_px),
            radius_share=mark.radius_px / self.fiber.cladding.mean_radius_px,
            angle_deg=defect.angle_deg,
            box_px=mark.box_px,
            outlines_px=outlines_of(mark.rows, mark.cols),
            matched_id=self.matching.defect_of.get(defect.label),
        )

    def _size_band(self, diameter_px: float) -> str:
        return size_band(diameter_px / (2 * self.fiber.cladding.mean_radius_px))

    def _true_sizes(self, defect: TrueDefect, shape: Shape) -> Sizes:
        """In px: those given in um by the true scale, the others as the label image shows them."""
        length, width = shape.length_and_width_px(defect.class_name)
        s = self.um_per_px

        def px(given_um: float | None, measured_px: float, per_px: float = s) -> float:
            return measured_px if given_um is None or not math.isfinite(s) else given_um / per_px

        return Sizes(
            length_px=px(defect.length_um, length),
            width_px=px(defect.width_um, width),
            diameter_px=px(defect.diameter_um, shape.diameter_px),
            area_px=px(defect.area_um2, shape.area_px, s * s),
        )

    def _measured_sizes(self, defect: Defect) -> Sizes:
        """As reported; with a scale the micrometres count, turned into px by the true scale."""
        s = self.um_per_px
        if math.isfinite(s) and math.isfinite(defect.length_um):
            return Sizes(defect.length_um / s, defect.width_um / s, defect.diameter_um / s, defect.area_um2 / (s * s))
        return Sizes(defect.length_px, defect.width_px, defect.diameter_px, defect.area_px)

    def rule_set_verdicts(
        self, true_outcomes: Sequence[TrueOutcome], reported: Sequence[ReportedOutcome], config: Config
    ) -> tuple[RuleSetVerdict, ...]:
        """Verdicts on the judged area by every rule set whose zones can be placed on the true and the found fibre.

        Reports that lie on do-not-judge areas alone are left out. Empty without a true scale.
        """
        if not math.isfinite(self.um_per_px):
            return ()
        truth = [self._placed_truth(outcome) for outcome in true_outcomes if outcome.counted]
        asked = statuses(truth, self.fiber.as_found(), Scale(self.um_per_px), config)
        record = self.inspection.record
        if record.fiber is None:
            return tuple(RuleSetVerdict(name, status, record.status) for name, status in asked.items())
        counted = [r.label for r in reported if r.counted and (not r.true or r.matched_id is not None)]
        answers = statuses([self._placed_report(k, record.fiber) for k in counted], record.fiber, record.scale, config)
        return tuple(RuleSetVerdict(name, asked[name], answers[name]) for name in asked if name in answers)

    def judged_truth(self, true_outcomes: Sequence[TrueOutcome], rule_set: RuleSet, config: Config) -> Judgement | None:
        """The true defects of the judged area by one rule set, their IDs as texts; None where it cannot be placed."""
        scale = Scale(self.um_per_px)
        rings = place_rings(rule_set, self.fiber.as_found(), scale) if scale.known else None
        if rings is None:
            return None
        placed = (in_rings(self._placed_truth(item), rings) for item in true_outcomes if item.counted)
        return judge(
            [defect for defect in placed if defect is not None],
            rule_set=rule_set,
            scale_known=True,
            judged_zones=[ring.name for ring in rings if ring.inspected],
            size_uncertainty_um=config.measurement.size_uncertainty_px * scale.um_per_px,
        )

    def _placed_report(self, label: int, fiber: Fiber) -> Placed:
        mark = self.marks[label]
        radius = np.hypot(*to_frame(fiber.cladding, mark.cols, mark.rows))
        defect = self.defects[label]
        return Placed(defect, float(radius.min()), float(radius.max()), defect.radius_px)

    def _placed_truth(self, outcome: TrueOutcome) -> Placed:
        mark, sizes, s = self.true_marks[outcome.id], outcome.sizes, self.um_per_px
        unused = {f.name: NAN for f in fields(Defect) if f.type == "float"}
        used = {
            "length_um": sizes.length_px * s,
            "width_um": sizes.width_px * s,
            "diameter_um": sizes.diameter_px * s,
            "area_um2": sizes.area_px * s * s,
        }
        polarity = "dark" if outcome.contrast_sigma < 0 else "bright"
        named = {"defect_id": str(outcome.id), "label": outcome.id, "zone": outcome.zone, "kind": outcome.kind}
        defect = Defect(**{**unused, **used}, **named, polarity=polarity)
        return Placed(defect, mark.inner_px, mark.outer_px, mark.radius_px)
