"""A vision-language model in a folder: loaded from there alone, asked about pictures.

A folder holds a whole model (as downloaded, or merged) or an adapter, which names the folder of its base.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from peft import LoraConfig, PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file

from errors import MissingDependency, ModelError
from learning.vlm.conversations import Message
from learning.vlm.inputs import prompt_inputs
from learning.vlm.libraries import has_bitsandbytes
from learning.vlm.model_folder import ADAPTER_WEIGHTS, base_of, check_folder, is_adapter

_KEPT_WHOLE = [r".*vision_(model|tower)", r".*multi_modal_projector", r".*lm_head"]  # a small part, and a sensitive one
_GREEDY = {"do_sample": False, "num_beams": 1, "temperature": None, "top_p": None, "top_k": None}


@dataclass(frozen=True)
class Placement:
    """Where a model lies and how its weights are kept."""

    device: torch.device
    dtype: torch.dtype
    is_4_bit: bool


@dataclass(frozen=True)
class VisionLanguageModel:
    """A loaded model with its processor. ``ends`` are the tokens that end an answer."""

    network: Any  # a PreTrainedModel, or a PeftModel around one
    processor: Any
    placement: Placement
    ends: frozenset[int]

    def generate(
        self,
        pictures: Sequence[np.ndarray],
        conversations: Sequence[Sequence[Message]],
        *,
        batch: int,
        max_new_tokens: int,
    ) -> list[str]:
        """What the model answers, one text for each picture; the most likely word each time, so always the same.

        ``pictures`` are (H, W) or (H, W, 3) RGB uint8. Each conversation is a list of messages in chat form and ends
        with one of the user's; it holds one image. Raises :class:`MissingDependency` when the memory does not suffice.
        """
        texts: list[str] = []
        for start in range(0, len(pictures), batch):
            part = slice(start, start + batch)
            texts += self._answers(pictures[part], conversations[part], max_new_tokens)
        return texts

    def _answers(
        self, pictures: Sequence[np.ndarray], conversations: Sequence[Sequence[Message]], max_new_tokens: int
    ) -> list[str]:
        inputs = on_device(prompt_inputs(self.processor, pictures, conversations), self.placement)
        self.network.eval()
        with torch.inference_mode(), enough_memory("Lower vlm.batch or vlm.max_side_px in config.json."):
            tokens = self.network.generate(
                **inputs,
                **_GREEDY,
                max_new_tokens=max_new_tokens,
                eos_token_id=sorted(self.ends),
                pad_token_id=pad_token(self.processor),
            )
        return self.processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def load(folder: Path, *, device: str = "auto", bits: str = "auto", base: Path | None = None) -> VisionLanguageModel:
    """Load a whole model, or an adapter on its base (``base``, else the one that it names). Nothing is downloaded.

    ``device`` is ``auto`` (the GPU where there is one), ``cpu`` or ``cuda``; ``bits`` is ``auto`` (4 where bitsandbytes
    and a GPU are there), ``4`` or ``16``. Raises :class:`ModelError`, :class:`MissingDependency`.
    """
    where = choose_device(device)
    if not is_adapter(folder):
        return load_whole(folder, where, bits)
    below = load_whole(base or base_of(folder), where, bits)
    with quietly(), _named(folder):
        config = LoraConfig.from_pretrained(folder)
        weights = load_file(folder / ADAPTER_WEIGHTS)
        network = PeftModel(below.network, config)
        put_adapter(network, weights)
        network.requires_grad_(False)
        own = (folder / "tokenizer_config.json").is_file()
        processor = _processor(folder) if own else below.processor
    return VisionLanguageModel(network.eval(), processor, below.placement, below.ends)


def load_whole(folder: Path, device: torch.device, bits: str) -> VisionLanguageModel:
    """Load a model that is no adapter; raises :class:`ModelError`, :class:`MissingDependency`."""
    check_folder(folder)
    with quietly(), _named(folder):
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if type(config) not in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise ModelError(
            f"{folder} holds a model of the kind {config.model_type}, which looks at no pictures.",
            "Give the folder of a Llama-3.2-Vision model.",
        )
    is_quantised = getattr(config, "quantization_config", None) is not None
    placement = _placement(device, config, "16" if is_quantised else bits)
    with quietly(), _named(folder), enough_memory("Take a GPU with more memory, or --bits 4."):
        processor = _processor(folder)
        network, report = transformers.AutoModelForImageTextToText.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,  # the other formats are programs
            dtype=placement.dtype,
            device_map={"": placement.device},
            quantization_config=_four_bits(placement.dtype) if placement.is_4_bit else None,
            output_loading_info=True,
        )
    if absent := sorted(report["missing_keys"]):
        raise ModelError(
            f"{folder} lacks {len(absent)} of the model's weights, such as {absent[0]}.", "Copy the model again."
        )
    if not getattr(processor, "chat_template", None):
        raise ModelError(f"The model in {folder} has no chat template.", "Take one that is tuned to instructions.")
    return VisionLanguageModel(network.eval(), processor, placement, _ends(network, processor))


def put_adapter(network: PeftModel, weights: dict[str, torch.Tensor]) -> None:
    """Give a network the weights of an adapter; raises ValueError where they are those of another."""
    found = set_peft_model_state_dict(network, weights)
    absent = [name for name in found.missing_keys if "lora_" in name]
    if absent or found.unexpected_keys:
        raise ValueError(f"{len(absent)} weights are missing and {len(found.unexpected_keys)} are of another model")


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where PyTorch can use one; raises :class:`MissingDependency` for a GPU that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise MissingDependency("PyTorch finds no GPU for --device cuda.", "Use --device cpu, or install CUDA.")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def on_device(inputs: dict[str, Any], placement: Placement) -> dict[str, Any]:
    """The inputs where the model is; those that are no whole numbers in its precision."""
    return {
        name: value.to(placement.device, placement.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }


def pad_token(processor: Any) -> int:
    """The token that fills up shorter texts; where there is none, the one that ends a text (it is masked)."""
    tokenizer = processor.tokenizer
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id


@contextmanager
def enough_memory(remedy: str) -> Iterator[None]:
    """Say it in a sentence when the memory does not suffice; raises :class:`MissingDependency`."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise MissingDependency("The memory does not suffice for the model.", remedy) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the libraries' notes and bars off the screen; what matters is said by this program."""
    log = transformers.utils.logging
    before, had_bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of one library about its use by the other
            yield
    finally:
        log.set_verbosity(before)
        if had_bars:
            log.enable_progress_bar()


