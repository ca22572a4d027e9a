"""What a training is asked for, and what it answers: the same for every task and every library."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli.interrupts import StopRequest
from settings import Config

LAST, BEST = "last.pt", "model.pt"  # of PyTorch
KERAS_LAST, KERAS_BEST, KERAS_H5 = "last.npz", "model.keras", "model.h5"
ONNX, RUN = "model.onnx", "run.json"
CURVES, CONFUSION = "curves.png", "confusion.png"
STATES = (LAST, BEST, KERAS_LAST, KERAS_BEST)  # what a training is known by before it is finished
logger = logging.getLogger("dscope.learning")


@dataclass(frozen=True)
class TrainingJob:
    """The options of ``python -m learning.train``, checked; ``size`` None: the task's own."""

    dataset: Path
    out: Path
    task: str
    arch: str
    epochs: int
    batch: int
    lr: float
    seed: int
    device: str  # auto | cpu | cuda
    patience: int
    resume: bool
    limit: int | None
    size: int | None
    config: Config
    stop: StopRequest
    advance: Callable[[str], None]  # called with what is finished: an image located, an epoch


@dataclass(frozen=True)
class Outcome:
    """The lines of the closing summary; ``interrupted``: --resume would go on."""

    lines: tuple[str, ...]
    interrupted: bool = False
