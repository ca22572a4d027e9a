"""python -m learning.train: real trainings of seconds, what they leave, and what they refuse."""

from __future__ import annotations

import importlib.util
import json
import shutil

import cv2
import numpy as np
import pytest
from training_sets import change, write_class_folders, write_data_set

from errors import ExitCode
from learning import train
from learning.scores import class_scores, confusion
from records import Ellipse
from second_opinion.face_input import InputForm, network_input

LIBRARIES = ("torch", "onnx", "onnxruntime")
needs_torch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in LIBRARIES), reason="needs requirements-learning.txt"
)
QUICK = ("--task", "quality", "--size", "32", "--epochs", "6", "--batch", "4")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks of this size gain nothing by more threads, and lose much where other programs run."""
    if needs_torch.args[0]:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    return write_data_set(tmp_path_factory.mktemp("set") / "dataset")


@pytest.fixture(scope="module")
def trained(data_set, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "model"
    assert run(data_set, *QUICK, "--out", out) == ExitCode.OK
    return out


def run(data_set, *options):
    return train.main([str(data_set), *map(str, options), "--no-progress", "--device", "cpu"])


def weights(path):
    from learning.model_files import load_checkpoint

    return load_checkpoint(path)[1]["network"]


def same(first, second):
    return first.keys() == second.keys() and all(bool((first[name] == second[name]).all()) for name in first)


@needs_torch
def test_it_learns_and_says_what_it_has_made(trained, data_set):
    run_file = json.loads((trained / "run.json").read_text())
    assert run_file["figures"]["test"]["score"] == 1.0
    assert run_file["images"] == {"train": 16, "val": 4, "test": 4}
    assert [item["name"] for item in run_file["figures"]["val"]["classes"]] == ["PASS", "FAIL"]
    assert len(run_file["data_hash"]) == 64 and run_file["seed"] == 0
    for name in ("curves.png", "confusion.png"):
        assert (trained / name).read_bytes().startswith(b"\x89PNG")


@needs_torch
def test_the_onnx_model_is_the_network_and_says_what_it_is(trained):
    import onnxruntime
    import torch

    from learning.networks import FaceNet, Probabilities

    session = onnxruntime.InferenceSession(str(trained / "model.onnx"))
    properties = session.get_modelmeta().custom_metadata_map
    assert properties["task"] == "quality" and json.loads(properties["classes"]) == ["PASS", "FAIL"]
    form = json.loads(properties["input"])
    assert form == {"size": 32, "normalisation": "rings", "fine": 2, "reach_share": 1.1}
    network = FaceNet(3, 2)
    network.load_state_dict(weights(trained / "model.pt"))
    inputs = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    (found,) = session.run(["probabilities"], {"face": inputs})
    with torch.inference_mode():
        wanted = Probabilities(network).eval()(torch.from_numpy(inputs)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@needs_torch
def test_the_same_seed_gives_the_same_network_and_a_resumed_one_is_no_other(trained, data_set, tmp_path):
    part, other = tmp_path / "part", tmp_path / "other"
    assert run(data_set, *QUICK, "--epochs", "2", "--out", part) == ExitCode.OK
    assert run(data_set, *QUICK, "--resume", "--out", part) == ExitCode.OK
    assert same(weights(trained / "last.pt"), weights(part / "last.pt"))
    assert same(weights(trained / "model.pt"), weights(part / "model.pt"))
    assert run(data_set, *QUICK, "--epochs", "1", "--seed", "1", "--out", other) == ExitCode.OK
    assert not same(weights(trained / "last.pt"), weights(other / "last.pt"))


@needs_torch
def test_a_stop_in_the_middle_of_an_epoch_is_made_good(data_set, trained, tmp_path, monkeypatch):
    from learning import loading

    plain, out, calls = loading.Loader.batches, tmp_path / "model", []

    def stopping(self, samples, size, epoch=None):
        calls.append(epoch)
        if epoch == 3:
            raise KeyboardInterrupt
        return plain(self, samples, size, epoch)

    monkeypatch.setattr(loading.Loader, "batches", stopping)
    assert run(data_set, *QUICK, "--out", out) == ExitCode.INTERRUPTED
    monkeypatch.undo()
    assert run(data_set, *QUICK, "--resume", "--out", out) == ExitCode.OK
    assert same(weights(trained / "last.pt"), weights(out / "last.pt"))


@needs_torch
def test_class_folders_and_the_perceptron(tmp_path):
    folder = write_class_folders(tmp_path / "classes")
    options = ("--task", "quality", "--arch", "mlp", "--epochs", "1", "--out", tmp_path / "model")
    assert run(folder, *options) == ExitCode.OK
    run_file = json.loads((tmp_path / "model/run.json").read_text())
    assert run_file["classes"] == ["good", "spotted"]
    assert sum(run_file["images"].values()) == 24


@needs_torch
def test_segment_learns_where_marks_are(data_set, tmp_path):
    out = tmp_path / "model"
    options = ("--task", "segment", "--size", "64", "--epochs", "6", "--batch", "4", "--lr", "0.005", "--out", out)
    assert run(data_set, *options) == ExitCode.OK
    figures = json.loads((out / "run.json").read_text())["figures"]["test"]
    mark = figures["classes"][1]
    assert mark["name"] == "mark" and mark["f1"] > 0.3
    assert figures["recall_by_row"]["pit"] == mark["recall"] and figures["recall_by_row"]["crack"] is None


@needs_torch
def test_the_loss_ignores_what_nobody_judged():
    import torch

    from learning.segment import dice_and_cross_entropy

    weights = torch.tensor([1.0, 3.0])
    targets = torch.tensor([[[0, 2], [255, 255]]])
    logits = torch.tensor([[[[5.0, -5.0], [9.0, 0.0]], [[-5.0, 5.0], [-9.0, 7.0]]]])
    loss = float(dice_and_cross_entropy(logits, targets, weights))
    assert loss == pytest.approx(0, abs=1e-3)
    logits[..., 1, :] *= -1
    assert float(dice_and_cross_entropy(logits, targets, weights)) == pytest.approx(loss, abs=1e-6)
    assert float(dice_and_cross_entropy(-logits, targets, weights)) > 5


def one_class(folder):
    change(folder, "UPDATE images SET verdict = 'clean'")


def no_val(folder):
    change(folder, "UPDATE images SET split = 'train' WHERE split = 'val'")


def other_version(folder):
    change(folder, "PRAGMA user_version = 7")


def foreign(folder):
    (folder / "index.sqlite").write_text("no database")


def unreadable(folder):
    for path in (folder / "images").iterdir():
        path.write_bytes(b"no image")


@needs_torch
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (one_class, "one class only, PASS"),
        (no_val, "split val holds no image"),
        (other_version, "schema version 7"),
        (foreign, "no database of a data set"),
        (unreadable, "is not an image"),
        (shutil.rmtree, "is no folder"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_data_set_that_cannot_be_used(data_set, tmp_path, capsys, harm, said):
    folder = shutil.copytree(data_set, tmp_path / "broken")
    harm(folder)
    assert run(folder, *QUICK, "--out", tmp_path / "model") == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, said)


@needs_torch
def test_segment_needs_marks_and_masks(data_set, tmp_path, capsys):
    folder = shutil.copytree(data_set, tmp_path / "clean")
    for path in (folder / "defects").iterdir():
        path.unlink()
    for where, said in ((folder, "has a mark"), (write_class_folders(tmp_path / "c", 3), "needs masks")):
        assert run(where, "--task", "segment", "--size", "32", "--out", tmp_path / "m") == ExitCode.INVALID_INPUT
        assert_one_sentence(capsys, said)


@needs_torch
def test_class_folders_that_cannot_be_used(tmp_path, capsys):
    folder = write_class_folders(tmp_path / "classes", 3)
    (folder / "empty").mkdir()
    assert run(folder, *QUICK, "--out", tmp_path / "model") == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, "holds no image")
    (folder / "empty").rmdir()
    shutil.copy(folder / "good/face_0000.png", folder / "spotted/copy.png")
    assert run(folder, *QUICK, "--out", tmp_path / "model") == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, "same image in two classes")


@needs_torch
@pytest.mark.parametrize("content", [b"", b"no checkpoint", "foreign"], ids=["empty", "damaged", "foreign"])
def test_a_checkpoint_that_cannot_be_used(data_set, tmp_path, capsys, content):
    import torch

    if content == "foreign":
        torch.save({"weights": torch.zeros(1)}, tmp_path / "last.pt")
    else:
        (tmp_path / "last.pt").write_bytes(content)
    assert run(data_set, *QUICK, "--resume", "--out", tmp_path) == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, "last.pt is no checkpoint")


@needs_torch
def test_a_training_is_neither_replaced_nor_mixed_with_another(trained, data_set, capsys):
    assert run(data_set, *QUICK, "--out", trained) == ExitCode.OUTPUT_UNUSABLE
    assert_one_sentence(capsys, "holds a training")
    assert run(data_set, *QUICK, "--seed", "5", "--resume", "--out", trained) == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, "another seed")


def test_a_missing_library_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert run(tmp_path, *QUICK, "--out", tmp_path / "model") == ExitCode.MISSING_DEPENDENCY
    assert_one_sentence(capsys, "needs torch, onnx, onnxruntime")
    assert not (tmp_path / "model").exists()


def assert_one_sentence(capsys, said):
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_the_input_follows_the_fibre_and_forgets_the_light():
    rng = np.random.default_rng(3)
    picture = blurred(rng.uniform(40, 160, (300, 300)))
    round_, moved = Ellipse(150, 150, 160, 160, 0), Ellipse(157, 146, 160, 160, 0)
    form = InputForm(64)
    plain = network_input(picture, round_, form)
    shifted = network_input(np.roll(picture, (-4, 7), (0, 1)), moved, form)
    brighter = network_input((picture * 1.2 + 20).astype(np.uint8), round_, form)
    assert plain.shape == (2, 64, 64) and plain.dtype == np.float32
    assert np.abs(shifted - plain).mean() < 0.01 < 0.05 < np.abs(plain).mean()
    assert np.abs(brighter - plain).mean() < 0.03
    assert not plain[:, 0, 0].any()
    assert network_input(picture, round_, InputForm(32, fine=2)).shape == (3, 32, 32)


def blurred(values):
    return cv2.normalize(cv2.GaussianBlur(values, (0, 0), 3), None, 30, 170, cv2.NORM_MINMAX).astype(np.uint8)


def test_scores_of_a_known_matrix():
    matrix = confusion(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1]), 3)
    first, second, third = class_scores(matrix, ("a", "b", "c"))
    assert (first.precision, first.recall, first.f1, first.iou, first.count) == (1, 2 / 3, 0.8, 2 / 3, 3)
    assert (second.precision, second.recall, second.iou) == (2 / 3, 1, 2 / 3)
    assert third.count == 0 and np.isnan([third.precision, third.recall, third.f1]).all()
