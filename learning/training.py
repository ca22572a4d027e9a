"""Training: epochs, checkpoints, early stopping, and the figures at the end, whatever the task and the library.

An epoch depends on the state before it, the seed and its number alone, so that a training that is resumed ends as one
that was never disturbed.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from cli.run_info import VERSION, now
from errors import DataSetError
from image_io import write_bytes
from learning.loading import Loader
from learning.samples import Sample, Samples
from learning.scores import accuracy, class_scores, confusion
from learning.training_job import CONFUSION, CURVES, ONNX, RUN, STATES, Outcome, TrainingJob, logger

_BETTER_BY = 1e-4  # of the loss on val: less is chance
_STEADY_EPOCHS = 3  # without progress before the learning rate is halved
_EXAMPLES = 4  # inputs on which the exported model is compared


@dataclass(frozen=True)
class Objective:
    """What a network is to learn.

    ``rows`` names the values of a target that figures are kept for, and ``row_class`` says which class each is of:
    the kinds of marks, for a network that tells marks from background, are rows of one class.
    """

    classes: tuple[str, ...]
    rows: tuple[str, ...]
    row_class: tuple[int, ...]
    scored: tuple[int, ...]  # the classes whose F1 is the score
    input: Mapping[str, Any]  # the form of the input, for whoever runs the model
    facts: dict[str, Any] = field(default_factory=dict)  # for run.json


class Learner(Protocol):
    """A network that learns, in whatever library. Inputs (N, channels, S, S) float32, targets (N, ...) uint8."""

    last: str  # the file of the last state
    best: str  # and of the best one
    identity: Mapping[str, Any]  # what decides the result of a training beside its options

    def learn(self, inputs: np.ndarray, targets: np.ndarray, lr: float) -> float:
        """One step; returns the mean loss before it."""

    def judge(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss, and the predicted classes in the shape of the targets."""

    def begin_epoch(self, seed: int) -> None:
        """Everything that is left to chance in an epoch follows from ``seed`` and the state."""

    def save_last(self, path: os.PathLike[str], header: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
        """Write all of the state, atomically; raises :class:`OutputError`."""

    def read_last(self, path: os.PathLike[str]) -> tuple[dict[str, Any], Any]:
        """The header of such a file, and what :meth:`resume` takes; raises :class:`DataSetError`."""

    def resume(self, content: Any) -> dict[str, Any]:
        """Take over a state, return its progress; raises KeyError, ValueError, TypeError, RuntimeError."""

    def save_best(self, path: os.PathLike[str], header: Mapping[str, Any]) -> None:
        """Write the network, atomically; raises :class:`OutputError`."""

    def load_best(self, path: os.PathLike[str]) -> None:
        """Take over such a network; raises :class:`DataSetError`."""

    def to_onnx(self, examples: np.ndarray, properties: Mapping[str, Any]) -> bytes:
        """The network as an ONNX model; see :func:`learning.onnx_files.finished`."""

    def facts(self) -> dict[str, Any]:
        """Weights, versions, device and threads, for run.json."""


@dataclass
class _State:
    """How far a training is; written with the network's own state after every epoch."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf


def train(job: TrainingJob, objective: Objective, samples: Samples, loader: Loader, learner: Learner) -> Outcome:
    """Train, keep the best, export and score it; raises :class:`DataSetError`, :class:`OutputError`."""
    started = time.monotonic()
    for note in samples.notes:
        logger.warning("%s", note)
    header = describe(job, objective, samples) | learner.identity
    state = _resumed(job, learner, header) if job.resume else _State()
    while not _is_finished(state, job):
        if not _run_epoch(state, job, objective, samples, loader, learner, header):
            done = f"Interrupted after {len(state.epochs)} epochs. The same command with --resume goes on."
            return Outcome((done,), interrupted=True)
    return _finish(state, job, objective, samples, loader, learner, header, time.monotonic() - started)


def describe(job: TrainingJob, objective: Objective, samples: Samples) -> dict[str, Any]:
    """What decides the result of a training, as JSON values; two trainings with the same are the same."""
    arguments = {name: getattr(job, name) for name in ("task", "arch", "batch", "lr", "seed", "limit")}
    return {
        **arguments,
        "classes": [*objective.classes],
        "input": dict(objective.input),
        "data_hash": samples.data_hash,
        "version": VERSION,
    }


def learning_rate(start: float, losses: Sequence[float]) -> float:
    """The learning rate after epochs with these losses on val: halved whenever four in a row bring no progress."""
    best, steady, rate = math.inf, 0, start
    for loss in losses:
        steady = 0 if loss < best - _BETTER_BY else steady + 1
        best = min(best, loss) if steady == 0 else best
        if steady > _STEADY_EPOCHS:
            rate, steady = rate / 2, 0
    return rate


def _resumed(job: TrainingJob, learner: Learner, header: dict[str, Any]) -> _State:
    """The state in the job's folder, a new one where there is none.

    Raises :class:`DataSetError` when it belongs to another training.
    """
    path = job.out / learner.last
    over = "start over without --resume in another --out."
    if foreign := [name for name in STATES if name not in (learner.last, learner.best) and (job.out / name).exists()]:
        raise DataSetError(f"{job.out / foreign[0]} is of a training of another kind.", f"Name its task, or {over}")
    if not path.exists():
        return _State()
    earlier, content = learner.read_last(path)
    if differing := sorted(name for name in header if earlier.get(name) != header[name]):
        raise DataSetError(
            f"{path} is of a training with another {', '.join(differing)}.",
            f"Repeat the options of that training, or {over}",
        )
    try:
        progress = learner.resume(content)
        return _State(**{name: progress[name] for name in ("epochs", "best_epoch", "best_loss")})
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        remedy = "Train again without --resume in another --out."
        raise DataSetError(f"{path} is damaged ({type(error).__name__}).", remedy) from error


def _is_finished(state: _State, job: TrainingJob) -> bool:
    done = len(state.epochs)
    return done >= job.epochs or done - state.best_epoch >= job.patience


def _run_epoch(
    state: _State,
    job: TrainingJob,
    objective: Objective,
    samples: Samples,
    loader: Loader,
    learner: Learner,
    header: dict[str, Any],
) -> bool:
    """One epoch and its checkpoints; False when the user has asked for the end before it was complete."""
    epoch = len(state.epochs) + 1
    lr = learning_rate(job.lr, [earlier["val_loss"] for earlier in state.epochs])
    learner.begin_epoch(job.seed * 100_003 + epoch)
    losses, count = 0.0, 0
    for inputs, targets in job.stop.until(loader.batches(samples.of("train"), job.batch, epoch)):
        losses, count = losses + learner.learn(inputs, targets, lr) * len(inputs), count + len(inputs)
    if job.stop.requested:
        return False
    val_loss, rows = evaluate(learner, objective, samples.of("val"), loader, job.batch)
    if not math.isfinite(losses) or not math.isfinite(val_loss):
        raise DataSetError(f"The loss is no longer a number in epoch {epoch}.", "Choose a smaller --lr.")
    score = score_of(rows, objective)
    state.epochs.append({"epoch": epoch, "train_loss": losses / count, "val_loss": val_loss, "val_score": score})
    if val_loss < state.best_loss - _BETTER_BY:
        state.best_epoch, state.best_loss = epoch, val_loss
        learner.save_best(job.out / learner.best, header | {"epoch": epoch})
    learner.save_last(job.out / learner.last, header, asdict(state))
    logger.info("Epoch %d: loss %.4f, on val %.4f, mean F1 on val %.3f.", epoch, losses / count, val_loss, score)
    job.advance(f"epoch {epoch}, F1 on val {score:.3f}")
    return True


def evaluate(
    learner: Learner, objective: Objective, samples: Sequence[Sample], loader: Loader, batch: int
) -> tuple[float, np.ndarray]:
    """The mean loss on samples, and how often each row was taken for each class, (rows, classes) int64."""
    losses, rows = 0.0, np.zeros((len(objective.rows), len(objective.classes)), np.int64)
    for inputs, targets in loader.batches(samples, batch):
        loss, predicted = learner.judge(inputs, targets)
        losses += loss * len(inputs)
        known, size = targets < len(rows), max(rows.shape)
        rows += confusion(targets[known], predicted[known], size)[: len(rows), : rows.shape[1]]
    return losses / len(samples), rows


def score_of(rows: np.ndarray, objective: Objective) -> float:
    """The mean F1 of the scored classes; a class that is neither there nor claimed does not count."""
    scores = class_scores(class_matrix(rows, objective), objective.classes)
    values = [scores[k].f1 for k in objective.scored if math.isfinite(scores[k].f1)]
    return sum(values) / len(values) if values else 0.0


def class_matrix(rows: np.ndarray, objective: Objective) -> np.ndarray:
    """The confusion matrix of the classes, (classes, classes), from that of the rows."""
    matrix = np.zeros((len(objective.classes),) * 2, np.int64)
    np.add.at(matrix, [*objective.row_class], rows)
    return matrix


def _finish(
    state: _State,
    job: TrainingJob,
    objective: Objective,
    samples: Samples,
    loader: Loader,
    learner: Learner,
    header: dict[str, Any],
    seconds: float,
) -> Outcome:
    """Score the best network on val and test, export it, draw, and write run.json."""
    from learning.training_plots import confusion_plot, curves_plot

    learner.load_best(job.out / learner.best)
    found = {s: evaluate(learner, objective, samples.of(s), loader, job.batch) for s in ("val", "test")}
    figures = {split: _figures(loss, rows, objective) for split, (loss, rows) in found.items()}
    examples = next(loader.batches(samples.of("val"), _EXAMPLES))[0]
    properties = header | {"epoch": state.best_epoch, "figures": figures["test"]}
    write_bytes(job.out / ONNX, learner.to_onnx(examples, properties))
    write_bytes(job.out / CURVES, curves_plot(state.epochs, state.best_epoch))
    matrices = {split: class_matrix(rows, objective) for split, (_, rows) in found.items()}
    write_bytes(job.out / CONFUSION, confusion_plot(matrices, objective.classes))
    run = {
        **header,
        "patience": job.patience,
        "data_set": os.fspath(job.dataset),
        "images": {split: len(samples.of(split)) for split in ("train", "val", "test")},
        "notes": [*samples.notes],
        **objective.facts,
        "best_epoch": state.best_epoch,
        "figures": figures,
        "epochs": state.epochs,
        **learner.facts(),
        "finished": now(),
        "seconds_of_this_run": round(seconds, 1),
    }
    write_bytes(job.out / RUN, json.dumps(_plain(run), indent=2, ensure_ascii=True).encode() + b"\n")
    return Outcome(_summary(state, figures, objective))


def _figures(loss: float, rows: np.ndarray, objective: Objective) -> dict[str, Any]:
    matrix = class_matrix(rows, objective)
    figures = {
        "loss": loss,
        "score": score_of(rows, objective),
        "accuracy": accuracy(matrix),
        "classes": [asdict(score) for score in class_scores(matrix, objective.classes)],
        "confusion": matrix.tolist(),
    }
    if len(objective.rows) > len(objective.classes):
        right = rows[np.arange(len(rows)), [*objective.row_class]]
        shares = zip(objective.rows, right, rows.sum(axis=1), strict=True)
        figures["recall_by_row"] = {name: float(hit) / float(all_) if all_ else math.nan for name, hit, all_ in shares}
    return _plain(figures)


def _plain(value: Any) -> Any:
    """JSON values: what is not a number becomes null."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _summary(state: _State, figures: dict[str, Any], objective: Objective) -> tuple[str, ...]:
    def text(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    lines = [f"Best of {len(state.epochs)} epochs: {state.best_epoch}. Mean F1 on test: {figures['test']['score']:.3f}"]
    for score in figures["test"]["classes"]:
        values = ", ".join(f"{name} {text(score[name])}" for name in ("precision", "recall", "f1"))
        lines.append(f"  {score['name']}: {values} ({score['count']:,})")
    return tuple(lines)
