"""What got better and what got worse between two evaluations, with the images named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.figures import Detection, Figures
from evaluation.results import Box, ImageResult, ReportedOutcome

LEAST_DIFFERENCE = 1e-9


@dataclass(frozen=True)
class FigureChange:
    """One figure before and now; ``better`` is None when it did not change or one of them is undefined."""

    name: str
    before: float
    now: float
    better: bool | None

    @property
    def difference(self) -> float:
        """Now minus before."""
        return self.now - self.before


@dataclass(frozen=True)
class ImageChange:
    """What changed in one image. Defects are named by their truth id, false alarms by report and class."""

    name: str
    newly_missed: tuple[str, ...] = ()
    newly_found: tuple[str, ...] = ()
    new_false_alarms: tuple[str, ...] = ()
    gone_false_alarms: tuple[str, ...] = ()
    located: str = ""  # "lost" | "found again" | ""
    verdict: str = ""  # "clean -> defective", with whether it is right now; "" when it did not flip

    @property
    def is_change(self) -> bool:
        """Whether anything changed."""
        return self != ImageChange(self.name)


@dataclass(frozen=True)
class Comparison:
    """Two evaluations of the same profile."""

    profile: str
    figures: tuple[FigureChange, ...]
    images: tuple[ImageChange, ...]  # only those that changed
    only_before: tuple[str, ...] = ()
    only_now: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def compare(
    before: Sequence[ImageResult],
    now: Sequence[ImageResult],
    *,
    profile: str,
    figures: tuple[Figures, Figures],
    notes: Sequence[str],
) -> Comparison:
    """Compare two runs of one profile; ``figures`` are theirs, in the same order, over the images that both have."""
    earlier = {result.name: result for result in before}
    names = {result.name for result in now}
    changes = [compare_images(earlier[result.name], result) for result in now if result.name in earlier]
    return Comparison(
        profile=profile,
        figures=compare_figures(*figures),
        images=tuple(change for change in changes if change.is_change),
        only_before=tuple(name for name in earlier if name not in names),
        only_now=tuple(result.name for result in now if result.name not in earlier),
        notes=tuple(notes),
    )


def compare_images(before: ImageResult, now: ImageResult) -> ImageChange:
    """What changed in one image; true defects by their ids, false alarms by their places."""
    missed_before = {defect.id: defect.kind for defect in before.missed}
    missed_now = {defect.id: defect.kind for defect in now.missed}
    asked_before, asked_now = ({d.id for d in result.asked} for result in (before, now))
    both = asked_before & asked_now
    return ImageChange(
        name=now.name,
        newly_missed=_named({k: v for k, v in missed_now.items() if k in both and k not in missed_before}),
        newly_found=_named({k: v for k, v in missed_before.items() if k in both and k not in missed_now}),
        new_false_alarms=_elsewhere(now.false_alarms, before.false_alarms),
        gone_false_alarms=_elsewhere(before.false_alarms, now.false_alarms),
        located={(True, False): "lost", (False, True): "found again"}.get((before.located, now.located), ""),
        verdict=_verdict_flip(before, now),
    )


def compare_figures(before: Figures, now: Figures) -> tuple[FigureChange, ...]:
    """The main figures of two runs, and recall and precision of every group that both have."""
    then, today = _main_figures(before), _main_figures(now)
    return tuple(_change(name, then[name], value) for name, value in today.items() if name in then)


def _main_figures(figures: Figures) -> dict[str, float]:
    values = {
        "recall": figures.total.recall.value,
        "precision": figures.total.precision.value,
        "F1": figures.total.f1.value,
        "images right": figures.image_accuracy.accuracy.value,
        "fibres located": figures.localisation.located.value,
        "classes right": figures.confusion.right.value,
        "false alarms on clean images": float(figures.image_accuracy.false_alarms_on_clean),
        "median time (s)": figures.time_s.median,
    }
    groups: dict[str, Sequence[Detection]] = {
        "": figures.by_class,
        "zone ": figures.by_zone,
        "size ": figures.by_size,
        "contrast ": figures.by_contrast,
    }
    for prefix, members in groups.items():
        for group in members:
            values[f"recall, {prefix}{group.name}"] = group.recall.value
            values[f"precision, {prefix}{group.name}"] = group.precision.value
    for size in figures.sizes:
        if size.kind == "all":
            values[f"median error of {size.measure}"] = size.median_error
    for rule_set in figures.rule_sets:
        values[f"agreement, {rule_set.rule_set}"] = rule_set.agreement.value
    return values


def _change(name: str, before: float, now: float) -> FigureChange:
    difference = now - before
    if not abs(difference) > LEAST_DIFFERENCE:  # NaN, too
        return FigureChange(name, before, now, None)
    smaller_is_better = name.startswith(("median", "false"))
    return FigureChange(name, before, now, (difference < 0) == smaller_is_better)


def _named(defects: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(f"{kind} {number}" for number, kind in defects.items())


def _elsewhere(reports: Sequence[ReportedOutcome], others: Sequence[ReportedOutcome]) -> tuple[str, ...]:
    """The reports whose boxes meet none of the others'."""
    return tuple(
        f"{report.kind} {report.defect_id}"
        for report in reports
        if not any(_meet(report.box_px, other.box_px) for other in others)
    )


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _verdict_flip(before: ImageResult, now: ImageResult) -> str:
    if before.verdict == now.verdict:
        return ""
    flip = f"{before.verdict or 'none'} -> {now.verdict or 'none'}"
    if now.truth_verdict is None:
        return flip
    return f"{flip} ({'right' if now.verdict == now.truth_verdict else 'wrong'} now)"
