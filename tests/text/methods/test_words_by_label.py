"""RegText with words by label: what a card says works as it is written, `ds.map(RegTextTransform(...))` without `fit`."""

import pickle

import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher

from hf_unlearnable import NotFittedError, RegTextTransform, load_transform, verify
from hf_unlearnable.registry import METHODS
from tests.examples import notes, sample_dataset

WORDS = {0: ["quokka"], 1: ["zephyr"], 2: ["piston"], 3: ["karzai"]}


def by_label(**more):
    return RegTextTransform(**{"word_source": WORDS, "seed": 7, **more})


def labelled(labels):
    return Dataset.from_dict({"text": [f"some words of text {i}" for i in range(len(labels))], "label": labels})


def test_map_without_fit_gives_the_bytes_of_a_fit_with_these_words():
    data = notes(40)
    fitted = RegTextTransform(word_source=[words[0] for words in WORDS.values()], seed=7).fit(data)
    protected = data.map(by_label())
    assert protected["text"][:] == data.map(fitted, batched=True)["text"][:] != data["text"][:]
    assert by_label().key == fitted.key == by_label().fit(data).key
    assert by_label().restore(protected)["text"][:] == data["text"][:]


def test_a_saved_key_is_that_of_a_fit_and_maps_as_it_is(tmp_path):
    data, cloak = notes(40), by_label()
    cloak.key.save(tmp_path / "my.key")
    protected = data.map(load_transform(tmp_path / "my.key"))
    assert protected["text"][:] == data.map(cloak)["text"][:]
    assert verify(tmp_path / "my.key", protected).shown
    assert Hasher.hash(load_transform(tmp_path / "my.key")) == Hasher.hash(cloak)


@pytest.mark.parametrize(
    "method", ["regtext", "order-code", "convolution", "one-pixel", "linear-separable", "random-noise"]
)
def test_a_loaded_key_hashes_as_the_transform_that_saved_it(method, tmp_path):
    cls = METHODS[method]
    cloak = cls(seed=3, classes=(0, 1)).fit(sample_dataset(cls.modality).select(range(24)))
    cloak.key.save(tmp_path / "key")
    assert Hasher.hash(load_transform(tmp_path / "key")) == Hasher.hash(cloak)


def test_map_is_cached_and_done_again_for_other_words(tmp_path):
    notes(20).to_parquet(tmp_path / "n.parquet")
    data = Dataset.from_parquet(str(tmp_path / "n.parquet"), cache_dir=str(tmp_path / "cache"))
    first = data.map(by_label())
    assert data.map(by_label())._fingerprint == first._fingerprint
    others = [by_label(word_source={**WORDS, 0: ["gist"]}), by_label(seed=8), by_label(rate=0.5)]
    assert len({data.map(other)._fingerprint for other in [by_label(), *others]}) == 4


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [3, -1]])
def test_labels_are_those_that_map_sees(labels):
    cloak = RegTextTransform(word_source={labels[0]: ["quokka"], labels[1]: ["zephyr"]}, seed=1)
    texts = labelled(labels * 3).map(cloak, batched=True)["text"]
    assert ["quokka" in text for text in texts] == [True, False] * 3
    assert ["zephyr" in text for text in texts] == [False, True] * 3
    copied = pickle.loads(pickle.dumps(cloak))
    assert labelled(labels * 3).map(copied)["text"][:] == texts[:]


def test_several_words_by_label_and_streams():
    cloak = RegTextTransform(word_source={0: ["aaa", "bbb"], 1: ["ccc", "ddd"]}, tokens_per_class=2, rate=0.5, seed=1)
    rows = labelled([0, 1] * 10)
    texts = [row["text"] for row in rows.to_iterable_dataset().map(cloak, batched=True)]
    assert texts == rows.map(cloak)["text"][:]
    assert all(set(text.split()) & {"aaa", "bbb"} for text in texts[::2])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "two labels or more"),
        ({0: ["a"]}, "two labels or more"),
        ({0: ["a"], "x": ["b"]}, "all of them whole numbers, names or booleans"),
        ({0.5: ["a"], 1.5: ["b"]}, "all of them whole numbers, names or booleans"),
        ({0: "a", 1: ["b"]}, "gives the label 0 a text, and tokens_per_class is 1"),
        ({0: ["a"], 1: ["b", "c"]}, "gives the label 1 a list of 2, and tokens_per_class is 1"),
        ({0: ["a"], 1: []}, "gives the label 1 a list of 0"),
        ({0: ["a"], 1: ["a"]}, "1 different word, but 2 classes"),
        ({0: ["a b"], 1: ["c"]}, "not a single word"),
        ({0: [1], 1: [2]}, "not a single word"),
    ],
)
def test_words_by_label_that_are_none_are_refused(words, message):
    cloak = RegTextTransform(word_source=words, seed=1)
    for use in (lambda: labelled([0, 1]).map(cloak), lambda: cloak.fit(labelled([0, 1])), lambda: cloak.key):
        with pytest.raises(ValueError, match=message):
            use()


def test_a_label_without_words_is_named():
    with pytest.raises(ValueError, match=r"Row 1 .* label 2 in column 'label', and there are words for 0, 1 only"):
        RegTextTransform(word_source={0: ["a"], 1: ["b"]}, seed=1)(labelled([0, 2, 1])[:])
    with pytest.raises(ValueError, match="no words for the label 2"):
        RegTextTransform(word_source={0: ["a"], 1: ["b"]}, seed=1).fit(labelled([0, 2, 1]))


def test_words_by_label_are_secret():
    assert "quokka" not in repr(by_label()) and "word_source" not in by_label().public_params()
    assert sorted(map(str, by_label().secrets()["words"])) == sorted(map(str, WORDS.values()))


@pytest.mark.parametrize("method", METHODS)
def test_an_unfitted_transform_says_what_to_write(method):
    cls = METHODS[method]
    said = rf"cloak = {cls.__name__}\(\.\.\.\)\.fit\(ds\), then ds\.map\(cloak, batched=True\), and cloak\.key\.save"
    data = sample_dataset(cls.modality).select(range(4))
    for use in (lambda: data.map(cls()), lambda: cls().key, lambda: cls().restore(data)):
        with pytest.raises(NotFittedError, match=said):
            use()
