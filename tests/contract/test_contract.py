"""Every registered method passes every check of the contract."""

from dataclasses import fields

import pytest

from hf_unlearnable.registry import METHODS, MODALITIES, method_class
from hf_unlearnable.testing import CHECKS
from tests.examples import sample_dataset
from tests.image.models import needed

QUICK = {"max_rounds": 2, "surrogate_epochs": 2}  # two of each show what many would
SLOW = {"audio-error-min": {"surrogate_steps": 2}}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", METHODS)
def test_contract(name, check):
    cls = method_class(name)
    few = {field.name: QUICK[field.name] for field in fields(cls) if field.name in QUICK} | SLOW.get(name, {})
    check(cls(seed=7, **few, **needed(name)), sample_dataset(cls.modality))


@pytest.mark.parametrize("name", [name for name in METHODS if method_class(name).modality == "text"])
def test_a_method_that_inserts_words_shows_those_of_each_class(name):
    dataset = sample_dataset("text")
    shown = method_class(name)(seed=7).fit(dataset).inserted_words()
    assert list(shown) == sorted(set(dataset["label"])) and all(shown.values())


@pytest.mark.parametrize("name", METHODS)
def test_its_author_names_attacks_that_are_there(name):
    cls = method_class(name)
    assert cls.adaptive_attacks and set(cls.adaptive_attacks) <= set(MODALITIES[cls.modality].countermeasures)
