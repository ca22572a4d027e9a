"""python -m learning.train --task patch: real trainings of seconds in Keras, and what they leave and refuse."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections import Counter

import numpy as np
import pytest
from training_sets import change, piece, write_crops, write_piece_folders

from errors import DataSetError, ExitCode, MissingDependency
from image_io import write_png
from learning import train

# not importorskip: Keras is loaded after its backend is chosen
if any(importlib.util.find_spec(name) is None for name in ("keras", "onnx", "onnxruntime")):
    pytest.skip("needs requirements-learning.txt", allow_module_level=True)
import onnxruntime

from learning import keras_backend, loading, patch
from learning.keras_backend import keras
from learning.keras_files import save_model
from learning.onnx_files import finished

# of Keras, about tensors of PyTorch as arrays of NumPy
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
NAMES = ("scratch", "pit", "contamination", "clean")
QUICK = ("--task", "patch", "--size", "32", "--epochs", "7", "--batch", "8")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_piece_folders(tmp_path_factory.mktemp("pieces") / "folders", NAMES)


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "model"
    assert run(folders, *QUICK, "--out", out) == ExitCode.OK
    return out


@pytest.fixture(scope="module")
def pieces():
    return np.stack([piece(name, 77) for name in NAMES])


def run(data_set, *options):
    return train.main([str(data_set), *map(str, options), "--no-progress", "--device", "cpu"])


def same(first, second):
    with np.load(first) as one, np.load(second) as other:
        names = [name for name in one if name != "progress"]
        assert len(names) > 50 and one.files == other.files
        return all(np.array_equal(one[name], other[name]) for name in names)


def test_it_learns_and_says_what_it_has_made(trained):
    run_file = json.loads((trained / "run.json").read_text())
    assert run_file["figures"]["test"]["score"] > 0.9
    assert run_file["class_counts"] == {"scratch": 8, "pit": 8, "contamination": 8, "artifact": 8}
    assert "no piece of the class chip, crack" in run_file["notes"][0]
    assert run_file["figures"]["test"]["classes"][3]["f1"] is None and 5e4 < run_file["weights"] < 3e5
    assert run_file["backend"] in run_file["versions"] and len(run_file["data_hash"]) == 64
    for name in ("curves.png", "confusion.png"):
        assert (trained / name).read_bytes().startswith(b"\x89PNG")


def test_the_saved_models_and_the_onnx_model_are_one_network(trained, pieces):
    session = onnxruntime.InferenceSession(str(trained / "model.onnx"))
    properties = session.get_modelmeta().custom_metadata_map
    assert properties["task"] == "patch" and json.loads(properties["input"]) == {"size": 32}
    assert json.loads(properties["classes"]) == ["scratch", "pit", "contamination", "chip", "crack", "artifact"]
    assert json.loads(properties["figures"])["score"] > 0.9
    inputs = np.random.default_rng(0).normal(size=(5, 3, 32, 32)).astype(np.float32)
    for batch in (inputs, inputs[:1]):
        (found,) = session.run(["probabilities"], {"patch": batch})
        for name in ("model.keras", "model.h5"):
            np.testing.assert_allclose(patch.load(trained / name).predict_on_batch(batch), found, atol=1e-4)
    assert [session.get_inputs()[0].shape, session.get_outputs()[0].shape] == [["n", 3, 32, 32], ["n", 6]]


def test_predict_takes_one_piece_or_many(trained, pieces):
    model = patch.load(trained / "model.keras")
    assert patch.predict(model, pieces) == ["scratch", "pit", "contamination", "artifact"]
    assert patch.predict(model, pieces[1]) == "pit"
    name, probability = patch.predict(model, pieces[1], return_prob=True)
    assert name == "pit" and 0.5 < probability <= 1
    assert patch.predict(model, pieces, return_prob=True)[1] == (name, pytest.approx(probability, abs=1e-5))


@pytest.mark.parametrize("images", [np.zeros((8, 9), np.uint8), np.zeros((8, 8)), np.zeros((0, 8, 8), np.uint8)])
def test_predict_refuses_what_is_no_piece(trained, images):
    with pytest.raises(DataSetError, match="Pieces are"):
        patch.predict(patch.load(trained / "model.keras"), images)


def test_a_model_can_have_other_layers_and_classes(pieces, tmp_path):
    layers = (keras.layers.Dense(20, activation="relu", name="more"), keras.layers.Dropout(0.1))
    model = patch.build_model((3, 32, 32), classes=("a", "b"), extra_layers=layers)
    assert [layer.name for layer in model.layers[-3:-1]] == ["more", layers[1].name] and model.optimizer
    assert patch.predict(model, pieces[0], classes=("a", "b")) in ("a", "b")
    with pytest.raises(DataSetError, match="tells 2 classes apart"):
        patch.predict(model, pieces[0])
    save_model(model, tmp_path / "two.keras")
    assert patch.load(tmp_path / "two.keras").output_shape == (None, 2)


def test_a_resumed_training_is_no_other(trained, folders, tmp_path, monkeypatch):
    part, other = tmp_path / "part", tmp_path / "other"
    plain = loading.Loader.batches

    def stopping(self, samples, size, epoch=None):
        if epoch == 4:
            raise KeyboardInterrupt
        return plain(self, samples, size, epoch)

    monkeypatch.setattr(loading.Loader, "batches", stopping)
    assert run(folders, *QUICK, "--out", part) == ExitCode.INTERRUPTED
    monkeypatch.undo()
    assert run(folders, *QUICK, "--resume", "--out", part) == ExitCode.OK
    assert same(trained / "last.npz", part / "last.npz")
    assert run(folders, *QUICK, "--epochs", "1", "--seed", "1", "--out", other) == ExitCode.OK
    assert not same(trained / "last.npz", other / "last.npz")


def test_the_crops_of_a_data_set_and_a_quick_try(tmp_path):
    folder = write_crops(tmp_path / "set")
    options = ("--task", "patch", "--epochs", "1", "--limit", "8", "--out", tmp_path / "model")
    assert run(folder, *options) == ExitCode.OK
    run_file = json.loads((tmp_path / "model/run.json").read_text())
    assert run_file["images"] == {"train": 8, "val": 8, "test": 8} and run_file["input"] == {"size": 64}
    assert run(folder, *options, "--overwrite") == ExitCode.OK


def empty(folder):
    (folder / "crack").mkdir()


def unknown(folder):
    (folder / "pit").rename(folder / "dig")


def one_class(folder):
    for name in ("scratch", "pit", "contamination"):
        shutil.rmtree(folder / name)
    shutil.copytree(folder / "clean", folder / "artifact")


def unreadable(folder):
    (folder / "pit/pit_0003.png").write_bytes(b"no image")


def oblong(folder):
    write_png(folder / "pit/pit_0003.png", np.zeros((20, 30), np.uint8))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (empty, "crack' holds no image"),
        (unknown, "dig' is named after no class"),
        (one_class, "one class only, artifact"),
        (unreadable, "pit_0003.png': "),
        (oblong, "has 30 x 20 px"),
        (shutil.rmtree, "is no folder"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_folders_that_cannot_be_used(folders, tmp_path, capsys, harm, said):
    folder = shutil.copytree(folders, tmp_path / "broken")
    harm(folder)
    assert run(folder, *QUICK, "--out", tmp_path / "model") == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, said)


def lost_crop(folder):
    for path in (folder / "crops/pit").iterdir():
        path.unlink()


def oblong_crop(folder):
    for path in (folder / "crops/pit").iterdir():
        write_png(path, np.zeros((20, 30), np.uint8))


def only_clean(folder):
    change(folder, "DELETE FROM crops WHERE class <> 'clean'")


@pytest.mark.parametrize(
    ("harm", "said"),
    [(lost_crop, "cannot be read"), (oblong_crop, "is not square"), (only_clean, "one class only, artifact")],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_data_set_that_cannot_be_used(tmp_path, capsys, harm, said):
    folder = write_crops(tmp_path / "set")
    harm(folder)
    assert run(folder, *QUICK, "--out", tmp_path / "model") == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, said)


def test_a_size_that_is_too_small(folders, tmp_path, capsys):
    assert run(folders, *QUICK, "--size", "15", "--out", tmp_path / "model") == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, "needs at least 16")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "foreign", "cut"])
def test_a_checkpoint_that_cannot_be_used(trained, folders, tmp_path, capsys, content):
    path = tmp_path / "last.npz"
    if content == "foreign":
        np.savez(path, weights=np.zeros(3))
    else:
        path.write_bytes(content if content != "cut" else (trained / "last.npz").read_bytes()[:-100])
    assert run(folders, *QUICK, "--resume", "--out", tmp_path) == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, "last.npz is no checkpoint")


def test_a_training_is_not_mixed_with_another(trained, folders, capsys, tmp_path):
    assert run(folders, *QUICK, "--out", trained) == ExitCode.OUTPUT_UNUSABLE
    assert_one_sentence(capsys, "holds a training")
    assert run(folders, *QUICK, "--seed", "5", "--resume", "--out", trained) == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, "another seed")
    (tmp_path / "last.pt").write_bytes(b"of PyTorch")
    assert run(folders, *QUICK, "--resume", "--out", tmp_path) == ExitCode.INVALID_INPUT
    assert_one_sentence(capsys, "training of another kind")


def test_models_that_cannot_be_loaded(trained, tmp_path):
    harmed = {"cut.keras": (trained / "model.keras").read_bytes()[:5000], "text.h5": b"text", "empty.keras": b""}
    for name, content in harmed.items():
        (tmp_path / name).write_bytes(content)
    for name, said in (*((name, "is no model") for name in harmed), ("a.pt", "ends in none"), ("a.h5", "is no file")):
        with pytest.raises(DataSetError, match=said):
            patch.load(tmp_path / name)
    inputs = keras.Input((4,))
    save_model(keras.Model(inputs, keras.layers.Dense(2)(inputs)), tmp_path / "other.keras")
    with pytest.raises(DataSetError, match="of another task"):
        patch.load(tmp_path / "other.keras")


def test_a_model_that_answers_otherwise_is_not_exported(trained):
    inputs = np.zeros((1, 3, 32, 32), np.float32)
    with pytest.raises(MissingDependency, match="other probabilities"):
        finished((trained / "model.onnx").read_bytes(), "patch", {}, inputs, np.full((1, 6), 0.5))


def test_rare_classes_weigh_more_within_limits():
    weights = patch.class_weights(Counter({"pit": 100, "scratch": 50, "crack": 1}))
    ratios = weights / weights[1]
    np.testing.assert_allclose(ratios, [2, 1, 0, 0, 10, 0])
    assert weights @ [50, 100, 0, 0, 1, 0] == pytest.approx(151)


@pytest.mark.parametrize(
    ("wish", "installed", "found"),
    [
        ("", ("torch", "tensorflow", "tf2onnx"), "torch"),
        ("", ("tensorflow", "tf2onnx"), "tensorflow"),
        ("tensorflow", ("torch", "tensorflow", "tf2onnx"), "tensorflow"),
        ("tensorflow", ("torch", "tensorflow"), "pip install tensorflow tf2onnx"),
        ("torch", ("tensorflow", "tf2onnx"), "requirements-learning.txt"),
        ("jax", ("torch",), "KERAS_BACKEND=jax"),
        ("", (), "requirements-learning.txt"),
    ],
)
def test_the_backend(monkeypatch, wish, installed, found):
    monkeypatch.setenv("KERAS_BACKEND", wish)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in installed else None)
    if found in ("torch", "tensorflow"):
        assert keras_backend.choose() == found
    else:
        with pytest.raises(MissingDependency, match=found):
            keras_backend.choose()


def assert_one_sentence(capsys, said):
    lines = capsys.readouterr().err.strip().splitlines()
    lines = [line for line in lines if "has no piece of the class" not in line]
    assert len(lines) == 1 and said in lines[0]
