"""Ownership: a key finds what it made, in part and without labels, and finds nothing anywhere else."""

import json
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from datasets import Dataset, Value, concatenate_datasets
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hf_unlearnable import OrderCodeTransform, RegTextTransform, TextureTransform, mark
from hf_unlearnable.ownership import Ownership, _fisher, _tail, verify
from hf_unlearnable.registry import method_class
from hf_unlearnable.samples import load_digits
from tests.examples import notes, pictures, tiny

TEXT = {
    "default": {},
    "paper": {"word_source": "regtext", "tokens_per_class": 10, "max_tokens": 10},
    "random": {"word_source": "random"},
    "one word": {"rate": 1e-3},
    "end": {"position": "end", "tokens_per_class": 3},
    "common words": {"word_source": ["the", "a", "and", "of"], "rate": 0.03},
}
DRAWN = [
    ("texture", {}),
    ("linear-separable", {}),
    ("convolution", {}),
    ("random-noise", {"noise": "class"}),
    ("random-noise", {"id_column": "id"}),
]
LEARNED = [
    ("error-min", {"max_rounds": 2}),
    ("stable-error-min", {"max_rounds": 2, "num_draws": 2}),
    ("error-max", {"max_rounds": 1, "surrogate_epochs": 2}),
    ("augmented-error-min", {"max_rounds": 2}),
    ("augmented-error-max", {"max_rounds": 1, "surrogate_epochs": 2, "num_steps": 4}),
    ("bayes-error", {"max_rounds": 2}),
    ("provable-error-min", {"noise": "sample", "max_rounds": 2, "num_pairs": 1}),
]


def images(rows=60, **shape):
    dataset = pictures(rows, **{"height": 24, "width": 24, **shape})
    return dataset.add_column("id", [f"p{i}" for i in range(rows)])


def made(name, dataset, seed=3, **parameters):
    return method_class(name)(seed=seed, **parameters).fit(dataset)


def mixed(protected, others, share=0.1):
    count = round(share * len(others))
    rows = [protected.select(range(count)), others.select(range(count, len(others)))]
    return concatenate_datasets(rows).shuffle(seed=1)


# ------------------------------------------------------------------ power
@pytest.mark.parametrize(
    "parameters",
    [pytest.param(TEXT[name], id=name, marks=[pytest.mark.slow] * (name == "common words")) for name in TEXT],
)
def test_texts_are_found_whole_in_part_and_without_labels(parameters):
    dataset = notes(100)
    cloak = RegTextTransform(seed=3, **parameters).fit(dataset)
    protected = dataset.map(cloak, batched=True)
    found = verify(cloak, protected)
    assert found.rows == found.marked == 100 and found.expected < 30
    assert found.log10_p < -50
    assert verify(cloak.key, protected.remove_columns("label")) == found
    assert verify(cloak, protected.shuffle(seed=1)).log10_p == pytest.approx(found.log10_p)
    permuted = protected.map(lambda row: {"label": (row["label"] + 1) % 4})
    assert verify(cloak, permuted) == found
    assert verify(cloak, mixed(protected, dataset)).p_value < 0.01
    assert verify(cloak, mixed(protected, notes(400).select(range(300, 400)))).p_value < 0.02
    assert verify(cloak, dataset).p_value > 0.05  # the very originals


@pytest.mark.parametrize("code", ["place", "refrain"])
def test_order_codes_are_found_in_texts_of_many_sentences(code):
    texts = notes(360)["text"][:]
    dataset = tiny([" ".join(texts[i::60]) for i in range(60)], [0, 1] * 30)
    cloak = OrderCodeTransform(seed=3, code=code).fit(dataset)
    protected = dataset.map(cloak, batched=True)
    found = verify(cloak, protected)
    assert found.marked == 60 and found.p_value < 1e-20
    other = OrderCodeTransform(seed=4, code=code, carrier_source=cloak._pool(cloak._choose()[0])).fit(dataset)
    assert verify(cloak, dataset.map(other, batched=True)).p_value > 0.05
    assert verify(cloak, dataset).p_value > 0.05


def test_edited_rows_do_not_count_and_the_others_do():
    dataset = notes(100)
    cloak = RegTextTransform(seed=3).fit(dataset)
    protected = dataset.map(cloak, batched=True)
    edited = protected.map(
        lambda row, i: {"text": row["text"] + (" and one more thing" if i % 2 else "")}, with_indices=True
    )
    found = verify(cloak, edited)
    assert 45 <= found.marked <= 55 and found.p_value < 1e-20


def test_equal_texts_count_once():
    dataset = tiny(["alpha beta gamma delta shared", "kappa lambda omega shared mu"] * 30, [0, 1] * 30)
    cloak = RegTextTransform(seed=3, word_source=["shared", "gamma"]).fit(dataset)
    found = verify(cloak, dataset.map(cloak, batched=True))
    assert found.marked == 60
    assert found.log10_least == pytest.approx(-2 * math.log10(20)) and found.p_value >= 1 / 400
    assert "So little data cannot tell" in str(found)


