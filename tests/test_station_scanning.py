"""A barcode scanner and a person at one keyboard: who has typed what is told by the speed alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from station.scanning import QUIET_MS, SCAN_GAP_MS, Burst

SCANNER = st.integers(0, SCAN_GAP_MS - 1)
PERSON = st.integers(SCAN_GAP_MS, 2000)
TEXT = st.text("ABC123-. ", min_size=3, max_size=30)


def typed(burst: Burst, text: str, gaps_ms, start_ms: int = 10_000) -> tuple[list[str], int]:
    """What was handed on as typed by hand, and the time of the last character."""
    at_ms, by_hand = start_ms, []
    for number, (char, gap_ms) in enumerate(zip(text, gaps_ms, strict=False)):
        at_ms += gap_ms if number else 0
        by_hand += burst.add(char, char, at_ms)
    return by_hand, at_ms


@given(TEXT, st.lists(SCANNER, min_size=30, max_size=30), SCANNER)
def test_a_scanner_s_text_is_whole(text, gaps_ms, last_ms):
    burst = Burst()
    by_hand, at_ms = typed(burst, text, gaps_ms)
    assert not by_hand and not burst.continues
    assert burst.scanned(at_ms + last_ms) == text and burst.is_empty


@given(TEXT, st.lists(PERSON, min_size=30, max_size=30))
def test_a_person_s_text_is_handed_on(text, gaps_ms):
    burst = Burst()
    by_hand, at_ms = typed(burst, text, gaps_ms)
    assert burst.scanned(at_ms + 10) == ""
    assert "".join([*by_hand, *burst.release()]) == text


@given(TEXT, TEXT, st.lists(SCANNER, min_size=30, max_size=30), st.integers(SCAN_GAP_MS, 299))
def test_a_scan_that_was_held_up_is_not_taken_for_a_shorter_one(first, second, gaps_ms, pause_ms):
    burst = Burst()
    _, at_ms = typed(burst, first, gaps_ms)
    by_hand, _ = typed(burst, second, gaps_ms, at_ms + pause_ms)
    assert "".join(by_hand) == first and burst.continues


def test_too_short_or_too_late_is_no_scan():
    burst = Burst()
    _, at_ms = typed(burst, "AB", [0, 5])
    assert burst.scanned(at_ms + 5) == "" and burst.release() == ["A", "B"]
    _, at_ms = typed(burst, "ABCD", [5] * 4, at_ms + 5000)
    assert burst.scanned(at_ms + QUIET_MS) == "" and burst.release() == [*"ABCD"]
