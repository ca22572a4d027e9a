"""Figures about a vision-language model over many labelled images, and their section of the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.boxes import Counts, counts, names_all_critical, precision_by_class
from evaluation.figures import Rate, Spread
from evaluation.markdown import rate, share, table
from evaluation.model_outcome import ModelOutcome
from evaluation.results import ImageResult
from evaluation.statistics import Resampling, spread
from plain_data import jsonable
from records import FAIL, NAN, PASS

TOP = (1, 3, 5, 10)
_GRADED = (PASS, FAIL)


@dataclass(frozen=True)
class ModelFigures:
    """Shares are over the images that the model was asked about, and can be judged in this respect."""

    images: int
    not_asked: tuple[str, ...]
    usable: Rate
    unusable_answers: Rate
    mean_average_precision: float
    average_precision: dict[str, float]  # by class
    same_class: Counts
    any_class: Counts
    critical_in_top: dict[str, Rate]  # all critical true boxes of an image among its k surest
    model_is_right: Rate
    rules_are_right: Rate
    result_is_right: Rate
    model_agrees_with_rules: Rate
    wrong_passes: tuple[str, ...]  # of the model
    decided: int
    seconds: Spread
    seconds_mean: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready copy, with F1 of the counts."""
        data = dataclasses.asdict(self)
        data["same_class"]["f1"], data["any_class"]["f1"] = self.same_class.f1, self.any_class.f1
        return jsonable(data)


def model_figures(results: Sequence[ImageResult]) -> ModelFigures:
    """The figures of one profile; an image without a usable answer is one in which nothing is named."""
    asked = [(result.name, result.model) for result in results if result.model is not None]
    names, outcomes = [name for name, _ in asked], [outcome for _, outcome in asked]
    draws = Resampling(len(outcomes))

    def agreement(one: Callable[[ModelOutcome], str], other: Callable[[ModelOutcome], str]) -> Rate:
        judged = [item.usable and one(item) in _GRADED and other(item) in _GRADED for item in outcomes]
        same = [is_judged and one(item) == other(item) for item, is_judged in zip(outcomes, judged, strict=True)]
        return draws.rate(same, judged)

    def critical(most: int) -> Rate:
        found = [names_all_critical(item.boxes, most) for item in outcomes]
        return draws.rate([value is True for value in found], [value is not None for value in found])

    boxes = [item.boxes for item in outcomes]
    by_class = precision_by_class(boxes)
    return ModelFigures(
        images=len(outcomes),
        not_asked=tuple(result.name for result in results if result.model is None),
        usable=draws.rate([item.usable for item in outcomes], [1] * len(outcomes)),
        unusable_answers=draws.rate([item.unusable_answers for item in outcomes], [item.answers for item in outcomes]),
        mean_average_precision=float(np.mean([*by_class.values()])) if by_class else NAN,
        average_precision=by_class,
        same_class=sum((counts(item, by_class=True) for item in boxes), Counts()),
        any_class=sum((counts(item, by_class=False) for item in boxes), Counts()),
        critical_in_top={str(most): critical(most) for most in TOP},
        model_is_right=agreement(lambda item: item.verdict, lambda item: item.true_status),
        rules_are_right=agreement(lambda item: item.classical_status, lambda item: item.true_status),
        result_is_right=agreement(lambda item: item.status, lambda item: item.true_status),
        model_agrees_with_rules=agreement(lambda item: item.verdict, lambda item: item.classical_status),
        wrong_passes=tuple(
            name for name, item in zip(names, outcomes, strict=True) if (item.verdict, item.true_status) == (PASS, FAIL)
        ),
        decided=sum(item.decided for item in outcomes),
        seconds=spread(item.seconds for item in outcomes),
        seconds_mean=float(np.mean([item.seconds for item in outcomes])) if outcomes else NAN,
    )


def model_markdown(found: ModelFigures) -> list[str]:
    """Lines of a section of the report."""
    lines = ["## Vision-language model", ""]
    if found.not_asked:
        lines += [f"Not asked about, as no fibre was found or assessed: {', '.join(found.not_asked)}.", ""]
    rows = [
        ("images with a usable answer", rate(found.usable)),
        ("unusable answers of all", rate(found.unusable_answers)),
        ("mAP of boxes at IoU 0.5", share(found.mean_average_precision)),
        *((f"AP, {kind}", share(value)) for kind, value in found.average_precision.items()),
        ("F1 of boxes, place and class", _f1(found.same_class)),
        ("F1 of boxes, place alone", _f1(found.any_class)),
        *(
            (f"all critical defects in the top {most} boxes", rate(item))
            for most, item in found.critical_in_top.items()
        ),
        ("verdict of the model right", rate(found.model_is_right)),
        ("verdict of the rules right, same images", rate(found.rules_are_right)),
        ("verdict of the record right, same images", rate(found.result_is_right)),
        ("model and rules agree", rate(found.model_agrees_with_rules)),
        ("images that the model decided", found.decided),
        ("seconds per image: median, mean", f"{found.seconds.median:.2f}, {found.seconds_mean:.2f}"),
    ]
    passed = f"Passed by the model, rejected by the truth: {', '.join(found.wrong_passes)}."
    return [
        *lines,
        "Boxes as COCO counts them: each true box once, by the surest box that overlaps it by half (IoU); AP is the "
        "mean precision at 101 recalls. Do-not-judge areas and what lies outside the judged area count neither way; "
        "an image without a usable answer is one in which nothing is named. Critical: violates the image's rule set. "
        "Right: as the true marks are judged by it.",
        "",
        *table(["figure", "value"], rows),
        *([passed, ""] if found.wrong_passes else []),
    ]


def _f1(found: Counts) -> str:
    return f"{share(found.f1)} ({found.right} right, {found.wrong} wrong, {found.missed} missed)"
