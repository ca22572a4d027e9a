"""A long batch with many deaths: whatever is killed, at whatever moment, the end is that of an undisturbed run.

    python -m pytest -m soak tests/test_soak.py

SOAK_IMAGES and SOAK_SEED change the number of images (2000) and the deaths.
"""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faces import face_scene, pit, write
from main_runs import KNOWN, ROOT, children, contents, until

from errors import ExitCode
from rendering.engine import render
from rendering.scene import Frame

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc"),
]
IMAGES = int(os.environ.get("SOAK_IMAGES", "2000"))
PROFILE = ["--profile", "fast_scan"]


def small_faces():
    """PNG bytes of end faces of 96 x 96 pixels: clean, with a pit, and nothing that is an image."""
    fibre = dataclasses.replace(face_scene().fibre, x_px=47.0, y_px=50.0, radius_px=30.0)
    faces = [
        render(dataclasses.replace(face_scene(*marks), frame=Frame(96, 96), fibre=fibre, seed=seed)).data
        for seed in range(4)
        for marks in ((), (pit(12.0, 8.0, 7.0, seed=seed),))
    ]
    return [*faces, b"no image"]


def command(output, *options):
    return [sys.executable, str(ROOT / "main.py"), "in", "-o", output, *KNOWN, *PROFILE, "--jobs", "2", *options]


def lines(path):
    """The whole lines of a results.jsonl by image path; the last one of each image."""
    if not path.exists():
        return {}
    whole = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return {json.loads(line)["image_path"]: line for line in whole}


def workers_of(process):
    return [
        pid for pid in children(process.pid) if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def strike(process, chance):
    """Let something happen to a running batch; whether it is the end of it."""
    kind = chance.choice(["worker", "worker", "program", "stop"])
    if kind == "worker":
        victims = workers_of(process)
        if victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
        return False
    process.send_signal(signal.SIGKILL if kind == "program" else signal.SIGTERM)
    return True


def disturbed_run(output, chance):
    """One run that is struck until it ends; returns its exit code and what it wrote to stderr."""
    with subprocess.Popen(
        command(output, "--resume"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        workers = []
        try:
            ended = False
            while not ended and process.poll() is None:
                time.sleep(chance.uniform(0.3, 6.0))
                workers = workers_of(process) if process.poll() is None else workers
                ended = process.poll() is None and strike(process, chance)
            _, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    return process.returncode, errors


def test_a_batch_that_is_killed_again_and_again_ends_like_an_undisturbed_one(isolated):
    faces = small_faces()
    for number in range(IMAGES):
        write(Path("in") / f"face{number}.png", faces[number % len(faces)])
    chance = random.Random(int(os.environ.get("SOAK_SEED", "1")))
    results, runs = Path("out/results.jsonl"), 0
    code, errors = None, ""
    while code != ExitCode.IMAGES_FAILED or "--resume" in errors:  # the latter: it was ended early
        before = lines(results)
        code, errors = disturbed_run("out", chance)
        runs += 1
        assert code in (*ExitCode, -signal.SIGKILL, -signal.SIGTERM) and "Traceback" not in errors, errors
        after = lines(results)
        certain = {path for path, line in before.items() if json.loads(line)["content_sha256"]}
        assert all(after[path] == before[path] for path in certain), "inspected twice, or lost"
    assert runs > 1
    final = subprocess.run(command("out", "--resume"), capture_output=True, text=True)
    assert final.returncode == ExitCode.IMAGES_FAILED and "Traceback" not in final.stderr
    undisturbed = subprocess.run(command("calm"), capture_output=True, text=True)
    assert undisturbed.returncode == ExitCode.IMAGES_FAILED
    assert final.stdout.splitlines()[0] == undisturbed.stdout.splitlines()[0]
    struck, calm = contents("out"), contents("calm")
    assert struck.keys() == calm.keys() and len(lines(results)) == IMAGES
    assert [name for name in calm if struck[name] != calm[name]] == []
