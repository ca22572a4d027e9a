"""Pictures of a training as PNG: how the losses went, and what was taken for what."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_MOST_LETTERS = 18


def curves_plot(epochs: Sequence[Mapping[str, float]], best_epoch: int) -> bytes:
    """PNG: losses of train and val, and the score on val, over the epochs; a line marks the epoch that was kept."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    numbers = [epoch["epoch"] for epoch in epochs]
    for name, color in (("train_loss", "#1f6fb4"), ("val_loss", "#e07b1a")):
        left.plot(numbers, [epoch[name] for epoch in epochs], "o-", color=color, markersize=3, label=name[:-5])
    right.plot(numbers, [epoch["val_score"] for epoch in epochs], "o-", color="#3a9a5b", markersize=3)
    for axes in (left, right):
        axes.axvline(best_epoch, color="#999999", linewidth=0.8, linestyle="--")
        axes.set(xlabel="epoch", xlim=(0.5, max(numbers) + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
    left.set(ylabel="loss")
    left.legend(fontsize=8)
    right.set(ylabel="mean F1 on val", ylim=(-0.02, 1.05))
    return _png(figure)


def confusion_plot(matrices: Mapping[str, np.ndarray], classes: Sequence[str]) -> bytes:
    """PNG: the confusion matrix of each split, its numbers written in, coloured by the share of the true class."""
    names = [name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…" for name in classes]
    side = 2.2 + 0.55 * len(names)
    figure = Figure(figsize=(side * len(matrices) + 0.6, side), layout="constrained")
    for axes, (split, matrix) in zip(np.atleast_1d(figure.subplots(1, len(matrices))), matrices.items(), strict=True):
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), number in np.ndenumerate(matrix):
            color = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, f"{number:,}", ha="center", va="center", color=color, fontsize=8)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor", parse_math=False)
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set(title=split, xlabel="predicted", ylabel="true")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
