"""The audit composes the best two countermeasures of each victim."""

import numpy as np

from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, mixed_with_clean
from hf_unlearnable.audit import grid as audit_module
from hf_unlearnable.audit.grid import audit
from hf_unlearnable.audit.report import grid_table
from tests.audit.rule import CLEAN, DROPPED, PROTECTED, TEST, Counting


def marks(*names, **measures):
    """Countermeasures that write their name behind each text."""

    def mark(name):
        return Countermeasure(lambda rows, attacker: Rows([f"{text} {name}" for text in rows.inputs], rows.labels))

    return {**{name: mark(name) for name in names}, **measures}


def likes(*words):
    """A victim that is right about ten test rows for each of these words in its training texts."""

    def victim(texts, labels, tests, *, seed):
        right = 10 * sum(word in texts[0].split() for word in words)
        answers = np.array(TEST["label"][: len(tests)])
        return np.where(np.arange(len(tests)) < right, answers, 1 - answers)

    return victim


def composed_in(found, victim="v"):
    return {cell.countermeasure for cell in found.cells if "+" in cell.countermeasure and cell.victim == victim}


def test_the_two_best_countermeasures_of_a_protected_version_are_composed_in_their_order():
    tried = marks("idle", "front", "other", "back")
    found = audit([CLEAN, PROTECTED, DROPPED], TEST, {"v": likes("back", "front")}, tried, seeds=(0, 1), compose=True)
    assert composed_in(found) == {"front+back"}
    reached = {c.countermeasure: c.by_seed for c in found.cells if c.version is PROTECTED}
    assert reached["front"] == reached["back"] == [0.3333] * 2 and reached["front+back"] == [0.6667] * 2
    assert {c.version.name for c in found.cells if c.countermeasure == "front+back"} == {"clean", "swapped"}
    assert "| front+back" in grid_table(found, "swapped")


def test_without_compose_or_with_one_countermeasure_nothing_is_composed():
    assert composed_in(audit([PROTECTED], TEST, {"v": likes("a", "b")}, marks("a", "b"), seeds=(0,))) == set()
    assert composed_in(audit([PROTECTED], TEST, {"v": likes("a")}, marks("a"), seeds=(0,), compose=True)) == set()
    assert composed_in(audit([CLEAN], TEST, {"v": likes("a")}, marks("a", "b"), seeds=(0,), compose=True)) == set()


def test_strengths_of_one_kind_and_bought_rows_make_no_pair():
    tried = {**marks("cut-10", "cut-50", "cut-5%", "word-2-vec"), "bought-20%": mixed_with_clean(0.2)}
    own = Attacker(clean=Rows(["word0 mine", "word1 mine"] * 10, [0, 1] * 10))
    victim = likes("cut-10", "cut-50", "mine")
    found = audit([PROTECTED], TEST, {"v": victim}, tried, attacker=own, seeds=(0,), compose=True)
    assert composed_in(found) == {"cut-10+word-2-vec"}


def test_each_victim_has_a_pair_of_its_own():
    victims = {"v": likes("a", "b"), "w": likes("b", "c")}
    found = audit([PROTECTED], TEST, victims, marks("a", "b", "c"), seeds=(0,), compose=True)
    assert (composed_in(found), composed_in(found, "w")) == ({"a+b"}, {"b+c"})


def test_a_pair_that_was_given_is_not_run_again():
    tried = marks("a", "b", "a+b")
    found = audit([PROTECTED], TEST, {"v": likes("a", "b")}, tried, seeds=(0,), compose=True)
    assert [cell.countermeasure for cell in found.cells] == ["none", "a", "b", "a+b"]


def test_a_composition_is_kept_in_the_store_apart_from_its_reverse(tmp_path):
    first, again = Counting(), Counting()
    arguments = {"seeds": (0,), "store": tmp_path}
    tried = marks("a", "b")
    audit([PROTECTED], TEST, {"v": first}, tried, compose=True, **arguments)
    audit([PROTECTED], TEST, {"v": again}, tried, compose=True, **arguments)
    assert [texts[0].split()[2:] for texts, *_ in first.given] == [[], ["a"], ["b"], ["a", "b"]] and not again.given
    audit([PROTECTED], TEST, {"v": again}, {"b+a": tried["b"].then(tried["a"])}, **arguments)
    assert [texts[0].split()[2:] for texts, *_ in again.given] == [["b", "a"]]


def test_compositions_keep_to_the_budget(monkeypatch):
    monkeypatch.setattr(audit_module._Grid, "_estimate", lambda grid, training: 1e3 * ("+" in training.countermeasure))
    victim = {"v": likes("a", "b")}
    found = audit([PROTECTED], TEST, victim, marks("a", "b"), seeds=(0,), compose=True, budget=500)
    assert composed_in(found) == set() and found.not_run == ["v after a+b: out of time (1 training)"]
