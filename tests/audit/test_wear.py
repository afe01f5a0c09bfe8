"""Wear in an audit: tried after countermeasures, reported in a table of its own, named where it cannot run."""

import numpy as np
import pytest

from hf_unlearnable import registry
from hf_unlearnable.adversary import Countermeasure, Wear
from hf_unlearnable.audit.grid import audit
from hf_unlearnable.audit.page import as_markdown
from hf_unlearnable.audit.report import _parts, as_dict, verdict
from hf_unlearnable.audit.run import Effort, attack
from hf_unlearnable.modality import Grid
from hf_unlearnable.text.modality import TEXT
from tests.audit.rule import CLEAN, DROPPED, PROTECTED, TEST, TRAIN, by_rule, tagged
from tests.examples import tiny


def turned(texts):
    """A codec that undoes the protection: the first words change places."""
    other = {"word0": "word1", "word1": "word0"}
    return [" ".join([other[text.split()[0]], *text.split()[1:]]) for text in texts]


def nothing_left(texts):
    return [None] * len(texts)


def not_installed(texts):
    raise ImportError("codec not installed", name="codec")


def too_small(texts):
    raise ValueError("Row 3: too small")


def found(countermeasures=None, **wear):
    return audit(
        [CLEAN, PROTECTED, DROPPED], TEST, {"rule": by_rule}, countermeasures, seeds=[0],
        wear={name: Wear(change) for name, change in wear.items()},
    )  # fmt: skip


def test_wear_has_its_own_table_and_counts_in_the_worst_case():
    told = as_dict(found({"tag": Countermeasure(lambda rows, attacker: tagged(rows, attacker, "x"))}, turned=turned))
    assert list(told["attacks"]) == list(told["wear"]) == ["swapped"]
    assert "| tag" in told["attacks"]["swapped"] and "turned" not in told["attacks"]["swapped"]
    assert told["wear"]["swapped"].startswith("| wear ") and "| turned" in told["wear"]["swapped"]
    assert "tag" not in told["wear"]["swapped"] and "none" not in told["wear"]["swapped"]
    assert "At worst, rule after turned reaches 100.0 [" in told["verdict"][0]
    assert "At worst, rule after wear reaches 100.0 [" in told["verdict_unnamed"][0]


def test_wear_alone_is_no_countermeasure():
    audited = found(kept=list)
    assert as_dict(audited)["attacks"] == {}
    assert verdict(audited, "swapped").startswith(
        "swapped: the protection holds against training alone, and no countermeasure was tried."
    )


@pytest.mark.parametrize(
    ("change", "reason"), [(not_installed, "broken: codec not installed (2 trainings)"),
                           (too_small, "rule after broken: Row 3: too small (2 trainings)")],
)  # fmt: skip
def test_wear_that_cannot_run_is_named_left_out_and_counted(change, reason):
    audited = found(broken=change, kept=list)
    assert audited.not_run == [reason]
    assert (audited.ran, audited.planned) == (5, 7)
    page = as_markdown(_parts(audited, as_dict(audited), [], []))
    assert "## Wear: swapped" in page and "1 of 2 ran." in page and "| broken" not in page


def test_every_row_dropped_leaves_a_guess():
    cell = found(nothing_left=nothing_left).cell("swapped", "rule", "nothing_left")
    assert cell.train_rows == 0 and cell.accuracy.mean == 0.5


def test_wear_is_part_of_no_composition():
    both = {name: Countermeasure(lambda rows, attacker: tagged(rows, attacker, "x")) for name in ("one", "two")}
    wear = {"turned": Wear(turned)}
    versions = [CLEAN, PROTECTED, DROPPED]
    audited = audit(versions, TEST, {"rule": by_rule}, both, seeds=[0], wear=wear, compose=True)
    assert list(dict.fromkeys(cell.countermeasure for cell in audited.cells)) == [
        "none", "one", "two", "turned", "one+two"
    ]  # fmt: skip


def test_a_wear_with_the_name_of_a_countermeasure_is_refused():
    with pytest.raises(ValueError, match="A countermeasure and a wear have one name: same"):
        found({"same": Countermeasure()}, same=list)


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(registry.WEAR, "_registered", {
        "turned": Wear(turned, ("numpy",), "text"), "kept": Wear(list, modality="text"), "other": Wear(list, (), "image"),
    })  # fmt: skip
    monkeypatch.setattr(type(TEXT), "wear", {})


def attacked(grid_wear=None, **options):
    rows = tiny([f"word{i % 2} text {i}" for i in range(40)], TRAIN["label"][:])
    after = tiny(turned(rows["text"][:]), TRAIN["label"][:])
    effort = Effort(100, 100, seeds=1, grid=Grid({}, (), grid_wear))
    return attack(rows, after, TEST, victims={"rule": by_rule}, effort=effort, **options)


@pytest.mark.parametrize(
    ("grid_wear", "wanted", "tried"),
    [
        (None, False, []),
        (None, True, ["turned", "kept"]),
        (("kept",), True, ["kept"]),
        (("kept",), ["turned"], ["turned"]),
        (("kept",), [], []),
    ],
)
def test_an_attack_tries_the_wear_that_is_wanted(known, grid_wear, wanted, tried):
    audited = attacked(grid_wear, wear=wanted)
    assert audited.wear == tried
    assert [cell.countermeasure for cell in audited.cells if cell.version.role == "protected"] == ["none", *tried]
    assert audited.protocol.get("wear by", "").startswith("numpy") == ("turned" in tried)


@pytest.mark.parametrize("name", ["other", "jpeg", ""])
def test_unknown_wear_is_refused_with_what_there_is(known, name):
    with pytest.raises(ValueError, match="There is no wear .* for texts. There is: turned, kept."):
        attacked(wear=[name])


def test_a_model_for_a_wear_that_takes_none_is_refused(known):
    with pytest.raises(ValueError, match="kept takes no model: name none for it"):
        attacked(wear=["kept"], models={"kept": "some/model"})


def test_a_model_for_a_wear_replaces_its_own(known, monkeypatch):
    def changed(texts, model="own"):
        return [f"{text} {model}" for text in texts]

    seen = []

    def noting(texts, labels, test_texts, *, seed):
        seen.extend(text.split()[-1] for text in texts)
        return np.zeros(len(test_texts), int)

    monkeypatch.setitem(registry.WEAR._registered, "changed", Wear(changed, modality="text"))
    rows = tiny([f"word{i % 2} text {i}" for i in range(40)], TRAIN["label"][:])
    after = tiny(turned(rows["text"][:]), TRAIN["label"][:])
    effort = Effort(100, 100, seeds=1, grid=Grid({}, ()))
    attack(rows, after, TEST, victims={"noting": noting}, effort=effort, wear=["changed"], models={"changed": "else"})
    assert "else" in seen and "own" not in seen
