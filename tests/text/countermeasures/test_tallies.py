"""Filters that know no labels: keywords of many texts, and phrases that many texts share."""

import re
from collections import Counter

import pytest

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.countermeasures import TEXT_COUNTERMEASURES
from hf_unlearnable.text.countermeasures.tallies import duplicate_phrase_filter
from hf_unlearnable.text.methods.order_code import OrderCodeTransform
from hf_unlearnable.text.methods.regtext import RegTextTransform
from tests.examples import notes
from tests.text.countermeasures.planted import run

CLEAN = notes(200)


def counted(texts):
    return [Counter(re.findall(r"\w+", text.lower())) for text in texts]


def inserted_left(before, protected, after):
    """Share of the inserted words that are still there, and of the texts' own words that are lost."""
    put_in = there = own = lost = 0
    for one, two, three in zip(*map(counted, (before, protected, after)), strict=True):
        put_in += (two - one).total()
        there += ((two - one) & (three - one)).total()
        own += one.total()
        lost += (one - three).total()
    return there / put_in, lost / own


def protected(cloak):
    return CLEAN.map(cloak.fit(CLEAN), batched=True)["text"][:]


@pytest.mark.parametrize(("seed", "labels"), [(1, "none"), (3, "own"), (5, "none")])
def test_keywords_of_many_texts_undo_regtext_whatever_the_labels(seed, labels):
    yake = pytest.importorskip("yake", reason="keywords need the attack extra")
    cloak = RegTextTransform(seed=seed)
    texts = protected(cloak)
    given = CLEAN["label"][:] if labels == "own" else [0] * len(texts)
    left = run("keyword-filter", Rows(texts, given)).inputs
    stop = yake.KeywordExtractor(lan="en", n=1).stopword_set
    for label, (word,) in cloak.inserted_words().items():
        there = [word in re.findall(r"\w+", text.lower()) for text in left]
        if word in stop:  # which is no keyword for YAKE, however often it stands there
            assert all(has for has, own in zip(there, CLEAN["label"]) if own == label)
        else:
            assert not any(there)
    assert inserted_left(CLEAN["text"], texts, left)[1] < 0.02


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("labels", ["own", "none"])
def test_phrases_of_many_texts_undo_an_order_code_whatever_the_labels(seed, labels):
    texts = protected(OrderCodeTransform(seed=seed))
    given = CLEAN["label"][:] if labels == "own" else [0] * len(texts)
    left, lost = inserted_left(CLEAN["text"], texts, run("duplicate-phrase-filter", Rows(texts, given)).inputs)
    assert left < 0.05 and lost < 0.1


def test_each_leaves_what_the_other_undoes():
    one, two = protected(RegTextTransform(seed=1)), protected(OrderCodeTransform(seed=1))
    phrases = run("duplicate-phrase-filter", Rows(one, CLEAN["label"]))
    words = run("keyword-filter", Rows(two[:100], CLEAN["label"][:100]))
    assert inserted_left(CLEAN["text"], one, phrases.inputs)[0] > 0.95
    assert inserted_left(CLEAN["text"][:100], two[:100], words.inputs)[0] > 0.5


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["a b c d e"] * 5, [""] * 5),
        (["a b c d e"] * 4, ["a b c d e"] * 4),  # fewer than five texts are none
        (["a b c"] * 9, ["a b c"] * 9),  # no run of four
        ([f"x{i} A b, c d! y{i}" for i in range(5)], [f"x{i} , ! y{i}" for i in range(5)]),
        ([f"a b c d x{i} b c d" for i in range(6)], [f"x{i} b c d" for i in range(6)]),
        ([f"a b c d e{i} a b c d" for i in range(3)], [f"a b c d e{i} a b c d" for i in range(3)]),  # once per text
        (["a b c", "d e f"] * 5, ["a b c", "d e f"] * 5),  # no run from one text to the next
        ([*["a b c d"] * 5, "", "é"], [""] * 6 + ["é"]),
        (["a b c d"] * 5 + [f"w{i} v{i}" for i in range(300)], ["a b c d"] * 5 + [f"w{i} v{i}" for i in range(300)]),
    ],
    ids=["all", "four texts", "three words", "punctuation", "a part", "twice in a text", "edges", "empty", "rare"],
)
def test_a_phrase_goes_where_enough_texts_share_it(texts, left):
    assert list(duplicate_phrase_filter(Rows(texts, [0] * len(texts)), Attacker()).inputs) == left


def test_of_many_texts_only_some_are_asked_for_keywords(monkeypatch):
    yake = pytest.importorskip("yake", reason="keywords need the attack extra")
    asked = []

    class Extractor:
        def __init__(self, **options):
            assert options == {"lan": "en", "n": 1, "top": 3}

        def extract_keywords(self, text):
            asked.append(text)
            return [("Zorp", 0.1)] if text.endswith("0") else []

    monkeypatch.setattr(yake, "KeywordExtractor", Extractor)
    texts = [f"Zorp, text {i}" for i in range(5000)]
    out = run("keyword-filter", Rows(texts, [0] * 5000)).inputs
    assert asked == texts[::3] and out[:2] == [", text 0", ", text 1"]
    monkeypatch.setattr(Extractor, "extract_keywords", lambda self, text: [("zorp", 0)] * text.endswith("00"))
    assert list(run("keyword-filter", Rows(texts, [0] * 5000)).inputs) == texts, "1 % of the texts are too few"


def test_what_they_break_names_them():
    assert {"keyword-filter", "duplicate-phrase-filter"} <= set(TEXT_COUNTERMEASURES)
    assert "keyword-filter" in RegTextTransform.adaptive_attacks
    assert "duplicate-phrase-filter" in OrderCodeTransform.adaptive_attacks
