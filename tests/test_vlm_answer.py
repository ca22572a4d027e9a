"""What a vision-language model writes: answers are read strictly, broken ones mended or refused with a reason."""

import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from learning.vlm.answer import MAX_CHARS, Answer, AnswerDefect, Unusable, parse_answer, read_answer
from learning.vlm.repair import repair

PIT = {"bbox": [10, 20, 5, 6], "type": "pit", "severity": "critical", "confidence": 0.93, "zone": "Core"}
FAILED = {"defects": [PIT], "pass_fail": "FAIL", "explanation": "Rejected: Pit/Dig in Core."}
PASSED = {"defects": [], "pass_fail": "PASS", "explanation": "No mark."}
SIZE = (100, 80)


def text(*changes, **top) -> str:
    """The failed answer with values of its mark and of its top level replaced."""
    return json.dumps(FAILED | {"defects": [PIT | dict(changes)]} | top)


def refusal(answer: str) -> str:
    """Why an answer is refused, also when it may be mended."""
    found = parse_answer(answer, *SIZE)
    assert isinstance(found, Unusable) and isinstance(read_answer(answer, *SIZE), Unusable)
    assert found.reason.endswith(".") and len(found.reason) <= 310
    return found.reason


# --- strictly ------------------------------------------------------------------------------------------------------


def test_an_answer_is_read():
    mark = AnswerDefect((10, 20, 5, 6), "pit", "critical", 0.93, "Core")
    assert parse_answer(text(), *SIZE) == Answer((mark,), "FAIL", "Rejected: Pit/Dig in Core.")
    assert parse_answer(f"\n {json.dumps(PASSED)}\n", *SIZE) == Answer((), "PASS", "No mark.")


@settings(max_examples=40)
@given(
    st.lists(
        st.builds(
            AnswerDefect,
            st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 40)] * 2),
            st.sampled_from(["scratch", "pit", "contamination", "chip", "crack"]),
            st.sampled_from(["marginal", "minor"]),
            st.integers(0, 100).map(lambda percent: percent / 100),
            st.sampled_from(["Core", "Cladding", "Adhesive", "Contact"]),
        ),
        max_size=5,
    ),
    st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=50),
)
def test_what_is_written_is_read_back(marks, explanation):
    answer = Answer(tuple(marks), "PASS", explanation)
    assert parse_answer(answer.to_text(), *SIZE) == read_answer(answer.to_text(), *SIZE) == answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", "no JSON"),
        ("PASS", "no JSON"),
        ("null", "expected object"),
        ("[]", "expected object"),
        ("{}", "defects: missing"),
        (json.dumps(FAILED | {"score": 1}), "score: unknown key"),
        (text(pass_fail="pass"), "pass_fail: expected one of PASS, FAIL"),
        (text(pass_fail=True), "pass_fail"),
        (text(explanation="x" * 1001), "explanation"),
        (text(("type", "dust")), "defects[0].type: expected one of scratch"),
        (text(("type", "<script>")), "defects[0].type"),
        (text(("severity", "HIGH")), "defects[0].severity"),
        (text(("zone", "Ferrule")), "defects[0].zone"),
        (text(("confidence", 1.01)), "defects[0].confidence: expected number from 0 to 1"),
        (text(("confidence", "0.9")), "defects[0].confidence"),
        (text(("confidence", True)), "defects[0].confidence"),
        (text(("confidence", math.nan)), "not finite"),
        (text(("confidence", math.inf)), "confidence"),
        (text(("bbox", [10, 20, 5])), "four numbers"),
        (text(("bbox", [10, 20, 5, 0])), "defects[0].bbox[3]: expected number above 0"),
        (text(("bbox", [10, 20, -5, 5])), "defects[0].bbox[2]: expected number above 0"),
        (text(("bbox", [10, 20, math.nan, 5])), "not finite"),
        (text(("bbox", [math.nan, 20, 5, 5])), "not finite"),
        (text(("bbox", [10, 20, "5", 5])), "defects[0].bbox[2]: expected number"),
        (text(("bbox", [10, 20, 1e300, 5])), "defects[0].bbox[2]: expected number"),
        (text(("bbox", [100, 20, 5, 5])), "[100, 20, 5, 5] is not in the picture of 100 x 80 px"),
        (text(("bbox", [-50, 20, 5, 5])), "not in the picture"),
        (text(("bbox", [97, 20, 8, 5])), "not in the picture"),
        (text(("bbox", [450, 520, 100, 100])), "not in the picture"),
        (text(("area", 3)), "defects[0].area: unknown key"),
        (text(pass_fail="PASS"), "says PASS and names a critical mark"),
        (json.dumps(FAILED | {"defects": [PIT] * 101}), "a list of 101"),
        ('{"defects": [], "pass_fail": "FAIL", "pass_fail": "PASS", "explanation": ""}', "given twice"),
        (text().replace("0.93", "1e999"), "confidence"),
        (text().replace("0.93", "9" * 4400), "no JSON that can be used"),
        (text().replace("0.93", "9" * 400), "confidence"),
        ("[" * 40_000, "no JSON that can be used"),
        ('{"a":' * 8_000 + "1" + "}" * 8_000, "no JSON that can be used"),
        ("[" * 100_000, "100000 characters"),
        ("{" * 100_000 + "}" * 100_000, "200000 characters"),
    ],
)
def test_what_is_no_answer_is_refused_with_a_reason(answer, words):
    assert words in refusal(answer)


