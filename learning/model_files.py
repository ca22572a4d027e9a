"""Networks of PyTorch as files: checkpoints, and ONNX."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from errors import DataSetError, UnreadableImage
from image_io import file_bytes, write_bytes
from learning.networks import Probabilities
from learning.onnx_files import OUTPUT, finished

INPUT = "face"
_FORMAT = "dscope-blink network 1"


def save_checkpoint(path: Path, header: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Write tensors and plain values with a JSON header, atomically; raises :class:`OutputError`."""
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, "header": json.dumps(header), **content}, buffer)
    write_bytes(path, buffer.getvalue())


def load_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the content of a checkpoint, on the CPU; nothing of the file is executed.

    Raises :class:`DataSetError` for a file that is none of this program's.
    """
    remedy = "Give another --out, or train again without --resume."
    try:
        content = torch.load(io.BytesIO(file_bytes(path)), map_location="cpu", weights_only=True)
    except UnreadableImage as error:
        raise DataSetError(f"{path}: {error.message}", remedy) from error
    except Exception as error:  # a damaged file can raise anything
        raise DataSetError(f"{path} is no checkpoint, or a damaged one ({type(error).__name__}).", remedy) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise DataSetError(f"{path} is no checkpoint of this program.", remedy)
    return json.loads(content["header"]), content


def export_onnx(network: nn.Module, examples: np.ndarray, properties: Mapping[str, Any]) -> bytes:
    """The network on the CPU as an ONNX model: ``face`` (N, channels, S, S) to ``probabilities`` (N, classes, ...).

    ``properties`` become ``metadata_props``, what is no text as JSON. ``examples`` are inputs on which both must agree;
    raises :class:`MissingDependency` where they do not.
    """
    exported = Probabilities(network).eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # the newer exporter takes 20 times as long and gives the same model
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        torch.onnx.export(
            exported,
            (torch.from_numpy(examples[:1]),),
            buffer,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
        )
    with torch.inference_mode():
        wanted = exported(torch.from_numpy(examples)).numpy()
    return finished(buffer.getvalue(), INPUT, properties, examples, wanted)
