"""The audit tests on clean rows, keeps every number, and names what fails."""

import numpy as np
import pytest

from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, mixed_with_clean
from hf_unlearnable.audit.grid import audit
from hf_unlearnable.audit.records import Version
from tests.audit.rule import CLEAN, DROPPED, PROTECTED, SWAPPED, TEST, TRAIN, Counting, by_rule, flipped
from tests.examples import tiny


def test_cells():
    seen = []
    one_class = Version("one class", TRAIN.select([0, 2, 4]), "partly", share=0.1)
    found = audit([CLEAN, PROTECTED, DROPPED, one_class], TEST, {"rule": by_rule}, seeds=(0, 1), on_cell=seen.append)
    assert [cell.version.name for cell in found.cells] == ["clean", "swapped", "dropped", "one class"]
    assert {(c.version.name, c.accuracy.mean) for c in seen} == {
        (c.version.name, c.accuracy.mean) for c in found.cells
    }
    clean = found.cell("clean", "rule")
    assert clean.by_seed == [1.0, pytest.approx(25 / 30, abs=1e-4)]
    assert clean.accuracy.mean == pytest.approx(55 / 60)
    assert clean.accuracy.low < 55 / 60 <= clean.accuracy.high
    assert clean.curves[0] == [(1.0, 0.0), (0.5, 1.0)] and clean.peak == pytest.approx(55 / 60, abs=1e-3)
    assert found.cell("swapped", "rule").by_seed == [0.0, pytest.approx(5 / 30, abs=1e-4)]
    assert found.cell("swapped", "rule").peak == pytest.approx(55 / 60, abs=1e-3)  # its first epoch was its best
    assert found.cell("dropped", "rule").accuracy.mean == found.cell("one class", "rule").accuracy.mean == 0.5
    assert [cell.train_rows for cell in found.cells] == [40, 40, 0, 3]
    assert found.not_run == [] and found.classes == 2
    assert found.of_role("protected", "rule").version.name == "swapped" and found.cell("clean", "other") is None


def test_a_version_may_depend_on_the_seed():
    by_seed = Version("by seed", lambda seed: [TRAIN, SWAPPED][seed == 2], "protected")
    (cell,) = audit([by_seed], TEST, {"rule": by_rule}, seeds=(0, 2)).cells
    assert cell.by_seed == [1.0, 0.0]


def test_countermeasures_meet_the_versions_they_are_for():
    victim = Counting()
    own = Rows(["word0 mine", "word1 mine"] * 10, [0, 1] * 10)
    tried = {"flip": Countermeasure(flipped), "mix": mixed_with_clean(0.25), "lm": Countermeasure(needs=("corpus",))}
    random = Version("random", TRAIN, "random")
    found = audit(
        [CLEAN, PROTECTED, random, DROPPED], TEST, {"v": victim}, tried, attacker=Attacker(clean=own), seeds=(0,)
    )
    ran = {(cell.version.name, cell.countermeasure) for cell in found.cells}
    assert ran == {
        *((name, "none") for name in ("clean", "swapped", "random", "dropped")),
        ("clean", "flip"), ("swapped", "flip"), ("clean", "mix"), ("swapped", "mix"), ("dropped", "mix"),
    }  # fmt: skip
    assert found.cell("swapped", "v", "flip").accuracy.mean == 1.0
    assert found.cell("clean", "v", "flip").accuracy.mean == 0.0
    # A quarter of the published rows, also where the attacker throws all of these away.
    assert found.cell("dropped", "v", "mix").train_rows == 10 and found.cell("swapped", "v", "mix").train_rows == 50
    assert found.not_run == ["lm: the attacker was given no corpus (2 trainings)"]
    assert found.planned == 11 and [one.version.name for one in found.missing] == ["clean", "swapped"]


def test_hooks_reach_only_victims_that_take_them():
    def hooked(texts, labels, tests, *, seed, in_training=None):
        return by_rule(texts, labels, tests, seed=seed) if in_training is None else np.full(len(tests), 7)

    tried = {"hook": Countermeasure(in_training=lambda *batch: batch)}
    found = audit([CLEAN], TEST, {"plain": by_rule, "hooked": hooked}, tried, seeds=(0,))
    assert found.cell("clean", "hooked", "hook").accuracy.mean == 0.0
    assert found.cell("clean", "plain", "hook") is None
    assert found.not_run == ["hook on plain: not in the grid, for this victim takes nothing in training"]
    assert found.ran == found.planned == 3


def test_a_victim_that_cannot_be_had_ends_its_own_cells_only(caplog):
    def absent(texts, labels, tests, *, seed):
        raise OSError("no such model")

    found = audit([CLEAN, PROTECTED], TEST, {"absent": absent, "rule": by_rule}, seeds=(0, 1))
    assert [cell.victim for cell in found.cells] == ["rule", "rule"]
    assert (found.ran, found.planned) == (4, 8)
    assert found.not_run == ["absent: no such model (4 trainings)"] and "absent is left out" in caplog.text


def test_a_countermeasure_that_fails_ends_its_own_cells_only(caplog):
    def hooked(texts, labels, tests, *, seed, in_training=None):
        if in_training is not None:
            in_training()
        if not any(texts):
            raise ValueError("empty vocabulary")
        return by_rule(texts, labels, tests, seed=seed)

    def without_library(*batch):
        raise ImportError("no kornia")

    def without_model(rows, attacker):
        raise OSError("no language model")

    tried = {
        "hook": Countermeasure(in_training=without_library), "model": Countermeasure(without_model),
        "empties": Countermeasure(lambda rows, attacker: Rows([""] * len(rows), rows.labels)),
        "flip": Countermeasure(flipped),
    }  # fmt: skip
    found = audit([CLEAN, PROTECTED], TEST, {"v": hooked}, tried, seeds=(0, 1))
    assert {(c.version.name, c.countermeasure) for c in found.cells} == {
        (name, done) for name in ("clean", "swapped") for done in ("none", "flip")
    }
    assert all(len(cell.seeds) == 2 for cell in found.cells)
    assert set(found.not_run) == {
        "v after empties: empty vocabulary (4 trainings)", "hook on v: no kornia (4 trainings)",
        "model: no language model (4 trainings)",
    }  # fmt: skip
    assert (found.ran, found.planned, len(found.not_run)) == (8, 20, 3)
    with pytest.raises(ValueError, match="empty vocabulary"):  # what fails without a countermeasure is misused
        audit([Version("empty", tiny([""] * 4, [0, 1, 0, 1]), "clean")], TEST, {"v": hooked}, seeds=(0,))


def test_no_text_is_an_empty_one():
    victim = Counting()
    own_empty = tiny([None, "word1 a", "word0 a"], [0, 1, 0])
    with pytest.raises(IndexError):  # by_rule wants a word
        audit([Version("none", own_empty, "clean")], TEST, {"v": victim}, seeds=(0,))
    assert victim.given[0][0] == ["", "word1 a", "word0 a"]


def test_bad_input():
    with pytest.raises(ValueError, match="The test is empty"):
        audit([CLEAN], TEST.select([]), {"rule": by_rule})
    with pytest.raises(ValueError, match="Two versions have one name"):
        audit([CLEAN, CLEAN], TEST, {"rule": by_rule})
    with pytest.raises(ValueError, match="role 'other'"):
        Version("x", TRAIN, "other")
