"""ONNX models that say what they are and give the same results as the network they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime

from cli.run_info import VERSION
from errors import MissingDependency

OUTPUT = "probabilities"
MAX_DIFFERENCE = 1e-4  # between the probabilities of the network and of onnxruntime


def finished(
    data: bytes, input_name: str, properties: Mapping[str, Any], examples: np.ndarray, wanted: np.ndarray
) -> bytes:
    """An exported model, its input and output named as everywhere, with ``properties`` as its ``metadata_props``.

    What is no text is written as JSON. ``wanted`` are the probabilities that the network gives for the inputs
    ``examples``; raises :class:`MissingDependency` where the model gives others.
    """
    model = onnx.load_from_string(data)
    for value, name in ((model.graph.input[0], input_name), (model.graph.output[0], OUTPUT)):
        _rename(model.graph, value.name, name)
        value.name = name
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    model.producer_name, model.producer_version = "D-Scope Blink", VERSION
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in properties.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    _check_same(data, input_name, examples, wanted)
    return data


def _rename(graph: onnx.GraphProto, before: str, after: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [after if name == before else name for name in names]


def _check_same(data: bytes, input_name: str, examples: np.ndarray, wanted: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], {input_name: examples})
    if (difference := float(np.abs(found - wanted).max())) > MAX_DIFFERENCE:
        raise MissingDependency(
            f"The ONNX model gives other probabilities than the network (by {difference:.2g}).",
            "Install the versions that requirements-learning.txt names.",
        )
