"""Wear: rows changed or dropped without an attacker, by name, in the registry and in `list`."""

import pytest

from hf_unlearnable import register
from hf_unlearnable.adversary import Attacker, Rows, Wear
from hf_unlearnable.cli import main
from hf_unlearnable.registry import WEAR, countermeasures_of, wear_of


def without(word):
    return lambda texts: [None if word in text else text.upper() for text in texts]


@pytest.mark.parametrize(
    ("word", "inputs", "labels"),
    [("a", ["B"], [1]), ("x", ["A", "B", "CA"], [0, 1, 2]), ("", [], []), ("c", ["A", "B"], [0, 1])],
)
def test_dropped_inputs_lose_their_label_too(word, inputs, labels):
    left = Wear(without(word)).on_rows(Rows(["a", "b", "ca"], [0, 1, 2]), Attacker())
    assert (left.inputs, left.labels) == (inputs, labels)


def test_a_change_that_returns_another_number_is_an_error():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        Wear(lambda texts: texts[1:]).on_rows(Rows(["a", "b"], [0, 1]), Attacker())


def test_tools_name_versions_and_what_is_not_installed():
    assert Wear(list, ("numpy", "no-such-package")).tools.startswith("numpy ")
    assert Wear(list, ("numpy", "no-such-package")).tools.endswith(", no-such-package (not installed)")
    assert Wear(list).tools == ""


def test_registered_wear_is_of_its_kind_and_listed_apart_from_countermeasures(monkeypatch, capsys):
    monkeypatch.setattr(WEAR, "_registered", {})
    shout = register(Wear(without("x"), modality="text"), name="shout")
    assert wear_of("text")["shout"] is shout
    assert "shout" not in wear_of("image") and "shout" not in countermeasures_of("text")
    with pytest.raises(ValueError, match="There is a wear 'shout' already"):
        register(Wear(list), name="shout")
    with pytest.raises(ValueError, match="This wear bears no name"):
        register(Wear(list))
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "\nwear, text: " in said and "shout" in said.split("\nwear, text: ")[1].split("\n")[0]


@pytest.mark.parametrize("modality", ["text", "image"])
def test_no_wear_has_the_name_of_a_countermeasure(modality):
    assert not wear_of(modality).keys() & countermeasures_of(modality).keys()
