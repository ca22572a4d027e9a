"""Fine-tuning: steps of an adapter, checkpoints, what val says after each epoch, on one device or several.

A step depends on the state before it, the seed and its number alone, so that a training that is resumed ends as one
that was never disturbed.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import peft
import torch
import transformers
from torch import Tensor
from torch.nn.functional import cross_entropy

from cli.interrupts import StopRequest
from cli.run_info import VERSION, now
from errors import DataSetError, OutputError, UnreadableImage, UsageError
from image_io import read_image, write_bytes
from learning.training_job import LAST, RUN, Outcome, logger
from learning.vlm.adapters import adapter_weights, add_adapter, save_adapter
from learning.vlm.answer import Answer, read_answer
from learning.vlm.conversations import Conversation, Conversations, training_splits
from learning.vlm.files import replace_file
from learning.vlm.inputs import NOT_LEARNED, check_texts, training_inputs
from learning.vlm.model import VisionLanguageModel, enough_memory, load_whole, on_device, put_adapter
from learning.vlm.schedule import chunks, plan_steps, rate_factor, rows_of, seed_of, spread
from plain_data import jsonable
from settings import VlmSettings

_FORMAT = "dscope-blink fine-tuning 1"
_LESS_MEMORY = "Use --bits 4 or a smaller --batch, or lower vlm.lora.r or vlm.max_side_px in config.json."
_DATA_PARALLEL = ("NO", "MULTI_GPU", "MULTI_CPU")
_START_OVER = "Start over with --overwrite, or in another --out."


@dataclass(frozen=True)
class TuningJob:
    """The options of ``python -m learning.vlm.finetune``, checked."""

    model: Path
    data: Path
    out: Path
    epochs: int
    batch: int  # pictures at once on a device
    accumulate: int  # batches of each device in a step
    lr: float
    seed: int
    bits: str  # auto | 4 | 16
    limit: int | None
    resume: bool
    settings: VlmSettings
    stop: StopRequest
    advance: Callable[[str], None]  # called with what is finished: a step, an epoch


@dataclass
class _State:
    """Where a fine-tuning is; written to last.pt."""

    epoch: int = 0  # finished ones
    step: int = 0  # of the epoch under way
    losses: float = 0.0  # summed over the answer tokens of its steps
    tokens: int = 0
    epochs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The one with the lowest loss on val, from 1; a loss that is no number is the worst."""
        return min(self.epochs, key=lambda row: (math.isnan(row["val_loss"]), row["val_loss"]))["epoch"]


