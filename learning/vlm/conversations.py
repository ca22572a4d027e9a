"""The chat files of a data set: a conversation about one picture in each line, checked once and read when needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import json_text
from errors import DataSetError
from learning.vlm.prompts import SYSTEM_TEXT

MAX_LINE_BYTES = 1_000_000  # far more than any answer about a picture
_EXPORT_AGAIN = "Mend it, or write the data set again with learning.vlm.export."
_ROLES = (["user", "assistant"], ["system", "user", "assistant"])

Message = dict[str, Any]  # {"role": ..., "content": [{"type": "text", "text": ...} | {"type": "image"}, ...]}


@dataclass(frozen=True)
class Conversation:
    """What the model is told about a picture, and what it should say then."""

    name: str
    picture: Path
    messages: tuple[Message, ...]  # an optional system's, then the user's with one image
    answer: str

    @property
    def texts(self) -> list[str]:
        """Everything that is said, the answer last."""
        parts = [part for message in self.messages for part in message["content"]]
        return [*(part["text"] for part in parts if part["type"] == "text"), self.answer]


def question_messages(question: str) -> list[Message]:
    """What the model is told before it answers about a picture, in training and in use."""
    return [
        {"role": "system", "content": [{"type": "text", "text": SYSTEM_TEXT}]},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]},
    ]


class Conversations(Sequence[Conversation]):
    """The lines of ``chat/SPLIT.jsonl`` in a data set. Only their places are kept in memory.

    Raises :class:`DataSetError` with file and line for the first one that cannot be used.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self.path = folder, folder / "chat" / f"{split}.jsonl"
        self._starts: list[int] = []
        digest = hashlib.sha256()
        for number, (start, line) in enumerate(self._lines(), start=1):
            try:
                size_bytes = self._conversation(line).picture.stat().st_size
            except (OSError, ValueError) as error:
                reason = f"its image cannot be read: {error.strerror}" if isinstance(error, OSError) else error
                raise DataSetError(f"{self.path}, line {number}: {reason}.", _EXPORT_AGAIN) from error
            self._starts.append(start)
            digest.update(line.strip() + b"\n%d\n" % size_bytes)
        self.sha256 = digest.hexdigest()  # of the lines and the sizes of their pictures

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Conversation:  # type: ignore[override]
        with open(self.path, "rb") as file:
            file.seek(self._starts[index])
            return self._conversation(file.readline(MAX_LINE_BYTES))

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        start = 0
        try:
            with open(self.path, "rb") as file:
                while line := file.readline(MAX_LINE_BYTES):
                    yield start, line
                    start += len(line)
        except OSError as error:
            raise DataSetError(
                f"Cannot read {self.path}: {error.strerror or error}.", "Write it with learning.vlm.export."
            ) from error

    def _conversation(self, line: bytes) -> Conversation:
        """One line; raises ValueError with the reason."""
        if len(line) >= MAX_LINE_BYTES:
            raise ValueError(f"it is longer than {MAX_LINE_BYTES:,} bytes")
        try:
            data = json_text.parse(line)
        except ValueError as error:
            raise ValueError(f"it is no JSON ({error})") from error
        if not isinstance(data, dict) or not isinstance(data.get("messages"), list):
            raise ValueError("it is no object with messages")
        messages = [_message(item) for item in data["messages"]]
        if [message["role"] for message in messages] not in _ROLES:
            raise ValueError("expected the messages of system (optional), user and assistant, in this order")
        *told, answer = messages
        kinds = [[part["type"] for part in message["content"]] for message in messages]
        if [row.count("image") for row in kinds[-2:]] != [1, 0] or kinds[:-2] not in ([], [["text"]]):
            raise ValueError("expected one image, in the user's message")
        if kinds[-1] != ["text"] or not answer["content"][0]["text"].strip():
            raise ValueError("expected one text as the assistant's answer")
        return Conversation(
            name=str(data.get("id", "")),
            picture=self._folder / _inside(data.get("image")),
            messages=tuple(told),
            answer=answer["content"][0]["text"].strip(),
        )


def training_splits(folder: Path) -> tuple[Conversations, Conversations]:
    """The conversations to learn from and those to judge by; raises :class:`DataSetError` when there are none."""
    train, val = Conversations(folder, "train"), Conversations(folder, "val")
    for conversations in (train, val):
        if not conversations:
            raise DataSetError(f"{conversations.path} is empty.", "Inspect and export more images.")
    return train, val


def _message(item: Any) -> Message:
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise ValueError("a message has no list of contents")
    return {"role": item.get("role"), "content": [_part(part) for part in content]}


def _part(part: dict[str, Any]) -> dict[str, str]:
    if part.get("type") == "image":
        return {"type": "image"}
    text = part.get("text")
    if part.get("type") != "text" or not isinstance(text, str):
        raise ValueError("a content is neither text nor image")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("a text holds half a character (a lone surrogate)") from error
    return {"type": "text", "text": text}


def _inside(name: Any) -> str:
    """The name of a file below the data set; raises ValueError for any other."""
    if not isinstance(name, str) or not name:
        raise ValueError("it names no image")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or os.path.splitdrive(name)[0] or "\\" in name or "\0" in name:
        raise ValueError("its image lies outside the data set")
    return name
