"""The rule engine: measured defects and a rule set in, verdict with its reasons out.

A rule set (IEC 61300-3-35 or a house rule) is data. A criterion limits how many defects of some classes may lie in one
zone, per band of one measured size; everything here is counting, nothing is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from records import FAIL, PASS, UNGRADED, Defect
from settings import Criterion, RuleSet, SizeBand

_MEASURE_FIELDS = {"width": "width_um", "diameter": "diameter_um", "length": "length_um", "area": "area_um2"}


@dataclass(frozen=True)
class Judgement:
    """Verdict over one end face.

    ``status`` is PASS, FAIL or UNGRADED; ``reasons`` come in the order of zones, then criteria; ``defects`` are
    the judged defects, in their given order, with ``violates`` and ``marginal`` filled in. ``marginal``: with every
    size smaller or larger by its uncertainty the verdict would be the other one.
    """

    status: str
    reasons: tuple[str, ...]
    defects: tuple[Defect, ...]
    marginal: bool = False


@dataclass(frozen=True)
class _Violation:
    reason: str
    members: tuple[int, ...]  # positions in the sequence of defects


def judge(
    defects: Sequence[Defect],
    *,
    rule_set: RuleSet,
    scale_known: bool,
    judged_zones: Sequence[str],
    size_uncertainty_um: float,
    hindrance: str | None = None,
) -> Judgement:
    """Judge defects by a rule set.

    ``judged_zones`` are the names of the zones that count; elsewhere a defect is ignored. ``size_uncertainty_um``
    (>= 0) is how far a size may be off: a defect that close to a limit is marginal. ``hindrance`` says why
    nothing can be judged (zones that cannot be placed, a blurred picture), None when it can. With one, without a scale
    or without zones the verdict is UNGRADED. A defect whose needed size is undefined never passes; one on the optics
    does not count. Source: IEC 61300-3-35.
    """
    hindrance = hindrance or _why_ungraded(rule_set, scale_known, judged_zones)
    if hindrance:
        cleared = tuple(replace(defect, violates=(), marginal=False) for defect in defects)
        return Judgement(UNGRADED, (hindrance,), cleared)
    criteria = _in_zone_order(rule_set, judged_zones)
    violations = _all_violations(criteria, defects, rule_set.zone_policy)
    marginal = {
        index
        for index, defect in enumerate(defects)
        for criterion in criteria
        if criterion_applies(criterion, defect, rule_set.zone_policy)
        and is_marginal(criterion, defect, size_uncertainty_um)
    }
    others = [[_resized(defect, by_um) for defect in defects] for by_um in (-size_uncertainty_um, size_uncertainty_um)]
    turns = any(bool(_all_violations(criteria, other, rule_set.zone_policy)) != bool(violations) for other in others)
    judged = tuple(
        replace(
            defect,
            violates=_unique(v.reason for v in violations if index in v.members),
            marginal=index in marginal,
        )
        for index, defect in enumerate(defects)
    )
    reasons = _unique(violation.reason for violation in violations)
    return Judgement(FAIL if reasons else PASS, reasons, judged, turns)


def criterion_applies(criterion: Criterion, defect: Defect, zone_policy: str) -> bool:
    """Whether a criterion counts this defect, its size aside: class, polarity and zone."""
    if defect.on_optics or defect.kind not in criterion.classes:
        return False
    if criterion.polarity not in ("any", defect.polarity):
        return False
    touched = defect.zones_touched if zone_policy == "touching" else ()
    return criterion.zone in (touched or (defect.zone,))


def is_marginal(criterion: Criterion, defect: Defect, size_uncertainty_um: float) -> bool:
    """Whether the defect's size lies within its uncertainty (um) of a limit of this criterion, on either side."""
    size = _size(criterion, defect)
    if not (math.isfinite(size) and size_uncertainty_um > 0):
        return False
    return any(
        abs(_linear(criterion, size) - _linear(criterion, limit)) <= size_uncertainty_um for limit in _limits(criterion)
    )


def _why_ungraded(rule_set: RuleSet, scale_known: bool, judged_zones: Sequence[str]) -> str | None:
    if not scale_known:
        return f"No scale known: the limits of rule set '{rule_set.name}' are in um"
    if not judged_zones:
        return f"No zone of rule set '{rule_set.name}' was inspected"
    return None


def _in_zone_order(rule_set: RuleSet, judged_zones: Sequence[str]) -> list[Criterion]:
    """Criteria of the judged zones, by the zones' order in the rule set, then by their own."""
    order = {zone.name: position for position, zone in enumerate(rule_set.zones)}
    judged = [criterion for criterion in rule_set.criteria if criterion.zone in judged_zones]
    return sorted(judged, key=lambda criterion: order.get(criterion.zone, len(order)))


