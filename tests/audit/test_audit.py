"""The audit tests on clean rows, keeps every number, computes nothing twice, and keeps to its budget."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image

from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, mixed_with_clean
from hf_unlearnable.audit import grid as audit_module
from hf_unlearnable.audit import probe
from hf_unlearnable.audit.grid import audit
from hf_unlearnable.audit.records import Version
from hf_unlearnable.audit.report import grid_table
from hf_unlearnable.audit.store import Store, digest
from tests import ROOT
from tests.examples import tiny

TRAIN = tiny([f"word{i % 2} text" for i in range(40)], [i % 2 for i in range(40)])
TEST = tiny([f"word{i % 2} other" for i in range(30)], [i % 2 for i in range(30)])
SWAPPED = tiny(TRAIN["text"][:], [1 - label for label in TRAIN["label"]])
CLEAN, DROPPED = Version("clean", TRAIN, "clean"), Version("dropped", TRAIN.select([]), "dropped")
PROTECTED = Version("swapped", SWAPPED, "protected")


def by_rule(train_texts, train_labels, test_texts, *, seed, on_epoch=None):
    """Learns which first word goes with which label; seed 1 is wrong on the first five rows."""
    rule = dict(zip((text.split()[0] for text in train_texts), train_labels))
    predicted = np.array([rule.get(text.split()[0], 0) for text in test_texts])
    if seed == 1:
        predicted[:5] = 1 - predicted[:5]
    if on_epoch is not None:
        on_epoch(1.0, 1 - predicted)
        on_epoch(0.5, predicted)
    return predicted


class Counting:
    """A victim that counts its trainings and notes what it was given."""

    def __init__(self):
        self.given = []

    def __call__(self, train_texts, train_labels, test_texts, *, seed):
        self.given.append((list(train_texts), list(train_labels), seed))
        return by_rule(train_texts, train_labels, test_texts, seed=seed)


def flipped(rows, attacker):
    return Rows(rows.inputs, [1 - label for label in rows.labels])


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


def test_cells_that_are_known_are_skipped():
    victim = Counting()
    tried = {"flip": Countermeasure(flipped)}
    skip = [("clean", "v", "none"), ("swapped", "v", "flip"), ("clean", "other", "flip")]
    found = audit([CLEAN, PROTECTED], TEST, {"v": victim}, tried, seeds=(0, 1), skip=skip)
    assert [(c.version.name, c.countermeasure) for c in found.cells] == [("clean", "flip"), ("swapped", "none")]


def test_hooks_reach_only_victims_that_take_them():
    def hooked(texts, labels, tests, *, seed, in_training=None):
        return by_rule(texts, labels, tests, seed=seed) if in_training is None else np.full(len(tests), 7)

    tried = {"hook": Countermeasure(in_training=lambda *batch: batch)}
    found = audit([CLEAN], TEST, {"plain": by_rule, "hooked": hooked}, tried, seeds=(0,))
    assert found.cell("clean", "hooked", "hook").accuracy.mean == 0.0
    assert found.cell("clean", "plain", "hook") is None
    assert found.not_run == ["hook on plain: not in the grid, for this victim takes nothing in training"]
    assert found.ran == found.planned == 3


def test_nothing_is_computed_twice(tmp_path):
    first, again = Counting(), Counting()
    tried = {"flip": Countermeasure(flipped), "same": Countermeasure(lambda rows, attacker: rows)}
    arguments = [CLEAN, PROTECTED, DROPPED], TEST
    one = audit(*arguments, {"v": first}, tried, seeds=(0, 1), store=tmp_path)
    assert len(first.given) == 4  # flipped clean rows are the protected ones, and unchanged rows are what they were
    two = audit(*arguments, {"v": again}, tried, seeds=(0, 1), store=tmp_path)
    assert again.given == []
    assert [(c.version.name, c.countermeasure, c.by_seed) for c in one.cells] == [
        (c.version.name, c.countermeasure, c.by_seed) for c in two.cells
    ]
    more = Counting()
    audit(*arguments, {"v": more}, tried, seeds=(0, 1, 5), store=tmp_path)
    assert {seed for *_, seed in more.given} == {5}
    other_test = Counting()
    audit([CLEAN], TEST.select(range(10)), {"v": other_test}, seeds=(0,), store=tmp_path)
    assert len(other_test.given) == 1


_AUDITED = """
from functools import partial
from hf_unlearnable.adversary import victim
from tests.audit.test_audit import *
class Named:
    def __init__(self, name):
        self.name = name
