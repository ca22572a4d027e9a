"""What people see of a drift run: a table, one curve per kind of disturbance, a section of the report."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evaluation.disturbances import DRIFT_LEVELS
from evaluation.drift import Drift, DriftLevel
from evaluation.figures import Rate
from evaluation.markdown import share, table
from image_io import write_bytes

TABLE_FILE = "drift.csv"
_RATES = ("located", "recall", "precision", "accuracy", "verdict_flips", "status_flips")
_CURVES = (("recall", "#1b6ca8", "o"), ("precision", "#2a9d4a", "s"), ("verdict_flips", "#c1272d", "^"))


def picture_name(kind: str) -> str:
    """File name of the curve of one kind."""
    return f"drift_{kind}.png"


def write_drift(drift: Drift, folder: Path | str) -> list[Path]:
    """Write the table and the curves into an existing folder; returns the paths. Raises OutputError."""
    folder = Path(folder)
    files = {TABLE_FILE: drift_table(drift).encode("utf-8")}
    files |= {picture_name(kind): drift_picture(drift, kind) for kind in drift.kinds}
    for name, data in files.items():
        write_bytes(folder / name, data)
    return [folder / name for name in files]


def drift_table(drift: Drift) -> str:
    """CSV: one row per kind and level, each share with its 95 % interval and the counts behind it."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    columns = [rate + part for rate in _RATES for part in ("", "_low", "_high", "_count", "_of")]
    table.writerow(["disturbance", "level", "unit", *columns, "defect_change", "images", "not_assessed"])
    for level in drift.levels:
        change = level.disturbance
        rates = (getattr(level, name) for name in _RATES)
        cells = [cell for r in rates for cell in (_cell(r.value), _cell(r.low), _cell(r.high), r.count, r.total)]
        rest = [_cell(level.defect_change), len(drift.images), len(level.not_assessed)]
        table.writerow([change.kind, f"{change.level:g}", change.unit, *cells, *rest])
    return stream.getvalue()


def _cell(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""


def drift_picture(drift: Drift, kind: str) -> bytes:
    """PNG of recall and precision with their intervals, and of the verdict flips, over the level of one kind."""
    spec, levels = DRIFT_LEVELS[kind], drift.of_kind(kind)
    places = [level.disturbance.level for level in levels]
    figure = Figure(figsize=(7.2, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axvline(spec.undisturbed, color="0.8", linewidth=6, zorder=0, label="undisturbed")
    for name, color, marker in _CURVES:
        rates = [getattr(level, name) for level in levels]
        axes.plot(places, [r.value for r in rates], color=color, marker=marker, label=name.replace("_", " "))
        if name != "verdict_flips":
            axes.fill_between(places, [r.low for r in rates], [r.high for r in rates], color=color, alpha=0.12)
    located = [level.located.value for level in levels]
    axes.plot(places, located, color="0.35", linestyle=":", label="fibres located")
    axes.set(ylim=(-0.03, 1.03), ylabel="share", xlabel=f"{spec.title} ({spec.unit})" if spec.unit else spec.title)
    axes.set_title(f"{kind}: {len(drift.images)} images, profile {drift.profile}")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def drift_markdown(drift: Drift) -> list[str]:
    """Lines of a section with one table and one picture per kind; the pictures lie beside the report."""
    rates = {"recall": min, "precision": min, "verdict_flips": max}
    worst = [[kind, *(_worst(drift.of_kind(kind), *rate) for rate in rates.items())] for kind in drift.kinds]
    lines = [
        "## Drift",
        "",
        f"{len(drift.images)} images, profile {drift.profile}, disturbed together with their truth. In brackets: 95 % "
        "interval, by a bootstrap over images. A flip is a verdict other than that of the undisturbed picture, or a "
        "fibre that is no longer found. The reach within which a defect counts as found is a fixed number of pixels: a "
        "smaller magnification is judged more leniently.",
        "",
        *table(["disturbance", "lowest recall", "lowest precision", "most verdict flips"], worst),
    ]
    for kind in drift.kinds:
        lines += _kind_section(drift, kind)
    if drift.problems:
        lines += ["### Could not be assessed", "", *(f"- {problem}" for problem in drift.problems), ""]
    return lines


def _worst(levels: Sequence[DriftLevel], name: str, worse: Callable) -> str:
    """The worst value of a rate, and where; the undisturbed level when none is worse."""
    known = [level for level in levels if math.isfinite(getattr(level, name).value)]
    if not known:
        return "-"
    known.sort(key=lambda level: not level.disturbance.is_identity)
    worst = worse(known, key=lambda level: getattr(level, name).value)
    where = "undisturbed" if worst.disturbance.is_identity else f"{worst.disturbance.level:g} {worst.disturbance.unit}"
    return f"{share(getattr(worst, name).value)}, {where.rstrip()}"


def _kind_section(drift: Drift, kind: str) -> list[str]:
    spec, levels = DRIFT_LEVELS[kind], drift.of_kind(kind)
    head = [f"{spec.title} ({spec.unit})" if spec.unit else spec.title, "located", "recall", "precision"]
    head += ["image accuracy", "verdict flips", "status flips", "defects"]
    lines = [f"### {kind.capitalize()}", "", f"![{kind}]({picture_name(kind)})", "", *table(head, map(_row, levels))]
    flips = {name: [level for level in levels if name in level.flipped] for name in drift.images}
    named = [
        f"{name} ({', '.join(f'{f.disturbance.level:g}' for f in found)})" for name, found in flips.items() if found
    ]
    return [*lines, f"Verdicts that flip: {', '.join(named)}.", ""] if named else lines


def _row(level: DriftLevel) -> list[str]:
    place = f"{level.disturbance.level:g}"
    plain = (share(level.located.value), _interval(level.recall), _interval(level.precision))
    verdicts = (share(rate.value) for rate in (level.accuracy, level.verdict_flips, level.status_flips))
    more = f"{level.defect_change:+.2f}" if math.isfinite(level.defect_change) else "-"
    return [f"**{place}**" if level.disturbance.is_identity else place, *plain, *verdicts, more]


def _interval(rate: Rate) -> str:
    known = math.isfinite(rate.value)
    return f"{share(rate.value)} [{share(rate.low)}, {share(rate.high)}]" if known else "-"
