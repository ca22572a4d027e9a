"""Plots of an evaluation as PNG: recall by size and contrast, measured against true sizes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evaluation.figures import Detection, Figures
from evaluation.marks import CONTRAST_BANDS, SIZE_BANDS
from evaluation.results import ImageResult
from evaluation.statistics import MEASURES
from records import DEFECT_CLASSES

_COLORS = ("#1f6fb4", "#e07b1a", "#3a9a5b", "#8a5bb5", "#777777")
_MARKERS = ("x", "o", "s", "^", "D")


def recall_plot(every: Sequence[Figures]) -> bytes:
    """PNG: recall by contrast band and by size band with 95 % intervals, the profiles side by side."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _bars(left, CONTRAST_BANDS, [(item.profile, item.by_contrast) for item in every])
    _bars(right, SIZE_BANDS, [(item.profile, item.by_size) for item in every])
    left.set(xlabel="contrast (sigma of the noise)", ylabel="recall", ylim=(0, 1.05))
    right.set(xlabel="diameter (share of the cladding's)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(every), fontsize=8)
    return _png(figure)


def size_plot(results: Sequence[ImageResult]) -> bytes:
    """PNG: measured against true length, width, diameter and area of the found defects, in pixels, log scales."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    found = [d for result in results for d in result.asked if d.found and d.measured is not None]
    for axes, measure in zip(figure.subplots(2, 2).flat, MEASURES, strict=True):
        field = f"{measure}_px"
        for kind, color, marker in zip(DEFECT_CLASSES, _COLORS, _MARKERS, strict=True):
            pairs = [(getattr(d.sizes, field), getattr(d.measured, field)) for d in found if d.kind == kind]
            if pairs:
                axes.scatter(*zip(*pairs, strict=True), s=18, c=color, marker=marker, label=kind, alpha=0.7)
        sizes = [getattr(s, field) for d in found for s in (d.sizes, d.measured)]
        limits = (0.8 * min(sizes), 1.25 * max(sizes)) if sizes else (1, 100)
        axes.plot(limits, limits, color="#999999", linewidth=0.8, zorder=0)
        unit = "px2" if measure == "area" else "px"
        axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits, title=measure, aspect="equal")
        axes.set(xlabel=f"true ({unit})", ylabel=f"measured ({unit})")
    if found:
        figure.axes[0].legend(fontsize=8)
    return _png(figure)


def _bars(axes: Axes, bands: Sequence[str], profiles: Sequence[tuple[str, Sequence[Detection]]]) -> None:
    width = 0.8 / len(profiles)
    for number, (profile, groups) in enumerate(profiles):
        by_name = {group.name: group.recall for group in groups}
        for place, band in enumerate(bands):
            rate = by_name.get(band)
            if rate is None or not rate.total:
                continue
            x = place + (number - (len(profiles) - 1) / 2) * width
            axes.bar(x, rate.value, width * 0.92, color=_COLORS[number % len(_COLORS)])
            axes.vlines(x, rate.low, rate.high, color="black", linewidth=1)
            axes.text(x, 0.02, f"{rate.count}/{rate.total}", ha="center", fontsize=7, color="white")
        axes.bar(0, 0, color=_COLORS[number % len(_COLORS)], label=profile)
    axes.set_xticks(np.arange(len(bands)), bands)


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