@victim("text", epochs=2)
def record(texts, labels, tests, training, *, words=frozenset(), named=None):
    print("trained")
    return by_rule(texts, labels, tests, seed=training.seed)
def plain(texts, labels, tests, *, seed, words=()):
    print("trained")
    return by_rule(texts, labels, tests, seed=seed)
victims = {{
    "record": record, "partial": partial(record, words={{"of", "or", "in"}}), "plain": plain,
    "plain partial": partial(plain, words=frozenset("abcdef")), "object": partial(record, named=Named("x"), epochs={epochs}),
}}
audit([CLEAN, PROTECTED], TEST, victims, seeds=(0, 1), store={store!r})
"""


def test_another_process_goes_on_with_the_store_and_trains_only_what_has_other_settings(tmp_path):
    def trained(epochs, hashing):
        script = _AUDITED.format(store=str(tmp_path / "cells"), epochs=epochs)
        done = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": hashing}, capture_output=True,
            text=True, check=True, cwd=ROOT,
        )  # fmt: skip
        return done.stdout.split().count("trained")

    assert [trained(2, "1"), trained(2, "2"), trained(3, "3"), trained(3, "4")] == [20, 0, 4, 0]


def test_a_share_of_other_rows_is_another_cell(tmp_path):
    attacker = Attacker(clean=Rows(["word0 mine", "word1 mine"] * 10, [0, 1] * 10))
    for rows, mixed in ((40, 10), (8, 2)):
        versions = [Version("clean", TRAIN.select(range(rows)), "clean"), DROPPED]
        found = audit(
            versions, TEST, {"rule": by_rule}, {"mix": mixed_with_clean(0.25)}, attacker=attacker, seeds=(0,),
            store=tmp_path,
        )  # fmt: skip
        assert found.cell("dropped", "rule", "mix").train_rows == mixed


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


def test_budget(caplog, clock):
    versions = [CLEAN, PROTECTED]
    tried = {f"c{i}": Countermeasure(partial(tagged, tag=i)) for i in range(20)}
    found = audit(versions, TEST, {"v": clock.by_rule}, tried, seeds=(0,), budget=2.0)
    assert 1.5 < clock.now <= 2.0
    late = [one for one in found.missing if one.reason == "out of time"]
    assert len(late) + len(found.cells) == found.planned == 42 and 2 <= len(found.cells) == found.ran <= 12
    (line,) = found.not_run
    assert line.endswith(f", c19: out of time ({len(late)} trainings)") and line.startswith("v after c")
    assert found.cell("swapped", "v") is not None  # what everything is compared with comes first
    (said,) = [record.getMessage() for record in caplog.records if "trainings to run" in record.getMessage()]
    assert said.startswith("42 trainings to run, 0 there already: about 0.") and "0.0 are given" in said
    assert not audit(versions, TEST, {"v": clock.by_rule}, seeds=(0,), budget=60.0).not_run


def tagged(rows, attacker, tag):
    return Rows([f"{text} {tag}" for text in rows.inputs], rows.labels)


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


def test_dropped_rows_and_slow_filters_are_in_the_estimate(clock):
    tried = {"filter": Countermeasure(clock.filtered)}
    victim = partial(clock.by_rule, seconds=0.3)
    found = audit([CLEAN, PROTECTED, DROPPED], TEST, {"v": victim}, tried, seeds=(0, 1, 2, 3, 4), budget=2.6)
    assert found.cell("dropped", "v").seeds == [0, 1, 2, 3, 4]  # nothing is trained, so it is never too late for it
    late = {(one.version.name, one.countermeasure) for one in found.missing if one.reason == "out of time"}
    assert {("clean", "filter"), ("swapped", "filter")} <= late


def test_bad_input():
    with pytest.raises(ValueError, match="The test is empty"):
        audit([CLEAN], TEST.select([]), {"rule": by_rule})
    with pytest.raises(ValueError, match="Two versions have one name"):
        audit([CLEAN, CLEAN], TEST, {"rule": by_rule})
    with pytest.raises(ValueError, match="role 'other'"):
        Version("x", TRAIN, "other")


_KILLED = """
import sys, time
sys.path.insert(0, {root!r})
from tests.audit.test_audit import *
def victim(texts, labels, tests, *, seed):
    with open({log!r}, "a") as log:
        log.write("begun\\n")
    time.sleep(0.15)
    return by_rule(texts, labels, tests, seed=seed)