class Tuning:
    """A fine-tuning on the devices of an ``Accelerator``; several run it together, and the first one writes."""

    def __init__(self, job: TuningJob, accelerator: accelerate.Accelerator) -> None:
        """Load everything; raises :class:`DataSetError`, :class:`ModelError`, :class:`MissingDependency`."""
        self.job, self.accelerator = job, accelerator
        if (kind := accelerator.distributed_type.value) not in _DATA_PARALLEL:
            raise UsageError(f"accelerate is set up for {kind}.", "Run: accelerate config, without FSDP or DeepSpeed.")
        self.train, self.val = training_splits(job.data)
        self.model = load_whole(job.model, accelerator.device, job.bits)
        self.too_long = sum(
            check_texts(self.model.processor, part, job.settings.max_new_tokens) for part in (self.train, self.val)
        )
        torch.manual_seed(job.seed)
        self.network = add_adapter(self.model, job.settings.lora, job.model)
        self.learning = [weights for weights in self.network.parameters() if weights.requires_grad]
        self.optimizer = torch.optim.AdamW(self.learning, lr=job.lr, weight_decay=0.0)
        self.header = self._header()
        self.state = self._resumed() if job.resume and (job.out / LAST).exists() else _State()
        self.wrapped = accelerator.prepare_model(self.network)  # after the weights are in place, as all devices' equal

    def save_processor(self) -> None:
        """Put the files of tokenizer and image processor beside the adapter; raises :class:`OutputError`."""
        if self.accelerator.is_main_process:
            try:
                self.model.processor.save_pretrained(self.job.out)
            except (OSError, UnicodeError) as error:
                raise OutputError(f"Cannot write to {self.job.out}: {error}.", "Choose another --out.") from error

    def run(self) -> Outcome:
        """Train to the end, or until a stop is asked for; raises :class:`OutputError`."""
        started = time.monotonic()
        if self.too_long and self.accelerator.is_main_process:
            logger.warning("%d answers are longer than vlm.max_new_tokens.", self.too_long)
        while self.state.epoch < self.job.epochs:
            if not self._epoch():
                done = f"Interrupted in epoch {self.state.epoch + 1}. The same command with --resume goes on."
                return Outcome((done,), interrupted=True)
        if self.accelerator.is_main_process:
            self._write_run_file(time.monotonic() - started)
        self.accelerator.wait_for_everyone()
        best = self.state.epochs[self.state.best_epoch - 1]
        figures = f"loss {best['val_loss']:.4f} on val, {_percent(best['usable_share'])} of the answers usable"
        return Outcome((f"Best of {self.job.epochs} epochs: {self.state.best_epoch}. {figures}.",))

    def _epoch(self) -> bool:
        """The rest of an epoch, its figures and its files; False when a stop was asked for."""
        state, job = self.state, self.job
        plan = plan_steps(self._used(self.train), job.seed, state.epoch, self._step_size)
        while state.step < len(plan):
            loss, tokens, is_to_stop = self._step(plan[state.step], len(plan))
            state.losses, state.tokens, state.step = state.losses + loss, state.tokens + tokens, state.step + 1
            job.advance(f"Epoch {state.epoch + 1}, step {state.step}/{len(plan)}, loss {loss / tokens:.3f}")
            if is_to_stop or state.step == len(plan) or state.step % job.settings.lora.checkpoint_steps == 0:
                self._save()
            if is_to_stop:
                return False
        row = {"epoch": state.epoch + 1, "train_loss": state.losses / state.tokens, **self._judged()}
        self.state = _State(epoch=state.epoch + 1, epochs=[*state.epochs, row])
        if self.accelerator.is_main_process:
            logger.info("Epoch %(epoch)d: loss %(train_loss).4f, on val %(val_loss).4f", row)
            if self.state.best_epoch == row["epoch"]:
                save_adapter(self.network, job.out)
        self._save()
        return True

    def _step(self, rows: Sequence[int], steps: int) -> tuple[float, int, bool]:
        """One step of the optimizer; the summed loss and the number of answer tokens, and whether to stop after it."""
        job, accelerator = self.job, self.accelerator
        mine = rows_of(rows, accelerator.process_index, accelerator.num_processes)
        torch.manual_seed(seed_of(job.seed, self.state.epoch, self.state.step, accelerator.process_index))
        batches = [self._inputs(self.train, mine[k : k + job.batch]) for k in range(0, len(mine), job.batch)]
        counts = [sum(int((labels != NOT_LEARNED).sum()) for _, labels in batches), int(job.stop.requested)]
        tokens, stops = accelerator.reduce(torch.tensor(counts, device=accelerator.device), "sum").tolist()
        self.wrapped.train()
        loss = torch.zeros((), device=accelerator.device)
        with enough_memory(_LESS_MEMORY):
            for number, batch in enumerate(batches, start=1):
                # several devices add up their gradients with the last batch only
                is_last = number == len(batches)
                with nullcontext() if is_last else accelerator.no_sync(self.wrapped):
                    part = self._loss(*batch)
                    # the gradients of the devices are averaged, the loss is a mean over the tokens of all
                    accelerator.backward(part * (accelerator.num_processes / tokens))
                loss += part.detach()
        torch.nn.utils.clip_grad_norm_(self.learning, job.settings.lora.max_gradient)
        done = self.state.epoch * steps + self.state.step
        for group in self.optimizer.param_groups:
            group["lr"] = job.lr * rate_factor(done, job.epochs * steps, job.settings.lora.warmup_share)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(accelerator.reduce(loss, "sum")), int(tokens), stops > 0

    def _loss(self, inputs: dict[str, Any], labels: Tensor) -> Tensor:
        """The cross-entropy of the answers' tokens, summed."""
        logits = self.wrapped(**on_device(inputs, self.model.placement), use_cache=False).logits
        wanted = labels[:, 1:].to(logits.device)
        is_answer = wanted != NOT_LEARNED
        return cross_entropy(logits[:, :-1][is_answer].float(), wanted[is_answer], reduction="sum")

    def _judged(self) -> dict[str, float | None]:
        """Loss per answer token on val; of some of its pictures, how many answers are usable and agree in verdict."""
        rows = range(self._used(self.val))
        answered = spread(len(rows), self.job.settings.lora.checked_answers)
        index, world = self.accelerator.process_index, self.accelerator.num_processes
        sums = torch.zeros(5, dtype=torch.float64)
        self.wrapped.eval()
        with torch.inference_mode(), enough_memory(_LESS_MEMORY):
            for part in chunks(rows[index::world], self.job.batch):
                inputs, labels = self._inputs(self.val, part)
                sums[0] += float(self._loss(inputs, labels))
                sums[1] += int((labels != NOT_LEARNED).sum())
        for part in chunks(answered[index::world], self.job.settings.batch):
            sums[2:] += torch.tensor(self._checked([self.val[row] for row in part]), dtype=torch.float64)
        on_gpu = sums.to(self.accelerator.device)
        losses, tokens, count, usable, agreeing = self.accelerator.reduce(on_gpu, "sum").tolist()
        return {
            "val_loss": losses / tokens,
            "usable_share": usable / count if count else None,
            "verdict_share": agreeing / count if count else None,
        }

    def _checked(self, conversations: Sequence[Conversation]) -> tuple[int, int, int]:
        """How many pictures were answered, how many answers are usable, and how many agree with the right verdict."""
        pictures = [picture_of(item) for item in conversations]
        model = VisionLanguageModel(self.network, self.model.processor, self.model.placement, self.model.ends)
        chats = [item.messages for item in conversations]
        most = self.job.settings.max_new_tokens
        texts = model.generate(pictures, chats, batch=len(chats), max_new_tokens=most)
        usable = agreeing = 0
        for item, picture, text in zip(conversations, pictures, texts, strict=True):
            found, right = (read_answer(each, *picture.shape[1::-1]) for each in (text, item.answer))
            if isinstance(found, Answer):
                usable += 1
                agreeing += isinstance(right, Answer) and right.pass_fail == found.pass_fail
        return len(texts), usable, agreeing

    def _inputs(self, conversations: Conversations, rows: Sequence[int]) -> tuple[dict[str, Any], Tensor]:
        items = [conversations[row] for row in rows]
        return training_inputs(self.model.processor, [picture_of(item) for item in items], items, self.model.ends)

    @property
    def _step_size(self) -> int:
        return self.job.batch * self.job.accumulate * self.accelerator.num_processes

    def _used(self, conversations: Conversations) -> int:
        return len(conversations) if self.job.limit is None else min(self.job.limit, len(conversations))

    def _header(self) -> dict[str, Any]:
        """What decides the result, as JSON values; two trainings with the same are the same."""
        job = self.job
        lora = {k: v for k, v in asdict(job.settings.lora).items() if k not in ("checkpoint_steps", "checked_answers")}
        return {
            **{name: getattr(job, name) for name in ("epochs", "lr", "seed", "limit")},
            "step_pictures": self._step_size,
            "lora": json.loads(json.dumps(lora)),
            "data_hash": {"train": self.train.sha256, "val": self.val.sha256},
            "base": os.path.abspath(job.model),
            "bits": 4 if self.model.placement.is_4_bit else 16,
        }

    def _resumed(self) -> _State:
        """Take over last.pt; raises :class:`DataSetError` when it belongs to another training, or is damaged."""
        path = self.job.out / LAST
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            header = json.loads(content["header"]) if content["format"] == _FORMAT else {}
            differing = sorted(name for name in self.header if header.get(name) != self.header[name])
            if not differing:
                put_adapter(self.network, content["adapter"])
                self.optimizer.load_state_dict(content["optimizer"])
                return _State(**json.loads(content["progress"]))
        except Exception as error:  # a damaged file can raise anything
            raise DataSetError(f"{path} is damaged ({type(error).__name__}).", _START_OVER) from error
        raise DataSetError(
            f"{path} is of a training with another {', '.join(differing)}.",
            "Repeat the options of that training, or start over in another --out.",
        )

    def _save(self) -> None:
        """Write last.pt, by the first process; raises :class:`OutputError`."""
        if self.accelerator.is_main_process:
            content = {
                "format": _FORMAT,
                "header": json.dumps(self.header),
                "progress": json.dumps(asdict(self.state)),
                "adapter": adapter_weights(self.network),
                "optimizer": self.optimizer.state_dict(),
            }
            replace_file(self.job.out / LAST, lambda path: torch.save(content, path))
        self.accelerator.wait_for_everyone()

    def _write_run_file(self, seconds: float) -> None:
        job, placement = self.job, self.model.placement
        run = {
            **self.header,
            "data_set": os.fspath(job.data),
            "pictures": {"train": len(self.train), "val": len(self.val)},
            "answers_too_long": self.too_long,
            "batch": job.batch,
            "accumulate": job.accumulate,
            "weights_that_learn": sum(weights.numel() for weights in self.learning),
            "best_epoch": self.state.best_epoch,
            "figures": self.state.epochs[self.state.best_epoch - 1],
            "all_epochs": self.state.epochs,
            "device": str(placement.device.type),
            "devices": self.accelerator.num_processes,
            "precision": str(placement.dtype).removeprefix("torch."),
            "program": f"D-Scope Blink {VERSION}",
            "versions": {
                "python": platform.python_version(),
                **{each.__name__: each.__version__ for each in (torch, transformers, peft, accelerate)},
            },
            "finished": now(),
            "seconds_of_this_run": round(seconds, 1),
        }
        write_bytes(job.out / RUN, json.dumps(jsonable(run), indent=2, ensure_ascii=True).encode() + b"\n")


def picture_of(conversation: Conversation) -> np.ndarray:
    """The picture of a conversation, (H, W) uint8; raises :class:`DataSetError`."""
    try:
        return read_image(conversation.picture).grey
    except UnreadableImage as error:
        raise DataSetError(f"{conversation.picture}: {error.message}", "Export the data set again.") from error


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.0%}"
