"""The files of an evaluation: ``evaluation.csv``, ``evaluation.json``, ``validation_v1.md`` and ``pictures/``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from errors import OutputError
from evaluation import markdown, plots
from evaluation.baseline import Baseline, compare_runs
from evaluation.comparison import Comparison
from evaluation.crops import file_part, worst_false_alarms, worst_misses, write_crops
from evaluation.figures import Figures
from evaluation.results import SCHEMA_VERSION, Evaluation, ImageResult
from evaluation.statistics import compute_figures
from evaluation.truth import TruthImage
from image_io import write_bytes
from plain_data import jsonable
from reports.tables import csv_bytes

JSON_NAME, CSV_NAME, MARKDOWN_NAME = "evaluation.json", "evaluation.csv", "validation_v1.md"
PICTURES_FOLDER = "pictures"
RECALL_PLOT = "recall.png"
_OURS = ("missed_*.png", "false_*.png", "sizes_*.png", RECALL_PLOT)  # in the folder for pictures
_OF_DRIFT = ("drift.csv", "drift_*.png")  # beside the report


def prepare_folder(folder: Path, *, overwrite: bool) -> None:
    """Make the folder ready; with ``overwrite`` an earlier evaluation in it is deleted, other files stay.

    Raises :class:`OutputError`.
    """
    pictures = folder / PICTURES_FOLDER
    old = [path for name in (JSON_NAME, CSV_NAME, MARKDOWN_NAME) if (path := folder / name).exists()]
    if old and not overwrite:
        raise OutputError(
            f"{folder} already holds an evaluation ({old[0].name}).", "Use --overwrite, or choose another -o."
        )
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, not a folder.", "Choose another -o.")
    try:
        pictures.mkdir(parents=True, exist_ok=True)
        drawn = [path for pattern in _OURS for path in pictures.glob(pattern)]
        drifted = [path for pattern in _OF_DRIFT for path in folder.glob(pattern) if old]
        for path in (*old, *drawn, *drifted):
            path.unlink()
        for place in (folder, pictures):
            (place / ".write_test.tmp").write_bytes(b"")
            (place / ".write_test.tmp").unlink()
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"Cannot write to {folder}: {reason}.", "Check its permissions, or choose another -o."
        ) from error


def write_evaluation(
    folder: Path, evaluation: Evaluation, truths: Sequence[TruthImage], baseline: Baseline | None
) -> tuple[list[Figures], int, int]:
    """Write all files into a prepared folder; raises :class:`OutputError`.

    Returns the figures per profile, and how many figures are better and worse than those of the baseline.
    """
    every = [compute_figures(run.results) for run in evaluation.runs]
    comparisons = [] if baseline is None else list(compare_runs(baseline, evaluation))
    write_bytes(folder / CSV_NAME, csv_bytes(csv_table(evaluation)))
    data = jsonable(_json_tree(evaluation, every, comparisons))
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    write_bytes(folder / JSON_NAME, text.encode("utf-8", "backslashreplace"))
    lines = _report_lines(folder, evaluation, every, comparisons, {truth.name: truth for truth in truths})
    write_bytes(folder / MARKDOWN_NAME, "\n".join([*lines, ""]).encode("utf-8", "backslashreplace"))
    better, worse = zip(*(markdown.changed(c.figures) for c in comparisons), strict=True) if comparisons else ((), ())
    return every, sum(better), sum(worse)


# --- the report ------------------------------------------------------------------------------------------------------


def _report_lines(
    folder: Path,
    evaluation: Evaluation,
    every: Sequence[Figures],
    comparisons: Sequence[Comparison],
    truths: Mapping[str, TruthImage],
) -> list[str]:
    """Write the pictures and return the lines of the report."""
    pictures = folder / PICTURES_FOLDER
    write_bytes(pictures / RECALL_PLOT, plots.recall_plot(every))
    size_names = []
    for run in evaluation.runs:
        name = f"sizes_{file_part(run.profile)}.png"
        write_bytes(pictures / name, plots.size_plot(run.results))
        size_names.append(f"{PICTURES_FOLDER}/{name}")
    lines = [*_head(evaluation), *markdown.summary_section(every)]
    for comparison in comparisons:
        lines += markdown.comparison_section(comparison)
    lines += markdown.groups_section(every, [f"{PICTURES_FOLDER}/{RECALL_PLOT}"])
    lines += markdown.confusion_section(every)
    lines += markdown.localisation_section(every)
    lines += markdown.sizes_section(every, size_names)
    lines += markdown.verdicts_section(every)
    for run in evaluation.runs:
        chosen = worst_misses(run.results), worst_false_alarms(run.results)
        misses, alarms = (write_crops(items, run.results, truths, pictures) for items in chosen)
        lines += markdown.crops_section(run.profile, misses, alarms, PICTURES_FOLDER)
    for run in evaluation.runs:
        lines += markdown.images_section(run.results)
    return [*lines, *evaluation.sections]


def _head(evaluation: Evaluation) -> list[str]:
    about = evaluation.about
    lines = [
        "# Validation",
        "",
        f"{about['program']} {about['version']}, {about['start']}. Set: `{about['folder']}`. True defects are asked "
        f"for, and reports counted, within {evaluation.judged_share:g} of the cladding radius. Where the truth gives "
        "the fibre's dimensions, the inspection was given them, too.",
        "",
        *(f"- Settings of {run.profile}: {run.settings_sha256[:16]}" for run in evaluation.runs),
        "",
    ]
    if evaluation.skipped:
        lines += ["Not evaluated:", "", *(f"- {sentence}" for sentence in evaluation.skipped), ""]
    return lines


# --- tables ----------------------------------------------------------------------------------------------------------


def csv_table(evaluation: Evaluation) -> Iterator[Sequence[Any]]:
    """The column names, then one row per profile and image."""
    rows = [_csv_row(result) for run in evaluation.runs for result in run.results]
    yield list(rows[0]) if rows else []
    yield from (list(row.values()) for row in rows)


def _csv_row(result: ImageResult) -> dict[str, Any]:
    found = [d for d in result.asked if d.found]
    row = {
        "Image_Filename": result.name,
        "Profile": result.profile,
        "Face": result.face,
        "Status": result.status,
        "True_Verdict": result.truth_verdict,
        "Verdict": result.verdict,
        "Located": result.located,
        "Center_Error_Share": result.centre_error_share,
        "Radius_Error_Share": result.radius_error_share,
        "Core_Error_Share": result.core_error_share,
        "True_Defects": len(result.asked),
        "Found": len(found),
        "Missed": len(result.missed),
        "Reported": len(result.reported),
        "False_Alarms": len(result.false_alarms),
        "Classes_Right": sum(d.kind == d.matched_kind for d in found),
        "Missed_Defects": "; ".join(f"{d.kind} {d.id}" for d in result.missed),
        "False_Alarm_Defects": "; ".join(f"{d.kind} {d.defect_id}" for d in result.false_alarms),
        "Time_s": result.time_s,
        "Problem": result.problem,
        "Warnings": "; ".join(result.warnings),
    }
    return {key: _cell(value) for key, value in row.items()}


def _cell(value: Any) -> Any:
    return (round(value, 5) if value == value else None) if isinstance(value, float) else value


def _json_tree(evaluation: Evaluation, every: Sequence[Figures], comparisons: Iterable[Comparison]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        **evaluation.about,
        "judged_share": evaluation.judged_share,
        "skipped": evaluation.skipped,
        "profiles": [
            {
                "profile": run.profile,
                "settings_sha256": run.settings_sha256,
                "figures": figures.to_dict(),
                "images": [result.to_dict() for result in run.results],
            }
            for run, figures in zip(evaluation.runs, every, strict=True)
        ],
        "comparison": [dataclasses.asdict(comparison) for comparison in comparisons],
        **evaluation.extra,
    }
