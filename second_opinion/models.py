"""Trained networks as ONNX files: every defect of a file is found before an image is touched.

A file is known by its path and its hash. Each process loads it once, and notices when it has changed since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import json_text
from errors import MissingDependency, ModelError
from plain_data import build
from second_opinion.face_input import GREY, REACH_SHARE, RINGS, FaceCrop, InputForm, prepare
from second_opinion.networks import CLASS_OF_ANSWER, MARK, PATCH, SEGMENT, ModelFile, Network, Networks
from second_opinion.patch_input import CROP_PX, CROP_SHARE, PatchForm, patch_input

FACE_INPUT, PATCH_INPUT, OUTPUT = "face", "patch", "probabilities"
_BLANK_GREY = 128
_MOST_PX, _MOST_FINE = 1024, 8
_SUM_TOLERANCE = 1e-3
_SILENT = 4  # of onnxruntime's logger: what goes wrong is said here, in a sentence


class _FlawError(Exception):
    """What is wrong with a file, as the end of a sentence."""


def identify(task: str, path: Path) -> ModelFile:
    """The model in a file, checked; raises :class:`ModelError`, and :class:`MissingDependency` without onnxruntime."""
    model = ModelFile(task, str(path.absolute()), hashlib.sha256(_read(task, path)).hexdigest())
    load(model)
    return model


def load_all(models: Iterable[ModelFile]) -> Networks:
    """The networks in some files; raises as :func:`load` does."""
    return Networks(**{model.task: load(model) for model in models})


@lru_cache
def load(model: ModelFile) -> Network:
    """The network in a file, loaded once per process and tried on something blank.

    Raises :class:`ModelError` for a file that cannot be used or has changed, and :class:`MissingDependency`.
    """
    data = _read(model.task, Path(model.path))
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise ModelError(f"{model.path} has changed since the inspection began.", "Leave models alone while they run.")
    try:
        return _network(model.task, data)
    except _FlawError as flaw:
        raise ModelError(f"{model.path} is no {model.task} network: {flaw}.", _remedy(model.task)) from flaw


def _read(task: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        why = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"The {task} network {path} cannot be read: {why}.", _remedy(task)) from error


def _remedy(task: str) -> str:
    return f"Name a model.onnx that python -m learning.train --task {task} has written."


def _network(task: str, data: bytes) -> Network:
    session = _session(data)
    properties = session.get_modelmeta().custom_metadata_map
    if "task" not in properties:
        raise _FlawError("it is none of this program's (its metadata name no task)")
    if properties["task"] != task:
        raise _FlawError(f"it was trained for the task {properties['task'][:40]!r}")
    classes = _classes(task, properties)
    form = _form(task, properties)
    name = PATCH_INPUT if task == PATCH else FACE_INPUT
    _check_ends(session, name, form)

    def run(inputs: np.ndarray) -> np.ndarray:
        return session.run([OUTPUT], {name: inputs})[0]

    _try(run, classes, form)
    return Network(task, classes, form, run)


def _session(data: bytes) -> Any:
    try:
        import onnxruntime  # only here: it is large, and few inspections need it
    except ImportError as error:
        raise MissingDependency(
            f"Networks need onnxruntime ({error}).", "Run: pip install -r requirements-learning.txt"
        ) from error
    onnxruntime.set_default_logger_severity(_SILENT)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # its neighbours use the other cores
    options.log_severity_level = _SILENT
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a damaged file can raise anything
        raise _FlawError(f"it is no ONNX model, or a damaged one ({type(error).__name__})") from error


def _classes(task: str, properties: dict[str, str]) -> tuple[str, ...]:
    classes = _parsed(properties, "classes")
    if not (isinstance(classes, list) and len(classes) >= 2 and all(isinstance(name, str) for name in classes)):
        raise _FlawError("its metadata name no classes")
    known = {PATCH: {*CLASS_OF_ANSWER}, SEGMENT: {"background", MARK}}.get(task, {*classes})
    if not {*classes} <= known or len({*classes}) < len(classes):
        raise _FlawError(f"its classes are {', '.join(classes)[:200]}; expected {', '.join(sorted(known))}")
    return tuple(classes)


def _form(task: str, properties: dict[str, str]) -> InputForm | PatchForm:
    given = _parsed(properties, "input")
    share_name, share = ("crop_share", CROP_SHARE) if task == PATCH else ("reach_share", REACH_SHARE)
    if not isinstance(given, dict):
        raise _FlawError("its metadata do not say what it takes as input")
    if given.get(share_name, share) != share:
        raise _FlawError(f"it was trained with {share_name} {given[share_name]}, this program has {share}")
    try:
        form = build(PatchForm if task == PATCH else InputForm, given)
    except ValueError as error:
        raise _FlawError(f"the input that its metadata describe is none ({error})") from error
    is_face = isinstance(form, InputForm)
    if not 1 <= form.size <= _MOST_PX or (
        is_face and not (form.normalisation in (GREY, RINGS) and 1 <= form.fine <= _MOST_FINE)
    ):
        raise _FlawError("the input that its metadata describe is none")
    return form


def _parsed(properties: dict[str, str], name: str) -> Any:
    try:
        return json_text.parse(properties.get(name, "null"))
    except ValueError as error:
        raise _FlawError(f"its metadata {name} are damaged") from error


def _check_ends(session: Any, name: str, form: InputForm | PatchForm) -> None:
    inputs, outputs = session.get_inputs(), [item.name for item in session.get_outputs()]
    wanted = [form.channels, form.size, form.size]
    if [item.name for item in inputs] != [name] or OUTPUT not in outputs:
        raise _FlawError(f"it does not take '{name}' and give '{OUTPUT}'")
    if inputs[0].type != "tensor(float)" or inputs[0].shape[1:] != wanted:
        taken = " x ".join(map(str, inputs[0].shape[1:]))
        raise _FlawError(f"it takes inputs of {taken}, but its metadata say {' x '.join(map(str, wanted))}")


def _try(run: Callable[[np.ndarray], np.ndarray], classes: tuple[str, ...], form: InputForm | PatchForm) -> None:
    """Ask about two blank faces, or pieces of one."""
    try:
        answer = run(np.stack([_blank(form)] * 2))
    except Exception as error:  # whatever its operators raise
        raise _FlawError(f"it fails on a blank picture ({type(error).__name__})") from error
    if answer.shape not in ((2, len(classes)), (2, len(classes), form.size, form.size)):
        raise _FlawError(f"it gives an answer of {' x '.join(map(str, answer.shape))} for {len(classes)} classes")
    if not np.isfinite(answer).all():
        raise _FlawError("on a blank picture its probabilities are not finite")
    if answer.min() < -_SUM_TOLERANCE or np.abs(answer.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        raise _FlawError("what it gives are no probabilities, which add up to 1")


def _blank(form: InputForm | PatchForm) -> np.ndarray:
    if isinstance(form, PatchForm):
        return patch_input(np.full((CROP_PX, CROP_PX), _BLANK_GREY, np.uint8), form)
    side = (form.fine_size, form.fine_size)
    return prepare(FaceCrop(np.full(side, _BLANK_GREY, np.uint8), np.ones(side, bool)), form)