def test_ids_chats_columns_and_scripts():
    dataset = notes(60).add_column("id", list(range(60)))
    cloak = RegTextTransform(seed=3, id_column="id").fit(dataset)
    protected = dataset.map(cloak, batched=True)
    assert verify(cloak, protected).marked == 60
    with pytest.raises(ValueError, match="no column 'id'"):
        verify(cloak, protected.remove_columns("id"))
    other = protected.map(lambda row: {"id": row["id"] + 60})  # other ids, other places
    assert verify(cloak, other).p_value > 0.05

    chat = Dataset.from_list(
        [{"m": [{"role": "user", "content": r["text"]}, {"role": "assistant", "content": "Yes."}], "label": r["label"]}
         for r in notes(60)]
    )  # fmt: skip
    cloak = RegTextTransform(seed=3, text_column="m").fit(chat)
    assert verify(cloak, chat.map(cloak, batched=True)).marked == 60

    thai = tiny([f"{'กขคงจฉชซ' * 6}{chr(0x0E01 + i)}{chr(0x0E10 + i % 7)}" for i in range(30)], [0, 1] * 15)
    cloak = RegTextTransform(seed=3, word_source=["xyz", "uvw"]).fit(thai)
    assert verify(cloak, thai.map(cloak, batched=True)).p_value < 1e-6


@pytest.mark.parametrize(("name", "parameters"), DRAWN)
def test_drawn_patterns_are_found(name, parameters, monkeypatch):
    monkeypatch.setattr(mark, "_CLASS_DECOYS", 99)
    dataset = load_digits("train").select(range(100)).add_column("id", list(range(100)))
    cloak = made(name, dataset, **parameters)
    protected = dataset.map(cloak, batched=True)
    assert verify(cloak, protected).p_value < 1e-6
    if name != "convolution":  # what it multiplies does not show in one image of ten
        assert verify(cloak, mixed(protected, dataset)).p_value < 0.01
    assert verify(cloak, dataset).p_value > 0.01
    assert verify(made(name, dataset, seed=4, **parameters), protected).p_value > 0.01


@pytest.mark.parametrize(("name", "parameters"), LEARNED)
def test_noise_of_each_image_is_taken_off_again(name, parameters):
    dataset = images(40)
    cloak = made(name, dataset, **parameters)
    protected = dataset.map(cloak, batched=True)
    found = verify(cloak.key, protected.remove_columns("label"))
    assert found.marked >= 30 and found.expected < 1e-9 and found.p_value < 1e-200
    part = verify(cloak, mixed(protected, dataset))
    assert 3 <= part.marked <= 4 and part.p_value < 1e-40
    assert verify(cloak, dataset).marked == 0
    other = dataset.map(made(name, dataset, seed=4, **parameters), batched=True)
    found = verify(cloak, other)
    assert found.marked == 0 and found.p_value == 1


def test_noise_of_a_class_is_found_and_originals_are_not():
    dataset = load_digits("train").select(range(60))
    cloak, other = (made("error-min", dataset, seed, noise="class", max_rounds=2) for seed in (1, 2))
    protected = dataset.map(cloak, batched=True)
    found = verify(cloak, protected)
    assert found.marked == 60 and found.p_value < 1e-6
    assert verify(cloak, mixed(protected, dataset, 0.2)).p_value < 0.01
    assert verify(cloak, protected.remove_columns("label")).p_value < 0.01
    assert verify(cloak, dataset).p_value == 1 and verify(other, protected).p_value == 1


def test_photos_of_many_sizes_gray_and_colour(monkeypatch):
    monkeypatch.setattr(mark, "_CLASS_DECOYS", 99)
    parts = [images(8, height=20 + 3 * i, width=31 - 2 * i, channels=1 + 2 * (i % 2)) for i in range(4)]
    dataset = concatenate_datasets(parts)
    for name, parameters in [("texture", {}), ("random-noise", {"noise": "class"}), ("error-min", {"max_rounds": 2})]:
        cloak = made(name, dataset, **parameters)
        assert verify(cloak, dataset.map(cloak, batched=True)).p_value < 1e-3
        assert verify(cloak, dataset).p_value > 0.01


# ------------------------------------------------------------------ the p-value holds
KEYS = pytest.mark.parametrize("keys", [8, pytest.param(40, marks=pytest.mark.slow)])


def holds(p_values):
    """At most 5 % below 0.05, as far as so many can tell, and none below 0.001."""
    allowed = stats.binom.ppf(0.999, len(p_values), 0.05)
    return sum(p < 0.05 for p in p_values) <= allowed and min(p_values) >= 1e-3


@pytest.mark.parametrize("parameters", [TEXT["default"], TEXT["common words"]], ids=["default", "common words"])
@KEYS
def test_keys_find_nothing_in_texts_that_others_made(parameters, keys):
    dataset = notes(20)
    foreign = RegTextTransform(seed=10**9, **parameters).fit(dataset)
    suspects = [dataset, dataset.map(foreign, batched=True)]  # which holds the key's own words
    for suspect in suspects:
        assert holds([verify(replace(foreign.key, seed=seed), suspect).p_value for seed in range(keys)])


