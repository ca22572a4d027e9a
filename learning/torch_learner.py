"""A network of PyTorch that learns."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from errors import MissingDependency
from learning.model_files import export_onnx, load_checkpoint, save_checkpoint
from learning.training_job import BEST, LAST, TrainingJob

_WEIGHT_DECAY = 1e-4


class TorchLearner:
    """See :class:`learning.training.Learner`; ``loss`` takes logits and targets."""

    last, best = LAST, BEST
    identity: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self, job: TrainingJob, network: Callable[[], nn.Module], loss: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        self._device, self._loss = choose_device(job.device), loss
        be_deterministic(self._device)
        torch.manual_seed(job.seed)
        self.network = network().to(self._device, memory_format=torch.channels_last)  # a quarter faster
        self._optimizer = torch.optim.AdamW(self.network.parameters(), lr=job.lr, weight_decay=_WEIGHT_DECAY)

    def begin_epoch(self, seed: int) -> None:
        torch.manual_seed(seed)

    def learn(self, inputs: np.ndarray, targets: np.ndarray, lr: float) -> float:
        self.network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        loss = self._loss(self.network(torch.from_numpy(inputs).to(self._device)), self._tensor(targets))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return float(loss.detach())

    def judge(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        self.network.eval()
        with torch.inference_mode():
            logits = self.network(torch.from_numpy(inputs).to(self._device))
            return float(self._loss(logits, self._tensor(targets))), logits.argmax(dim=1).cpu().numpy()

    def save_last(self, path: Path, header: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
        states = {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}
        save_checkpoint(path, header, {**states, "progress": json.dumps(progress)})

    def read_last(self, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        return load_checkpoint(path)

    def resume(self, content: dict[str, Any]) -> dict[str, Any]:
        self.network.load_state_dict(content["network"])
        self._optimizer.load_state_dict(content["optimizer"])
        return json.loads(content["progress"])

    def save_best(self, path: Path, header: Mapping[str, Any]) -> None:
        save_checkpoint(path, header, {"network": self.network.state_dict()})

    def load_best(self, path: Path) -> None:
        _, content = load_checkpoint(path)
        self.network.load_state_dict(content["network"])

    def to_onnx(self, examples: np.ndarray, properties: Mapping[str, Any]) -> bytes:
        return export_onnx(self.network.cpu(), examples, properties)

    def facts(self) -> dict[str, Any]:
        return {
            "weights": sum(weights.numel() for weights in self.network.parameters()),
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "device": self._device,
            "threads": torch.get_num_threads(),
        }

    def _tensor(self, targets: np.ndarray) -> Tensor:
        return torch.from_numpy(targets.astype(np.int64)).to(self._device)


def choose_device(name: str) -> str:
    """``auto`` is the GPU where PyTorch can use one; raises :class:`MissingDependency` for a GPU that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise MissingDependency("PyTorch finds no GPU for --device cuda.", "Use --device cpu, or install CUDA.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def be_deterministic(device: str) -> None:
    """Let PyTorch choose operations that always give the same result."""
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # some operations have no deterministic form on a GPU: there it is a wish
    torch.use_deterministic_algorithms(True, warn_only=device == "cuda")
