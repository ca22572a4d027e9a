"""Found and true follow the contract; every defect knows its partner."""

import numpy as np
import pytest
from evaluation_scenes import CLADDING, block

from evaluation.matching import Matching, match


def counts(matching: Matching) -> tuple[int, int, int, int]:
    return tuple(len(ids) for ids in (matching.asked, matching.found, matching.reported, matching.true))


@pytest.mark.parametrize(
    ("reported", "truth", "expected"),
    [
        (block(1, 80, 100), block(7, 80, 100), (1, 1, 1, 1)),
        (None, block(7, 80, 100), (1, 0, 0, 0)),
        (block(1, 80, 100), block(0, 0, 0), (0, 0, 1, 0)),
        (block(1, 80, 100, width=1), block(7, 80, 100), (1, 1, 1, 1)),  # with 2 px around it: 3 of 10 columns
        (block(1, 80, 100, width=1), block(7, 80, 100, width=11), (1, 0, 1, 1)),  # 3 of 11
        (block(1, 80, 112), block(7, 80, 100), (1, 0, 1, 0)),  # three of ten columns lie within 3 px
        (block(1, 80, 112, width=2), block(7, 80, 100), (1, 0, 1, 1)),
        (block(1, 80, 100), block(65535, 80, 100), (0, 0, 1, 1)),  # do not judge
        (block(1, 80, 100), block(7, 80, 150), (1, 0, 1, 0)),
        (block(1, 80, 162), block(7, 80, 162), (0, 0, 0, 0)),  # outside of 0.97 of the radius
        (block(1, 80, 150, width=12), block(7, 80, 150, width=12), (1, 1, 1, 1)),  # mostly inside
    ],
)
def test_found_and_true_follow_the_contract(reported, truth, expected):
    assert counts(match(reported, truth, CLADDING)) == expected


def test_the_judged_area_can_be_smaller():
    truth = block(7, 80, 140)
    assert counts(match(truth, truth, CLADDING, 0.8)) == (1, 1, 1, 1)
    assert counts(match(truth, truth, CLADDING, 0.7)) == (0, 0, 0, 0)


def test_what_went_wrong_is_named():
    matching = match(block(3, 80, 100), block(7, 60, 60), CLADDING)
    assert (matching.missed, matching.false) == ((7,), (3,))
    assert (matching.report_of, matching.defect_of) == ({}, {})


def test_partners_are_those_that_overlap_most():
    truth = block(7, 80, 100, width=20)  # columns 100 to 119
    reported = block(1, 80, 98, width=8)
    reported[80:90, 107:125] = 2
    matching = match(reported, truth, CLADDING)
    assert matching.report_of == {7: 2}
    assert matching.defect_of == {1: 7, 2: 7}


def test_of_two_that_overlap_alike_the_first_is_the_partner():
    truth = block(7, 80, 100)
    truth[80:90, 110:120] = 5
    matching = match(block(4, 80, 100, width=20), truth, CLADDING)
    assert matching.report_of == {5: 4, 7: 4} and matching.defect_of == {4: 5}


def test_a_true_report_on_a_do_not_judge_area_has_no_partner():
    matching = match(block(1, 80, 100), block(65535, 80, 100), CLADDING)
    assert matching.true == (1,) and matching.defect_of == {}


def test_a_neighbour_out_of_reach_is_no_partner():
    truth = block(65535, 80, 100)
    truth[92:99, 112:119] = 7  # 3 px to the right, 3 px below
    reported = block(1, 80, 100)
    assert match(reported, truth, CLADDING).defect_of == {}
    truth[91:92, 111:112] = 5  # 2 px to the right, 2 px below
    assert match(reported, truth, CLADDING).defect_of == {1: 5}


def test_the_label_images_are_not_changed():
    reported, truth = block(1, 80, 100), block(65535, 80, 100)
    before = reported.copy(), truth.copy()
    match(reported, truth, CLADDING)
    np.testing.assert_array_equal(reported, before[0])
    np.testing.assert_array_equal(truth, before[1])
