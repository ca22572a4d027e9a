import io

import pytest

from cli.arguments import Parser, path
from cli.screen import is_terminal
from errors import UsageError


def test_a_stream_that_is_absent_or_closed_is_no_terminal():
    closed = io.StringIO()
    closed.close()
    assert not is_terminal(None) and not is_terminal(closed) and not is_terminal(io.StringIO())


def parse(*arguments):
    parser = Parser(prog="main.py", allow_abbrev=False)
    parser.add_argument("inputs", nargs="*")
    parser.add_argument("-o", type=path)
    return parser.parse_args(list(arguments))


def test_after_two_dashes_all_are_inputs():
    assert parse("a", "-o", "out", "b", "--", "-odd.png", "--", "c").inputs == ["a", "b", "-odd.png", "--", "c"]
    assert parse("--", "-odd.png").o is None


@pytest.mark.parametrize("arguments", [["-x"], ["a", "-x", "b"], ["-o"], ["-o", " "]])
def test_misuse_is_a_usage_error(arguments):
    with pytest.raises(UsageError):
        parse(*arguments)
