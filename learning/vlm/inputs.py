"""Pictures and conversations to the inputs of a vision-language model, through the processor that came with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from errors import DataSetError, ModelError
from learning.vlm.conversations import Conversation, Conversations, Message

NOT_LEARNED = -100  # the label of a token that counts in no loss
_DATE = "26 Jul 2024"  # some templates write today's date where none is given: the same prompt every day


def prompt_inputs(processor: Any, pictures: Sequence[np.ndarray], chats: Sequence[Sequence[Message]]) -> dict[str, Any]:
    """Inputs that end where the model's answer begins, padded on the left.

    ``pictures`` are (H, W) or (H, W, 3) RGB uint8, one for each conversation, which ends with the user's message.
    """
    return _inputs(processor, pictures, [prompt(processor, chat) for chat in chats], "left")


def training_inputs(
    processor: Any, pictures: Sequence[np.ndarray], conversations: Sequence[Conversation], ends: frozenset[int]
) -> tuple[dict[str, Any], Tensor]:
    """Inputs with the answers, padded on the right, and their labels (N, L).

    The labels are the tokens of the answer and the token that ends it; all else is :data:`NOT_LEARNED`. ``ends`` are
    the tokens that end an answer of this model.
    """
    whole = [_with_answer(processor, item) for item in conversations]
    inputs = _inputs(processor, pictures, [told + answer for told, answer in whole], "right")
    labels = torch.full_like(inputs["input_ids"], NOT_LEARNED)
    for row, (_, answer) in enumerate(whole):
        tokens = _tokens(processor, answer)
        length = int(inputs["attention_mask"][row].sum())
        if inputs["input_ids"][row, length - len(tokens) : length].tolist() != tokens:
            raise ModelError("The model's tokenizer joins question and answer.", "Take a Llama-3.2-Vision model.")
        learned = _up_to_end(tokens, ends)
        labels[row, length - len(tokens) : length - len(tokens) + learned] = torch.tensor(tokens[:learned])
    return inputs, labels


def check_texts(processor: Any, conversations: Conversations, most_tokens: int) -> int:
    """How many answers are longer than ``most_tokens``.

    Raises :class:`DataSetError` for a text that holds a sign of the model's own: it would not be read as text.
    """
    signs = [re.escape(str(token)) for token in processor.tokenizer.added_tokens_decoder.values() if token.special]
    special, long = re.compile("|".join(signs) or r"(?!)"), 0
    for number, conversation in enumerate(conversations, start=1):
        if found := next(filter(None, map(special.search, conversation.texts)), None):
            raise DataSetError(
                f"{conversations.path}, line {number}: {found.group()} in a text is a sign of the model's own.",
                "Take it out of the text.",
            )
        long += len(_tokens(processor, conversation.answer)) >= most_tokens
    return long


def prompt(processor: Any, chat: Sequence[Message]) -> str:
    """A conversation as the chat template writes it, up to where the answer begins.

    That of Llama-3.2-Vision takes no system's message beside a picture: then its text stands before the user's.
    Raises :class:`ModelError` for a template that cannot be used.
    """
    if (text := _rendered(processor, chat)) is not None:
        return text
    if chat[0]["role"] == "system" and (text := _rendered(processor, _without_system(chat))) is not None:
        return text
    raise ModelError("The model's chat template takes no such conversation.", "Take an instruction-tuned model.")


def _with_answer(processor: Any, conversation: Conversation) -> tuple[str, str]:
    """The prompt, and what the template makes of the answer."""
    told = prompt(processor, conversation.messages)
    said = {"role": "assistant", "content": [{"type": "text", "text": conversation.answer}]}
    chats = ([*conversation.messages, said], [*_without_system(conversation.messages), said])
    for chat in chats:
        whole = _rendered(processor, chat, is_answered=True)
        if whole is not None and whole.startswith(told):
            return told, whole[len(told) :]
    raise ModelError("The model's chat template writes answers elsewhere than it asks for them.")


def _rendered(processor: Any, chat: Sequence[Message], is_answered: bool = False) -> str | None:
    """The text; None where the template refuses the conversation, or leaves out or changes what is said."""
    try:
        text = processor.tokenizer.apply_chat_template(
            [*chat],
            chat_template=processor.chat_template,
            add_generation_prompt=not is_answered,
            tokenize=False,
            date_string=_DATE,
        )
    except (jinja2.TemplateError, TypeError, KeyError):
        return None
    said = [part["text"].strip() for message in chat for part in message["content"] if part["type"] == "text"]
    return text if all(item in text for item in said) else None


def _without_system(chat: Sequence[Message]) -> list[Message]:
    """The same with the system's text in front of the user's first one; an image stays in front of both."""
    if chat[0]["role"] != "system":
        return [*chat]
    system, user, *more = chat
    first = next((n for n, part in enumerate(user["content"]) if part["type"] == "text"), len(user["content"]))
    text = "\n\n".join(part["text"] for part in system["content"])
    told = {"type": "text", "text": f"{text}\n\n"}
    return [{**user, "content": [*user["content"][:first], told, *user["content"][first:]]}, *more]


def _inputs(processor: Any, pictures: Sequence[np.ndarray], texts: Sequence[str], side: str) -> dict[str, Any]:
    return dict(
        processor(
            images=[[_image(picture)] for picture in pictures],
            text=[*texts],
            add_special_tokens=False,  # the template has written them
            padding=True,
            padding_side=side,
            return_tensors="pt",
        )
    )


def _image(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(picture).convert("RGB")


def _tokens(processor: Any, text: str) -> list[int]:
    return processor.tokenizer(text, add_special_tokens=False)["input_ids"]


def _up_to_end(tokens: Sequence[int], ends: frozenset[int]) -> int:
    """How many tokens there are up to the one that ends the answer, it included; a template may write more."""
    last = next((n for n in reversed(range(len(tokens))) if tokens[n] in ends), None)
    if last is None:
        raise ModelError("The model's chat template does not end its answers.", "Take an instruction-tuned model.")
    return last + 1
