"""The plain window: what it draws, and that keys which come too fast do nothing."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import station_fakes as fakes
from main_runs import until

import batch
from records import FAIL
from station.plain import PlainWindow
from station.session import Phase

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(batch, "inspect_bytes", fakes.fake_inspection(FAIL))


class Person:
    """Presses keys, a second apart."""

    def __init__(self, window: PlainWindow) -> None:
        self.window, self.now_s = window, 100.0

    def press(self, keys: str, gap_s: float = 1.0) -> None:
        for key in keys:
            self.now_s += gap_s
            self.window.press(-1, self.now_s)
            self.window.press(ord(key), self.now_s)
        self.window.press(-1, self.now_s + 1.0)


@contextlib.contextmanager
def plain(tmp_path):
    with fakes.running(tmp_path / "out") as session:
        until(lambda: session.live.view.sight is not None)
        window = PlainWindow(session, ("deep_inspection", "fast_scan"))
        yield session, window, Person(window)
        session.discard()


def test_capture_save_and_next(tmp_path):
    with plain(tmp_path) as (session, window, person):
        live = window.picture()
        assert live.shape == (800, 1280, 3) and live.dtype == np.uint8
        person.press(" ")
        fakes.wait_for(session, Phase.RESULT)
        assert (window.picture()[20, 870] == (0x1E, 0x28, 0xD9)).all()  # the colour of FAIL
        person.press("n")
        fakes.wait_for(session, Phase.LIVE)
        assert [record.status for record in session.saved] == [FAIL]
        person.press(" ")
        fakes.wait_for(session, Phase.RESULT)
        person.press("a")
        assert session.phase is Phase.LIVE and len(session.saved) == 1


@pytest.mark.parametrize("gap_s", [0.0, 0.004, 0.05, 0.14])
def test_keys_that_come_as_from_a_scanner_do_nothing(tmp_path, gap_s):
    with plain(tmp_path) as (session, window, person):
        person.press("q ans\rzmfpt ", gap_s)
        assert session.phase is Phase.LIVE and not window.is_closed
        assert window.switches == PlainWindow(session, ()).switches and session.setup.choice.profile is None
        assert "scan into the terminal" in session.message.text


def test_switches_profile_and_fibre_type(tmp_path):
    with plain(tmp_path) as (session, window, person):
        seen = [window.picture()]
        person.press("z")
        seen.append(window.picture())
        person.press("f")
        seen.append(window.picture())
        assert (seen[0] != seen[1]).any() and (seen[1] != seen[2]).any()
        person.press("p")
        assert session.setup.config.profile == "fast_scan"
        person.press("p")
        assert session.setup.config.profile == "deep_inspection"
        seen = set()
        for _ in session.setup.config.fiber_types:  # one has a core as large as the cladding that is given
            person.press("t")
            seen.add(session.setup.choice.fiber_type)
        assert None in seen and len(seen) == len(session.setup.config.fiber_types)


def test_closing_asks_when_something_would_be_lost(tmp_path):
    with plain(tmp_path) as (session, window, person):
        person.press(" ")
        fakes.wait_for(session, Phase.RESULT)
        person.press("q")
        assert not window.is_closed and "not saved" in session.message.text
        person.press("mq")
        assert not window.is_closed
        person.press("q")
        assert window.is_closed


def test_hostile_texts_are_drawn(tmp_path):
    with plain(tmp_path) as (session, window, _):
        session.scan("Ü" * 80)
        session.say("\u4e2d<b>" * 50)
        assert window.picture().shape == (800, 1280, 3)
