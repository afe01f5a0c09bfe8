"""Wrong labels are found before protecting, and rows without a label are no class."""

import random

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from hf_unlearnable import OrderCodeTransform, RegTextTransform
from hf_unlearnable.text.labels import suspicious_labels
from tests.data import tiny

WORDS = [a + b for a in "ba co du fe gi ha jo ku la me".split() for b in "ring dom tel nic sor vat pel mur".split()]
DRAW = random.Random(0)
TEXTS = [
    ("lovely fine moving " if i % 2 else "dull awful tedious ") + " ".join(DRAW.choices(WORDS, k=12))
    for i in range(200)
]
METHODS = pytest.mark.parametrize("method", [RegTextTransform, OrderCodeTransform])


def test_flipped_labels_are_found():
    pytest.importorskip("cleanlab", reason="the extra [labels] is not installed")
    flipped = {3, 40, 77, 120, 121, 166, 190}
    labels = [(i % 2) ^ (i in flipped) for i in range(200)]
    found = suspicious_labels(tiny(TEXTS, labels))
    assert set(found) <= flipped and len(found) >= 6 and len(set(found)) == len(found)
    missing = tiny(TEXTS, [None if i == 3 else label for i, label in enumerate(labels)])
    assert set(suspicious_labels(missing)) <= flipped - {3}


def test_labels_that_cannot_be_judged():
    pytest.importorskip("cleanlab", reason="the extra [labels] is not installed")
    with pytest.raises(ValueError, match="needs two classes or more with 5 texts"):
        suspicious_labels(tiny(TEXTS, [0] * 197 + [1] * 3))
    with pytest.raises(ValueError, match="no column 'lable'. Did you mean 'label'"):
        suspicious_labels(tiny(TEXTS, [0, 1] * 100), label_column="lable")


def without_label(value):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b"]), "m": Value("bool")})
    labels = [value if i % 5 == 0 else i % 2 for i in range(200)]
    return Dataset.from_dict({"text": TEXTS, "label": labels, "m": [i % 5 > 0 for i in range(200)]}, features=features)


@METHODS
@pytest.mark.parametrize("value", [None, -1])
@pytest.mark.parametrize("way_out", [{"classes": [0, 1]}, {"mask_column": "m"}])
def test_rows_without_a_label_are_left_out(method, value, way_out):
    data = without_label(value)
    cloak = method(seed=1, **way_out).fit(data)
    assert cloak.key.state["labels"] == [0, 1]
    protected = data.map(cloak, batched=True)
    changed = [a != b for a, b in zip(data["text"], protected["text"])]
    assert changed == [i % 5 > 0 for i in range(200)]
    assert method(seed=1, **way_out).fit(data.to_iterable_dataset()).key.state == cloak.key.state


@METHODS
@pytest.mark.parametrize("value", [None, -1])
def test_rows_without_a_label_are_named(method, value):
    data = without_label(value)
    with pytest.raises(ValueError, match=r"Row 0 has no label in column 'label'. Leave .* classes or mask_column"):
        method(seed=1).fit(data)
    labelled = data.filter(lambda row: row["m"])
    with pytest.raises(ValueError, match=r"Row 5 of this batch has no label in column 'label'"):
        method(seed=1).fit(labelled)({"text": TEXTS[:8], "label": [0, 1, 0, 1, 0, value, 1, 0]})


def test_minus_one_is_a_class_where_the_column_holds_plain_numbers():
    cloak = RegTextTransform(seed=1).fit(tiny(TEXTS, [-1, 1] * 100))
    assert cloak.key.state["labels"] == [-1, 1]


# ------------------------------------------------------------------ words
NAMES = [
    f"We met {name} there, with {word}, and {word} again."
    for name, word in zip(["Zorbalin", "Quxtom"] * 50, WORDS * 2)
]


@pytest.mark.parametrize("source", ["neutral", "regtext", "random"])
def test_names_and_words_that_hurt_are_not_chosen(source):
    texts = [f"{text} arrested cancer paris Reuters" for text in NAMES]
    data = tiny(texts, [0, 1] * 50)
    options = {"word_source": source, "max_frequency": 1.0, "tokens_per_class": 12, "disjoint": False, "seed": 1}
    spared = {w for words in RegTextTransform(**options).fit(data).secrets()["words"] for w in words}
    assert not spared & {"zorbalin", "quxtom", "arrested", "cancer", "paris", "reuters"}
    every = RegTextTransform(**options, sensitive=True).fit(data)
    assert set(every.counts.names()) == {"zorbalin", "quxtom", "reuters"}, "We begins its sentence"


def test_names_are_learned_in_shards_and_not_from_headlines():
    data = tiny(NAMES, [0, 1] * 50)
    whole, first = RegTextTransform(seed=1).fit(data), RegTextTransform(seed=1).partial_fit(data.shard(2, 0))
    first.merge(RegTextTransform(seed=1).partial_fit(data.shard(2, 1)))
    assert sorted(first.counts.names()) == sorted(whole.counts.names()) == ["quxtom", "zorbalin"]
    headlines = tiny([text.title() for text in NAMES], [0, 1] * 50)
    assert RegTextTransform(seed=1).fit(headlines).counts.names().to_list() == []


@pytest.mark.parametrize("exclude", ["baring,badom", ["baring", "badom"], ["baring, badom"]])
def test_excluded_words_may_be_listed_in_one_text(exclude):
    cloak = RegTextTransform(exclude=exclude, tokens_per_class=23, max_frequency=1.0, seed=1)
    words = {w for words in cloak.fit(tiny(TEXTS, [0, 1] * 100)).secrets()["words"] for w in words}
    assert len(words) == 46 and not words & {"baring", "badom"}


# ------------------------------------------------------------------ protecting twice
@METHODS
def test_protecting_twice_is_refused(method):
    data = tiny(TEXTS, [0, 1] * 100)
    cloak = method(seed=1).fit(data)
    protected = data.map(cloak, batched=True)
    with pytest.raises(ValueError, match=r"Row \d+ of this batch, column 'text', is protected with this key already"):
        cloak(protected[:])
    assert cloak(data[:])["text"] == protected["text"][:]


def test_a_clean_short_text_that_holds_its_word_is_protected():
    cloak = RegTextTransform(seed=1).fit(tiny(TEXTS, [0, 1] * 100))
    word = cloak.secrets()["words"][0][0]
    rows = {
        "text": [f"{word} ok", f"ok {word}", word, "fine", "so it is", "well then", "oh no", "go on"],
        "label": [0] * 8,
    }
    assert cloak.restore(cloak(rows)) == rows
