"""The protection that is left, against values that can be counted by hand."""

import numpy as np
import pytest

from hf_unlearnable.audit.measures import measures
from hf_unlearnable.audit.statistics import accuracy_interval, recovered_share
from tests.audit.test_report import answers

CLEAN, DROPPED = answers(0.9), answers(0.5)


@pytest.mark.parametrize(
    ("accuracy", "left"), [(0.5, 1.0), (0.9, 0.0), (0.7, 0.5), (0.6, 0.75), (0.4, 1.25), (0.98, -0.2)]
)
def test_what_is_left_is_one_minus_the_recovered_share(accuracy, left):
    attacked = answers(accuracy)
    found = measures({"none": attacked}, CLEAN, DROPPED)
    assert (
        found["worst_case_protection_left"] == pytest.approx(left) == pytest.approx(found["protection_left"]["none"])
    )
    share = recovered_share(attacked, DROPPED, CLEAN, DROPPED)
    assert found["worst_case_protection_left_low"] == 1 - share.high
    assert found["worst_case_protection_left_high"] == 1 - share.low
    interval = accuracy_interval(attacked)
    assert [found[f"worst_case_accuracy{end}"] for end in ("", "_low", "_high")] == [
        interval.mean, interval.low, interval.high,
    ]  # fmt: skip
    assert (found["clean_accuracy"], found["dropped_accuracy"]) == (0.9, 0.5)


def test_the_attack_that_gets_most_is_the_worst_case():
    found = measures({"none": answers(0.55), "a": answers(0.8), "b": answers(0.6)}, CLEAN, DROPPED)
    assert found["worst_case"] == "a" and found["worst_case_accuracy"] == 0.8
    assert found["protection_left"] == pytest.approx({"none": 0.875, "a": 0.25, "b": 0.75})


def test_numbers_of_seeds_may_differ():
    found = measures({"none": answers(0.5, 3)}, answers(0.9, 1), answers(0.5, 2))
    assert found["worst_case_protection_left"] == pytest.approx(1.0)
    low, high = found["worst_case_protection_left_low"], found["worst_case_protection_left_high"]
    assert low < 1 < high


@pytest.mark.parametrize(
    ("attacked", "clean", "dropped", "said"),
    [
        ({}, CLEAN, DROPPED, "There is no attack to measure"),
        ({"none": DROPPED}, DROPPED, DROPPED, "did not surely learn more from the clean rows"),
        ({"none": DROPPED}, answers(0.505), DROPPED, "did not surely learn more from the clean rows"),
        ({"none": answers(0.5, rows=1000)}, CLEAN, DROPPED, "same test rows"),
        ({"none": np.zeros(2000, bool)}, CLEAN, DROPPED, "boolean matrix"),
        ({"none": np.zeros((1, 2000))}, CLEAN, DROPPED, "boolean matrix"),
    ],
)
def test_what_tells_nothing_is_refused(attacked, clean, dropped, said):
    with pytest.raises(ValueError, match=said):
        measures(attacked, clean, dropped)
