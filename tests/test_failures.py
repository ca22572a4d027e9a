"""What can happen to a run from outside, provoked for real: one clear sentence, the right exit code, and --resume."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from faces import write
from main_runs import KNOWN, children, finished, quick_config, read_records, slow, statuses, until

import main
from errors import ExitCode
from records import PASS, UNREADABLE

pytestmark = [
    pytest.mark.soak,
    pytest.mark.usefixtures("by_name"),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="provoked by the means of Linux"),
]
COUNT = 16


@contextmanager
def small_disk(folder, size="256k"):
    """A file system of its own at ``folder``; skips where it cannot be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def end_of(process, code):
    """The one sentence with which a process ends."""
    said, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    return said, errors


def goes_on(*options):
    """Going on ends well, here, with every image once."""
    kept = {record.image_filename: record for record in read_records(Path("out/results.jsonl"))}
    assert main.main(["in", "-o", "out", *KNOWN, "--jobs", "1", "--resume", *options]) == ExitCode.OK
    records = {record.image_filename: record for record in read_records(Path("out/results.jsonl"))}
    assert len(records) == finished() == COUNT
    assert all(records[name] == record for name, record in kept.items() if record.content_sha256)
    assert list(statuses().values()) == [PASS] * COUNT


def test_the_disk_is_full(program):
    slow(COUNT)
    with small_disk(Path("out")):
        process = program()
        until(lambda: finished() >= 2)
        filler = Path("out/filler")
        with pytest.raises(OSError, match="No space"), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        _, errors = end_of(process, ExitCode.OUTPUT_UNUSABLE)
        assert len(errors.splitlines()) == 1 and "No space left" in errors and "--resume" in errors
        assert 2 <= finished() < COUNT
        filler.unlink()
        goes_on()


@contextmanager
def immutable(*folders):
    command = ["chattr", "+i", *folders]
    if shutil.which("chattr") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("folders cannot be protected here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *folders], check=True)


def test_output_is_made_read_only(program):
    slow(COUNT)
    process = program()
    until(lambda: finished() >= 2)
    with immutable("out/details"):
        _, errors = end_of(process, ExitCode.OUTPUT_UNUSABLE)
    assert len(errors.splitlines()) == 1 and "not permitted" in errors and "--resume" in errors
    goes_on()


def test_output_is_removed(program):
    slow(COUNT)
    process = program()
    until(lambda: finished() >= 2)
    os.rename("out", "moved")
    _, errors = end_of(process, ExitCode.OUTPUT_UNUSABLE)
    assert len(errors.splitlines()) == 1 and "out" in errors
    assert not Path("out").exists()  # or the results would be in two places
    os.rename("moved", "out")
    goes_on()


def test_images_vanish_or_change_before_they_are_read(program):
    slow(COUNT)
    process = program()
    until(lambda: finished() >= 1)
    os.remove("in/slow14.png")
    write(Path("in/slow15.png"), b"another picture")
    said, errors = end_of(process, ExitCode.IMAGES_FAILED)
    assert f"{COUNT} images: {COUNT - 1} PASS, 1 not inspected" in said
    assert len(errors.splitlines()) == 1 and "slow14.png: Unreadable. The file cannot be read: no such file" in errors
    write(Path("in/slow14.png"), b"here again")
    goes_on()


def test_a_read_stalls(program):
    slow(COUNT)
    process = program(*quick_config(read_timeout_s=0.5))
    until(lambda: finished() >= 1)
    os.remove("in/slow14.png")
    os.mkfifo("in/slow14.png")
    said, errors = end_of(process, ExitCode.IMAGES_FAILED)
    assert f"{COUNT} images: {COUNT - 1} PASS, 1 not inspected" in said
    assert len(errors.splitlines()) == 1 and "does not answer" in errors
    os.remove("in/slow14.png")
    write(Path("in/slow14.png"), b"x")
    goes_on()


def test_a_share_stalls(program):
    slow(COUNT)
    process = program(*quick_config(read_timeout_s=0.3, max_stalls=2))
    until(lambda: finished() >= 1)
    for number in range(8, COUNT):
        os.remove(f"in/slow{number}.png")
        os.mkfifo(f"in/slow{number}.png")
    _, errors = end_of(process, ExitCode.IMAGES_FAILED)
    *warnings, last = errors.splitlines()
    assert 2 <= len(warnings) <= 3 and all("does not answer" in line for line in warnings)
    assert last.startswith("main.py: 2 image files in a row") and "--resume" in last
    assert len(statuses()) == finished() < COUNT and UNREADABLE in statuses().values()
    for number in range(8, COUNT):
        os.remove(f"in/slow{number}.png")
        write(Path(f"in/slow{number}.png"), b"x")
    goes_on()


def test_a_worker_is_killed(program):
    slow(COUNT)
    process = program()
    until(lambda: finished() >= 2)
    for child in children(process.pid):  # the workers, and what watches over their resources
        if "resource_tracker" not in Path(f"/proc/{child}/cmdline").read_text():
            os.kill(child, signal.SIGKILL)
    said, errors = end_of(process, ExitCode.OK)
    assert f"{COUNT} images: {COUNT} PASS" in said and errors == "" and finished() == COUNT
