"""OUTPUT folders with made-up records and pictures in which every mark is white, for the tests of learning/vlm."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
from report_samples import UM_PER_PX, make_defect, make_inspection

from records import FAIL, PASS, Defect, InspectionRecord, Scale, VlmDefect, VlmOpinion
from records_file import ResultsFile

WHITE = 255
VIOLATION = {"violates": ("Pit/Dig > 5um in Cladding",)}


def mark(x_px: float, y_px: float, size_px: float = 9.0, **changes) -> Defect:
    """A sure pit whose box has whole pixels as its edges."""
    return make_defect(x_px=x_px, y_px=y_px, size_px=size_px, **{"confidence": 1.0, **changes})


def add_result(folder: Path, name: str, *defects: Defect, **changes) -> InspectionRecord:
    """Write a picture of 520 x 360 px and append its record, which fails where a mark violates."""
    status = FAIL if any(defect.violates for defect in defects) else PASS
    grey = np.random.default_rng(sum(name.encode())).integers(90, 130, (360, 520)).astype(np.uint8)
    for defect in defects:
        left, top = np.ceil(np.min(defect.box_px, axis=0)).astype(int)
        right, bottom = np.floor(np.max(defect.box_px, axis=0)).astype(int) + 1
        grey[top:bottom, left:right] = WHITE
    data = cv2.imencode(".png", grey)[1].tobytes()
    path = folder.parent / "pictures" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    values = {
        "image_filename": name,
        "image_path": str(path),
        "content_sha256": hashlib.sha256(data).hexdigest(),
        "scale": Scale(UM_PER_PX, "given dimensions"),
        "status": status,
        "defects": defects,
        "rule_set": "iec_61300_3_35_2015_single_mode_pc",
    }
    record = dataclasses.replace(_any_record(), **{**values, **changes})
    folder.mkdir(exist_ok=True)
    ResultsFile(folder / "results.jsonl").append(record)
    return record


@functools.cache
def _any_record() -> InspectionRecord:
    return make_inspection().record


def opinion(verdict: str, status: str, *marks: VlmDefect, **changes) -> VlmOpinion:
    """What a model says of an image that the inspector has given ``status``."""
    return VlmOpinion(
        **{
            "verdict": verdict,
            "usable": True,
            "problem": "",
            "decided": False,
            "classical_status": status,
            "defects": marks,
            **changes,
        }
    )


def named(defect: Defect, **changes) -> VlmDefect:
    """A defect as a model would name it."""
    left, top = defect.box_px[0]
    size = defect.box_px[1][0] - left
    severity = "critical" if defect.violates else "minor"
    values = VlmDefect(defect.kind, defect.zone, severity, 0.9, (left + 0.5, top + 0.5, size, size), "full")
    return dataclasses.replace(values, **changes)


def lessons(folder: Path) -> dict[str, dict]:
    """All chat lines of an export by their ids, with their split, question, answer and picture (H, W)."""
    found = {}
    for split in ("train", "val", "test"):
        for line in (folder / "chat" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            assert item["id"] not in found
            system, user, assistant = item["messages"]
            picture = cv2.imdecode(np.fromfile(folder / item["image"], np.uint8), cv2.IMREAD_UNCHANGED)
            found[item["id"]] = {
                **item["source"],
                "split": split,
                "image": item["image"],
                "system": system["content"][0]["text"],
                "question": user["content"][1]["text"],
                "answer": json.loads(assistant["content"][0]["text"]),
                "text": assistant["content"][0]["text"],
                "picture": picture,
            }
    return found
