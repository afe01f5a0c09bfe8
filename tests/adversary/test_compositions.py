"""Compositions of countermeasures: applied in turn, refused by name, told apart."""

import pytest

from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, composed
from hf_unlearnable.audit.store import digest


def _appended(word):
    def on_rows(rows, attacker):
        return Rows([f"{text} {word}{attacker.seed}" for text in rows.inputs], rows.labels)

    return on_rows


def _plus(images, targets, model, generator):
    return images + 1, targets


def _double(images, targets, model, generator):
    return 2 * images, targets


KNOWN = {
    "a": Countermeasure(_appended("a"), cost=2, modality="text"),
    "b": Countermeasure(_appended("b"), needs=("corpus",), cost=1.5),
    "plus": Countermeasure(in_training=_plus, modality="text"),
    "double": Countermeasure(in_training=_double, needs=("clean", "corpus")),
    "c+d": Countermeasure(_appended("whole")),
}


@pytest.mark.parametrize(
    ("name", "text"),
    [("a+b", "x a7 b7"), ("b+a", "x b7 a7"), ("a+plus+b", "x a7 b7"), ("a", "x a7"), ("c+d", "x whole7")],
)
def test_a_composition_changes_rows_in_turn(name, text):
    rows = Rows(["x"], [3])
    made = composed(name, KNOWN).on_rows(rows, Attacker(seed=7))
    assert (made.inputs, made.labels, rows.inputs) == ([text], [3], ["x"])


@pytest.mark.parametrize(
    ("name", "batch"), [("plus+double", 12), ("double+plus", 11), ("plus+a+plus", 7), ("double+double+plus", 21)]
)
def test_a_composition_changes_batches_in_turn(name, batch):
    assert composed(name, KNOWN).in_training(5, "y", None, None) == (batch, "y")


def test_a_composition_needs_and_costs_what_its_parts_do():
    made = composed("b+double+a", KNOWN)
    assert (made.needs, made.cost, made.modality) == (("corpus", "clean"), 3.0, "text")
    assert composed("plus+double", KNOWN).on_rows is None and composed("a+b", KNOWN).in_training is None


@pytest.mark.parametrize(("name", "unknown"), [("a+z", "z"), ("z", "z"), ("c+a", "c"), ("y+a+z", "y, z")])
def test_a_composition_of_unknown_parts_is_refused_by_their_names(name, unknown):
    with pytest.raises(ValueError, match=rf"no countermeasure {unknown}\. There are: a, b, plus, double, c\+d\."):
        composed(name, KNOWN)


def test_compositions_have_digests_by_their_parts_and_order():
    names = ["plus", "plus+double", "double+plus", "plus+double+plus", "a+plus", "a"]
    digests = [digest(composed(name, KNOWN)) for name in names]
    assert len(set(digests)) == 6 and digests == [digest(composed(name, KNOWN)) for name in names]
