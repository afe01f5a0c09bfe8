"""The audit keeps to its budget."""

from functools import partial

import pytest

from hf_unlearnable.adversary import Attacker, Countermeasure, Rows
from hf_unlearnable.audit import grid as audit_module
from hf_unlearnable.audit import probe
from hf_unlearnable.audit.grid import audit
from hf_unlearnable.audit.records import Version
from tests.audit.rule import CLEAN, DROPPED, PROTECTED, TEST, TRAIN, by_rule, tagged


class Clock:
    """Moved by work alone, so that no other work on the machine counts."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def by_rule(self, texts, labels, tests, *, seed, seconds=0.2):
        """The victim of that name, which takes so long for 40 rows."""
        self.now += seconds * len(texts) / 40
        return by_rule(texts, labels, tests, seed=seed)

    def filtered(self, rows, attacker):
        self.now += 0.4
        return rows


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (audit_module, probe):
        monkeypatch.setattr(module, "time", clock)
    return clock


def test_budget(clock):
    versions, said = [CLEAN, PROTECTED], []
    tried = {f"c{i}": Countermeasure(partial(tagged, tag=i)) for i in range(20)}
    found = audit(versions, TEST, {"v": clock.by_rule}, tried, seeds=(0,), budget=2.0, on_plan=said.append)
    assert 1.5 < clock.now <= 2.0
    late = [one for one in found.missing if one.reason == "out of time"]
    assert len(late) + len(found.cells) == found.planned == 42 and 2 <= len(found.cells) == found.ran <= 12
    (line,) = found.not_run
    assert line.endswith(f", c19: out of time ({len(late)} trainings)") and line.startswith("v after c")
    assert found.cell("swapped", "v") is not None  # what everything is compared with comes first
    (plan,) = said
    assert plan.startswith("42 trainings to run, 0 done before: about 0.") and plan.endswith(
        " minutes; the budget leaves 0.0."
    )
    assert not audit(versions, TEST, {"v": clock.by_rule}, seeds=(0,), budget=60.0).not_run


def test_dropped_rows_and_slow_filters_are_in_the_estimate(clock):
    tried = {"filter": Countermeasure(clock.filtered)}
    victim = partial(clock.by_rule, seconds=0.3)
    found = audit([CLEAN, PROTECTED, DROPPED], TEST, {"v": victim}, tried, seeds=(0, 1, 2, 3, 4), budget=2.6)
    assert found.cell("dropped", "v").seeds == [0, 1, 2, 3, 4]  # nothing is trained, so it is never too late for it
    late = {(one.version.name, one.countermeasure) for one in found.missing if one.reason == "out of time"}
    assert {("clean", "filter"), ("swapped", "filter")} <= late


@pytest.mark.parametrize("budget", [0.05, 0.15, 0.25, 0.35, 0.5, 0.7, 9.0])
@pytest.mark.parametrize("left", [2, 10])
def test_a_countermeasure_is_not_tried_before_what_it_is_compared_with(clock, budget, left):
    """Few rows are left without the protected ones, so trainings on them fit where no other does."""
    dropped = Version("dropped", TRAIN.select(range(left)), "dropped")
    tried = {"clean-20%": Countermeasure(lambda rows, attacker: rows, needs=("clean",))}
    found = audit(
        [CLEAN, PROTECTED, dropped], TEST, {"v": clock.by_rule}, tried, seeds=(0,), budget=budget,
        attacker=Attacker(clean=Rows(["word0 a", "word1 b"], [0, 1])),
    )  # fmt: skip
    after = [cell for cell in found.cells if cell.countermeasure != "none"]
    assert not after or all(found.cell(version, "v") for version in ("clean", "swapped", "dropped"))
    assert found.planned == 6 and (found.ran == 6) == (budget == 9.0)
