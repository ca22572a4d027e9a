"""A task for worker processes that imports nothing heavy."""

import math
import os


def sqrt_or_die(number: float) -> float:
    """The root of a number; 0 ends the process."""
    if number == 0:
        os._exit(1)
    return math.sqrt(number)
