"""A vision-language model of a few thousand random weights, built as Llama-3.2-Vision is, with all the files of one."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaImageProcessorPil,
    MllamaProcessor,
    PreTrainedTokenizerFast,
)

END = "<|eot_id|>"
_SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", END, "<|pad|>")
_IMAGE = "<|image|>"
_TILE_PX, _PATCH_PX, _TILES = 28, 14, 4
# one header and one end for each turn, as Llama 3 has them; beside a picture, as there, no system's message
_REFUSAL = (
    "{% for message in messages %}{% for part in message.content %}"
    "{% if part.type == 'image' and messages[0].role == 'system' %}{{ raise_exception('no system message here') }}"
    "{% endif %}{% endfor %}{% endfor %}"
)
TURNS = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n"
    "{% for part in message.content %}{% if part.type == 'image' %}<|image|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
TEMPLATE = _REFUSAL + TURNS


def tokenizer(template: str = TEMPLATE) -> PreTrainedTokenizerFast:
    """One token for each byte, and the special ones; the image's token comes last, outside the model's output."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE({sign: number for number, sign in enumerate(alphabet)}, []))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    raw.add_special_tokens([*_SPECIAL, _IMAGE])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token=_SPECIAL[0],
        eos_token=END,
        pad_token="<|pad|>",
        additional_special_tokens=[_IMAGE],
        chat_template=template,
    )


def processor(template: str = TEMPLATE) -> MllamaProcessor:
    size = {"height": _TILE_PX, "width": _TILE_PX}
    return MllamaProcessor(
        MllamaImageProcessorPil(size=size, max_image_tiles=_TILES), tokenizer(template), chat_template=template
    )


def write_model(folder: Path, *, seed: int = 0, width: int = 32, dtype: torch.dtype = torch.float32) -> Path:
    """Save a model with random weights, its tokenizer and its processor, as a downloaded checkpoint lies there."""
    signs = tokenizer()
    image = signs.convert_tokens_to_ids(_IMAGE)
    text = {
        "vocab_size": image,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "cross_attention_layers": [1],
        "max_position_embeddings": 4096,
        "bos_token_id": signs.bos_token_id,
        "eos_token_id": signs.eos_token_id,
        "pad_token_id": signs.pad_token_id,
        "initializer_range": 0.3,  # with the usual small weights all answers are alike
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "attention_heads": 2,
        "image_size": _TILE_PX,
        "patch_size": _PATCH_PX,
        "max_num_tiles": _TILES,
        "intermediate_layers_indices": [0],
        "vision_output_dim": 32,
        "initializer_range": 0.3,
    }
    torch.manual_seed(seed)
    model = MllamaForConditionalGeneration(
        MllamaConfig(vision_config=vision, text_config=text, image_token_index=image)
    )
    for name, weights in model.named_parameters():
        if name.endswith("gate"):  # closed at first: the picture would not matter
            torch.nn.init.constant_(weights, 1.0)
    model.to(dtype).save_pretrained(folder)
    processor().save_pretrained(folder)
    return folder
