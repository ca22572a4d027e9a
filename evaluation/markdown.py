"""``validation_v1.md``: the figures of an evaluation as text and tables, with the pictures beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from evaluation.comparison import Comparison, FigureChange, ImageChange
from evaluation.crops import Worst
from evaluation.figures import Confusion, Detection, Figures, Rate, Spread
from evaluation.results import ImageResult

LEGEND = (
    "A true defect is found when reports cover at least 30 % of its pixels within 2 px; a report is true when at least "
    "half of its pixels lie within 3 px of a true defect or of a do-not-judge area. In brackets: 95 % interval, by a "
    "bootstrap over images."
)
SIZES_LEGEND = (
    "Found defects beside the report that covers them best. Bias is the median of measured / true - 1, spread its "
    "robust standard deviation, error its median absolute value; the last column is the median absolute "
    "difference in pixels (square pixels for the area). Sizes that the truth gives in um are the true ones; the "
    "others are measured in the label image as the inspection measures its own, so that they are as rough as the "
    "labels."
)
CROPS_LEGEND = (
    "Left the image, right the same with truth (green), reports (magenta) and do-not-judge areas (grey); both "
    "stretched to their own contrast."
)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table: the first column text, the others numbers; a bar in a cell is escaped."""
    lines = [_row(header), f"| --- |{' ---: |' * (len(header) - 1)}"]
    return [*lines, *(_row(row) for row in rows), ""]


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def share(value: float) -> str:
    """Three decimals; a dash for what is undefined."""
    return f"{value:.3f}" if math.isfinite(value) else "-"


def rate(value: Rate) -> str:
    """A share with counts and interval."""
    if not math.isfinite(value.value):
        return "-"
    counts = f" ({value.count} of {value.total})" if value.total else ""
    return f"{share(value.value)}{counts} [{share(value.low)}, {share(value.high)}]"


def percent(value: float, *, signed: bool = False) -> str:
    """Per cent with one decimal; a dash for what is undefined."""
    return f"{value:{'+' if signed else ''}.1%}" if math.isfinite(value) else "-"


def summary_section(every: Sequence[Figures]) -> list[str]:
    """The main figures, one column per profile."""

    def row(title: str, values: Iterable[object]) -> list[object]:
        return [title, *values]

    rows = [
        row("images", (f.images for f in every)),
        row("fibres located", (rate(f.localisation.located) for f in every)),
        row("recall", (rate(f.total.recall) for f in every)),
        row("precision", (rate(f.total.precision) for f in every)),
        row("F1", (rate(f.total.f1) for f in every)),
        row("images rightly called clean or defective", (rate(f.image_accuracy.accuracy) for f in every)),
        row(
            "false alarms on clean images",
            (f"{f.image_accuracy.false_alarms_on_clean} on {f.image_accuracy.clean_images}" for f in every),
        ),
        row("classes right, of the found", (rate(f.confusion.right) for f in every)),
        row("the same, where the truth is certain", (rate(f.confusion.right_certain) for f in every)),
        row(
            "time per image, median / 95 % (s)", (f"{_s(f.time_s.median)} / {_s(f.time_s.quantile_95)}" for f in every)
        ),
    ]
    return ["## Summary", "", *table(["", *(f.profile for f in every)], rows), LEGEND, ""]