def _all_violations(criteria: Sequence[Criterion], defects: Sequence[Defect], zone_policy: str) -> list[_Violation]:
    return [
        violation
        for criterion in criteria
        for violation in _violations(
            criterion, defects, [i for i, d in enumerate(defects) if criterion_applies(criterion, d, zone_policy)]
        )
    ]


def _resized(defect: Defect, by_um: float) -> Defect:
    """The defect with every size larger by this much (um), its area as that of a disc; none below 0, NaN stays NaN."""
    across_um = max(2.0 * math.sqrt(defect.area_um2 / math.pi) + by_um, 0.0)
    return replace(
        defect,
        length_um=max(defect.length_um + by_um, 0.0),
        width_um=max(defect.width_um + by_um, 0.0),
        diameter_um=max(defect.diameter_um + by_um, 0.0),
        area_um2=0.25 * math.pi * across_um**2,
    )


def _violations(criterion: Criterion, defects: Sequence[Defect], members: Sequence[int]) -> Iterator[_Violation]:
    limited = [band for band in criterion.bands if band.max_count is not None]
    sizes = {index: _size(criterion, defects[index]) for index in members}
    if any(_needs_size(criterion, band) for band in limited):
        unknown = [index for index in members if not math.isfinite(sizes[index])]
        for kind, group in _by_class(criterion, defects, unknown):
            subject = _subject(criterion, kind)
            yield _Violation(f"{subject} of unknown {criterion.measure} in {criterion.zone}", tuple(group))
    for band in limited:
        counted = [index for index in members if _counts(criterion, band, sizes[index])]
        if len(counted) > band.max_count:
            yield from _band_violations(criterion, band, defects, counted)


def _band_violations(
    criterion: Criterion, band: SizeBand, defects: Sequence[Defect], counted: Sequence[int]
) -> Iterator[_Violation]:
    """One reason for a count that is too high; for zero tolerance one per class, as each defect is one too many."""
    groups = list(_by_class(criterion, defects, counted))
    if band.max_count == 0:
        for kind, group in groups:
            words = [_subject(criterion, kind), _band_words(criterion, band, kind), "in", criterion.zone]
            yield _Violation(" ".join(word for word in words if word), tuple(group))
        return
    kind = groups[0][0] if len(groups) == 1 else "Defect"
    words = [_subject(criterion, kind), _band_words(criterion, band, kind), f"count > {band.max_count} in"]
    yield _Violation(" ".join(word for word in [*words, criterion.zone] if word), tuple(counted))


def _counts(criterion: Criterion, band: SizeBand, size_um: float) -> bool:
    if not math.isfinite(size_um):
        return not _needs_size(criterion, band)
    if criterion.ignore_below_um is not None and size_um < criterion.ignore_below_um:
        return False
    return band.contains(size_um)


def _needs_size(criterion: Criterion, band: SizeBand) -> bool:
    return criterion.ignore_below_um is not None or band.from_um is not None or band.to_um is not None


def _size(criterion: Criterion, defect: Defect) -> float:
    return getattr(defect, _MEASURE_FIELDS[criterion.measure])


def _linear(criterion: Criterion, size: float) -> float:
    """The size as a length in um: an area becomes the diameter of the circle of that area."""
    return 2.0 * math.sqrt(size / math.pi) if criterion.measure == "area" else size


def _limits(criterion: Criterion) -> Iterator[float]:
    """Sizes at which this criterion's answer may change; edges between bands without a count limit are none."""
    limited = [band for band in criterion.bands if band.max_count is not None]
    if limited and criterion.ignore_below_um is not None:
        yield criterion.ignore_below_um
    for band in limited:
        yield from (edge for edge in (band.from_um, band.to_um) if edge is not None)


def _by_class(
    criterion: Criterion, defects: Sequence[Defect], indices: Sequence[int]
) -> Iterator[tuple[str, list[int]]]:
    for kind in criterion.classes:
        group = [index for index in indices if defects[index].kind == kind]
        if group:
            yield kind, group


def _subject(criterion: Criterion, kind: str) -> str:
    return kind if criterion.polarity == "any" else f"{kind} ({criterion.polarity})"


def _band_words(criterion: Criterion, band: SizeBand, kind: str) -> str:
    """A band in words, as "> 3um" or "length 2-5um": the measure is named where it is not the class's usual one."""
    usual = "width" if kind == "Scratch" else "diameter"
    unit = "um2" if criterion.measure == "area" else "um"
    low, high = band.from_um, band.to_um
    if low is None and high is None:
        return ""
    if low is not None and high is not None:
        span = f"{low:g}-{high:g}{unit}"
    elif low is not None:
        span = f"{'>=' if band.from_inclusive else '>'} {low:g}{unit}"
    else:
        span = f"{'<=' if band.to_inclusive else '<'} {high:g}{unit}"
    return span if criterion.measure == usual else f"{criterion.measure} {span}"


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
