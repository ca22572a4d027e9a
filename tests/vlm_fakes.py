"""Models that answer by rule, in place of a vision-language model, and images they are asked about."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
from faces import CLADDING_UM, shipped_config

from cli.job_settings import choose_settings
from image_io import DecodedImage
from inspection import Inspection, inspect_image, with_opinion
from inspection_settings import InspectionSettings

NOTHING = '{"defects": [], "pass_fail": "PASS", "explanation": "No mark is to be seen."}'


def entry(box, kind="pit", severity="critical", confidence=0.9, zone="Cladding"):
    return {"bbox": list(box), "type": kind, "severity": severity, "confidence": confidence, "zone": zone}


def said(*defects, verdict=None, explanation="Rejected: a pit."):
    verdict = verdict or ("FAIL" if defects else "PASS")
    return json.dumps({"defects": defects, "pass_fail": verdict, "explanation": explanation})


def question(chat):
    """The last thing that the model was told."""
    return chat[-1]["content"][-1]["text"]


class FakeModel:
    """Answers with what ``answer(name of the view, how often it was asked about it)`` gives; notes what it is shown."""

    def __init__(self, answer):
        self._answer, self.rounds = answer, []

    def __call__(self, pictures, chats):
        self.rounds.append((pictures, chats))
        return [self._answer(view_of(chat), len(chat) // 2) for chat in chats]


def view_of(chat):
    first = chat[1]["content"][-1]["text"]
    words = {"whole frame": "full", "core and what": "core", "cladding with": "cladding", "ferrule around": "ferrule"}
    return next(name for phrase, name in words.items() if phrase in first)


def saying(text):
    """A model that says the same about everything."""
    return FakeModel(lambda view, times: text)


def in_full(*defects, verdict=None):
    """A model that names these marks in the full frame, and sees nothing in the crops."""
    return FakeModel(lambda view, times: said(*defects, verdict=verdict) if view == "full" else NOTHING)


def settings(zones="core,cladding", **vlm) -> InspectionSettings:
    config = shipped_config()
    config = dataclasses.replace(config, vlm=dataclasses.replace(config.vlm, **vlm))
    return choose_settings(config, None, core_um=9.0, cladding_um=CLADDING_UM, zones=zones)


def inspected(grey, ask=None, **vlm) -> Inspection:
    """The inspection of an image with a fibre, (H, W) uint8, and then what the model makes of it."""
    found = _by_rules(grey.tobytes(), grey.shape)
    return found if ask is None else with_opinion(found, ask, settings(**vlm))


@functools.cache
def _by_rules(data: bytes, shape: tuple[int, int]) -> Inspection:
    return inspect_image(DecodedImage("face.png", np.frombuffer(data, np.uint8).reshape(shape)), settings())


def write_folder(folder: Path, **files: str) -> Path:
    """A folder that looks like a model's."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"config.json": '{"model_type": "mllama"}', "model.safetensors": "weights", **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
