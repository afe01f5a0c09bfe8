"""An audit that is run again, or killed, computes nothing twice."""

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
from hf_unlearnable.audit.grid import audit
from hf_unlearnable.audit.records import Version
from hf_unlearnable.audit.store import Store, digest
from tests import ROOT
from tests.audit.rule import CLEAN, DROPPED, PROTECTED, TEST, TRAIN, Counting, by_rule, flipped


def test_cells_that_are_known_are_skipped():
    victim = Counting()
    tried = {"flip": Countermeasure(flipped)}
    skip = [("clean", "v", "none"), ("swapped", "v", "flip"), ("clean", "other", "flip")]
    found = audit([CLEAN, PROTECTED], TEST, {"v": victim}, tried, seeds=(0, 1), skip=skip)
    assert [(c.version.name, c.countermeasure) for c in found.cells] == [("clean", "flip"), ("swapped", "none")]


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
from hf_unlearnable.audit.grid import audit
from tests.audit.rule import CLEAN, PROTECTED, TEST, by_rule
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

    assert [trained(2, "1"), trained(2, "2"), trained(3, "3")] == [20, 0, 4]


def test_a_share_of_other_rows_is_another_cell(tmp_path):
    attacker = Attacker(clean=Rows(["word0 mine", "word1 mine"] * 10, [0, 1] * 10))
    for rows, mixed in ((40, 10), (8, 2)):
        versions = [Version("clean", TRAIN.select(range(rows)), "clean"), DROPPED]
        found = audit(
            versions, TEST, {"rule": by_rule}, {"mix": mixed_with_clean(0.25)}, attacker=attacker, seeds=(0,),
            store=tmp_path,
        )  # fmt: skip
        assert found.cell("dropped", "rule", "mix").train_rows == mixed


_KILLED = """
import sys, time
from functools import partial
sys.path.insert(0, {root!r})
from hf_unlearnable.adversary import Countermeasure
from hf_unlearnable.audit.grid import audit
from tests.audit.rule import CLEAN, PROTECTED, TEST, by_rule, tagged
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
