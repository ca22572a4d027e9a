"""An earlier evaluation.json, and this run compared with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import UsageError
from evaluation.comparison import Comparison, compare
from evaluation.results import SCHEMA_VERSION, Evaluation, ImageResult, ProfileRun
from evaluation.statistics import compute_figures


@dataclass(frozen=True)
class Baseline:
    """An earlier evaluation.json."""

    path: Path
    judged_share: float
    runs: tuple[ProfileRun, ...]


def read_baseline(path: Path) -> Baseline:
    """Read an evaluation.json; raises :class:`UsageError` for anything else."""
    remedy = "Name the evaluation.json of an earlier evaluation."
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version = data["schema_version"]
    except OSError as error:
        raise UsageError(f"The baseline {path} cannot be read: {error.strerror or error}.", remedy) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"The baseline {path} is no evaluation.", remedy) from error
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"The baseline {path} has format {version!r}, this version reads {SCHEMA_VERSION}.", "Evaluate it again."
        )
    try:
        runs = tuple(
            ProfileRun(run["profile"], run["settings_sha256"], tuple(map(ImageResult.from_dict, run["images"])))
            for run in data["profiles"]
        )
        return Baseline(path, float(data["judged_share"]), runs)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"The baseline {path} is damaged.", remedy) from error


def compare_runs(baseline: Baseline, evaluation: Evaluation) -> Iterator[Comparison]:
    """One comparison per profile that both have; two single profiles are compared whatever their names."""
    by_name = {run.profile: run for run in baseline.runs}
    only = len(baseline.runs) == len(evaluation.runs) == 1
    for run in evaluation.runs:
        before = baseline.runs[0] if only else by_name.get(run.profile)
        if before is not None:
            yield _compare_run(before, run, baseline, evaluation)


def _compare_run(before: ProfileRun, now: ProfileRun, baseline: Baseline, evaluation: Evaluation) -> Comparison:
    names = {r.name for r in before.results} & {r.name for r in now.results}
    shared = [[r for r in run.results if r.name in names] for run in (before, now)]
    notes = [f"Baseline: `{baseline.path}`; figures over the {len(names)} images that both have."]
    if before.profile != now.profile:
        notes.append(f"The baseline was made with the profile {before.profile}.")
    if before.settings_sha256 == now.settings_sha256:
        notes.append("Both were made with the same settings.")
    if baseline.judged_share != evaluation.judged_share:
        notes.append(f"The baseline was judged within {baseline.judged_share:g} of the radius.")
    figures = compute_figures(shared[0]), compute_figures(shared[1])
    return compare(before.results, now.results, profile=now.profile, figures=figures, notes=notes)
