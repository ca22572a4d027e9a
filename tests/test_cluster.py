"""--scheduler: the batch on a Dask cluster, with a worker that is killed in mid-run.

pip install -r requirements-cluster.txt
python -m pytest -m soak tests/test_cluster.py
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import fake_inspections
import pytest
from main_runs import KNOWN, children, contents, finished, images, one_sentence, slow, statuses, until

import batch
import main
from errors import ExitCode
from records import PASS, UNREADABLE

pytestmark = pytest.mark.usefixtures("isolated")
TESTS = Path(__file__).parent


@pytest.mark.parametrize("address", ["nonsense", "tcp://", "tcp://host", "tcp://host:port"])
def test_what_is_no_address_is_misuse(capsys, address):
    images("pass.png")
    assert main.main(["in", "-o", "out", "--scheduler", address]) == ExitCode.INVALID_INPUT
    assert "tcp://host:8786" in one_sentence(capsys.readouterr()) and not Path("out").exists()


def test_a_cluster_needs_a_package_of_its_own(monkeypatch, capsys):
    images("pass.png")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main.main(["in", "-o", "out", "--scheduler", "tcp://127.0.0.1:1"]) == ExitCode.MISSING_DEPENDENCY
    assert "pip install -r requirements-cluster.txt" in one_sentence(capsys.readouterr()) and not Path("out").exists()


@contextmanager
def started(command, log, **options):
    with open(log, "wb") as file, subprocess.Popen(command, stdout=file, stderr=file, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, each with one process: its address, and the processes that watch the workers."""
    pytest.importorskip("distributed", reason="needs requirements-cluster.txt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    path = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
    environment = {**os.environ, "PYTHONPATH": path, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    address, dask = f"tcp://127.0.0.1:{port}", [sys.executable, "-m", "dask"]
    options = {"env": environment, "cwd": tmp_path}
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard"]
    log = tmp_path / "scheduler.log"
    with ExitStack() as stack:
        command = [*dask, "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]
        stack.enter_context(started(command, log, **options))
        until(lambda: "Scheduler at" in log.read_text())
        nannies = [stack.enter_context(started(worker, tmp_path / f"{n}.log", **options)) for n in range(2)]
        until(lambda: log.read_text().count("Register worker") >= 2)
        yield address, nannies


def kill_process_of(nanny):
    for pid in children(nanny.pid):
        if "resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.soak
@pytest.mark.filterwarnings("default")
def test_every_image_is_in_the_report_once_although_a_worker_was_killed(cluster, monkeypatch, capsys):
    address, nannies = cluster
    monkeypatch.setattr(batch, "inspect_and_write", fake_inspections.inspect_and_write)
    slow(40)
    killer = threading.Thread(target=lambda: (until(lambda: finished() >= 6), kill_process_of(nannies[0])))
    killer.start()
    assert main.main(["in", "-o", "out", *KNOWN, "--scheduler", address]) == ExitCode.OK
    killer.join()
    captured = capsys.readouterr()
    assert captured.err == "" and "40 images: 40 PASS" in captured.out
    assert finished() == 40 and set(statuses().values()) == {PASS}
    assert main.main(["in", "-o", "one", *KNOWN, "--jobs", "1"]) == ExitCode.OK
    assert contents("one") == contents("out")


@pytest.mark.soak
@pytest.mark.filterwarnings("default")
def test_an_image_that_kills_every_worker_is_reported(cluster, monkeypatch, capsys):
    monkeypatch.setattr(batch, "inspect_and_write", fake_inspections.inspect_and_write)
    images("kill3.png", *(f"pass{number}.png" for number in range(6)))
    assert main.main(["in", "-o", "out", *KNOWN, "--scheduler", cluster[0]]) == ExitCode.IMAGES_FAILED
    assert statuses() == {"kill3.png": UNREADABLE} | {f"pass{number}.png": PASS for number in range(6)}
    assert "kill3.png: Unreadable. The workers of the cluster" in capsys.readouterr().err


@pytest.mark.soak
@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_ends_leaves_something_to_resume(cluster, monkeypatch, capsys):
    address, _ = cluster
    monkeypatch.setattr(batch, "inspect_and_write", fake_inspections.inspect_and_write)
    slow(40)

    def end_it():
        until(lambda: finished() >= 4)
        (scheduler,) = (
            pid for pid in children(os.getpid()) if b"scheduler" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(scheduler, signal.SIGKILL)

    killer = threading.Thread(target=end_it)
    killer.start()
    assert main.main(["in", "-o", "out", *KNOWN, "--scheduler", address]) == ExitCode.IMAGES_FAILED
    killer.join()
    said = one_sentence(capsys.readouterr())
    assert "scheduler" in said and "--resume" in said
    assert 4 <= finished() < 40
    assert main.main(["in", "-o", "out", *KNOWN, "--jobs", "1", "--resume"]) == ExitCode.OK
    assert finished() == 40