def test_boxes_are_cut_at_the_edge_of_the_picture():
    found = parse_answer(text(("bbox", [-2, 70.5, 10, 12])), *SIZE)
    assert found.defects[0].box == (0, 70.5, 8, 9.5)


def test_an_explanation_becomes_one_printable_line():
    found = parse_answer(json.dumps(PASSED | {"explanation": "a\n\tb\x07c \ud800d\u202e <b>"}), *SIZE)
    assert found.explanation == "a b c d <b>"


# --- mended --------------------------------------------------------------------------------------------------------

GOOD = json.dumps(FAILED)


@pytest.mark.parametrize(
    "answer",
    [
        f"Here is the result:\n{GOOD}\nLet me know if you need more.",
        f"```json\n{GOOD}\n```",
        f"The face {{looks}} bad, it's {{'a': 1}}: {GOOD}",
        GOOD + GOOD,
        GOOD.replace("}]", "},]").replace('Core."', 'Core.",'),
        GOOD.replace('"', "'"),
        GOOD.replace('"explanation": "', '"explanation": “').replace('Core."', "Core.”"),
        GOOD.replace("Rejected: ", "Rejected:\n"),
        GOOD[:-1],
        GOOD[:-2],
        GOOD + "}}]",
        GOOD.replace(", 5, 6", ",\n 5,\t6,"),
    ],
)
def test_the_form_of_an_answer_is_mended(answer):
    mended = read_answer(answer, *SIZE)
    assert mended == Answer(parse_answer(GOOD, *SIZE).defects, "FAIL", "Rejected: Pit/Dig in Core.", repaired=True)
    assert isinstance(parse_answer(answer, *SIZE), Unusable)


@pytest.mark.parametrize(
    ("written", "explanation"),
    [
        ('"it is 5\' and "the core" too"', 'it is 5\' and "the core" too'),
        (r"'it\'s \d fine\n'", "it's \\ fine"),
        ('"cut off in the mid', "cut off in the mid"),
        ('"cut off\\', "cut off"),
    ],
)
def test_quotes_inside_a_text(written, explanation):
    assert read_answer(f'{{"defects": [], "pass_fail": "FAIL", "explanation": {written}', *SIZE).explanation == (
        explanation
    )


@pytest.mark.parametrize("end", range(1, len(GOOD) - 1))
def test_an_answer_that_breaks_off_among_its_marks_stays_broken(end):
    found = read_answer(GOOD[:end], *SIZE)
    if end < GOOD.index('"explanation": "') + 16:
        assert isinstance(found, Unusable)
    else:
        assert found.defects == parse_answer(GOOD, *SIZE).defects and found.pass_fail == "FAIL"


@pytest.mark.parametrize(
    "answer",
    [
        f"{GOOD} On second thoughts: {json.dumps(PASSED)}",
        GOOD.replace('"pass_fail"', '"verdict"'),
        "{'pass_fail': 'PASS']",
        '{"pass_fail": "PASS", "explanation": "Fine.", "defects": [',  # nobody knows what would have followed
        "{" * 1000,
        "{'" * 20_000,
        "{'a':" * 9_000,
        "{'a': [" * 6_000,
        "{'" + "'" * 40_000,
        "{'" + " '" * 20_000,
        '{"' + "\\" * 40_000,
        "{'a'" + " " * 40_000,
        "{'a': 1} " * 5_000,
    ],
)
def test_what_cannot_be_saved_is_none(answer):
    assert len(answer) <= MAX_CHARS and repair(answer) is None
    assert isinstance(read_answer(answer, *SIZE), Unusable)


_PIECES = st.sampled_from([*"{}[]\"'“”,: \\\n", "pass_fail", "PASS", "bbox", "1e999", "NaN", "-3", GOOD, "é"])


@given(st.one_of(st.text(max_size=300), st.lists(_PIECES, max_size=60).map("".join)))
@example('{"pass_fail": NaN')
def test_any_text_is_an_answer_or_has_a_reason(answer):
    found = read_answer(answer, *SIZE)
    assert isinstance(found, Answer) or found.reason.endswith(".")
