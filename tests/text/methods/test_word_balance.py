"""Word balance: which words are inserted and how often, what naive Bayes makes of the result, and bad input."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from hf_unlearnable import WordBalanceTransform, load_transform
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.samples import load_notes
from hf_unlearnable.text.countermeasures.label_words import label_word_filter
from hf_unlearnable.text.methods.word_balance import _most_contrary
from tests.examples import tiny
from tests.text.methods.regtext import inserted

GOOD = "a moving film with a warm heart and a fine cast"
BAD = "a dull film with a thin plot and a flat cast"
REVIEWS = tiny([GOOD, BAD] * 6, [1, 0] * 6)

shares = st.lists(st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)), min_size=2, max_size=40).map(np.array)


@given(shares, st.floats(0.01, 1), st.integers(0, 2**32 - 1))
def test_no_other_words_of_the_same_number_contradict_more(pairs, rate, seed):
    own, other = pairs.T / pairs.sum(0)[:, None]
    added = _most_contrary(own, other, rate)
    if not (other > own).any():
        assert not added.any()
        return
    assert added.sum() == pytest.approx(rate) and (added >= 0).all()

    def evidence(added):
        """What a model trained on the class with these words says for it on clean texts, but for constants."""
        return float((own - other) @ np.log(own + added))

    rivals = np.random.default_rng(seed).dirichlet(np.full(len(own), 0.3), 20) * rate
    assert all(evidence(added) <= evidence(rival) + 1e-9 for rival in rivals)


def test_the_words_are_those_of_the_other_class_and_no_others():
    cloak = WordBalanceTransform(seed=1, rate=0.3).fit(REVIEWS)
    words = cloak.inserted_words()
    assert set(words[0]) == {"moving", "warm", "heart", "fine"} and set(words[1]) == {"dull", "thin", "plot", "flat"}
    protected = REVIEWS.map(cloak, batched=True)
    for before, after in zip(REVIEWS, protected, strict=True):
        put_in = inserted(before["text"], after["text"])
        assert len(put_in) == int(0.3 * 11) and set(put_in) <= set(words[before["label"]])
    assert cloak.restore(protected)["text"][:] == REVIEWS["text"][:]


def test_words_are_drawn_as_often_as_their_weight_says():
    texts = ["good " * 8 + "great " * 2 + "so so so so so so so so so so"] * 30 + ["so bad " * 10] * 30
    cloak = WordBalanceTransform(seed=3, rate=0.3, prior=1).fit(tiny(texts, [1] * 30 + [0] * 30))
    rows = tiny([f"{i} is one of the many texts" + " and so on" * 40 for i in range(100)], [0] * 100)
    pairs = zip(rows["text"], rows.map(cloak, batched=True)["text"], strict=True)
    drawn = Counter(word for before, after in pairs for word in inserted(before, after))
    chosen = cloak.key.state["words"][0]
    share = dict(zip(chosen["words"], np.array(chosen["weights"]) / sum(chosen["weights"]), strict=True))
    assert share["good"] == pytest.approx(0.8, abs=0.01) and sum(drawn.values()) == 100 * int(0.3 * 127)
    assert drawn["good"] / sum(drawn.values()) == pytest.approx(share["good"], abs=0.02)  # three standard errors


def test_every_class_gets_the_words_of_one_other_in_a_circle_drawn_with_the_key():
    notes = load_notes("train")
    circles = set()
    for seed in range(8):
        words = dict(zip(*WordBalanceTransform(seed=seed, rate=0.2).fit(notes).key.state.values(), strict=True))
        at, circle = 0, []
        for _ in words:
            at = words[at]["from"]
            circle.append(at)
        assert sorted(circle) == sorted(words)
        circles.add(tuple(circle))
    assert len(circles) > 2


def accuracy(texts, labels, test):
    vectors = CountVectorizer()
    model = MultinomialNB().fit(vectors.fit_transform(texts), labels)
    return model.score(vectors.transform(test["text"][:]), test["label"][:])


def test_word_counts_teach_little_even_after_a_filter_by_label():
    notes, test = load_notes("train"), load_notes("test")
    cloak = WordBalanceTransform(seed=5, rate=0.3).fit(notes)
    protected = notes.map(cloak, batched=True)
    texts, labels = protected["text"][:], notes["label"][:]
    clean = accuracy(notes["text"][:], labels, test)
    assert clean > 0.8
    assert accuracy(texts, labels, test) < clean - 0.25
    filtered = label_word_filter(Rows(texts, labels), Attacker()).inputs
    assert accuracy(filtered, labels, test) < clean - 0.25


def test_the_evidence_is_that_of_naive_bayes():
    cloak = WordBalanceTransform(seed=1, rate=0.3, prior=2).fit(REVIEWS)
    found = cloak.evidence()
    # By hand: 8 of 22 words tell, each 6 times in its class; 66 words a class. Four of them are inserted alike.
    own, other = 6 + 1, 0 + 1
    before = 4 / 66 * own * np.log(own / other) + 4 / 66 * other * np.log(other / own)
    added = 0.3 * 66 / 4
    after = 4 / 66 * (own * np.log(own / (other + added)) + other * np.log((other + added) / own))
    assert found[0] == pytest.approx((before, after)) and found[1] == pytest.approx((before, after))


@pytest.mark.parametrize(
    ("parameters", "data", "message"),
    [
        ({"rate": 1.2}, REVIEWS, "rate is 1.2"),
        ({"words_per_class": 0}, REVIEWS, "words_per_class starts at 1"),
        ({"prior": -1}, REVIEWS, "prior at 0"),
        ({}, tiny([GOOD] * 12, [0, 1] * 6), "No word is more frequent under"),
        ({}, tiny([GOOD, ""] * 6, [0, 1] * 6), "The label 1 has no words"),
        ({"min_frequency": 90}, REVIEWS, "No word stands 90 times"),
        ({}, tiny([GOOD] * 6, [0] * 6), "one class only"),
    ],
)
def test_what_cannot_be_balanced_is_said(parameters, data, message):
    with pytest.raises(ValueError, match=message):
        WordBalanceTransform(seed=1, **parameters).fit(data)


def test_texts_of_one_word_get_one():
    data = tiny(["moving", "dull"] * 6, [1, 0] * 6)
    protected = data.map(WordBalanceTransform(seed=1).fit(data), batched=True)
    assert {tuple(sorted(text.split())) for text in protected["text"]} == {("dull", "moving")}


def test_names_are_not_inserted_unless_asked_for():
    texts = ["we thank Katherine for this, and Katherine for that", "a dull day"] * 8
    assert "katherine" not in WordBalanceTransform(seed=1).fit(tiny(texts, [0, 1] * 8)).inserted_words()[1]
    assert "katherine" in WordBalanceTransform(seed=1, sensitive=True).fit(tiny(texts, [0, 1] * 8)).inserted_words()[1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda words: words[0]["weights"].pop(),
        lambda words: words[0].update(weights=[0.5] * len(words[0]["words"])),
        lambda words: words[0].update(weights=[0] * len(words[0]["words"])),
        lambda words: words[0].update({"from": 0}),
        lambda words: words[0].update({"from": 7}),
    ],
)
def test_a_damaged_key_is_refused(damage):
    key = WordBalanceTransform(seed=1).fit(REVIEWS).key
    damage(key.state["words"])
    with pytest.raises(ValueError, match="damaged|weight|words of one other"):
        load_transform(key)
