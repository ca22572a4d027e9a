"""What the networks say of one end face. A network that fails says nothing, and a sentence says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from records import NAN, Ellipse
from second_opinion.face_input import REACH_SHARE, network_input
from second_opinion.networks import CLASS_OF_ANSWER, MARK, Network
from second_opinion.patch_input import cut_out, middle_of, patch_input
from settings import LearningSettings
from vision.witness import Witness

_AT_ONCE = 256  # pieces that are in memory together; more marks than that are rare
Pixels = tuple[np.ndarray, np.ndarray]  # rows and columns


class Opinion(NamedTuple):
    """A class and its probability; an empty class where a network has said nothing."""

    name: str = ""
    confidence: float = NAN


def opinion_on_face(network: Network, grey: np.ndarray, cladding: Ellipse) -> tuple[Opinion, list[str]]:
    """What ``quality`` says of the face in an image (H, W) uint8, and warnings."""
    found, warnings = _asked(network, network_input(grey, cladding, network.form)[None])
    return (Opinion() if found is None else _likeliest(network, found[0])), warnings


def opinions_on_marks(
    network: Network, grey: np.ndarray, cladding: Ellipse, marks: Sequence[Pixels]
) -> tuple[list[Opinion], list[str]]:
    """What ``patch`` says of each mark, and warnings; all marks are asked about together."""
    opinions: list[Opinion] = []
    for start in range(0, len(marks), _AT_ONCE):
        places = [middle_of(rows, cols) for rows, cols in marks[start : start + _AT_ONCE]]
        pieces = [patch_input(cut_out(grey, cladding, x, y), network.form) for x, y in places]
        found, warnings = _asked(network, np.stack(pieces))
        if found is None:
            return [Opinion()] * len(marks), warnings
        likeliest = (_likeliest(network, row) for row in found)
        opinions += [Opinion(CLASS_OF_ANSWER[item.name], item.confidence) for item in likeliest]
    return opinions, []


def witness_of(
    network: Network, grey: np.ndarray, cladding: Ellipse, settings: LearningSettings
) -> tuple[Witness | None, list[str]]:
    """``segment`` as a witness in the fusion, None where it says nothing; and warnings."""
    found, warnings = _asked(network, network_input(grey, cladding, network.form)[None])
    if found is None:
        return None, warnings
    probability = found[0, network.classes.index(MARK)].astype(np.float32)
    voice = (settings.segment_weight, settings.segment_threshold, settings.segment_odds)
    return Witness(probability, REACH_SHARE, *voice), []


def _likeliest(network: Network, probabilities: np.ndarray) -> Opinion:
    best = int(np.argmax(probabilities))
    return Opinion(network.classes[best], float(probabilities[best]))


def _asked(network: Network, inputs: np.ndarray) -> tuple[np.ndarray | None, list[str]]:
    """Its probabilities; or None, and the warning that it gives none."""
    try:
        probabilities = network.run(inputs)
    except MemoryError:  # the image is to be tried again, with more of it
        raise
    except Exception as error:  # whatever its operators raise
        why = f"it failed ({type(error).__name__})"
    else:
        if np.isfinite(probabilities).all():
            return probabilities, []
        why = "its probabilities are not finite"
    return None, [f"The {network.task} network says nothing of this image: {why}."]
