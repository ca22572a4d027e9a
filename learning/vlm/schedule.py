"""Which pictures a step of the training sees, on which device, and how fast it learns then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np


def plan_steps(pictures: int, seed: int, epoch: int, size: int) -> list[list[int]]:
    """The pictures of each step of an epoch, in an order of its own; the last step may have fewer."""
    order = np.random.default_rng([seed, epoch]).permutation(pictures).tolist()
    return chunks(order, size)


def rows_of(rows: Sequence[int], process: int, processes: int) -> list[int]:
    """The pictures of a step for one process; all get as many, so that a few may come twice."""
    each = math.ceil(len(rows) / processes)
    return list(islice(cycle(rows), process * each, (process + 1) * each))


def rate_factor(step: int, steps: int, warmup_share: float) -> float:
    """The learning rate of a step (from 0) over the highest: up in a line, then down to zero as a cosine."""
    rising = math.ceil(steps * warmup_share)
    if step < rising:
        return (step + 1) / rising
    return 0.5 + 0.5 * math.cos(math.pi * (step - rising) / max(1, steps - rising))


def spread(count: int, wanted: int) -> list[int]:
    """So many of the numbers below ``count``, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()


def chunks(rows: Sequence[int], size: int) -> list[Sequence[int]]:
    """The numbers in groups of ``size``, the last one with what is left."""
    return [rows[k : k + size] for k in range(0, len(rows), size)]


def seed_of(*numbers: int) -> int:
    """A seed that is another one for all other numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
