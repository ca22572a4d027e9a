"""Training in PyTorch: epochs, checkpoints, early stopping, and the figures at the end, whatever the task.

An epoch depends on the state before it, the seed and its number alone, so that a training that is resumed ends as one
that was never disturbed.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cli.run_info import VERSION, now
from errors import DataSetError, MissingDependency
from image_io import write_bytes
from learning.loading import Loader, Target
from learning.model_files import export_onnx, load_checkpoint, save_checkpoint
from learning.samples import Sample, Samples
from learning.scores import accuracy, class_scores, confusion
from learning.training_job import BEST, CONFUSION, CURVES, LAST, ONNX, RUN, Outcome, TrainingJob, logger
from second_opinion.face_input import REACH_SHARE, InputForm

_WEIGHT_DECAY = 1e-4
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
    form: InputForm
    network: Callable[[], nn.Module]
    target: Target
    loss: Callable[[Tensor, Tensor], Tensor]  # logits and targets
    facts: dict[str, Any] = field(default_factory=dict)  # for run.json


@dataclass
class _State:
    """Where a training is; written to last.pt after every epoch."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.ReduceLROnPlateau
    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf


def train(job: TrainingJob, objective: Objective, samples: Samples) -> Outcome:
    """Train, keep the best, export and score it; raises :class:`DataSetError`, :class:`OutputError`."""
    started, device = time.monotonic(), choose_device(job.device)
    for note in samples.notes:
        logger.warning("%s", note)
    _be_deterministic(job.seed, device)
    loader = Loader(objective.form, objective.target, job.seed)
    header = describe(job, objective, samples)
    state = _start(job, objective, device)
    if job.resume and (job.out / LAST).exists():
        _resume(state, job, header)
    while not _is_finished(state, job):
        if not _run_epoch(state, job, objective, samples, loader, header):
            done = f"Interrupted after {len(state.epochs)} epochs. The same command with --resume goes on."
            return Outcome((done,), interrupted=True)
    return _finish(state, job, objective, samples, loader, header, time.monotonic() - started)


