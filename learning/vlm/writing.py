"""The files that a model is taught with: pictures, chat lines for transformers, conversations for LLaVA.

Pictures are named after their content, so that the lists of an earlier export stay true until new ones replace them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from errors import OutputError
from image_io import write_bytes
from learning.database import SPLITS
from learning.tidy import replaced_text
from learning.vlm.answer import SCHEMA_FILE, Answer, parse_answer
from learning.vlm.conversations import question_messages
from learning.vlm.prompts import SYSTEM_TEXT
from learning.vlm.views import View
from png_encoding import encode_png

PICTURES, CHAT, LLAVA = "images", "chat", "llava"
_OURS = re.compile(r"[0-9a-f]{16}_[a-z]+_[0-9a-f]{12}\.png|\.[0-9a-f]{16}_[a-z]+_[0-9a-f]{12}\.png\.\d+\.tmp")
_PARTIAL = re.compile(r"\..+\.jsonl?\.\d+\.tmp", re.DOTALL)
_PNG_COMPRESSION = 1


class Lessons:
    """The open files of an export; see :func:`written_lessons`."""

    def __init__(self, folder: Path, chat: dict[str, TextIO], llava: dict[str, TextIO]) -> None:
        self._folder, self._chat, self._llava = folder, chat, llava
        self._is_first = dict.fromkeys(SPLITS, True)
        self._pictures: set[str] = set()

    def add(
        self,
        split: str,
        view: View,
        picture: np.ndarray,
        *,
        image_id: str,
        question: str,
        answer: Answer,
        **source: Any,
    ) -> None:
        """Write one picture (H, W) uint8 with its question and answer; ``source`` is kept beside them.

        Raises :class:`OutputError`, and ValueError for an answer that is none about this picture.
        """
        text = answer.to_text()
        if parse_answer(text, view.shown_width, view.shown_height) != answer:
            raise ValueError(f"not an answer about a view of {image_id}: {text}")
        data = encode_png(picture, _PNG_COMPRESSION)
        image = f"{PICTURES}/{image_id}_{view.name}_{hashlib.sha256(data).hexdigest()[:12]}.png"
        if not (self._folder / image).exists():
            write_bytes(self._folder / image, data)
        self._pictures.add(image)
        messages = [
            *question_messages(question),
            {"role": "assistant", "content": [{"type": "text", "text": text}]},
        ]
        conversations = [
            {"from": "human", "value": f"<image>\n{SYSTEM_TEXT}\n\n{question}"},
            {"from": "gpt", "value": text},
        ]
        crop = [view.left, view.top, view.width, view.height]
        head = {"id": f"{image_id}_{view.name}", "image": image}
        facts = {"image_id": image_id, "view": view.name, "crop_px": crop, **source}
        self._chat[split].write(_json({**head, "messages": messages, "source": facts}) + "\n")
        self._llava[split].write("\n" if self._is_first[split] else ",\n")
        self._llava[split].write(_json({**head, "conversations": conversations}))
        self._is_first[split] = False

    def remove_others(self) -> None:
        """Delete pictures of earlier exports and what killed ones have left; other files stay.

        Raises :class:`OutputError`.
        """
        try:
            for path in (self._folder / PICTURES).iterdir():
                if _OURS.fullmatch(path.name) and f"{PICTURES}/{path.name}" not in self._pictures:
                    path.unlink(missing_ok=True)
            for place in (CHAT, LLAVA):
                for path in (self._folder / place).iterdir():
                    if _PARTIAL.fullmatch(path.name):
                        path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot remove {path}: {error.strerror or error}.", "Check its permissions.") from error


@contextmanager
def written_lessons(folder: Path) -> Iterator[Lessons]:
    """All lists of an export, which are there complete after the block or as they were; raises :class:`OutputError`."""
    make_folder(folder / PICTURES)
    with ExitStack() as stack:
        chat = {split: stack.enter_context(replaced_text(folder / CHAT / f"{split}.jsonl")) for split in SPLITS}
        llava = {split: stack.enter_context(replaced_text(folder / LLAVA / f"{split}.json")) for split in SPLITS}
        for file in llava.values():
            file.write("[")
        yield Lessons(folder, chat, llava)
        for file in llava.values():
            file.write("\n]\n")
        write_bytes(folder / SCHEMA_FILE.name, SCHEMA_FILE.read_bytes())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; raises :class:`OutputError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make {folder}: {error.strerror or error}.", "Choose another --out.") from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
