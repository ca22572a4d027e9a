"""JSON that may hold anything: a value, or a ValueError."""

import json

import pytest
from config_trees import TREE, write

import json_text
from cli.run_info import earlier_settings_hash
from config_loader import load_config
from errors import ConfigError


def test_what_json_says_is_what_is_read():
    assert json_text.parse(json.dumps(TREE)) == TREE
    assert json_text.parse(b'"\xc3\xa4"') == "ä"
    assert json_text.parse('{"a": 1}', object_pairs_hook=list) == [("a", 1)]


@pytest.mark.parametrize("depth", [101, 900, 950, 980, 1000, 100_000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_what_is_nested_too_deeply_is_refused_whatever_the_stack(depth, start, end):
    with pytest.raises(ValueError, match="deeper than 100"):
        json_text.parse(start * depth + "1" + end * depth)


def test_a_hundred_levels_are_fine():
    assert json_text.parse("[" * 100 + "]" * 100)


@pytest.mark.parametrize("text", ["", "{", '{"a": 1,}', "1" * 5000, b"\xff", b"\0"])
def test_everything_else_is_a_value_error(text):
    with pytest.raises(ValueError):
        json_text.parse(text)


@pytest.mark.parametrize("depth", [300, 900, 950, 960, 970, 5000])
def test_a_deeply_nested_configuration_is_an_error_of_the_file(tmp_path, depth):
    text = json.dumps(TREE)[:-1] + ', "x": ' + '{"a":' * depth + "1" + "}" * depth + "}"
    with pytest.raises(ConfigError, match="deeper than 100"):
        load_config(write(tmp_path, text))


@pytest.mark.parametrize("text", ["[" * 5000, "[]", '{"settings_sha256": 3}', "1" * 5000, ""])
def test_a_damaged_run_json_has_no_settings(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    assert earlier_settings_hash(path) is None
