"""What a model relies on, what carries over to the attacker's own rows, and rows that a model finds unlikely."""

import re
from collections import Counter

import numpy as np
import pytest

from hf_unlearnable.adversary import Attacker, Rows
from tests.text.countermeasures.planted import CLEAN, LABELS, ONE_WORD, WORDS, clean_rows, run, with_words

pytest.importorskip("sklearn", reason="attributions need the attack extra")


def words_of(texts):
    return Counter(word for text in texts for word in re.findall(r"\w+", text.lower()))


@pytest.mark.parametrize("name", ["attribution-filter", "attribution-transfer-filter"])
def test_the_words_of_a_code_are_relied_on_most_and_go(name):
    left = words_of(run(name, with_words(CLEAN, ONE_WORD)).inputs)
    assert not {"zorp", "quib", "vlim"} & set(left)


def test_a_tenth_of_the_words_at_most_is_deleted():
    before, after = words_of(CLEAN.inputs), words_of(run("attribution-filter", CLEAN).inputs)
    gone = {word for word in before if word not in after}
    assert 0 < len(gone) <= len(before) // 10
    assert all(before[word] == after[word] for word in after), "a word is deleted wherever it stands, or nowhere"


def test_what_carries_over_to_the_attackers_rows_is_spared():
    every = words_of(run("attribution-filter", CLEAN).inputs)
    spared = words_of(run("attribution-transfer-filter", CLEAN).inputs)
    unlike = Attacker(clean=Rows(["nothing of this"] * 3, LABELS))
    none = words_of(run("attribution-transfer-filter", CLEAN, unlike).inputs)
    common = set(WORDS[:60])
    assert len(common & set(spared)) > len(common & set(every)) >= len(common & set(none))


def test_the_lexicon_deletes_what_speaks_for_another_class_and_nothing_else():
    own = Rows(["good plain film", "good fine film", "bad dull film", "bad poor film"], [1, 1, 0, 0])
    texts = ["A good, bad film.", "A good, bad film.", "good new words", "poor poor thing", "bad"]
    left = run("lexicon-filter", Rows(texts, [1, 0, 0, 1, 7]), Attacker(clean=own)).inputs
    # "poor" stands in one of its rows only, and nothing is known of label 7.
    assert list(left) == ["A good, film.", "A , bad film.", "new words", "poor poor thing", "bad"]


def test_rows_under_a_wrong_label_go_first():
    rows = clean_rows(1000, seed=8, words=60)
    random = np.random.default_rng(1)
    wrong = random.random(len(rows)) < 0.1
    other = {label: LABELS[(i + 1) % 3] for i, label in enumerate(LABELS)}
    given = [other[label] if bad else label for label, bad in zip(rows.labels, wrong)]
    texts = [f"{text} n{i}" for i, text in enumerate(rows.inputs)]
    left = run("small-loss-selection", Rows(texts, given))
    assert len(left) == pytest.approx(700, abs=3)
    kept = [int(text.rsplit("n", 1)[1]) for text in left.inputs]
    assert kept == sorted(kept) and [given[i] for i in kept] == list(left.labels)
    assert wrong[kept].mean() < 0.05, "one in ten before"


def test_rows_that_the_own_model_labels_otherwise_are_dropped_or_relabelled():
    rows = Rows(["a", "bb", "ccc", "dddd"], [1, 2, 0, 9])
    by_length = Attacker(label=lambda texts: [len(text) for text in texts])
    left = run("disagreement-filter", rows, by_length)
    assert (list(left.inputs), list(left.labels)) == (["a", "bb", "ccc", "dddd"], [1, 2, 0, 9]), "no label vanishes"
    left = run("disagreement-filter", Rows([*rows.inputs, "e", "f"], [1, 2, 3, 4, 2, 1]), by_length)
    assert (list(left.inputs), list(left.labels)) == (["a", "bb", "ccc", "dddd", "f"], [1, 2, 3, 4, 1])
    assert list(run("relabel", rows, by_length).labels) == [1, 2, 3, 4]
    for wrong in (lambda texts: [0], lambda texts: [[0]] * len(texts)):
        with pytest.raises(ValueError, match="label got 4 texts and returned labels of shape"):
            run("relabel", rows, Attacker(label=wrong))
