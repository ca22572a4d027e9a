"""Figures over many assessed images, with 95 % intervals from a bootstrap over images.

Images, not defects, are drawn with replacement: defects of one image share its focus, light and fibre.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from evaluation.figures import (
    Agreement,
    Confusion,
    Detection,
    Figures,
    ImageAccuracy,
    Localisation,
    Rate,
    SizeError,
    Spread,
)
from evaluation.marks import CONTRAST_BANDS, SIZE_BANDS
from evaluation.results import ImageResult, ReportedOutcome, TrueOutcome
from records import DEFECT_CLASSES, FAIL, NAN, PASS, ZONE_NAMES
from vision.robust import robust_spread

RESAMPLES = 2000
SEED = 61300
MEASURES = ("length", "width", "diameter", "area")
Outcome = TrueOutcome | ReportedOutcome


def compute_figures(results: Iterable[ImageResult]) -> Figures:
    """All figures over the results of one profile; images that could not be assessed only count by name."""
    every = list(results)
    used = [result for result in every if not result.problem]
    draws = Resampling(len(used))
    return Figures(
        profile=every[0].profile if every else "",
        images=len(used),
        not_assessed=tuple(result.name for result in every if result.problem),
        total=detection("all", used, draws),
        by_class=_groups(DEFECT_CLASSES, "kind", used, draws),
        by_zone=_groups((*ZONE_NAMES, "Outside"), "zone", used, draws),
        by_size=_groups(SIZE_BANDS, "size_band", used, draws),
        by_contrast=_groups(CONTRAST_BANDS, "contrast_band", used, draws),
        confusion=confusion(used, draws),
        localisation=localisation(used, draws),
        sizes=size_errors(used),
        image_accuracy=image_accuracy(used, draws),
        rule_sets=rule_set_agreement(used, draws),
        time_s=spread(result.time_s for result in used),
    )


# --- shares and their intervals ------------------------------------------------------------------------------------


class Resampling:
    """How often each of ``count`` images is in each bootstrap sample; the same for every figure of a set."""

    def __init__(self, count: int, resamples: int = RESAMPLES, seed: int = SEED) -> None:
        chances = np.full(count, 1 / count) if count else np.zeros(0)
        generator = np.random.default_rng(seed)
        self.weights = generator.multinomial(count, chances, resamples) if count else np.zeros((resamples, 0))

    def shares(self, counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """The share of every sample from counts and totals per image; NaN where a sample has nothing."""
        hits, everything = self.weights @ counts, self.weights @ totals
        return np.divide(hits, everything, out=np.full(len(hits), NAN), where=everything > 0)

    def rate(self, counts: Sequence[int], totals: Sequence[int]) -> Rate:
        """The share of all counts among all totals, both given per image."""
        hits, everything = np.array(counts, int), np.array(totals, int)
        count, total = int(hits.sum()), int(everything.sum())
        low, high = _interval(self.shares(hits, everything))
        return Rate(count / total if total else NAN, low, high, count, total)


def _interval(samples: np.ndarray) -> tuple[float, float]:
    known = samples[np.isfinite(samples)]
    if not known.size:
        return NAN, NAN
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def f1(precision: np.ndarray | float, recall: np.ndarray | float) -> np.ndarray | float:
    """Harmonic mean; 0 where both are 0."""
    both = np.asarray(precision + recall, float)
    value = np.divide(2 * np.asarray(precision * recall), both, out=np.where(np.isnan(both), NAN, 0.0), where=both > 0)
    return value if value.ndim else float(value)


def detection(
    name: str,
    results: Sequence[ImageResult],
    draws: Resampling,
    belongs: Callable[[Outcome], bool] = lambda outcome: True,
) -> Detection:
    """Recall, precision and F1 of the true and reported defects that ``belongs`` picks."""
    asked = np.array([sum(belongs(d) for d in r.asked) for r in results], int)
    found = np.array([sum(d.found for d in r.asked if belongs(d)) for r in results], int)
    reported = np.array([sum(belongs(d) for d in r.reported) for r in results], int)
    true = np.array([sum(d.true for d in r.reported if belongs(d)) for r in results], int)
    recall, precision = draws.rate(found, asked), draws.rate(true, reported)
    low, high = _interval(f1(draws.shares(true, reported), draws.shares(found, asked)))
    return Detection(name, recall, precision, Rate(f1(precision.value, recall.value), low, high))


def _groups(
    names: Sequence[str], field: str, results: Sequence[ImageResult], draws: Resampling
) -> tuple[Detection, ...]:
    """One figure per value of a field, without the values that neither truth nor reports have."""
    every = (detection(name, results, draws, lambda d, name=name: getattr(d, field) == name) for name in names)
    return tuple(group for group in every if group.recall.total or group.precision.total)


# --- classes, places, sizes ----------------------------------------------------------------------------------------


def confusion(results: Sequence[ImageResult], draws: Resampling) -> Confusion:
    """True against reported classes in the judged area."""
    counts = {(true, said): 0 for true in DEFECT_CLASSES for said in (*DEFECT_CLASSES, None)}
    for defect in (d for r in results for d in r.asked):
        counts[defect.kind, defect.matched_kind if defect.found else None] += 1
    false = [d.kind for r in results for d in r.false_alarms]

    def right(*, only_certain: bool) -> Rate:
        judged = [
            [d.kind == d.matched_kind for d in r.asked if d.matched_kind and (d.kind_certain or not only_certain)]
            for r in results
        ]
        return draws.rate([sum(image) for image in judged], [len(image) for image in judged])

    return Confusion(
        classes=DEFECT_CLASSES,
        counts=tuple(tuple(counts[true, said] for said in (*DEFECT_CLASSES, None)) for true in DEFECT_CLASSES),
        false_alarms=tuple(false.count(kind) for kind in DEFECT_CLASSES),
        right=right(only_certain=False),
        right_certain=right(only_certain=True),
    )


def localisation(results: Sequence[ImageResult], draws: Resampling) -> Localisation:
    """How many fibres were located, and how well; an image without a fibre in which one is found counts as lost."""
    return Localisation(
        located=draws.rate([r.located is True for r in results], [r.located is not None for r in results]),
        centre_error=spread(r.centre_error_share for r in results),
        radius_error=spread(abs(r.radius_error_share) for r in results),
        core_error=spread(abs(r.core_error_share) for r in results),
        lost=tuple(r.name for r in results if r.located is False),
    )


def spread(values: Iterable[float]) -> Spread:
    """Median, 95 % quantile and maximum of the defined values."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not known.size:
        return Spread(NAN, NAN, NAN, 0)
    return Spread(float(np.median(known)), float(np.quantile(known, 0.95)), float(known.max()), known.size)


