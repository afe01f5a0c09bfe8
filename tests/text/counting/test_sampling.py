"""A sample of the texts is counted: the same one in any order, in shards and in streams, and large enough."""

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

from hf_unlearnable import RegTextTransform
from hf_unlearnable.text.counting.counts import WordCounts
from hf_unlearnable.text.counting.sampling import levels_of, sampled_level, words_at

ROWS = 4000
TEXTS = [f"text w{i % 97} w{i % 89} w{i} and more of it" for i in range(ROWS)]
LABELS = [i % 2 for i in range(ROWS)]


def counted(rows, seed=5, least=2000, parts=1):
    """The counts of some rows, in parts that are merged."""
    whole = WordCounts(sample_words=least, seed=seed)
    for part in np.array_split(np.array(rows), parts):
        counts = WordCounts(sample_words=least, seed=seed)
        counts.update(pa.array([TEXTS[i] for i in part]), pa.array([LABELS[i] for i in part]))
        whole.merge(counts)
    return whole


def as_dict(counts):
    return {(label, word): count for label, word, count in counts.table().iter_rows() if word is not None}


def test_order_shards_and_pieces_choose_the_same_texts():
    expected = as_dict(counted(range(ROWS)))
    assert 2000 <= sum(expected.values()) <= 5000
    shuffled = np.random.default_rng(0).permutation(ROWS)
    assert as_dict(counted(shuffled)) == expected
    assert as_dict(counted(range(ROWS), parts=7)) == expected
    assert as_dict(counted(shuffled, parts=40)) == expected


def test_another_seed_chooses_other_texts():
    assert as_dict(counted(range(ROWS), seed=6)) != as_dict(counted(range(ROWS)))


@pytest.mark.parametrize("least", [None, 10**9])
def test_all_texts_are_counted_where_there_are_no_more_or_all_are_asked_for(least):
    counts = counted(range(ROWS), least=least)
    assert sum(as_dict(counts).values()) == 8 * ROWS and counts.num_rows == ROWS


def test_saved_counts_add_up_to_the_same_sample(tmp_path):
    first, second = counted(range(1500)), counted(range(1500, ROWS))
    first.save(tmp_path / "a.parquet")
    second.save(tmp_path / "b.parquet")
    whole = WordCounts(sample_words=2000, seed=5)
    for name in "ab":
        whole.merge(WordCounts.load(tmp_path / f"{name}.parquet"))
    assert as_dict(whole) == as_dict(counted(range(ROWS)))
    assert whole.num_rows == counted(range(ROWS)).num_rows < ROWS


def test_a_label_of_which_no_text_is_in_the_sample_is_a_label_still():
    counts = counted(range(ROWS), least=10)
    counts.update(pa.array(["rare one"]), pa.array([9]))
    assert 9 in counts.table()["label"].to_list()


@pytest.mark.parametrize(
    ("words", "least", "level"),
    [([8, 4, 2, 1], 3, 2), ([8, 4, 2, 1], 4, 1), ([8, 4, 2, 1], 16, 0), ([8, 4, 2, 1], None, 0), ([0, 0, 0, 5], 5, 3)],
)
def test_the_level_is_the_highest_that_leaves_words_enough(words, least, level):
    assert sampled_level(np.array(words), least) == level


def test_every_level_has_half_the_texts_of_the_one_before():
    levels = levels_of(pa.array([str(i) for i in range(40_000)]), seed=1)
    share = np.bincount(levels)[:4] / 40_000
    assert np.abs(share - [0.5, 0.25, 0.125, 0.0625]).max() < 0.01


@pytest.mark.parametrize(
    ("text", "words"), [("one two three", 3), ("", 1), (None, 1), ("这部电影很好看" * 8, 7), ("a" * 80, 10)]
)
def test_words_are_told_from_spaces_or_letters(text, words):
    array = pa.array([text], pa.string())
    assert words_at(array, np.array([2]))[2] == words


def test_fit_draws_the_same_words_from_a_dataset_a_shuffled_one_and_a_stream():
    rows = Dataset.from_dict({"text": TEXTS, "label": LABELS})
    settings = {"seed": 5, "sample_words": 2000, "max_frequency": 1.0, "sensitive": True, "digits": True}
    words = RegTextTransform(**settings).fit(rows).inserted_words()
    assert RegTextTransform(**settings).fit(rows.shuffle(seed=1)).inserted_words() == words
    assert RegTextTransform(**settings).fit(rows.to_iterable_dataset(num_shards=3)).inserted_words() == words
    counts = RegTextTransform(**settings).fit(rows).counts
    assert counts.num_rows < ROWS / 2
    for every in ({"sample_words": None}, {"word_source": "regtext"}):
        assert RegTextTransform(**{**settings, **every}).partial_fit(rows).counts.num_rows == ROWS


def test_a_sample_of_no_words_is_refused():
    rows = Dataset.from_dict({"text": TEXTS[:4], "label": LABELS[:4]})
    with pytest.raises(ValueError, match="sample_words starts at 1"):
        RegTextTransform(sample_words=0).fit(rows)
