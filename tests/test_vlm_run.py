"""main.py and evaluate.py with a real, tiny vision-language model, as programs of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from faces import clean_png, pitted_png, write
from main_runs import ROOT, read_records

pytest.importorskip("transformers", reason="needs requirements-vlm.txt")
pytest.importorskip("peft", reason="needs requirements-vlm.txt")

import tiny_vlm


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_vlm.write_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The shipped configuration with short answers: a model of random weights writes as long as it may."""
    tree = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))
    tree["vlm"] |= {"max_new_tokens": 24, "max_side_px": 112}
    return write(tmp_path_factory.mktemp("config") / "config.json", json.dumps(tree).encode())


def program(name, *arguments, cwd):
    command = [sys.executable, str(ROOT / name), "--no-progress", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_main_asks_a_real_model(model, config, tmp_path):
    write(tmp_path / "in" / "clean.png", clean_png())
    write(tmp_path / "in" / "pitted.png", pitted_png())
    options = ["in", "-o", "out", "--cladding-um", "125", "--zones", "core,cladding", "-c", config, "--vlm", model]
    done = program("main.py", *options, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr and "1 PASS, 1 FAIL" in done.stdout
    for record in read_records(tmp_path / "out" / "results.jsonl"):
        assert (record.vlm.usable, record.vlm.attempts, record.vlm.unusable_answers) == (False, 6, 6)
        assert "no usable answer" in record.warnings[-1] and "no JSON" in record.vlm.problem
    again = program("main.py", *options, "--resume", cwd=tmp_path)
    assert again.returncode == 1 and "unchanged" in (tmp_path / "out").glob("*.log").__next__().read_text()


def test_a_damaged_model_is_one_sentence_before_anything_is_written(model, config, tmp_path):
    write(tmp_path / "in" / "clean.png", clean_png())
    damaged = tiny_vlm.write_model(tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"x" * 100)
    done = program("main.py", "in", "-o", "out", "-c", config, "--vlm", damaged, cwd=tmp_path)
    assert done.returncode == 2 and "cannot be loaded" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "out").exists()