def _s(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def groups_section(every: Sequence[Figures], pictures: Sequence[str]) -> list[str]:
    """Recall, precision and F1 by class, zone, size and contrast."""
    titles = {
        "by_class": ("By class", "Recall by the true class, precision by the reported one."),
        "by_zone": ("By zone", "True defects by the place of their centroid, reports as reported."),
        "by_size": ("By size", "Diameter of the smallest enclosing circle as a share of the cladding's."),
        "by_contrast": (
            "By contrast",
            "Mean of the mark minus the median of its surroundings, over the noise of the picture (sigma).",
        ),
    }
    lines = ["## Detection", "", *(line for name in pictures for line in (f"![{name}]({name})", ""))]
    for field, (title, note) in titles.items():
        by_profile = [{group.name: group for group in getattr(f, field)} for f in every]
        names = dict.fromkeys(name for groups in by_profile for name in groups)
        header = [title, *(f"{what}, {f.profile}" for f in every for what in ("recall", "precision", "F1"))]
        rows = [[name, *(cell for groups in by_profile for cell in _group_cells(groups.get(name)))] for name in names]
        lines += [f"### {title}", "", note, "", *table(header, rows)]
    return lines


def _group_cells(group: Detection | None) -> list[str]:
    return ["-"] * 3 if group is None else [rate(group.recall), rate(group.precision), share(group.f1.value)]


def confusion_section(every: Sequence[Figures]) -> list[str]:
    """One matrix per profile."""
    lines = ["## Classes", "", "Rows: true class. Columns: class of the report that covers the defect best.", ""]
    for figures in every:
        matrix: Confusion = figures.confusion
        rows = [[true, *counts] for true, counts in zip(matrix.classes, matrix.counts, strict=True)]
        rows.append(["*false alarm*", *matrix.false_alarms, ""])
        lines += [f"### {figures.profile}", "", *table(["true", *matrix.classes, "*not found*"], rows)]
    return lines


def localisation_section(every: Sequence[Figures]) -> list[str]:
    """Errors of centre, radius and core."""

    def cells(spread: Spread) -> list[str]:
        return [percent_fine(value) for value in (spread.median, spread.quantile_95, spread.maximum)]

    rows = [
        [f"{title}, {f.profile}", *cells(spread), spread.count]
        for f in every
        for title, spread in (
            ("centre", f.localisation.centre_error),
            ("cladding radius", f.localisation.radius_error),
            ("core diameter", f.localisation.core_error),
        )
    ]
    lines = ["## Localisation", "", "Shares of the true cladding radius; of the core's diameter for the core.", ""]
    lines += table(["error", "median", "95 %", "largest", "images"], rows)
    lost = [f"- {f.profile}: not located: {', '.join(f.localisation.lost)}" for f in every if f.localisation.lost]
    return [*lines, *lost, ""] if lost else lines


def percent_fine(value: float) -> str:
    """Per cent with two decimals."""
    return f"{value:.2%}" if math.isfinite(value) else "-"


def sizes_section(every: Sequence[Figures], pictures: Sequence[str]) -> list[str]:
    """Bias, spread and error of every size."""
    lines = ["## Sizes", "", SIZES_LEGEND, ""]
    for figures, picture in zip(every, pictures, strict=True):
        rows = [
            [
                f"{e.measure}, {e.kind}",
                e.count,
                percent(e.bias, signed=True),
                percent(e.spread),
                percent(e.median_error),
                f"{e.median_error_px:.2f}",
            ]
            for e in figures.sizes
        ]
        header = ["size", "defects", "bias", "spread", "error", "error (px)"]
        lines += [f"### {figures.profile}", "", *table(header, rows), f"![sizes]({picture})", ""]
    return lines


def verdicts_section(every: Sequence[Figures]) -> list[str]:
    """Clean or defective, and PASS or FAIL by rule set, with the images that are judged wrongly."""
    lines = [
        "## Verdicts",
        "",
        "Agreement with the verdict that each rule set gives on the true defects of the judged area, over the images "
        "whose scale is known.",
        "",
    ]
    for figures in every:
        accuracy = figures.image_accuracy
        rows: list[list[object]] = [
            [a.rule_set, rate(a.agreement), len(a.wrong_pass), len(a.wrong_fail), len(a.other)]
            for a in figures.rule_sets
        ]
        clean = [rate(accuracy.accuracy), len(accuracy.false_clean), len(accuracy.false_defective), ""]
        lines += [f"### {figures.profile}", ""]
        lines += table(
            ["verdict", "agreement", "wrong PASS", "wrong FAIL", "not judged"], [["clean or defective", *clean], *rows]
        )
        named = {"Wrongly clean": accuracy.false_clean, "Wrongly defective": accuracy.false_defective}
        for rule_set in figures.rule_sets:
            named[f"Wrong PASS, {rule_set.rule_set}"] = rule_set.wrong_pass
            named[f"Wrong FAIL, {rule_set.rule_set}"] = rule_set.wrong_fail
        lines += [*(f"- {title}: {', '.join(names)}" for title, names in named.items() if names), ""]
    return lines


def crops_section(profile: str, misses: Sequence[Worst], alarms: Sequence[Worst], folder: str) -> list[str]:
    """The worst misses and false alarms of a profile."""
    lines = [f"## Worst misses and false alarms, {profile}", "", CROPS_LEGEND, ""]
    for title, items in (("Misses", misses), ("False alarms", alarms)):
        lines += [f"### {title}", ""] + ([] if items else ["None.", ""])
        for item in items:
            lines += [f"{item.image}: {item.title}", "", f"![{item.title}]({folder}/{item.picture})", ""]
    return lines


def images_section(results: Sequence[ImageResult]) -> list[str]:
    """The images of a profile in which something is wrong."""
    rows = []
    for result in results:
        missed = ", ".join(f"{d.kind} {d.id}" for d in result.missed)
        false = ", ".join(f"{d.kind} {d.defect_id}" for d in result.false_alarms)
        notes = [result.problem, "fibre not located" if result.located is False else ""]
        if missed or false or any(notes):
            rows.append([result.name, missed, false, "; ".join(note for note in notes if note)])
    profile = results[0].profile if results else ""
    lines = [f"## Images with errors, {profile}", ""]
    return [*lines, *(table(["image", "missed", "false alarms", "notes"], rows) if rows else ["None.", ""])]


def comparison_section(comparison: Comparison) -> list[str]:
    """What got better and what got worse."""

    def rows(better: bool) -> list[list[str]]:
        chosen = [change for change in comparison.figures if change.better is better]
        return [[c.name, f"{c.before:.4g}", f"{c.now:.4g}", f"{c.difference:+.4g}"] for c in chosen]

    lines = [
        f"## Compared with the baseline, {comparison.profile}",
        "",
        *(f"- {note}" for note in comparison.notes),
        "",
    ]
    for title, better in (("Better", True), ("Worse", False)):
        chosen = rows(better)
        lines += [f"### {title}", ""]
        lines += table(["figure", "before", "now", "difference"], chosen) if chosen else ["Nothing.", ""]
    lines += ["### Images that changed", ""]
    if comparison.images:
        header = ["image", "newly missed", "newly found", "new false alarms", "gone false alarms", "fibre and verdict"]
        lines += table(header, map(_change_cells, comparison.images))
    else:
        lines += ["None.", ""]
    for title, names in (("Only in the baseline", comparison.only_before), ("Only in this run", comparison.only_now)):
        lines += [f"{title}: {', '.join(names)}.", ""] if names else []
    return lines


def _change_cells(change: ImageChange) -> list[str]:
    lists = (change.newly_missed, change.newly_found, change.new_false_alarms, change.gone_false_alarms)
    return [
        change.name,
        *(", ".join(items) for items in lists),
        "; ".join(filter(None, (change.located, change.verdict))),
    ]


def changed(changes: Iterable[FigureChange]) -> tuple[int, int]:
    """How many figures got better and worse."""
    every = [change.better for change in changes]
    return every.count(True), every.count(False)
