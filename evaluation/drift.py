"""Drift: how recall, precision and verdicts change when the same pictures are disturbed more and more.

    drift = run_drift(truths, settings, images=12, jobs=2, on_finished=lambda done, total: ...)
    write_drift(drift, folder)         # evaluation.drift_report: drift.csv and one drift_KIND.png per kind
    lines += drift_markdown(drift)     # evaluation.drift_report: a section that shows those pictures
    data["drift"] = drift.to_dict()    # JSON-ready

Every picture is inspected once as it is and once per level of every kind in ``evaluation.disturbances.DRIFT_LEVELS``;
truth and picture are disturbed together. The pool spawns, so the caller's module needs its ``__main__`` guard.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

import image_io
from errors import BlinkError
from evaluation.assessment import assess, not_assessed
from evaluation.disturbances import DRIFT_LEVELS, Disturbance, default_disturbances, disturb
from evaluation.figures import Rate
from evaluation.matching import JUDGED_SHARE
from evaluation.pool import run_tasks
from evaluation.results import ImageResult
from evaluation.statistics import Resampling, detection, image_accuracy, localisation
from evaluation.truth import TruthImage, read_labels
from inspection_settings import InspectionSettings
from plain_data import jsonable
from records import FAIL, LOCALIZATION_FAILED, NAN, PASS, UNREADABLE

IMAGES = 12  # of a set, evenly spread: the default takes minutes, not hours
UNDISTURBED = Disturbance("illumination", DRIFT_LEVELS["illumination"].undisturbed, "%")


@dataclass(frozen=True)
class DriftLevel:
    """All images at one level of one kind. Images that could not be assessed count as flips, and only there.

    A flip is a verdict other than that of the undisturbed picture: clean or defective, and PASS or FAIL. It is asked
    where the undisturbed picture has such a verdict; no fibre found is a flip, a verdict left open is none.
    """

    disturbance: Disturbance
    located: Rate
    recall: Rate
    precision: Rate
    accuracy: Rate  # images rightly called clean or defective
    verdict_flips: Rate
    status_flips: Rate
    defect_change: float  # mean difference of the number of reported defects, where a fibre was found
    flipped: tuple[str, ...] = ()  # images whose clean or defective flips
    not_assessed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drift:
    """Every level of every kind, in the order of the kinds, over the same ``images``."""

    profile: str
    images: tuple[str, ...]
    levels: tuple[DriftLevel, ...]
    problems: tuple[str, ...] = ()  # one sentence for each picture that could not be assessed

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that were tried."""
        return tuple(dict.fromkeys(level.disturbance.kind for level in self.levels))

    def of_kind(self, kind: str) -> tuple[DriftLevel, ...]:
        """The levels of one kind, ascending."""
        return tuple(level for level in self.levels if level.disturbance.kind == kind)

    def to_dict(self) -> dict[str, object]:
        """JSON-ready copy (NaN becomes None)."""
        return jsonable(dataclasses.asdict(self))


@dataclass(frozen=True)
class Task:
    """One picture to disturb and inspect; small, because it travels to another process."""

    truth: TruthImage
    disturbance: Disturbance
    settings: InspectionSettings
    judged_share: float


def run_drift(
    truths: Sequence[TruthImage],
    settings: InspectionSettings,
    *,
    images: int = IMAGES,
    jobs: int = 1,
    judged_share: float = JUDGED_SHARE,
    disturbances: Sequence[Disturbance] | None = None,
    on_finished: Callable[[int, int], None] = lambda done, total: None,
) -> Drift:
    """Disturb and inspect ``images`` of the set, in ``jobs`` processes (1: in this one).

    ``disturbances`` are all by default; the undisturbed picture is always inspected, too, once for all kinds.
    ``on_finished`` gets the number of finished and of all inspections. What goes wrong with a picture becomes a
    sentence in the result.
    """
    chosen = spread_over(truths, images)
    wanted = tuple(default_disturbances() if disturbances is None else disturbances)
    changes = (UNDISTURBED, *(change for change in wanted if not change.is_identity))
    tasks = [Task(truth, change, settings, judged_share) for truth in chosen for change in changes]
    results: dict[Disturbance, dict[str, ImageResult]] = {change: {} for change in changes}
    for done, (task, result) in enumerate(run_tasks(assess_disturbed, tasks, jobs), start=1):
        outcome = not_assessed(task.truth, settings, "The process died.") if result is None else result
        results[task.disturbance][task.truth.name] = outcome
        on_finished(done, len(tasks))
    names = [truth.name for truth in chosen]
    before = [results[UNDISTURBED][name] for name in names]
    levels = []
    for kind in dict.fromkeys(change.kind for change in wanted):
        same = Disturbance(kind, DRIFT_LEVELS[kind].undisturbed, DRIFT_LEVELS[kind].unit)
        for change in sorted({same, *(c for c in wanted if c.kind == kind)}, key=lambda c: c.level):
            after = before if change.is_identity else [results[change][name] for name in names]
            levels.append(drift_level(change, before, after))
    problems = [
        f"{name}, {'undisturbed' if change.is_identity else change.text}: {of_name[name].problem}"
        for change, of_name in results.items()
        for name in names
        if of_name[name].problem
    ]
    return Drift(settings.config.profile, tuple(names), tuple(levels), tuple(problems))