@pytest.mark.parametrize(("name", "parameters"), DRAWN)
@KEYS
def test_keys_find_nothing_in_images_that_others_made(name, parameters, keys, monkeypatch):
    monkeypatch.setattr(mark, "_CLASS_DECOYS", 99)
    dataset = images(24, height=12, width=12)
    foreign = dataset.map(made(name, dataset, seed=10**9, **parameters), batched=True)
    p_values = [
        verify(made(name, dataset, seed=seed, **parameters), suspect).p_value
        for suspect, seed in product((dataset, foreign), range(keys))
    ]
    assert holds(p_values)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=8), st.integers(0, 8))
def test_tail_bounds_the_exact_one(chances, count):
    exact = sum(
        math.prod(p if hit else 1 - p for p, hit in zip(chances, hits))
        for hits in product((0, 1), repeat=len(chances))
        if sum(hits) >= count
    )
    bound = 10 ** _tail(np.array(chances), min(count, len(chances)))
    assert bound >= exact * (1 - 1e-9)
    if count == len(chances):
        assert bound == pytest.approx(exact)


def test_fisher_is_the_known_one():
    for ranks in ([0.3], [0.01, 0.5], [1.0, 1.0, 1.0], [1e-3] * 10):
        expected = stats.combine_pvalues(ranks).pvalue
        assert 10 ** _fisher(ranks) == pytest.approx(expected)


# ------------------------------------------------------------------ what is said
def test_sentences():
    assert str(Ownership(1240, 1240, 3.0, -1613.2, -1613.3)) == (
        "1,240 of 1,240 rows carry this key's mark; by chance one would expect 3: p = 6.3e-1614. "
        "Rows of this data were protected with this key."
    )
    assert str(Ownership(900, 4, 3.0, -0.3, -1000.0)).endswith("p = 0.5. There is no sign of this key.")
    assert Ownership(1, 1, 0, -1613.2, -1613.3).p_value == 0


# ------------------------------------------------------------------ bad input
def test_bad_input(tmp_path):
    dataset = notes(40)
    cloak = RegTextTransform(seed=3).fit(dataset)
    protected = dataset.map(cloak, batched=True)
    cloak.key.save(tmp_path / "key")
    renamed = protected.rename_column("text", "body")
    with pytest.raises(ValueError, match="no column 'text'"):
        verify(tmp_path / "key", renamed)
    assert verify(tmp_path / "key", renamed, column="body").marked == 40
    assert verify(cloak, protected.to_iterable_dataset(), max_rows=10).rows == 10
    with pytest.raises(ValueError, match="no rows"):
        verify(cloak, protected.select([]))
    with pytest.raises(ValueError, match="no rows"):
        verify(cloak, Dataset.from_dict({"text": [None]}).cast_column("text", Value("string")))
    with pytest.raises(ValueError, match="max_rows is 0"):
        verify(cloak, protected, max_rows=0)
    with pytest.raises(TypeError, match="dictionary of splits"):
        verify(cloak, {"train": protected})
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "nothing", protected)
    (tmp_path / "key" / "key.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(ValueError, match="damaged"):
        verify(tmp_path / "key", protected)


def test_keys_of_another_modality():
    text, image = RegTextTransform(seed=3).fit(notes(40)), TextureTransform(seed=3).fit(images())
    with pytest.raises(ValueError, match="Row 0 holds dict in column 'image', and this is a key for texts"):
        verify(text, images(), column="image")
    with pytest.raises(ValueError, match="Row 0, column 'text': the image is str"):
        verify(image, notes(10), column="text")


@pytest.mark.parametrize(
    ("name", "parameters", "why"),
    [
        ("regtext", {"mode": "replace"}, "lost with them"),
        ("regtext", {"position": "end"}, "whatever the seed"),
        ("regtext", {"rate": 0}, "changes nothing"),
        ("texture", {"epsilon": 0}, "changes nothing"),
        ("one-pixel", {}, "anyone finds"),
        ("linearization", {}, "hardly from the seed"),
        ("random-noise", {}, "does not give away"),
        ("error-min", {"id_column": "id", "max_rounds": 1}, "not by their content"),
        ("error-min-one-pixel", {"max_rounds": 1}, "takes away"),
    ],
)
def test_keys_that_leave_nothing_to_show_say_why(name, parameters, why):
    dataset = notes(40) if name == "regtext" else images(12)
    with pytest.raises(ValueError, match=why):
        verify(made(name, dataset, **parameters), dataset)


def test_patterns_of_labels_need_labels():
    dataset = images(12)
    with pytest.raises(ValueError, match="a pattern for each label, and there is no column 'label'"):
        verify(made("linear-separable", dataset), dataset.remove_columns("label"))
