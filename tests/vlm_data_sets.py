"""Small data sets in chat form, as learning.vlm.export writes them: drawn pictures, with and without a dark spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from image_io import write_png

SYSTEM, QUESTION = "You inspect fibre end faces.", "Which marks are there?"
CLEAN = '{"defects":[],"pass_fail":"PASS","explanation":"No mark."}'
SPOTTED = (
    '{"defects":[{"bbox":[20,20,20,10],"type":"pit","severity":"critical","confidence":0.95,"zone":"Core"}],'
    '"pass_fail":"FAIL","explanation":"One pit."}'
)


def picture(number: int, *, spotted: bool) -> np.ndarray:
    """(60, 80) uint8, noisy grey."""
    grey = np.random.default_rng(number).integers(100, 140, (60, 80), dtype=np.uint8)
    if spotted:
        grey[20:30, 20:40] = 0
    return grey


def text(value: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": value}]


def line(name: str, answer: str, question: str = QUESTION) -> dict[str, Any]:
    """One conversation as a line of the chat files has it."""
    return {
        "id": name,
        "image": f"images/{name}.png",
        "messages": [
            {"role": "system", "content": text(SYSTEM)},
            {"role": "user", "content": [{"type": "image"}, *text(question)]},
            {"role": "assistant", "content": text(answer)},
        ],
        "source": {},
    }


def write_vlm_data(folder: Path, train: int = 4, val: int = 3) -> Path:
    """Every other picture has a spot."""
    (folder / "images").mkdir(parents=True)
    for split, count in (("train", train), ("val", val), ("test", 1)):
        lines = []
        for number in range(count):
            spotted = number % 2 == 1
            write_png(folder / f"images/{split}{number}.png", picture(number, spotted=spotted))
            lines.append(line(f"{split}{number}", SPOTTED if spotted else CLEAN))
        write_lines(folder, split, lines)
    return folder


def write_lines(folder: Path, split: str, lines: list[Any]) -> None:
    (folder / "chat").mkdir(exist_ok=True)
    texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    (folder / f"chat/{split}.jsonl").write_text("".join(f"{each}\n" for each in texts), encoding="utf-8")
