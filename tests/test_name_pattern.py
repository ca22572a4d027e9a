"""Serial numbers and ports from file names: what the delivered pattern finds, and that every record has them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from config_trees import TREE, changed
from config_trees import write as write_config
from hypothesis import given
from hypothesis import strategies as st
from main_runs import KNOWN, images

import main
from config_loader import load_config
from configuration.name_pattern import pattern_flaw, serial_and_port
from errors import ExitCode

DELIVERED = TREE["file_names"]["pattern"]


@pytest.mark.parametrize(
    ("stem", "serial", "port"),
    [
        ("SN12345_P03", "12345", "03"),
        ("sn-12345-port2", "12345", "2"),
        ("2024-05-17 SN 77A p1 after", "77A", "1"),
        ("x_sn0042", "0042", ""),
        ("SN12_P03x", "12", ""),
        ("SN12345P03", "12345P03", ""),
        *((name, "", "") for name in ("scan_0012_p3", "snow12", "isn12", "J65548-FT49", "sn", "sn_p2", "", "光\udcff")),
    ],
)
def test_what_the_delivered_pattern_finds(stem, serial, port):
    assert serial_and_port(stem, DELIVERED) == (serial, port)


def test_no_pattern_finds_nothing_and_a_group_may_be_absent():
    assert serial_and_port("SN12345_P03", None) == ("", "")
    assert serial_and_port("a7", "(?P<serial>[0-9])") == ("7", "")
    assert serial_and_port("ab", "a(?P<serial>[0-9])?(?P<port>b)") == ("", "b")


@pytest.mark.parametrize("pattern", ["(?P<serial>[A-Z]+(-[0-9]+)*)", "(?P<serial>.*)_(?P<port>.*)_.*"])
def test_ordinary_repetition_is_allowed(pattern):
    assert pattern_flaw(pattern) == ""


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_name_gives_two_texts_that_it_holds(stem):
    serial, port = serial_and_port(stem, DELIVERED)
    assert serial in stem and port in stem


def test_every_record_has_its_part_number_the_unreadable_too(by_name):
    images("pass_SN1-2.png", "bad_sn-7_port3.png", "lost.png")
    assert main.main(["in", "-o", "out", *KNOWN, "--operator", "=Zoë"]) == ExitCode.IMAGES_FAILED
    with open("out/summary_report.csv", encoding="utf-8", newline="") as file:
        rows = {row["Image_Filename"]: row for row in csv.DictReader(file)}
    found = {name: (row["Serial_Number"], row["Port"], row["Operator"]) for name, row in rows.items()}
    assert found == {
        "bad_sn-7_port3.png": ("7", "3", "=Zoë"),
        "lost.png": ("", "", "=Zoë"),
        "pass_SN1-2.png": ("1", "", "=Zoë"),
    }


def test_a_profile_can_switch_the_pattern_off(tmp_path: Path):
    path = write_config(tmp_path, changed((("profiles", "fast_scan", "file_names"), {"pattern": None})))
    assert load_config(path, "fast_scan").file_names.pattern is None
    assert load_config(path, "deep_inspection").file_names.pattern == DELIVERED
