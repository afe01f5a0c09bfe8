"""Which words RegText draws for itself: none that judges, negates or is a piece of a word."""

import pytest
from datasets import Dataset

from hf_unlearnable import OrderCodeTransform, RegTextTransform
from hf_unlearnable.text.counting.ranking import listed

FIT = ["gravel", "lantern", "saddle", "thimble"]
UNFIT = ["nightmare", "masterpiece", "unfunny", "not", "never", "without", "ve", "ll", "don", "xxx", "delightful"]


def texts(*words):
    """Every word equally often under both labels, beside words that are too frequent to be drawn."""
    rows = [f"the of and to the of and to {word} {word}" for word in words for _ in range(4)]
    return Dataset.from_dict({"text": rows, "label": [0, 1] * (len(rows) // 2)})


def drawn(rows, seeds=range(60), **options):
    options = {"max_frequency": 1e-9, "min_frequency": 5, **options}
    found = set()
    for seed in seeds:
        found |= {
            word
            for words in RegTextTransform(seed=seed, **options).fit(rows).inserted_words().values()
            for word in words
        }
    return found & {*FIT, *UNFIT}


@pytest.mark.parametrize("source", ["neutral", "random"])
def test_words_that_judge_or_negate_and_pieces_of_words_are_not_drawn(source):
    assert drawn(texts(*FIT, *UNFIT), word_source=source) == set(FIT)


def test_they_are_drawn_where_the_owner_allows_them():
    assert drawn(texts(*FIT, "nightmare", "ve"), sensitive=True) == {*FIT, "nightmare", "ve"}


def test_the_ranking_of_the_paper_may_choose_them():
    rows = Dataset.from_dict({
        "text": [f"{word} of the film and to the day" for word in ["nightmare", "delightful"] for _ in range(6)],
        "label": [0] * 6 + [1] * 6,
    })  # fmt: skip
    chosen = RegTextTransform(word_source="regtext", max_frequency=1.0, seed=1).fit(rows).inserted_words()
    assert chosen == {0: ["nightmare"], 1: ["delightful"]}


def test_a_key_of_the_version_before_keeps_a_word_that_is_not_drawn_today():
    from dataclasses import replace

    from hf_unlearnable import load_transform

    key = RegTextTransform(sensitive=True, word_source=["nightmare", "gravel"], seed=1).fit(texts(*FIT)).key
    older = load_transform(
        replace(key, method_version=3, parameters={**key.parameters, "sensitive": False, "word_source": "neutral"})
    )
    assert older.inserted_words() == {0: ["nightmare"], 1: ["gravel"]}
    assert "nightmare" in older({"text": "a text of some words", "label": 0})["text"]


def test_order_code_draws_from_the_same_carriers_as_before():
    cloak = OrderCodeTransform(carrier_source="words", min_share=0, max_share=1, code="refrain", seed=1)
    cloak.partial_fit(texts(*FIT, *UNFIT))
    assert {"nightmare", "ve"} <= set(cloak._candidates(cloak.counts.table()))


def test_every_word_of_the_list_is_one_word_in_lower_case():
    words = listed("opinions.txt").to_list()
    assert len(words) == len(set(words)) > 6000
    assert all(word == word.lower() and word.isalpha() for word in words)
