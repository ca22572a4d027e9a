"""Where rules and networks disagree about an image, in sentences made from its record alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from learning.vlm.sentences import about_model
from records import ARTIFACT, CLASS_OF_KIND, DEFECT_CLASSES, FAIL, PASS, Defect, InspectionRecord

# labels of faces, in lower case; other names say nothing about the verdict
_GOOD = {"pass", "good", "clean", "ok"}
_BAD = {"fail", "bad", "defective", *CLASS_OF_KIND}
_MOST_NAMED = 12


def disagreements(record: InspectionRecord) -> tuple[str, ...]:
    """Of networks: one sentence for the face, one for each pair of classes, one for what was left out; of the
    vision-language model: for the verdict and for marks. None where all agree."""
    return (*_about_face(record), *_about_marks(record), *_about_vetoes(record), *about_model(record))


def _about_face(record: InspectionRecord) -> Iterator[str]:
    label = record.torch_quality_label.lower()
    if (record.status == PASS and label in _BAD) or (record.status == FAIL and label in _GOOD):
        said = f"{record.torch_quality_label} ({record.torch_quality_confidence:.2f})"
        yield f"The quality network says {said}, the rules say {record.status}."


def _about_marks(record: InspectionRecord) -> Iterator[str]:
    pairs: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
    for defect in record.counted_defects:
        by_rules = defect.rule_class or defect.kind
        if defect.ml_class and defect.ml_class != by_rules:
            changed = bool(defect.rule_class)
            pairs[by_rules, defect.ml_class, changed].append(f"{defect.defect_id} ({defect.ml_confidence:.2f})")
    order = (*DEFECT_CLASSES, ARTIFACT)
    for (by_rules, said, changed), names in sorted(
        pairs.items(), key=lambda item: (order.index(item[0][0]), order.index(item[0][1]), item[0][2])
    ):
        what = f"{by_rules} by the rules, {said} by the patch network"
        yield f"{what}{', which counts' if changed else ''}: {_listed(names)}."


def _about_vetoes(record: InspectionRecord) -> Iterator[str]:
    if record.vetoed:
        names = [_described(defect, record.scale.known) for defect in record.vetoed]
        yield f"Left out as artifacts by the patch network: {_listed(names)}."


def _described(defect: Defect, scale_known: bool) -> str:
    """A mark with its class by the rules, its size, its place and how sure the network is."""
    unit = "um" if scale_known else "px"
    size = defect.diameter_um if scale_known else defect.diameter_px
    across = f" {size:.1f} {unit} across" if math.isfinite(size) else ""
    place = f"({defect.centroid_x_px:.0f}, {defect.centroid_y_px:.0f}) px"
    return f"{defect.defect_id} {defect.kind}{across} at {place} in {defect.zone} ({defect.ml_confidence:.2f})"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
