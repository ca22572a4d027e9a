"""Trained networks as files: every defect is one sentence, and real models through main.py and evaluate.py."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from faces import clean_png, pitted_png, write
from main_runs import KNOWN, ROOT, one_sentence
from report_samples import rows_of
from tiny_networks import metadata, write_model

import evaluate
import main
import synthetic
from cli.model_options import SHIPPED
from errors import ExitCode, ModelError
from records_file import stream_records
from second_opinion import models
from second_opinion.networks import PATCH, QUALITY, SEGMENT, TASKS

pytest.importorskip("onnx", reason="needs requirements-learning.txt")
pytest.importorskip("onnxruntime", reason="needs requirements-learning.txt")

ANSWERS = {QUALITY: "FAIL", PATCH: "artifact", SEGMENT: "background"}


@pytest.fixture(autouse=True)
def forget():
    """Each test loads its own files."""
    models.load.cache_clear()


def changed(task, /, **properties):
    """Metadata with some values replaced; None = left out."""
    new = {**metadata(task), **properties}
    return {name: value for name, value in new.items() if value is not None}


def form(**values):
    return json.dumps({"size": 16, "normalisation": "rings", "fine": 1, "reach_share": 1.1, **values})


BAD_METADATA = [
    (QUALITY, {"task": None}, "its metadata name no task"),
    (QUALITY, {"task": "segment"}, "it was trained for the task 'segment'"),
    (QUALITY, {"classes": None}, "its metadata name no classes"),
    (QUALITY, {"classes": '["PASS"]'}, "its metadata name no classes"),
    (QUALITY, {"classes": "[1, 2]"}, "its metadata name no classes"),
    (QUALITY, {"classes": "[["}, "its metadata classes are damaged"),
    (QUALITY, {"classes": '["a", "a"]'}, "its classes are a, a"),
    (QUALITY, {"classes": '["a", "b", "c"]'}, "it gives an answer of 2 x 2 for 3 classes"),
    (PATCH, {"classes": '["scratch", "rust", "pit", "chip", "crack", "artifact"]'}, "its classes are scratch, rust"),
    (SEGMENT, {"classes": '["mark", "sky"]'}, "expected background, mark"),
    (QUALITY, {"input": None}, "do not say what it takes"),
    (QUALITY, {"input": form(size="16")}, "the input that its metadata describe is none (size"),
    (QUALITY, {"input": form(size=0)}, "the input that its metadata describe is none"),
    (QUALITY, {"input": form(normalisation="colour")}, "the input that its metadata describe is none"),
    (QUALITY, {"input": form(reach_share=2)}, "trained with reach_share 2, this program has 1.1"),
    (QUALITY, {"input": form(size=32)}, "it takes inputs of 2 x 16 x 16, but its metadata say 2 x 32 x 32"),
    (QUALITY, {"input": form(fine=2)}, "it takes inputs of 2 x 16 x 16, but its metadata say 3 x 16 x 16"),
    (PATCH, {"input": '{"size": 16, "crop_share": 1}'}, "trained with crop_share 1, this program has 0.5"),
]


@pytest.mark.parametrize(("task", "properties", "why"), BAD_METADATA)
def test_a_model_of_another_kind_is_refused(tmp_path, task, properties, why):
    path = write_model(tmp_path / "m.onnx", task, ANSWERS[task], changed(task, **properties))
    with pytest.raises(ModelError) as refused:
        models.identify(task, path)
    assert refused.value.message.startswith(f"{path} is no {task} network: ")
    assert why in refused.value.message and "\n" not in str(refused.value)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"PNG" + data])
def test_a_file_that_is_no_onnx_model_is_refused(tmp_path, damage, capfd):
    path = write_model(tmp_path / "m.onnx", PATCH, "pit")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match="it is no ONNX model, or a damaged one"):
        models.identify(PATCH, path)
    assert capfd.readouterr() == ("", "")


def test_answers_that_are_no_probabilities_are_refused(tmp_path):
    path = write_model(tmp_path / "m.onnx", QUALITY, "PASS", bias=float("nan"))
    with pytest.raises(ModelError, match="on a blank picture its probabilities are not finite"):
        models.identify(QUALITY, path)


def test_a_file_with_another_input_or_output_is_refused(tmp_path):
    path = write_model(tmp_path / "m.onnx", PATCH, "pit", {**metadata(QUALITY), "classes": '["a","b","c","d","e","f"]'})
    with pytest.raises(ModelError, match="it does not take 'face' and give 'probabilities'"):
        models.identify(QUALITY, path)


@pytest.mark.parametrize("name", ["absent.onnx", ".", "a\0b", "x" * 300])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, name):
    with pytest.raises(ModelError, match="cannot be read"):
        models.identify(QUALITY, tmp_path / name)


def test_a_model_is_loaded_once_and_a_change_is_noticed(tmp_path):
    path = write_model(tmp_path / "m.onnx", PATCH, "pit")
    file = models.identify(PATCH, path)
    assert models.load(file) is models.load(dataclasses.replace(file))
    write_model(path, PATCH, "crack")
    models.load.cache_clear()  # as in another process
    with pytest.raises(ModelError, match="has changed since the inspection began"):
        models.load(file)


def test_a_network_answers_any_number_of_inputs(tmp_path):
    network = models.load(models.identify(PATCH, write_model(tmp_path / "m.onnx", PATCH, "chip")))
    found = network.run(np.zeros((5, 3, 16, 16), np.float32))
    assert found.shape == (5, 6) and {network.classes[k] for k in found.argmax(axis=1)} == {"chip"}


# --- whole programs --------------------------------------------------------------------------------------------------


@pytest.fixture
def networks(isolated):
    """The option --model for one of each, in the current folder."""
    return ",".join(f"{task}={write_model(Path(f'{task}.onnx'), task, ANSWERS[task])}" for task in TASKS)


def details(name):
    return rows_of(Path(f"out/details/{name}_report.csv").read_bytes())


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_all_networks_are_asked_in_every_process(networks, jobs, capsys):
    write(Path("in/clean.png"), clean_png())
    write(Path("in/pits.png"), pitted_png())
    arguments = ["in", "-o", "out", *KNOWN, "--jobs", jobs, "--pdf", "--model", networks]
    assert main.main(arguments) == ExitCode.NOT_ALL_PASSED
    assert "On 2 images rules and networks disagree" in capsys.readouterr().out
    clean, pits = rows_of(Path("out/summary_report.csv").read_bytes())
    assert clean["torch_quality_label"] == "FAIL" and float(clean["torch_quality_confidence"]) > 0.9
    assert clean["Network_Disagreements"].startswith("The quality network says FAIL")
    assert "Artifact by the patch network: " in pits["Network_Disagreements"]
    assert {row["ml_class"] for row in details("pits")} == {"Artifact"}
    run = json.loads(Path("out/run.json").read_text())
    assert [model["task"] for model in run["models"]] == list(TASKS)
    assert "Rules and networks" in Path("out/report.html").read_text()


def test_resume_inspects_again_when_a_model_has_changed(networks):
    write(Path("in/clean.png"), clean_png())
    arguments = ["in", "-o", "out", *KNOWN, "--resume", "--model", networks]
    labels = []
    for answer in ("FAIL", "FAIL", "PASS"):
        write_model(Path("quality.onnx"), QUALITY, answer)
        assert main.main(arguments) == ExitCode.OK
        (record,) = stream_records(Path("out/results.jsonl"))
        labels.append((record.torch_quality_label, record.inspected_at))
    assert [label for label, _ in labels] == ["FAIL", "FAIL", "PASS"]
    assert labels[0] == labels[1]


def test_networks_of_config_json_lie_beside_it_and_the_option_replaces_them(networks):
    write(Path("in/clean.png"), clean_png())
    tree = json.loads((Path(main.__file__).parent / "config.json").read_text())
    tree["learning"] |= {"models": {"quality": "quality.onnx", "patch": None, "segment": None}}
    write(Path("own/config.json"), json.dumps(tree).encode())
    shutil.move("quality.onnx", "own/quality.onnx")
    for option, names in ((), ["quality"]), (("--model", "none"), []), (("--model", "patch=patch.onnx"), ["patch"]):
        arguments = ["in/clean.png", "-o", "out", "--overwrite", "-c", "own/config.json", *KNOWN, *option]
        assert main.main(arguments) == ExitCode.OK
        assert [model["task"] for model in json.loads(Path("out/run.json").read_text())["models"]] == names


def test_a_model_of_another_task_ends_main_before_anything_is_written(networks, capsys):
    write(Path("in/clean.png"), clean_png())
    arguments = ["in", "-o", "out", *KNOWN, "--model", "segment=quality.onnx"]
    assert main.main(arguments) == ExitCode.INVALID_INPUT
    assert "is no segment network: it was trained for the task 'quality'" in one_sentence(capsys.readouterr())
    assert not Path("out").exists()


def test_the_evaluation_measures_with_networks(networks):
    assert synthetic.main(["set", "--count", "1", "--seed", "5"]) == ExitCode.OK
    assert evaluate.main(["set", "-o", "out", "--jobs", "1", "-q", "--model", networks]) == ExitCode.OK
    (image,) = json.loads(Path("out/evaluation.json").read_text())["profiles"][0]["images"]
    assert image["reported_defects"]
    assert max(d["confidence"] for d in image["reported_defects"]) <= 2 / 2.5 + 1e-9  # segment, asked, agrees to none


# --- the networks that ship with the program -----------------------------------------------------------------------


@pytest.mark.parametrize("task", [PATCH, SEGMENT])
def test_a_shipped_network_is_small_and_can_be_asked(task):
    file = SHIPPED / f"{task}.onnx"
    assert file.stat().st_size < 5e6
    assert models.load(models.identify(task, file)).task == task


def test_shipped_networks_know_a_sample(tmp_path):
    arguments = [str(ROOT / "samples/pit.png"), "-o", str(tmp_path / "out"), "--cladding-um", "125", "--jobs", "1"]
    assert main.main([*arguments, "--model", "patch,dl", "-q"]) == ExitCode.NOT_ALL_PASSED
    (record,) = stream_records(tmp_path / "out/results.jsonl")
    assert {"Pit/Dig"} <= {defect.ml_class for defect in record.defects}
    assert any("Segment" in defect.detected_by for defect in record.defects)
