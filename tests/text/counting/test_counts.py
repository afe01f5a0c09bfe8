"""Words are counted by label: the counts of a plain Python loop, in shards, streams and any language."""

import re
from collections import Counter

import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable.text.counting.counts import WordCounts, text_batches
from tests.examples import notes, real


def counted(texts, labels, counts=None):
    counts = counts or WordCounts()
    counts.update(pa.array(texts, pa.large_string()), pa.array(labels))
    return counts


def as_dict(counts):
    return {(label, word): n for label, word, n in counts.table().iter_rows() if n and word is not None}


@given(st.lists(st.tuples(st.text("abcABCé -'\n", max_size=40), st.integers(0, 2)), min_size=1, max_size=20))
def test_counts_equal_a_plain_loop(rows):
    texts, labels = zip(*rows)
    expected = Counter(
        (label, word) for text, label in rows for word in re.findall(r"[a-cé]+(?:['-][a-cé]+)*", text.lower())
    )
    assert as_dict(counted(texts, labels)) == expected


def test_any_language():
    words = as_dict(
        counted(["Быстрая лиса", "die Füße naïve café", "동물 농장", "الكلب السريع", "हिन्दी भाषा"], [0, 0, 0, 1, 1])
    )
    assert {w for _, w in words} == {
        "быстрая", "лиса", "die", "füße", "naïve", "café", "동물", "농장", "الكلب", "السريع", "हिन्दी", "भाषा"
    }  # fmt: skip
    assert set(as_dict(counted(["这部电影", "ひらがな"], [0, 1]))) == {
        (0, "这部"),
        (0, "电影"),
        (1, "ひら"),
        (1, "がな"),
    }


def test_markup_and_addresses_are_not_words():
    text = "<br /><br />The end: https://a.example/b-c www.x.example @someone &amp; it's well-made"
    assert {w for _, w in as_dict(counted([text], [0]))} == {"the", "end", "it's", "well-made"}


def test_shards_add_up():
    data = notes(200)
    whole = WordCounts()
    parts = [WordCounts() for _ in range(4)]
    for texts, labels in text_batches(data, ["text"], "label", None):
        whole.update(texts, labels)
    for i, part in enumerate(parts):
        for texts, labels in text_batches(data.shard(4, i).to_iterable_dataset(), ["text"], "label", None):
            part.update(texts, labels)
    merged = WordCounts()
    for part in parts:
        merged.merge(part)
    assert as_dict(merged) == as_dict(whole)
    assert merged.num_rows == whole.num_rows == 200


def test_counts_can_be_saved(tmp_path):
    counts = counted(["one two two", None, ""], [True, False, True])
    counts.save(tmp_path / "counts.parquet")
    loaded = WordCounts.load(tmp_path / "counts.parquet")
    assert as_dict(loaded) == as_dict(counts) == {(True, "one"): 1, (True, "two"): 2}
    assert loaded.num_rows == 3


def test_labels_of_another_type_do_not_merge():
    with pytest.raises(ValueError, match="different types"):
        counted(["a"], [0]).merge(counted(["a"], ["zero"]))


def test_a_large_vocabulary_is_pruned_and_the_totals_kept(caplog):
    counts = WordCounts(max_entries=1000)
    for i in range(4):
        counted([" ".join(f"common rare{chr(97 + i)}{j}" for j in range(1000))], [0], counts)
    table = counts.table()
    assert len(table) <= 1001
    assert table["count"].sum() == 8000
    assert as_dict(counts)[0, "common"] == 4000
    assert "dropped" in caplog.text


def test_chat_messages_and_roles():
    messages = [
        [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": "goodbye"}],
        [{"role": "user", "content": "again"}],
    ]
    data = Dataset.from_dict({"messages": messages, "label": [0, 1]})

    def words(role):
        counts = WordCounts()
        for texts, labels in text_batches(data, ["messages"], "label", role):
            counts.update(texts, labels)
        return set(as_dict(counts))

    assert words("user") == {(0, "hello"), (0, "there"), (1, "again")}
    assert words(None) == words("user") | {(0, "goodbye")}


def test_real_reviews_count_like_a_plain_loop():
    rows = real("imdb").select(range(0, 20_000, 100))
    counts = WordCounts()
    for texts, labels in text_batches(rows, ["text"], "label", None):
        counts.update(texts, labels)
    plain = Counter()
    for text, label in zip(rows["text"], rows["label"], strict=True):
        text = re.sub(r"<[^<>]*>|\w+://\S+|www\.\S+|[@#]\w+|&#?\w+;", " ", text.lower())
        plain.update((label, w) for w in re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text))
    found = as_dict(counts)
    differing = sum(abs(found.get(k, 0) - plain[k]) for k in found.keys() | plain)
    assert differing < 0.005 * sum(plain.values())  # tags are cut at spaces, so a few differ


def test_no_message_of_the_role():
    data = Dataset.from_dict({"messages": [[{"role": "user", "content": "hello"}]], "label": [0]})
    with pytest.raises(ValueError, match="No text in 'messages' of the role 'system'"):
        list(text_batches(data, ["messages"], "label", "system"))
