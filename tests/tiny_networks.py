"""Networks for tests of what their answers do: functions for the inspector, and tiny ONNX models for the loader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from second_opinion.face_input import REACH_SHARE, InputForm
from second_opinion.networks import PATCH, QUALITY, SEGMENT, Network
from second_opinion.patch_input import PatchForm

QUALITY_CLASSES = ("PASS", "FAIL")
PATCH_CLASSES = ("scratch", "pit", "contamination", "chip", "crack", "artifact")
SEGMENT_CLASSES = ("background", "mark")
_CLASSES = {QUALITY: QUALITY_CLASSES, PATCH: PATCH_CLASSES, SEGMENT: SEGMENT_CLASSES}
_SIZE, _CHANNELS = 16, {QUALITY: 2, PATCH: 3, SEGMENT: 2}


def saying(task: str, answer: str, confidence: float = 0.97) -> Network:
    """A network that says the same of everything."""
    classes = _CLASSES[task]
    rest = (1 - confidence) / (len(classes) - 1)
    row = np.array([confidence if name == answer else rest for name in classes], np.float32)
    return asked(task, lambda inputs: np.tile(row, (len(inputs), 1)))


def seeing(probability: np.ndarray) -> Network:
    """A segment network that always sees marks where this map (S, S) says."""
    both = np.stack([1 - probability, probability])[None].astype(np.float32)
    form = InputForm(len(probability))
    return Network(SEGMENT, SEGMENT_CLASSES, form, lambda inputs: both)


def asked(task: str, run: Callable[[np.ndarray], np.ndarray]) -> Network:
    """A network that answers by a function."""
    return Network(task, _CLASSES[task], PatchForm(_SIZE) if task == PATCH else InputForm(_SIZE), run)


def metadata(task: str) -> dict[str, str]:
    """What a model says of itself; the size of its input is 16."""
    form = {"size": _SIZE} if task == PATCH else {"size": _SIZE, "normalisation": "rings", "reach_share": REACH_SHARE}
    return {"task": task, "classes": json.dumps(_CLASSES[task]), "input": json.dumps(form)}


def write_model(
    path: Path,
    task: str,
    answer: str,
    properties: dict[str, str] | None = None,
    *,
    size: object = _SIZE,
    bias: float = 5.0,
) -> Path:
    """Write an ONNX model that prefers one answer by ``bias`` in its logits, whatever it is shown."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    channels, classes = _CHANNELS[task], _CLASSES[task]
    logits = np.array([bias if name == answer else 0 for name in classes], np.float32)
    weights = np.zeros((len(classes), channels, 1, 1), np.float32)
    name = PATCH if task == PATCH else "face"
    nodes = [helper.make_node("Conv", [name, "weights", "bias"], ["seen"])]
    nodes += [
        helper.make_node("Softmax", ["seen"], ["probabilities"], axis=1)
        if task == SEGMENT
        else helper.make_node("GlobalAveragePool", ["seen"], ["pooled"]),
    ]
    shape = ["n", len(classes), size, size]
    if task != SEGMENT:
        nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
        nodes.append(helper.make_node("Softmax", ["flat"], ["probabilities"], axis=1))
        shape = shape[:2]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, size, size])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(logits, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata(task) if properties is None else properties)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
