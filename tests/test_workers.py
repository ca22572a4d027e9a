"""Tasks on worker processes: results come back, whatever happens to a process."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deadly import Unstartable, act

from errors import WorkersFailed
from workers.backend import InThisProcess, Outcome, replay
from workers.pool import Pool, available_cores

TESTS = Path(__file__).parent
unix = pytest.mark.skipif(os.name != "posix", reason="needs signals that kill")


@pytest.fixture(scope="module")
def pool():
    """Two processes for tests that leave them in order."""
    with Pool(act, 2, timeout_s=1.0) as pool:
        yield pool


def results(pool, *tasks):
    return {outcome.task: outcome.result or outcome.death for outcome in pool.run(tasks)}


def test_every_task_has_one_outcome(pool):
    tasks = [("double", number) for number in range(40)]
    outcomes = list(pool.run(iter(tasks)))
    assert sorted(outcome.task for outcome in outcomes) == tasks
    assert all(outcome.result == 2 * outcome.task[1] and not outcome.death for outcome in outcomes)


def test_no_task_no_outcome(pool):
    assert list(pool.run([])) == []


def test_the_work_is_the_same_in_this_process():
    with InThisProcess(act) as here:
        assert list(here.run([("double", 4)])) == [Outcome(("double", 4), 8)]


def test_workers_live_on_between_runs(pool):
    pids = {outcome.result for _ in range(3) for outcome in pool.run([("pid",)] * 4)}
    assert len(pids) <= 2 and os.getpid() not in pids


def test_tasks_are_taken_as_they_are_needed(pool):
    taken = []

    def tasks():
        for number in range(20):
            taken.append(number)
            yield "double", number

    for done, _ in enumerate(pool.run(tasks()), start=1):
        assert len(taken) <= done + 2


def test_one_thread_of_blas_per_worker(pool):
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    assert results(pool, ("environment", name)) == {("environment", name): "1"}
    assert os.environ.get(name) == before


@unix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_is_the_business_of_the_parent(pool, number):
    assert results(pool, ("ignored", number)) == {("ignored", number): "ignored"}


@unix
@pytest.mark.parametrize(
    ("deadly", "cause"),
    [
        (("kill", signal.SIGSEGV), "SIGSEGV"),
        (("kill", signal.SIGKILL), "memory"),
        (("exit", 3), "exit code 3"),
    ],
)
def test_a_task_that_kills_its_process_twice_costs_only_itself(pool, deadly, cause):
    others = [("double", number) for number in range(1, 6)]
    found = results(pool, others[0], deadly, *others[1:])
    assert cause in found.pop(deadly)
    assert found == {task: 2 * task[1] for task in others}


@unix
def test_a_task_is_tried_again_in_a_fresh_process(pool, tmp_path):
    task = ("kill once", str(tmp_path / "mark"))
    assert results(pool, task, ("double", 1)) == {task: "survived", ("double", 1): 2}


@unix
def test_a_process_that_dies_idle_is_replaced(pool):
    for outcome in pool.run([("pid",)] * 2):
        os.kill(outcome.result, signal.SIGKILL)
    time.sleep(0.1)
    assert results(pool, ("double", 1), ("double", 2)) == {("double", 1): 2, ("double", 2): 4}


def test_a_task_that_takes_too_long_is_given_up(pool, tmp_path):
    task = ("sleep", 60, str(tmp_path / "mark"))
    started = time.monotonic()
    found = results(pool, task, ("double", 1))
    assert "after 1 s" in found[task] and found[("double", 1)] == 2
    assert time.monotonic() - started < 10


def test_an_exception_is_raised_here_with_its_traceback(pool):
    with pytest.raises(OSError, match="No space left") as caught:
        results(pool, ("raise",))
    assert caught.value.errno == 28 and "_raise" in caught.value.__notes__[0]


@pytest.mark.parametrize("verb", ["raise unportable", "return a lambda"])
def test_what_cannot_travel_is_an_error_and_no_hang(pool, verb):
    with pytest.raises(RuntimeError, match=r"only here|cannot be sent"):
        results(pool, (verb,))


def test_what_a_worker_logs_is_said_by_the_parent(pool, caplog):
    (outcome,) = pool.run([("log", "hello")])
    assert caplog.records == []
    with caplog.at_level("DEBUG", logger="dscope"):
        replay(outcome.log)
    (entry,) = caplog.records
    assert entry.getMessage().startswith("hello ") and entry.exc_info is None
    assert "ValueError: boom" in logging.Formatter().format(entry)


def test_processes_that_cannot_start_end_the_batch():
    with pytest.raises(WorkersFailed, match="exit code 7"), Pool(Unstartable(), 2) as pool:
        list(pool.run([("double", 1)] * 9))


def is_alive(pid):
    """Whether a process runs; one that only waits for its parent to notice its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_workers_leave_when_their_parent_is_killed(tmp_path):
    marks = [tmp_path / "a", tmp_path / "b"]
    program = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]\n"
        "from deadly import act\n"
        "from workers.pool import Pool\n"
        "if __name__ == '__main__':\n"
        "    with Pool(act, 2) as pool:\n"
        "        list(pool.run([('sleep', 60, mark) for mark in sys.argv[3:]]))\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    command = [sys.executable, script, TESTS.parent, TESTS, *marks]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL) as parent:
        assert until(lambda: all(mark.exists() and mark.read_text() for mark in marks))
        workers = [int(mark.read_text()) for mark in marks]
        assert all(map(is_alive, workers))
        parent.kill()
    assert until(lambda: not any(map(is_alive, workers)))


def test_the_cores_are_those_this_process_may_use():
    assert 1 <= available_cores() <= os.cpu_count()
    if hasattr(os, "sched_setaffinity"):
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(before)})
            assert available_cores() == 1
        finally:
            os.sched_setaffinity(0, before)