def choose_device(name: str) -> str:
    """``auto`` is the GPU where PyTorch can use one; raises :class:`MissingDependency` for a GPU that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise MissingDependency("PyTorch finds no GPU for --device cuda.", "Use --device cpu, or install CUDA.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def describe(job: TrainingJob, objective: Objective, samples: Samples) -> dict[str, Any]:
    """What decides the result of a training, as JSON values; two trainings with the same are the same."""
    arguments = {name: getattr(job, name) for name in ("task", "arch", "batch", "lr", "seed", "limit")}
    return {
        **arguments,
        "classes": [*objective.classes],
        "input": asdict(objective.form) | {"reach_share": REACH_SHARE},
        "data_hash": samples.data_hash,
        "version": VERSION,
    }


def _be_deterministic(seed: int, device: str) -> None:
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(seed)
    # some operations have no deterministic form on a GPU: there it is a wish
    torch.use_deterministic_algorithms(True, warn_only=device == "cuda")


def _start(job: TrainingJob, objective: Objective, device: str) -> _State:
    network = objective.network().to(device, memory_format=torch.channels_last)  # a quarter faster
    optimizer = torch.optim.AdamW(network.parameters(), lr=job.lr, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=_STEADY_EPOCHS, threshold=_BETTER_BY, threshold_mode="abs"
    )
    return _State(network, optimizer, schedule)


def _resume(state: _State, job: TrainingJob, header: dict[str, Any]) -> None:
    """Take over last.pt; raises :class:`DataSetError` when it belongs to another training."""
    earlier, content = load_checkpoint(job.out / LAST)
    if differing := sorted(name for name in header if earlier.get(name) != header[name]):
        raise DataSetError(
            f"{job.out / LAST} is of a training with another {', '.join(differing)}.",
            "Repeat the options of that training, or start over without --resume in another --out.",
        )
    try:
        state.network.load_state_dict(content["network"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.schedule.load_state_dict(content["schedule"])
        progress = json.loads(content["progress"])
        state.epochs, state.best_epoch, state.best_loss = (progress[k] for k in ("epochs", "best_epoch", "best_loss"))
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        remedy = "Train again without --resume in another --out."
        raise DataSetError(f"{job.out / LAST} is damaged ({type(error).__name__}).", remedy) from error


def _is_finished(state: _State, job: TrainingJob) -> bool:
    done = len(state.epochs)
    return done >= job.epochs or done - state.best_epoch >= job.patience


def _run_epoch(
    state: _State, job: TrainingJob, objective: Objective, samples: Samples, loader: Loader, header: dict[str, Any]
) -> bool:
    """One epoch and its checkpoints; False when the user has asked for the end before it was complete."""
    epoch = len(state.epochs) + 1
    torch.manual_seed(job.seed * 100_003 + epoch)
    losses, count = 0.0, 0
    state.network.train()
    device = next(state.network.parameters()).device
    for inputs, targets in job.stop.until(loader.batches(samples.of("train"), job.batch, epoch)):
        loss = objective.loss(state.network(torch.from_numpy(inputs).to(device)), _tensor(targets, device))
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        losses, count = losses + float(loss.detach()) * len(inputs), count + len(inputs)
    if job.stop.requested:
        return False
    val_loss, rows = evaluate(state.network, objective, samples.of("val"), loader, job.batch)
    if not math.isfinite(losses) or not math.isfinite(val_loss):
        raise DataSetError(f"The loss is no longer a number in epoch {epoch}.", "Choose a smaller --lr.")
    state.schedule.step(val_loss)
    score = score_of(rows, objective)
    state.epochs.append({"epoch": epoch, "train_loss": losses / count, "val_loss": val_loss, "val_score": score})
    if val_loss < state.best_loss - _BETTER_BY:
        state.best_epoch, state.best_loss = epoch, val_loss
        save_checkpoint(job.out / BEST, header | {"epoch": epoch}, {"network": state.network.state_dict()})
    progress = {"epochs": state.epochs, "best_epoch": state.best_epoch, "best_loss": state.best_loss}
    content = {name: getattr(state, name).state_dict() for name in ("network", "optimizer", "schedule")}
    save_checkpoint(job.out / LAST, header, {**content, "progress": json.dumps(progress)})
    logger.info("Epoch %d: loss %.4f, on val %.4f, mean F1 on val %.3f.", epoch, losses / count, val_loss, score)
    job.advance(f"epoch {epoch}, F1 on val {score:.3f}")
    return True


def evaluate(
    network: nn.Module, objective: Objective, samples: Sequence[Sample], loader: Loader, batch: int
) -> tuple[float, np.ndarray]:
    """The mean loss on samples, and how often each row was taken for each class, (rows, classes) int64."""
    network.eval()
    device = next(network.parameters()).device
    losses, rows = 0.0, np.zeros((len(objective.rows), len(objective.classes)), np.int64)
    with torch.inference_mode():
        for inputs, targets in loader.batches(samples, batch):
            logits = network(torch.from_numpy(inputs).to(device))
            losses += float(objective.loss(logits, _tensor(targets, device))) * len(inputs)
            predicted, known = logits.argmax(dim=1).cpu().numpy(), targets < len(rows)
            size = max(rows.shape)
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


def _tensor(targets: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(targets.astype(np.int64)).to(device)


def _finish(
    state: _State,
    job: TrainingJob,
    objective: Objective,
    samples: Samples,
    loader: Loader,
    header: dict[str, Any],
    seconds: float,
) -> Outcome:
    """Score the best network on val and test, export it, draw, and write run.json."""
    from learning.training_plots import confusion_plot, curves_plot

    _, content = load_checkpoint(job.out / BEST)
    state.network.load_state_dict(content["network"])
    found = {s: evaluate(state.network, objective, samples.of(s), loader, job.batch) for s in ("val", "test")}
    figures = {split: _figures(loss, rows, objective) for split, (loss, rows) in found.items()}
    examples = next(loader.batches(samples.of("val"), _EXAMPLES))[0]
    properties = header | {"epoch": state.best_epoch, "figures": figures["test"]}
    write_bytes(job.out / ONNX, export_onnx(state.network.cpu(), examples, properties))
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
        "weights": sum(weights.numel() for weights in state.network.parameters()),
        "best_epoch": state.best_epoch,
        "figures": figures,
        "epochs": state.epochs,
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "device": choose_device(job.device),
        "threads": torch.get_num_threads(),
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
