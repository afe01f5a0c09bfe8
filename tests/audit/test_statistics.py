"""The intervals must cover the truth about as often as they say, and must not be wider than they need."""

import numpy as np
import pytest

from hf_unlearnable.audit.statistics import Interval, accuracy_interval, paired_difference

ROWS = 300


def answers(rng: np.random.Generator, seeds: int, seed_effect: float, easy: np.ndarray) -> np.ndarray:
    """[seeds, rows] answers of true accuracy .75: easy rows .92, hard rows .58, give or take a seed's luck."""
    luck = seed_effect * rng.uniform(-1, 1, size=(seeds, 1))
    return rng.random((seeds, len(easy))) < np.where(easy, 0.92, 0.58) + luck


def test_interval_covers_the_true_accuracy():
    rng = np.random.default_rng(0)
    covered, covered_naively = [], []
    for _ in range(400):
        correct = answers(rng, seeds=5, seed_effect=0.08, easy=rng.random(ROWS) < 0.5)
        interval = accuracy_interval(correct, resamples=400)
        covered.append(interval.low <= 0.75 <= interval.high)
        half = 1.96 * np.sqrt(correct.mean() * (1 - correct.mean()) / correct.size)  # 5 * 300 independent answers?
        covered_naively.append(abs(correct.mean() - 0.75) <= half)
    assert 0.91 <= np.mean(covered) <= 0.99
    assert np.mean(covered_naively) < 0.8, "the simulation no longer needs two levels"


def test_difference_covers_the_truth_and_gains_from_pairing():
    rng = np.random.default_rng(1)
    covered, paired_width, apart_width = [], [], []
    for _ in range(300):
        rows = rng.random((1, ROWS))  # a row's difficulty, the same for both versions
        a, b = (rng.random((4, 1)) * 0.06 + level + 0.05 * rng.random((4, ROWS)) > rows for level in (0.6, 0.5))
        interval = paired_difference(a, b, resamples=400)
        covered.append(interval.low <= 0.1 <= interval.high)
        paired_width.append(interval.high - interval.low)
        each = [accuracy_interval(x, resamples=400) for x in (a, b)]
        apart_width.append(np.hypot(*(x.high - x.low for x in each)))
    assert 0.90 <= np.mean(covered) <= 0.99
    assert np.mean(paired_width) < 0.75 * np.mean(apart_width)


def test_one_seed_gives_the_usual_interval_over_rows():
    correct = np.arange(400)[None, :] < 300
    interval = accuracy_interval(correct, resamples=20_000)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert interval.mean == 0.75
    assert (interval.low, interval.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.004)


def test_two_seeds_that_disagree_on_everything_span_all():
    interval = accuracy_interval(np.array([[True] * 50, [False] * 50]))
    assert interval == Interval(0.5, 0.0, 1.0)


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (4, 1), (3, 20)])
def test_equal_answers_have_no_width(value, shape):
    correct = np.full(shape, value)
    assert accuracy_interval(correct) == Interval(float(value), float(value), float(value))
    assert paired_difference(correct, correct) == Interval(0.0, 0.0, 0.0)


def test_mean_is_the_plain_mean_and_the_seed_decides_the_rest():
    rng = np.random.default_rng(2)
    a, b = rng.random((3, 77)) < 0.7, rng.random((2, 77)) < 0.4  # the numbers of seeds may differ
    assert accuracy_interval(a).mean == a.mean()
    assert paired_difference(a, b).mean == a.mean() - b.mean()
    assert paired_difference(a, b, seed=3) == paired_difference(a, b, seed=3) != paired_difference(a, b, seed=4)
    wide, narrow = accuracy_interval(a, confidence=0.99), accuracy_interval(a, confidence=0.5)
    assert wide.low < narrow.low < a.mean() < narrow.high < wide.high


def test_order_of_rows_and_seeds_does_not_matter_beyond_resampling_noise():
    rng = np.random.default_rng(3)
    correct = answers(rng, seeds=4, seed_effect=0.1, easy=rng.random(ROWS) < 0.5)
    shuffled = correct[::-1][:, rng.permutation(ROWS)]
    one, two = (accuracy_interval(x, resamples=20_000) for x in (correct, shuffled))
    assert (one.low, one.high) == pytest.approx((two.low, two.high), abs=0.005)


def test_prints_percent():
    assert str(Interval(0.8237, 0.799, 0.848)) == "82.4 [79.9, 84.8]"
    assert str(Interval(-0.0001, -0.02, 0.0)) == "0.0 [-2.0, 0.0]"


@pytest.mark.parametrize(
    "correct",
    [np.ones(5, bool), np.ones((0, 5), bool), np.ones((2, 0), bool), np.ones((2, 3, 4), bool), np.ones((2, 5))],
    ids=["1-d", "no seeds", "no rows", "3-d", "not boolean"],
)
def test_refuses_what_is_not_a_boolean_matrix(correct):
    with pytest.raises(ValueError, match=r"boolean matrix \[seeds, test rows\]"):
        accuracy_interval(correct)
    with pytest.raises(ValueError, match=r"boolean matrix \[seeds, test rows\]"):
        paired_difference(np.ones((2, 5), bool), correct)


def test_refuses_different_test_rows():
    with pytest.raises(ValueError, match="a has 5 test rows and b has 6"):
        paired_difference(np.ones((2, 5), bool), np.ones((2, 6), bool))


@pytest.mark.parametrize("settings", [{"confidence": 95}, {"confidence": 0}, {"resamples": 0}])
def test_refuses_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        accuracy_interval(np.ones((2, 5), bool), **settings)
