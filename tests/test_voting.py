"""Votes: who responds, what that is worth, what is confirmed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faces import shipped_config

from vision.evidence import Evidence
from vision.voting import cast_votes

DETECTION = replace(shipped_config().detection, confidence_threshold=1.0)
INSIDE = np.array([[True, True, True, False]])


def evidence(name: str, weight: float, dark: list[float]) -> Evidence:
    return Evidence(name, weight, 3.0, np.array([dark], np.float32), np.zeros((1, 4), np.float32))


TWO = [evidence("DO2MR", 0.4, [5, 0, 3, 9]), evidence("BlackHat", 0.6, [5, 5, 2.9, 9])]


def test_confirmed_is_where_the_weights_reach_the_threshold_inside():
    assert cast_votes(TWO, None, INSIDE, -1, DETECTION).confirmed.tolist() == [[True, False, False, False]]
    assert not cast_votes(TWO, None, INSIDE, 1, DETECTION).confirmed.any()


def test_voters_and_confidence_of_a_region_are_those_of_its_pixels_together():
    votes = cast_votes(TWO, None, INSIDE, -1, DETECTION)
    assert votes.voters(np.array([0, 0]), np.array([1, 2])) == ("DO2MR", "BlackHat")
    assert votes.voters(np.array([0]), np.array([1])) == ("BlackHat",)
    assert votes.confidence(np.array([0, 0]), np.array([1, 2])) == pytest.approx(0.6)
    assert votes.confidence(np.array([0]), np.array([0])) == pytest.approx(1.0)


def test_the_skeleton_votes_with_its_own_weight():
    skeleton = np.array([[False, True, True, True]])
    votes = cast_votes(TWO, skeleton, INSIDE, -1, DETECTION)
    assert votes.voters(np.array([0]), np.array([1])) == ("BlackHat", "Skeleton")
    weight = 0.6 + DETECTION.algorithms.skeleton.weight
    assert votes.confidence(np.array([0]), np.array([1])) == pytest.approx(weight)


def test_both_compact_detectors_or_none_at_all():
    assert cast_votes(TWO, None, INSIDE, -1, DETECTION).both_compact().tolist() == [[True, False, False, True]]
    assert cast_votes(TWO[:1], None, INSIDE, -1, DETECTION).both_compact() is None