tried = {{f"c{{i}}": Countermeasure(partial(tagged, tag=i)) for i in range(12)}}
found = audit([CLEAN, PROTECTED], TEST, {{"v": victim}}, tried, seeds=(0,), store={store!r})
print(len(found.cells))
"""


def test_killed_and_started_again_loses_at_most_one_training(tmp_path):
    log = tmp_path / "log"
    script = _KILLED.format(root=str(ROOT), log=str(log), store=str(tmp_path / "cells"))
    for moment in (3, 11):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
        begun_before = len(log.read_text().splitlines()) if log.exists() else 0
        deadline = time.time() + 600
        while time.time() < deadline and process.poll() is None:
            if log.exists() and len(log.read_text().splitlines()) >= begun_before + moment:
                break
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    # Two runs of one audit at the same time share what is left.
    both = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=600)[0].strip() for process in both] == ["26", "26"]
    assert 26 <= len(log.read_text().splitlines()) <= 28  # one more for each kill at most
    for file in (tmp_path / "cells").glob("*.json"):
        json.loads(file.read_text())


def test_store(tmp_path):
    store = Store(tmp_path / "s")
    assert store.get("a") is None
    assert list(store.each(["a", "b", "c"], lambda place: None if place == 1 else {"place": place})) == [0, 2]
    again = Store(tmp_path / "s")
    assert again.get("c") == {"place": 2} and again.get("b") is None
    assert list(again.each(["c", "a"], lambda place: pytest.fail("it is there"))) == [0, 1]
    assert sorted(path.name for path in (tmp_path / "s").iterdir() if path.suffix == ".json") == ["a.json", "c.json"]


def test_images_of_other_colours_have_other_digests():
    picture = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    reds, blues = picture.convert("P"), picture.convert("P")
    reds.putpalette([value for i in range(256) for value in (i, 0, 0)])
    blues.putpalette([value for i in range(256) for value in (0, 0, i)])
    inks = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(4, 4, 4), "CMYK")
    see_through = Image.fromarray(np.asarray(inks), "RGBA")
    assert len({digest(one) for one in (picture, reds, blues, inks, see_through)}) == 5
    assert digest(picture.convert("RGB")) == digest(np.asarray(picture.convert("RGB")))  # pixels, in either form


def test_digests_tell_apart():
    picture = np.zeros((2, 3), np.uint8)
    values = [
        "ab", ["ab"], ["a", "b"], [["a"], "b"], 1, 1.0, None, picture, picture.reshape(3, 2), picture.astype(np.int8),
        {"a": 1}, {"a": 2}, partial(by_rule, seed=1), partial(by_rule, seed=2), by_rule, Counting, [], "",
    ]  # fmt: skip
    assert len({digest(value) for value in values}) == len(values)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
