"""The chat files that a fine-tuning reads, and the order in which it does: what needs no library."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vlm_data_sets import CLEAN, QUESTION, SYSTEM, line, text, write_lines, write_vlm_data

from errors import DataSetError
from learning.vlm.conversations import MAX_LINE_BYTES, Conversations, training_splits
from learning.vlm.schedule import chunks, plan_steps, rate_factor, rows_of, spread


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_vlm_data(tmp_path_factory.mktemp("vlm") / "data")


def changed(**parts):
    return {**line("train0", CLEAN), **parts}


def said(*roles_and_contents):
    return changed(messages=[{"role": role, "content": content} for role, content in roles_and_contents])


def test_a_conversation_is_what_the_line_says(data):
    train, val = training_splits(data)
    assert (len(train), len(val)) == (4, 3)
    second = train[1]
    assert (second.name, second.picture) == ("train1", data / "images/train1.png")
    assert [message["role"] for message in second.messages] == ["system", "user"]
    assert second.texts[:2] == [SYSTEM, QUESTION] and json.loads(second.answer)["pass_fail"] == "FAIL"
    assert [item.name for item in val] == ["val0", "val1", "val2"]


IMAGE = {"type": "image"}
USER = ("user", [IMAGE, *text(QUESTION)])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("{", "no JSON"),
        ("", "no JSON"),
        ("[" * 5000, "no JSON"),
        ("NaN", "no object"),
        ("[]", "no object"),
        (changed(messages="hello"), "no object with messages"),
        (changed(messages=[]), "expected the messages"),
        (changed(messages=[7]), "no list of contents"),
        (said(("user", "text alone"), ("assistant", text(CLEAN))), "no list of contents"),
        (said(USER), "expected the messages"),
        (said(("assistant", text(CLEAN)), USER), "expected the messages"),
        (said(USER, ("assistant", text(CLEAN)), USER, ("assistant", text(CLEAN))), "expected the messages"),
        (said(("user", text(QUESTION)), ("assistant", text(CLEAN))), "expected one image"),
        (said(("user", [IMAGE, IMAGE]), ("assistant", text(CLEAN))), "expected one image"),
        (said(("system", [IMAGE]), USER, ("assistant", text(CLEAN))), "expected one image"),
        (said(USER, ("assistant", [IMAGE])), "expected one image"),
        (said(USER, ("assistant", [])), "expected one text"),
        (said(USER, ("assistant", text("  \n"))), "expected one text"),
        (said(("user", [IMAGE, {"type": "audio"}]), ("assistant", text(CLEAN))), "neither text nor image"),
        (said(("user", [IMAGE, {"type": "text", "text": 7}]), ("assistant", text(CLEAN))), "neither text nor image"),
        (said(("user", [IMAGE, *text("\ud800")]), ("assistant", text(CLEAN))), "lone surrogate"),
        (changed(image=None), "names no image"),
        (changed(image="/etc/hostname"), "outside the data set"),
        (changed(image="images/../../x.png"), "outside the data set"),
        (changed(image="..\\x.png"), "outside the data set"),
        (changed(image="a\0b.png"), "outside the data set"),
        (changed(image="images/<script>.png"), "cannot be read: No such file"),
        (changed(image="i" * 5000), "cannot be read: File name too long"),
        (changed(filling="x" * MAX_LINE_BYTES), "longer than"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isprintable() and len(value) < 30 else "",
)
def test_a_bad_line_is_named(data, tmp_path, bad, words):
    folder = write_vlm_data(tmp_path / "data", train=1)
    write_lines(folder, "train", [line("train0", CLEAN), bad])
    with pytest.raises(DataSetError, match=r"train\.jsonl, line 2: ") as caught:
        Conversations(folder, "train")
    assert words in str(caught.value) and "learning.vlm.export" in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["user", "assistant", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "messages", "image"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=20)
@given(value=json_values)
def test_whatever_a_line_holds_it_is_a_conversation_or_named(data, value):
    write_lines(data, "test", [{**line("train0", CLEAN), **value} if isinstance(value, dict) else value])
    try:
        assert len(Conversations(data, "test")[0].texts) >= 1
    except DataSetError as error:
        assert "test.jsonl, line 1: " in str(error)


def test_no_file_no_line_and_no_utf_8_are_named(tmp_path):
    folder = write_vlm_data(tmp_path / "data")
    write_lines(folder, "val", [])
    with pytest.raises(DataSetError, match=r"val\.jsonl is empty"):
        training_splits(folder)
    (folder / "chat/train.jsonl").write_bytes(b"\xff\xfe{}\n")
    with pytest.raises(DataSetError, match=r"train\.jsonl, line 1: it is no JSON"):
        training_splits(folder)
    (folder / "chat/train.jsonl").unlink()
    with pytest.raises(DataSetError, match=r"Cannot read .*train\.jsonl"):
        training_splits(folder)


def test_the_hash_follows_the_lines_and_the_pictures(tmp_path):
    folder = write_vlm_data(tmp_path / "data")
    before = Conversations(folder, "train").sha256
    assert Conversations(folder, "train").sha256 == before
    with open(folder / "images/train0.png", "ab") as file:
        file.write(b"x")
    picture_changed = Conversations(folder, "train").sha256
    write_lines(folder, "train", [line("train0", CLEAN, "Another question?")])
    assert len({before, picture_changed, Conversations(folder, "train").sha256}) == 3


# --- the order of work ---------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(pictures=st.integers(1, 60), size=st.integers(1, 9), processes=st.integers(1, 4))
def test_every_picture_is_seen_once_in_an_epoch_and_every_process_has_as_many(pictures, size, processes):
    steps = plan_steps(pictures, 3, 0, size)
    assert sorted(row for rows in steps for row in rows) == [*range(pictures)]
    for rows in steps:
        shares = [rows_of(rows, process, processes) for process in range(processes)]
        assert {*rows} == {row for share in shares for row in share}
        assert len({len(share) for share in shares}) == 1
        assert sum(map(len, shares)) < len(rows) + processes


def test_the_order_is_another_one_in_every_epoch_and_for_every_seed():
    orders = [plan_steps(20, seed, epoch, 20)[0] for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert plan_steps(20, 1, 1, 20)[0] == orders[-1]


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine():
    rates = [rate_factor(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == 1 and rates[55] == pytest.approx(0.5) and 0 < rates[99] < 0.001
    assert all(earlier > later for earlier, later in itertools.pairwise(rates[10:]))
    assert rate_factor(0, 1, 0) == 1 and math.isfinite(rate_factor(0, 1, 0.5))


def test_some_are_evenly_spread():
    assert spread(100, 3) == [0, 50, 99] and spread(2, 16) == [0, 1] and spread(5, 0) == []
    assert chunks([1, 2, 3], 2) == [[1, 2], [3]]
