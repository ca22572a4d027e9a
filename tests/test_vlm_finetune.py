"""python -m learning.vlm.finetune and merge: real trainings of seconds, what they leave, and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from config_trees import changed, write
from main_runs import ROOT
from vlm_data_sets import CLEAN, SPOTTED, line, picture, write_lines, write_vlm_data

pytest.importorskip("transformers", reason="needs requirements-vlm.txt")
pytest.importorskip("peft", reason="needs requirements-vlm.txt")

import tiny_vlm
import torch
from safetensors.torch import load_file, save_file

from errors import ExitCode, ModelError
from learning.vlm import finetune, libraries, merge
from learning.vlm.model import VisionLanguageModel, load
from learning.vlm.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from learning.vlm.tuning import Tuning

QUICK = ("--epochs", "3", "--batch", "2", "--accumulate", "1", "--lr", "0.02")
LORA = {"r": 4, "alpha": 8, "checked_answers": 2}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_vlm.write_model(tmp_path_factory.mktemp("model") / "base")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_vlm_data(tmp_path_factory.mktemp("vlm") / "data")


@pytest.fixture(scope="module")
def trained(base, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "adapter"
    assert run(base, data, "--out", out) == ExitCode.OK
    return out


@pytest.fixture
def again(trained, tmp_path):
    """A copy of the trained adapter to be spoiled."""
    return shutil.copytree(trained, tmp_path / "again")


def run(base, data, *options, **lora):
    """Three epochs of two steps; later options win over these."""
    tree = changed((("vlm", "max_new_tokens"), 24), *((("vlm", "lora", k), v) for k, v in {**LORA, **lora}.items()))
    config = write(data.parent, tree)
    given = ("--model", base, "--data", data, *QUICK, "-c", config, "--device", "cpu", "--no-progress", *options)
    return finetune.main([*map(str, given)])


def run_file(folder):
    return json.loads((folder / "run.json").read_text())


def weights(folder):
    return load_file(folder / ADAPTER_WEIGHTS)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def difference(first, second):
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def answers(model):
    chats = [line("a", CLEAN, "?" * number)["messages"][:2] for number in range(3)]
    return model.generate([picture(n, spotted=True) for n in range(3)], chats, batch=3, max_new_tokens=16)


# --- training ------------------------------------------------------------------------------------------------------


def test_it_learns_and_says_what_it_has_made(trained, base):
    run_ = run_file(trained)
    losses = [row["val_loss"] for row in run_["all_epochs"]]
    assert len(losses) == 3 and losses[0] > losses[1] > losses[2] and losses[2] < 0.9 * losses[0]
    assert run_["best_epoch"] == 3 and run_["figures"]["val_loss"] == losses[2]
    assert run_["pictures"] == {"train": 4, "val": 3} and run_["answers_too_long"] == 7
    assert run_["base"] == str(base) and run_["lora"]["r"] == 4 and run_["bits"] == 16 and run_["devices"] == 1
    assert len(run_["data_hash"]["train"]) == 64 and run_["versions"]["transformers"]
    names = weights(trained).keys()
    assert len(names) == 2 * 3 * 7 and not any("vision" in name for name in names)
    assert 0 < run_["weights_that_learn"] == sum(each.numel() for each in weights(trained).values())


def test_the_adapter_answers_otherwise_than_its_base(trained, base):
    assert answers(load(trained, device="cpu")) != answers(load(base, device="cpu"))


def test_the_same_seed_gives_the_same_adapter_and_another_seed_another(trained, base, data, tmp_path):
    assert run(base, data, "--out", tmp_path / "same") == ExitCode.OK
    assert same(weights(trained), weights(tmp_path / "same"))
    assert run(base, data, "--seed", "1", "--out", tmp_path / "other") == ExitCode.OK
    assert not same(weights(trained), weights(tmp_path / "other"))


@pytest.mark.parametrize("stopped_after", [1, 3, 4])
def test_a_training_that_was_stopped_ends_as_if_it_was_not(trained, base, data, tmp_path, monkeypatch, stopped_after):
    plain, steps = Tuning._step, []

    def asks_to_stop(self, *arguments):
        steps.append(self.state.step)
        if len(steps) == stopped_after:
            self.job.stop.requested = True  # as Ctrl-C does
        return plain(self, *arguments)

    monkeypatch.setattr(Tuning, "_step", asks_to_stop)
    out = tmp_path / "adapter"
    assert run(base, data, "--out", out) == ExitCode.INTERRUPTED
    assert len(steps) == stopped_after and not (out / "run.json").exists()
    assert (out / ADAPTER_WEIGHTS).exists() == (stopped_after > 2)
    monkeypatch.undo()
    assert run(base, data, "--resume", "--out", out) == ExitCode.OK
    assert same(weights(trained), weights(out))
    assert run_file(out)["all_epochs"] == run_file(trained)["all_epochs"]


def test_a_kill_costs_no_more_than_the_steps_since_the_last_checkpoint(trained, base, data, tmp_path, monkeypatch):
    plain, steps = Tuning._step, []

    def killed(self, *arguments):
        if len(steps) == 4:
            raise KeyboardInterrupt
        steps.append(self.state.step)
        return plain(self, *arguments)

    monkeypatch.setattr(Tuning, "_step", killed)
    out = tmp_path / "adapter"
    assert run(base, data, "--out", out, checkpoint_steps=1) == ExitCode.INTERRUPTED
    monkeypatch.undo()
    monkeypatch.setattr(Tuning, "_step", lambda self, *given: steps.append(self.state.step) or plain(self, *given))
    assert run(base, data, "--resume", "--out", out) == ExitCode.OK
    assert steps == [0, 1, 0, 1, 0, 1] and same(weights(trained), weights(out))


def test_a_finished_training_is_not_repeated(again, base, data):
    before = run_file(again)["all_epochs"]
    assert run(base, data, "--resume", "--out", again) == ExitCode.OK
    assert run_file(again)["all_epochs"] == before


@pytest.mark.parametrize("all_losses", [(5.0, 3.0, 4.0), (float("nan"), 3.0, float("nan"))])
def test_the_best_epoch_is_kept(base, data, tmp_path, monkeypatch, all_losses):
    losses = iter(all_losses)
    rows = []

    def judged(self):
        rows.append({name: each.clone() for name, each in self.network.named_parameters() if "lora_" in name})
        return {"val_loss": next(losses), "usable_share": None, "verdict_share": None}

    monkeypatch.setattr(Tuning, "_judged", judged)
    assert run(base, data, "--out", tmp_path / "adapter") == ExitCode.OK
    assert run_file(tmp_path / "adapter")["best_epoch"] == 2
    kept = weights(tmp_path / "adapter")
    assert same(kept, {name.replace(".default", ""): each for name, each in rows[1].items()})


def test_batches_and_accumulation_make_the_same_step(base, data, tmp_path):
    """Answers differ in length: a mean of means would weigh their tokens otherwise."""
    for name, batch, accumulate in (("whole", "4", "1"), ("parts", "1", "4")):
        options = ("--batch", batch, "--accumulate", accumulate, "--epochs", "2", "--out", tmp_path / name)
        assert run(base, data, *options, dropout=0) == ExitCode.OK
    whole, parts = (run_file(tmp_path / name) for name in ("whole", "parts"))
    assert whole["all_epochs"][1]["train_loss"] == pytest.approx(parts["all_epochs"][1]["train_loss"], rel=1e-5)
    assert difference(weights(tmp_path / "whole"), weights(tmp_path / "parts")) < 1e-4


def test_without_gradient_checkpointing_it_is_the_same(trained, base, data, tmp_path):
    assert run(base, data, "--out", tmp_path / "adapter", gradient_checkpointing=False) == ExitCode.OK
    assert difference(weights(trained), weights(tmp_path / "adapter")) < 1e-4


def test_what_sees_learns_where_that_is_asked_for(base, data, tmp_path):
    assert run(base, data, "--epochs", "1", "--out", tmp_path / "adapter", vision=True) == ExitCode.OK
    assert any("vision" in name for name in weights(tmp_path / "adapter"))


def test_a_model_of_16_bits_is_trained_and_merged(data, tmp_path):
    base = tiny_vlm.write_model(tmp_path / "base", dtype=torch.bfloat16)
    assert run(base, data, "--out", tmp_path / "adapter") == ExitCode.OK
    run_ = run_file(tmp_path / "adapter")
    assert run_["precision"] == "bfloat16" and run_["all_epochs"][2]["val_loss"] < run_["all_epochs"][0]["val_loss"]
    assert {each.dtype for each in weights(tmp_path / "adapter").values()} == {torch.float32}
    assert merge.main([str(tmp_path / "adapter"), "--out", str(tmp_path / "merged")]) == ExitCode.OK
    assert load(tmp_path / "merged", device="cpu").placement.dtype == torch.bfloat16


def test_with_four_bits(base, data, tmp_path):
    pytest.importorskip("bitsandbytes")
    assert run(base, data, "--bits", "4", "--out", tmp_path / "adapter") == ExitCode.OK
    run_ = run_file(tmp_path / "adapter")
    assert run_["bits"] == 4 and run_["all_epochs"][2]["val_loss"] < run_["all_epochs"][0]["val_loss"]


@pytest.mark.parametrize(
    ("answer", "usable", "agreeing"), [(SPOTTED, 1.0, 0.5), (CLEAN, 1.0, 0.5), ("no JSON", 0.0, 0.0), ("{}", 0.0, 0.0)]
)
def test_some_answers_are_checked(base, data, tmp_path, monkeypatch, answer, usable, agreeing):
    asked = []

    def generate(self, pictures, conversations, *, batch, max_new_tokens):
        asked.append((len(pictures), batch, max_new_tokens))
        return [answer] * len(pictures)

    monkeypatch.setattr(VisionLanguageModel, "generate", generate)
    write_vlm_data(tmp_path / "data", val=2)
    assert run(base, tmp_path / "data", "--epochs", "1", "--out", tmp_path / "adapter") == ExitCode.OK
    figures = run_file(tmp_path / "adapter")["figures"]
    assert (figures["usable_share"], figures["verdict_share"]) == (usable, agreeing) and asked == [(2, 2, 24)]


def test_no_answers_need_be_checked(base, data, tmp_path):
    options = ("--epochs", "1", "--limit", "1", "--out", tmp_path / "adapter")
    assert run(base, data, *options, checked_answers=0) == ExitCode.OK
    assert run_file(tmp_path / "adapter")["figures"]["usable_share"] is None


@pytest.mark.soak
def test_two_processes_make_the_same_steps_as_one(base, data, tmp_path):
    assert run(base, data, "--out", tmp_path / "one", dropout=0) == ExitCode.OK
    config = data.parent / "config.json"
    given = ("--model", base, "--data", data, *QUICK, "-c", config, "--device", "cpu", "--out", tmp_path / "two")
    two = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "learning.vlm.finetune"]
    command = [*two, *map(str, given), "--batch", "1"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("Adapter:") == 1, done.stderr
    assert run_file(tmp_path / "two")["devices"] == 2
    assert difference(weights(tmp_path / "one"), weights(tmp_path / "two")) < 1e-4


# --- merging -------------------------------------------------------------------------------------------------------


def test_the_merged_model_stands_alone_and_answers_as_the_adapter_does(trained, base, tmp_path):
    expected = answers(load(trained, device="cpu"))
    moved = shutil.copytree(base, tmp_path / "moved")
    out = tmp_path / "new/merged"
    assert merge.main([str(trained), "--out", str(out), "--base", str(moved)]) == ExitCode.OK
    shutil.rmtree(moved)
    assert answers(load(out, device="cpu")) == expected
    assert not (out / ADAPTER_CONFIG).exists() and run_file(out)["best_epoch"] == 3
    assert [path.name for path in out.parent.iterdir()] == ["merged"]
    assert {path.stat().st_mode for path in (trained / ADAPTER_WEIGHTS, *out.iterdir())} == {
        (trained / ADAPTER_CONFIG).stat().st_mode
    }


def test_a_merged_model_can_be_tuned_again(trained, data, tmp_path):
    assert merge.main([str(trained), "--out", str(tmp_path / "merged")]) == ExitCode.OK
    assert run(tmp_path / "merged", data, "--epochs", "1", "--out", tmp_path / "second") == ExitCode.OK
    assert run_file(tmp_path / "second")["figures"]["val_loss"] < run_file(trained)["all_epochs"][0]["val_loss"]


def test_what_cannot_be_merged_is_refused(trained, base, tmp_path, capsys):
    assert merge.main([str(base), "--out", str(tmp_path / "new")]) == ExitCode.INVALID_INPUT
    assert "is no adapter" in capsys.readouterr().err
    assert merge.main([str(trained), "--out", str(base)]) == ExitCode.OUTPUT_UNUSABLE
    assert "is there already" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert merge.main([str(trained), "--out", str(tmp_path / "file/merged")]) == ExitCode.OUTPUT_UNUSABLE
    assert "Cannot write" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def spoiled_weights(folder):
    kept = weights(folder)
    kept.pop(sorted(kept)[0])
    save_file(kept, folder / ADAPTER_WEIGHTS)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoiled_weights, "1 weights are missing"),
        (lambda folder: (folder / ADAPTER_WEIGHTS).unlink(), "cannot be loaded"),
        (lambda folder: (folder / ADAPTER_WEIGHTS).write_bytes(b"x" * 50), "cannot be loaded"),
        (lambda folder: (folder / ADAPTER_CONFIG).write_text("[]"), "does not say what the adapter belongs to"),
        (lambda folder: (folder / ADAPTER_CONFIG).write_text("{"), "does not say what the adapter belongs to"),
        (
            lambda folder: (folder / ADAPTER_CONFIG).write_text('{"base_model_name_or_path": "some/model"}'),
            "is an adapter to the model in some/model, which is not there",
        ),
    ],
)
def test_an_adapter_that_cannot_be_used_is_named(again, spoil, words):
    spoil(again)
    with pytest.raises(ModelError, match=words) as caught:
        load(again, device="cpu")
    assert str(again) in str(caught.value)


def test_an_adapter_of_a_wider_model_is_named(trained, tmp_path):
    wider = tiny_vlm.write_model(tmp_path / "wider", width=64)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(trained, device="cpu", base=wider)


# --- what is refused -----------------------------------------------------------------------------------------------


def said(capsys, *words):
    """The sentence on the screen has these words, and stdout is empty."""
    captured = capsys.readouterr()
    assert [word for word in words if word not in captured.err] == [], captured.err
    assert captured.out == "" and "Traceback" not in captured.err


def test_a_folder_with_a_training_is_kept(again, base, data, capsys):
    assert run(base, data, "--out", again) == ExitCode.OUTPUT_UNUSABLE
    said(capsys, "holds a training", "--resume")
    assert run(base, data, "--out", again, "--overwrite", "--epochs", "1") == ExitCode.OK
    assert len(run_file(again)["all_epochs"]) == 1


@pytest.mark.parametrize(
    ("options", "lora", "name"),
    [(("--lr", "0.01"), {}, "lr"), (("--batch", "1"), {}, "step_pictures"), ((), {"r": 8}, "lora")],
)
def test_a_training_with_other_options_is_not_gone_on_with(again, base, data, capsys, options, lora, name):
    assert run(base, data, "--resume", "--out", again, *options, **lora) == ExitCode.INVALID_INPUT
    said(capsys, f"is of a training with another {name}.")


def test_a_training_on_other_data_is_not_gone_on_with(again, base, tmp_path, capsys):
    other = write_vlm_data(tmp_path / "data", train=2)
    assert run(base, other, "--resume", "--out", again) == ExitCode.INVALID_INPUT
    said(capsys, "is of a training with another data_hash.")


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_a_damaged_checkpoint_is_named(again, base, data, capsys, content):
    path = again / "last.pt"
    path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    assert run(base, data, "--resume", "--out", again) == ExitCode.INVALID_INPUT
    said(capsys, "last.pt is damaged", "--overwrite")


def test_a_checkpoint_runs_no_program(again, base, data, capsys):
    class Bomb:
        def __reduce__(self):
            return print, ("a program in the checkpoint was run",)

    torch.save({"format": Bomb()}, again / "last.pt")
    assert run(base, data, "--resume", "--out", again) == ExitCode.INVALID_INPUT
    said(capsys, "last.pt is damaged")


def test_wrong_models_data_and_settings_are_named(trained, base, data, tmp_path, capsys):
    out = ("--out", tmp_path / "adapter")
    assert run(trained, data, *out) == ExitCode.INVALID_INPUT
    said(capsys, "is an adapter", "learning.vlm.merge")
    assert run(tmp_path / "none", data, *out) == ExitCode.INVALID_INPUT
    said(capsys, "There is no folder")
    assert run(base, data, *out, targets=["q_proj", "qkv"]) == ExitCode.INVALID_INPUT
    said(capsys, "vlm.lora.targets: the model has no linear layer qkv; it has ", "gate_proj")
    bad = write_vlm_data(tmp_path / "data")
    write_lines(bad, "val", ["{"])
    assert run(base, bad, *out) == ExitCode.INVALID_INPUT
    said(capsys, "val.jsonl, line 1: it is no JSON")
    (tmp_path / "file").write_text("")
    assert run(base, data, "--out", tmp_path / "file") == ExitCode.OUTPUT_UNUSABLE
    said(capsys, "Cannot make")
    assert finetune.main(["--model", str(base)]) == ExitCode.INVALID_INPUT
    said(capsys, "required")


def test_a_picture_that_cannot_be_read_ends_the_training_and_is_named(base, tmp_path, capsys):
    data = write_vlm_data(tmp_path / "data")
    (data / "images/train2.png").write_bytes(b"\x89PNG, but no more")
    assert run(base, data, "--out", tmp_path / "adapter") == ExitCode.INVALID_INPUT
    said(capsys, "train2.png", "Export the data set again")


def test_a_library_that_is_missing_is_named(base, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(libraries, "LIBRARIES", ("no_such_library",))
    assert run(base, data, "--out", tmp_path / "adapter") == ExitCode.MISSING_DEPENDENCY
    said(capsys, "no_such_library", "requirements-vlm.txt")
    assert merge.main([str(base), "--out", str(tmp_path / "merged")]) == ExitCode.MISSING_DEPENDENCY
    said(capsys, "requirements-vlm.txt")


def test_a_full_disk_leaves_the_checkpoint_before(base, data, tmp_path, capsys, monkeypatch):
    out, plain = tmp_path / "adapter", torch.save

    def one_step(self, *arguments):
        self.job.stop.requested = True
        return step(self, *arguments)

    step = Tuning._step
    monkeypatch.setattr(Tuning, "_step", one_step)
    assert run(base, data, "--out", out) == ExitCode.INTERRUPTED
    before = (out / "last.pt").read_bytes()
    capsys.readouterr()

    def full(content, path):
        plain({}, path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    assert run(base, data, "--resume", "--out", out) == ExitCode.OUTPUT_UNUSABLE
    said(capsys, "last.pt: No space left on device")
    assert (out / "last.pt").read_bytes() == before and not list(out.glob(".*.tmp"))
