"""Verification: errors of pairs by hand, all pairs of one person, and pair lists that say nothing."""

import numpy as np
import pytest

from hf_unlearnable.audit.verification import face_pairs, likeness, verification


@pytest.mark.parametrize(
    ("scores", "same", "equal_error", "area"),
    [
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.0, 1.0),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 1.0, 0.0),
        ([0.9, 0.3, 0.4, 0.1], [1, 1, 0, 0], 0.5, 0.75),  # of four ways to compare, three are right
        ([0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0], 0.5, 0.5),
        ([0.9, 0.8, 0.7, 0.3, 0.4, 0.1, 0.0], [1, 1, 1, 1, 0, 0, 0], 0.25, 11 / 12),
    ],
)
def test_errors_are_those_that_a_hand_counts(scores, same, equal_error, area):
    found = verification(scores, same)
    assert (found.equal_error, found.area) == pytest.approx((equal_error, area))
    assert found.matches[-1] == found.false_matches[-1] == 1 and (np.diff(found.false_matches) >= 0).all()


def test_scores_that_tell_nothing_are_a_guess():
    rng = np.random.default_rng(0)
    found = verification(rng.random(4000), rng.random(4000) < 0.5)
    assert found.equal_error == pytest.approx(0.5, abs=0.03) and found.area == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("same", "kind"), [([True] * 3, "two people"), ([False] * 3, "one person"), ([], "one person")]
)
def test_a_pair_list_of_one_kind_is_refused(same, kind):
    with pytest.raises(ValueError, match=f"no pairs of {kind}: give both kinds"):
        verification([0.1] * len(same), same)


def test_pairs_are_all_of_one_person_and_as_many_drawn_ones_of_two():
    people = [7] * 4 + [2] * 3 + [5] * 5
    pairs, same = face_pairs(people, seed=1)
    assert same.sum() == 6 + 3 + 10 and len(same) == 2 * same.sum()
    assert all((people[i] == people[j]) == one for (i, j), one in zip(pairs.tolist(), same, strict=True))
    assert len(set(map(tuple, pairs.tolist()))) == len(pairs) and (pairs[:, 0] < pairs[:, 1]).all()
    again, other = face_pairs(people, seed=1)[0], face_pairs(people, seed=2)[0]
    assert (pairs == again).all() and (pairs != other).any()


@pytest.mark.parametrize(
    ("people", "told"), [([1, 1, 2], "Person 2 has one picture"), ([3, 3, 3], "There is no pair|there is no pair")]
)
def test_people_who_make_no_pair_are_refused(people, told):
    with pytest.raises(ValueError, match=told):
        face_pairs(people)


def test_likeness_is_a_cosine_and_an_empty_feature_is_like_nothing():
    features = np.array([[2.0, 0.0], [5.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]])
    pairs = np.array([[0, 1], [0, 2], [0, 3], [0, 4]])
    assert likeness(features, pairs).tolist() == [1.0, 0.0, -1.0, 0.0]