def size_errors(results: Sequence[ImageResult]) -> tuple[SizeError, ...]:
    """For every measure: all found defects, then those of each true class."""
    found = [d for r in results for d in r.asked if d.found and d.measured is not None]
    errors = []
    for measure in MEASURES:
        for kind in ("all", *DEFECT_CLASSES):
            chosen = [d for d in found if kind in ("all", d.kind)]
            if chosen:
                errors.append(_size_error(measure, kind, chosen))
    return tuple(errors)


def _size_error(measure: str, kind: str, defects: Sequence[TrueOutcome]) -> SizeError:
    true = np.array([getattr(d.sizes, f"{measure}_px") for d in defects])
    measured = np.array([getattr(d.measured, f"{measure}_px") for d in defects])
    relative = measured / true - 1
    bias = float(np.median(relative))
    return SizeError(
        measure=measure,
        kind=kind,
        count=len(defects),
        bias=bias,
        spread=robust_spread(relative, tails=False),
        median_error=float(np.median(np.abs(relative))),
        median_error_px=float(np.median(np.abs(measured - true))),
    )


# --- verdicts ------------------------------------------------------------------------------------------------------


def image_accuracy(results: Sequence[ImageResult], draws: Resampling) -> ImageAccuracy:
    """Clean or defective; an image in which no fibre was found is wrong."""
    judged = [
        r.truth_verdict is not None and r.located is not None and (r.verdict is not None or not r.located)
        for r in results
    ]
    right = [j and r.verdict == r.truth_verdict for j, r in zip(judged, results, strict=True)]
    clean = [r for r in results if r.truth_verdict == "clean"]
    return ImageAccuracy(
        accuracy=draws.rate(right, judged),
        false_clean=tuple(r.name for r in results if (r.truth_verdict, r.verdict) == ("defective", "clean")),
        false_defective=tuple(r.name for r in clean if r.verdict == "defective"),
        clean_images=len(clean),
        false_alarms_on_clean=sum(len(r.false_alarms) for r in clean),
    )


def rule_set_agreement(results: Sequence[ImageResult], draws: Resampling) -> tuple[Agreement, ...]:
    """Agreement of the verdicts per rule set, over the images on which it could be placed."""
    names = dict.fromkeys(v.rule_set for r in results for v in r.verdicts)
    return tuple(_agreement(name, results, draws) for name in names)


def _agreement(name: str, results: Sequence[ImageResult], draws: Resampling) -> Agreement:
    pairs = [next(((v.truth, v.inspection) for v in r.verdicts if v.rule_set == name), None) for r in results]

    def named(*wanted: tuple[str, str]) -> tuple[str, ...]:
        return tuple(r.name for r, pair in zip(results, pairs, strict=True) if pair in wanted)

    wrong_pass, wrong_fail = named((FAIL, PASS)), named((PASS, FAIL))
    agree = [pair is not None and pair[0] == pair[1] for pair in pairs]
    differ = [r.name for r, pair, same in zip(results, pairs, agree, strict=True) if pair and not same]
    return Agreement(
        rule_set=name,
        agreement=draws.rate(agree, [pair is not None for pair in pairs]),
        wrong_pass=wrong_pass,
        wrong_fail=wrong_fail,
        other=tuple(item for item in differ if item not in (*wrong_pass, *wrong_fail)),
    )
