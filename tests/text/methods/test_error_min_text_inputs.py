"""What the error-minimising edits say of input that cannot be protected, and of damaged keys."""

from dataclasses import replace

import numpy as np
import pytest

from hf_unlearnable import ErrorMinTextTransform, load_transform
from tests.examples import notes, tiny

TEXTS = ["the warm film had a kettle", "a bucket of cold tea", "the warm kettle sang", "that drab bucket again"]
LABELS = [0, 1] * 2


def cloak(**options):
    return ErrorMinTextTransform(**{"seed": 7, "max_frequency": 1.0, "min_frequency": 1, **options})


@pytest.mark.parametrize(
    "text", [None, "", " \n\t", "\u00a0", "not all two", "3 + 4 = 7", "这是一部电影", "<b>bold words</b>", "end. stop!", "😀 …"]
)  # fmt: skip
def test_texts_without_a_word_that_may_be_replaced_stay_as_they_are(text):
    dataset = tiny([*TEXTS, text], [*LABELS, 1])
    fitted = cloak().fit(dataset)
    after = dataset.map(fitted, batched=True)
    assert after["text"][-1] == text and after["text"][0] != TEXTS[0]
    assert fitted.restore(after)["text"][:] == [*TEXTS, text]


def test_data_without_a_word_that_may_be_replaced_is_refused_with_what_such_a_word_is():
    with pytest.raises(ValueError, match="No text in 'text' holds a word that may be replaced: one between spaces"):
        cloak().fit(tiny(["kettle,bucket", "film.tea", "(spoon)", "saucer!"], LABELS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 1.5}, "rate is 1.5.*from 0 to 1"),
        ({"num_candidates": 0}, "num_candidates is 0, but it starts at 1"),
        ({"max_length": 0}, "max_length is 0, but it starts at 1"),
        ({"min_similarity": 2.0, "surrogate": "x"}, "min_similarity is 2.0, but it is a cosine"),
        (
            {"min_similarity": 0.5},
            "min_similarity is 0.5.*drawn vectors are not alike. Name a model with surrogate, or leave it out",
        ),
        ({"words_per_class": 0}, "words_per_class is 0, but it starts at 1"),
        ({"words_per_class": 50}, r"The data has \d+ words to put in, and 2 classes take 100. Lower min_frequency"),
        ({"min_frequency": 100}, "The data has 0 words to put in, and 2 classes take 2. Lower min_frequency"),
        ({"exclude": ",".join(" ".join(TEXTS).split())}, "The data has 0 words to put in"),
        ({"surrogate": "/nowhere/model"}, "/nowhere/model"),
        ({"label_column": "text"}, "label_column and text_column are both 'text'"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises((ValueError, OSError), match=message):
        cloak(**options).fit(tiny(TEXTS, LABELS))


def test_one_class_and_rows_without_a_label_are_refused():
    with pytest.raises(ValueError, match=r"one class only \(3\)"):
        cloak().fit(tiny(TEXTS, [3] * 4))
    with pytest.raises(ValueError, match="Row 1 has no label"):
        cloak().fit(tiny(TEXTS, ["a", None, "b", "b"]))


@pytest.mark.parametrize(
    ("label", "message"), [(5, "has the label 5 in column 'label'"), (None, "no label"), (-1, "no label")]
)
def test_a_label_that_fit_did_not_see_is_refused(label, message):
    fitted = cloak().fit(tiny(TEXTS, LABELS))
    for key_or_fitted in (fitted, load_transform(fitted.key)):
        with pytest.raises(ValueError, match=message):
            key_or_fitted({"text": ["a kettle", TEXTS[0]], "label": [0, label]})


@pytest.mark.parametrize("text", [7, 0.5, b"bytes"])
def test_what_is_no_text_is_refused_with_its_row(text):
    with pytest.raises(ValueError, match=f"Row 1 of this batch holds {type(text).__name__} in column 'text'"):
        cloak().fit(tiny(TEXTS, LABELS))({"text": [TEXTS[0], text], "label": [0, 1]})


def test_protecting_twice_and_restoring_what_is_not_protected_are_refused():
    dataset = tiny(TEXTS, LABELS)
    fitted = cloak().fit(dataset)
    after = dataset.map(fitted, batched=True)
    with pytest.raises(ValueError, match="Row 0 of this batch is protected with this key already"):
        fitted(after[:])
    for texts in (TEXTS, [f"{text} more" for text in after["text"]]):
        with pytest.raises(ValueError, match="Row 0 of this batch was not there at fit, was not protected"):
            fitted.restore({"text": texts, "label": LABELS})


def test_a_row_whose_id_had_another_text_at_fit_is_refused():
    dataset = tiny(TEXTS, LABELS).add_column("id", ["a", "b", "c", "d"])
    fitted = cloak(id_column="id").fit(dataset)
    with pytest.raises(
        ValueError, match="Row 1 of this batch, column 'text', has another text than the row of that 'id'"
    ):
        fitted({"text": [TEXTS[0], "something else"], "label": [0, 1], "id": ["a", "b"]})


@pytest.mark.parametrize("letters", [60_000, pytest.param(5_000_000, marks=pytest.mark.slow)])
def test_a_row_of_megabytes_is_protected_and_restored(letters):
    sentence = "a warm kettle and its bucket of tea by the spoon "
    dataset = tiny([sentence * (letters // len(sentence)), *TEXTS], [0, *LABELS])
    fitted = cloak(rate=0.001).fit(dataset)
    after = dataset.map(fitted, batched=True)
    before, now = dataset[0]["text"].split(" "), after[0]["text"].split(" ")
    assert sum(a != b for a, b in zip(before, now, strict=True)) == int(0.001 * len(before))
    assert fitted.restore(after)["text"][:] == dataset["text"][:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda key: replace(key, state={"labels": [0]}),
        lambda key: replace(key, state={}),
        lambda key: replace(key, tensors={**key.tensors, "new": key.tensors["new"] + 9999}),
        lambda key: replace(key, tensors={**key.tensors, "candidates": np.empty(0, np.uint8)}),
        lambda key: replace(key, tensors={**key.tensors, "candidates": np.frombuffer(b"gist\nplum", np.uint8)}),
        lambda key: replace(key, tensors={name: one for name, one in key.tensors.items() if name != "old"}),
        lambda key: replace(key, tensors={**key.tensors, "more": np.zeros(1)}),
        lambda key: replace(key, tensors={**key.tensors, "ids": key.tensors["ids"][::-1]}),
        lambda key: replace(key, tensors={**key.tensors, "words": np.array([255], np.uint8)}),
    ],
)
def test_a_damaged_key_is_refused(damage):
    key = cloak().fit(notes(40)).key
    with pytest.raises(ValueError, match="key is damaged"):
        load_transform(damage(key))
