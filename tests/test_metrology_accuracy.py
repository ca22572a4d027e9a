"""The scale is within 0.1 %, and the uncertainty covers the error, on random pictures of targets.

A quick check runs always. ``pytest -m accuracy -s`` takes minutes and prints the figures.
"""

from __future__ import annotations

import numpy as np
import pytest
from target_scenes import Trial, run_trial


def _assessed(kind: str, seeds: range, size: tuple[int, int]) -> tuple[Trial, float, float]:
    """The trial with the largest error, the share of errors within two uncertainties, and their median in these."""
    trials = [run_trial(kind, seed, size=size) for seed in seeds]
    worst = max(trials, key=lambda trial: abs(trial.error))
    sigmas = np.abs([trial.sigmas for trial in trials])
    covered = float(np.mean(sigmas <= 2))
    print(
        f"{kind}: {len(trials)} trials, worst error {worst.error:+.4%} (seed {worst.seed}), "
        f"{covered:.1%} within 2 sigma, rms {np.sqrt(np.mean(sigmas**2)):.2f} sigma"
    )
    return worst, covered, float(np.median(sigmas))


@pytest.mark.parametrize("kind", ["dots", "ruler"])
def test_a_few_trials(kind):
    worst, covered, usual = _assessed(kind, range(16), (320, 256))
    assert abs(worst.error) < 0.001, worst
    assert covered >= 0.9
    assert usual > 0.1, "the uncertainty is far larger than the errors"


@pytest.mark.accuracy
@pytest.mark.parametrize("kind", ["dots", "ruler"])
def test_three_hundred_trials(kind):
    worst, covered, usual = _assessed(kind, range(1000, 1150), (640, 480))
    assert abs(worst.error) < 0.001, worst
    assert covered >= 0.95
    assert usual > 0.1, "the uncertainty is far larger than the errors"