def _placement(device: torch.device, config: Any, bits: str) -> Placement:
    if device.type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        dtype = torch.bfloat16 if has_bf16 else torch.float16
    else:  # a processor computes in bfloat16, too, and a large model needs half the memory
        dtype = torch.bfloat16 if config.dtype == torch.bfloat16 else torch.float32
    can = has_bitsandbytes()
    if bits == "4" and not can:
        raise MissingDependency("--bits 4 needs bitsandbytes, not installed here.", "Run: pip install bitsandbytes")
    return Placement(device, dtype, is_4_bit=bits == "4" or (bits == "auto" and can and device.type == "cuda"))


def _four_bits(dtype: torch.dtype) -> transformers.BitsAndBytesConfig:
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=_KEPT_WHOLE,
    )


def _processor(folder: Path) -> Any:
    processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise ValueError("it has no processor for pictures and text")
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def _ends(network: Any, processor: Any) -> frozenset[int]:
    told = network.generation_config.eos_token_id
    ends = {*(told if isinstance(told, list) else [told]), processor.tokenizer.eos_token_id} - {None}
    return frozenset(ends)


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Whatever a damaged model raises, as one sentence."""
    try:
        yield
    except (ModelError, MissingDependency, torch.OutOfMemoryError, MemoryError):
        raise
    except ImportError as error:
        remedy = "Run: pip install -r requirements-vlm.txt, and what the sentence names."
        raise MissingDependency(f"The model in {folder} needs a library: {_first_line(error)}", remedy) from error
    except Exception as error:
        raise ModelError(
            f"The model in {folder} cannot be loaded ({type(error).__name__}: {_first_line(error)}).",
            "Copy the model again, all its files.",
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no reason given"
