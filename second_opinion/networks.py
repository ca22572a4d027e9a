"""What a network is to an inspection: a function from inputs to probabilities, and what its classes are called.

Nothing here knows how a network is stored or run, so that it can be anything; see :mod:`second_opinion.models`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from records import ARTIFACT, CLASS_OF_KIND
from second_opinion.face_input import InputForm
from second_opinion.patch_input import PatchForm

QUALITY, PATCH, SEGMENT = "quality", "patch", "segment"
TASKS = (QUALITY, PATCH, SEGMENT)
MARK = "mark"  # the class of segment that is a witness
CLASS_OF_ANSWER = {**CLASS_OF_KIND, "artifact": ARTIFACT}  # what the classes of patch mean in a record


@dataclass(frozen=True)
class ModelFile:
    """A file with a trained network, as it was when the settings were made."""

    task: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Network:
    """A network that answers: ``run`` takes inputs (N, channels, size, size) float32 of ``form``.

    It gives probabilities (N, classes), of segment (N, classes, size, size).
    """

    task: str
    classes: tuple[str, ...]
    form: InputForm | PatchForm
    run: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Networks:
    """The networks that an inspection asks; None = it does without."""

    quality: Network | None = None
    patch: Network | None = None
    segment: Network | None = None
