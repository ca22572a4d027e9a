"""LoRA adapters: small matrices beside the weights of a model, as folders in the form of the peft library."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn

from errors import ConfigError
from image_io import write_bytes
from learning.vlm.files import replace_file
from learning.vlm.model import VisionLanguageModel, quietly
from learning.vlm.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from settings import LoraSettings

_NOT_VISION = "(?!.*vision)"


def add_adapter(model: VisionLanguageModel, settings: LoraSettings, base: Path) -> PeftModel:
    """The network of ``model``, which lies in the folder ``base``, with new matrices: only these learn.

    Raises :class:`ConfigError` for a target that the model has no linear layer of.
    """
    linear = [name for name, module in model.network.named_modules() if isinstance(module, nn.Linear)]
    for target in settings.targets:
        pattern = re.compile(targets_pattern((target,), settings.vision))
        if not any(map(pattern.fullmatch, linear)):
            known = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
            raise ConfigError(
                "config.json does not fit the model.",
                [f"vlm.lora.targets: the model has no linear layer {target}; it has {known}"],
            )
    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets_pattern(settings.targets, settings.vision),
        base_model_name_or_path=os.path.abspath(base),
    )
    with quietly():
        network = get_peft_model(model.network, config)
        if settings.gradient_checkpointing:
            network.gradient_checkpointing_enable({"use_reentrant": False})
    return network


def targets_pattern(targets: tuple[str, ...], vision: bool) -> str:
    """A regular expression for the names of the layers that get matrices."""
    return f"{'' if vision else _NOT_VISION}(.*\\.)?({'|'.join(map(re.escape, targets))})"


def adapter_weights(network: PeftModel) -> dict[str, Tensor]:
    """The weights that learn, by name, on the processor."""
    found = get_peft_model_state_dict(network, save_embedding_layers=False)
    return {name: weights.detach().cpu().contiguous() for name, weights in found.items()}


def save_adapter(network: PeftModel, folder: Path) -> None:
    """Write the adapter of a network; a complete one is there before and after. Raises :class:`OutputError`."""
    config = network.peft_config["default"].to_dict() | {"inference_mode": True}
    write_bytes(folder / ADAPTER_CONFIG, json.dumps(config, indent=2).encode())

    def write(path: str) -> None:
        save_file(adapter_weights(network), path, {"format": "pt"})
        shutil.copymode(folder / ADAPTER_CONFIG, path)  # safetensors lets nobody else read

    replace_file(folder / ADAPTER_WEIGHTS, write)