def spread_over(truths: Sequence[TruthImage], count: int) -> list[TruthImage]:
    """At most ``count`` images, evenly spread over the set, first and last included; raises ValueError below 1."""
    if count < 1:
        raise ValueError(f"at least one image is needed, got {count}")
    places = np.linspace(0, len(truths) - 1, min(count, len(truths))).round().astype(int)
    return [truths[place] for place in places]


def assess_disturbed(task: Task) -> ImageResult:
    """Read, disturb, inspect and score one picture; whatever goes wrong becomes a result that says so."""
    truth, settings = task.truth, task.settings
    try:
        image = image_io.read_image(truth.image_path, max_pixels=settings.config.preprocessing.max_image_pixels)
    except BlinkError as error:
        return replace(not_assessed(truth, settings, str(error)), status=UNREADABLE)
    try:
        labels = read_labels(truth, image.grey.shape)
        grey, labels, truth = disturb(image.grey, labels, truth, task.disturbance)
        image = replace(image, grey=grey, name=truth.name)
        return assess(image, labels, truth, settings, judged_share=task.judged_share)
    except BlinkError as error:
        return not_assessed(truth, settings, str(error))
    except Exception as error:
        return not_assessed(truth, settings, f"Internal error ({type(error).__name__}: {error}).")


# --- one level -------------------------------------------------------------------------------------------------------


def drift_level(change: Disturbance, before: Sequence[ImageResult], after: Sequence[ImageResult]) -> DriftLevel:
    """Figures of one level; ``before`` and ``after`` are of the same images in the same order."""
    used = [result for result in after if not result.problem]
    draws, all_draws = Resampling(len(used)), Resampling(len(after))
    found = detection("all", used, draws)
    pairs = list(zip(before, after, strict=True))
    verdicts = [_flip(b.verdict, a.verdict, lost=_is_lost(a)) for b, a in pairs]
    statuses = [_flip(b.status if b.status in (PASS, FAIL) else None, a.status, lost=_is_lost(a)) for b, a in pairs]
    changes = [len(a.reported) - len(b.reported) for b, a in pairs if not _is_lost(a) and not _is_lost(b)]
    return DriftLevel(
        disturbance=change,
        located=localisation(used, draws).located,
        recall=found.recall,
        precision=found.precision,
        accuracy=image_accuracy(used, draws).accuracy,
        verdict_flips=_flip_rate(verdicts, all_draws),
        status_flips=_flip_rate(statuses, all_draws),
        defect_change=float(np.mean(changes)) if changes else NAN,
        flipped=tuple(result.name for result, flip in zip(before, verdicts, strict=True) if flip),
        not_assessed=tuple(result.name for result in after if result.problem),
    )


def _is_lost(result: ImageResult) -> bool:
    return bool(result.problem) or result.status == LOCALIZATION_FAILED


def _flip(before: str | None, after: str | None, *, lost: bool) -> bool | None:
    """Whether a verdict changed; None where there was none to change."""
    if before is None:
        return None
    return lost or (after is not None and after != before)


def _flip_rate(flips: Sequence[bool | None], draws: Resampling) -> Rate:
    return draws.rate([flip is True for flip in flips], [flip is not None for flip in flips])
