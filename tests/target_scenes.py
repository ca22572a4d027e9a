"""Random pictures of calibration targets for the accuracy tests; everything follows from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrology.target import TargetLimits, measure_target
from rendering.targets import render_dot_grid, render_ruler


@dataclass(frozen=True)
class Trial:
    """``error``: relative; ``sigmas``: the error in units of the uncertainty that was claimed."""

    error: float
    sigmas: float
    seed: int


def run_trial(kind: str, seed: int, *, size: tuple[int, int] = (640, 480)) -> Trial:
    """Render a target of ``kind`` ("dots", "ruler") with random disturbances and measure it."""
    random = np.random.default_rng([seed, 7])
    picture, truth = (_dots if kind == "dots" else _ruler)(random, size)
    scale = measure_target(picture, limits=TargetLimits())
    off = scale.um_per_px - truth.um_per_px
    return Trial(off / truth.um_per_px, off / scale.uncertainty_um_per_px, seed)


def _common(random: np.random.Generator, size: tuple[int, int], spacing: tuple[float, float], dust: float) -> dict:
    spacing_px = float(np.exp(random.uniform(*np.log(spacing))))
    return {
        "size": size,
        "spacing_px": spacing_px,
        "noise_grey": random.uniform(0, 8),
        "gradient": random.uniform(0, 0.5),
        "vignetting": random.uniform(0, 0.2),
        "dust": int(min(random.integers(0, 60), dust * size[0] * size[1] / spacing_px**2)),
        "scratches": int(random.integers(0, 3)),
        "k1": random.uniform(-0.02, 0.02) if random.random() < 0.5 else 0.0,
        "blur_px": random.uniform(0.3, max(0.4, min(spacing_px / 8, 6.0))),
        "offset_px": tuple(random.uniform(-20, 20, 2)),
        "seed": int(random.integers(1_000_000_000)),
    }


def _dots(random: np.random.Generator, size: tuple[int, int]):
    # the widest spacing still leaves a dozen dots and a few more for those that are missing
    widest = min(120.0, float(np.sqrt(size[0] * size[1] / 22)))
    options = _common(random, size, (8.0, widest), 0.15)
    options |= {
        "rotation_deg": random.uniform(0, 45),
        "missing_share": random.uniform(0, 0.3) if options["spacing_px"] < 0.6 * widest else random.uniform(0, 0.1),
        "dot_share": random.uniform(0.3, 0.6),
        "bright_dots": bool(random.random() < 0.4),
    }
    if random.random() < 0.3:
        options |= {"x_stretch": random.uniform(0.99, 1.01), "shear_deg": random.uniform(-0.3, 0.3)}
    return render_dot_grid(**options)


def _ruler(random: np.random.Generator, size: tuple[int, int]):
    widest = min(120.0, size[1] / 7)
    options = _common(random, size, (6.0, widest), 0.25)
    options |= {
        "rotation_deg": random.uniform(0, 180),
        "missing_share": random.uniform(0, 0.1) if options["spacing_px"] < 0.6 * widest else 0.0,
        "tick_share": random.uniform(0.2, 0.5),
        "tick_length_px": random.uniform(0.17, 0.5) * size[1],
        "longer_ticks": bool(random.random() < 0.7),
        "bright_ticks": bool(random.random() < 0.4),
    }
    return render_ruler(**options)
