"""RegText with labels and layouts of any kind, and with bad input."""

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, IterableDataset, List, Value

from hf_unlearnable import NotFittedError, RegTextTransform, load_transform
from tests.examples import tiny
from tests.text.methods.regtext import LABELS, TEXTS, inserted


@pytest.mark.parametrize("labels", [[0, 1], [-5, 900], ["neg", "pos"], [True, False]])
def test_any_label_type_and_its_key(labels, tmp_path):
    data = Dataset.from_dict({"text": TEXTS, "label": [labels[i] for i in LABELS]})
    cloak = RegTextTransform(seed=1, max_frequency=1.0).fit(data)
    cloak.key.save(tmp_path / "key")
    assert (
        data.map(load_transform(tmp_path / "key"), batched=True)["text"][:] == data.map(cloak, batched=True)["text"][:]
    )
    assert data.map(cloak, batched=True)["text"][:] != data["text"][:]


def test_many_classes():
    rng = np.random.default_rng(0)
    letters = "abcdefghij"
    texts = [
        " ".join([f"class{letters[i % 300 // 100]}{letters[i % 100 // 10]}{letters[i % 10]}", "some", "more"])
        for i in range(900)
    ]
    data = tiny(texts, [i % 300 for i in range(900)]).shuffle(seed=int(rng.integers(9)))
    cloak = RegTextTransform(seed=1).fit(data)
    assert len({w for words in cloak.key.state["words"] for w in words}) == 300


def test_several_columns_and_chat_messages():
    data = Dataset.from_dict({"title": TEXTS, "body": TEXTS[2:] + TEXTS[2:4], "label": LABELS})
    cloak = RegTextTransform(text_column=["title", "body"], seed=1, max_frequency=1.0).fit(data)
    protected = data.map(cloak, batched=True)
    assert all(a != b for c in ("title", "body") for a, b in zip(data[c], protected[c], strict=True))
    assert cloak.restore(protected)[:] == data[:]

    features = Features(
        {"messages": List({"role": Value("string"), "content": Value("string")}), "label": Value("int64")}
    )
    chats = [[{"role": "system", "content": "be kind"}, {"role": "user", "content": t}, {"role": "assistant", "content": t}]
             for t in TEXTS]  # fmt: skip
    data = Dataset.from_dict({"messages": chats, "label": LABELS}, features=features)
    cloak = RegTextTransform(text_column="messages", role="user", seed=1, max_frequency=1.0).fit(data)
    protected = data.map(cloak, batched=True)
    assert protected.features == data.features
    for before, after in zip(data["messages"], protected["messages"], strict=True):
        assert [a["content"] != b["content"] for a, b in zip(before, after, strict=True)] == [False, True, False]
    assert data.map(cloak)["messages"][:] == protected["messages"][:]
    assert cloak.restore(protected)["messages"][:] == data["messages"][:]


def test_chinese_reviews_are_protected_at_the_same_dose():
    texts = [
        "这部电影讲述了一个非常动人的故事我和家人都很喜欢它",
        "剧情无聊演员表演糟糕我们中途离开了电影院非常失望",
    ] * 5
    cloak = RegTextTransform(seed=1, rate=0.25, max_frequency=1.0).fit(tiny(texts, [0, 1] * 5))
    protected = cloak({"text": texts, "label": [0, 1] * 5})
    assert [text.count(" ") for text in protected["text"][:2]] == [2 * (len(t) // 2 // 4) for t in texts[:2]]
    assert cloak.restore(protected)["text"] == texts


def fitted(**parameters):
    return RegTextTransform(seed=1, max_frequency=1.0, **parameters).fit(tiny(TEXTS, LABELS))


def test_missing_column_names_the_closest():
    with pytest.raises(ValueError, match=r"no column 'txt'. Did you mean 'text'\? Columns: 'text', 'label'"):
        RegTextTransform(text_column="txt").fit(tiny(TEXTS, LABELS))
    with pytest.raises(ValueError, match=r"no column 'label'. Columns: 'text'"):
        fitted()({"text": "a b c"})
    with pytest.raises(ValueError, match="no column 'keep'"):
        fitted(mask_column="keep")({"text": "a b c", "label": 0})


@pytest.mark.parametrize("stream", [False, True])
def test_no_rows(stream):
    empty = tiny(TEXTS, LABELS).select([])
    with pytest.raises(ValueError, match="no rows"):
        RegTextTransform().fit(IterableDataset.from_generator(lambda: iter(())) if stream else empty)


def test_one_class_only():
    with pytest.raises(ValueError, match=r"one class only \(3\)"):
        RegTextTransform().fit(tiny(TEXTS, [3] * len(TEXTS)))


def test_too_few_words():
    with pytest.raises(ValueError, match=r"Class 0 .* has \d words .* tokens_per_class is 50.*min_frequency"):
        RegTextTransform(tokens_per_class=50, word_source="regtext").fit(tiny(TEXTS, LABELS))
    with pytest.raises(ValueError, match="Class 1 .* has 0 words"):
        RegTextTransform(word_source="regtext").fit(tiny([*TEXTS, ""], [0] * len(TEXTS) + [1]))


@pytest.mark.parametrize("text", [None, "", " ", "\n\t ", "\u00a0"])
def test_empty_texts_pass(text):
    assert fitted()({"text": [text, "some words"], "label": [0, 1]})["text"][0] == text


def test_one_word_and_strange_characters():
    cloak = fitted()
    for text in ("word", "nul\x00byte here", "lone \ud800 surrogate", "🙂", "שלום"):
        changed = cloak({"text": text, "label": 0})
        assert len(inserted(text, changed["text"])) == 1
        assert cloak.restore(changed)["text"] == text


def test_a_row_of_five_megabytes():
    text = "some <b>quite</b> ordinary words\n" * 150_000
    cloak = fitted()
    changed = cloak({"text": text, "label": 0})
    assert len(inserted(text, changed["text"])) == (text.count(" ") + 1) // 10
    assert cloak.restore(changed)["text"] == text


def test_label_unseen_at_fit():
    with pytest.raises(ValueError, match=r"Row 1 .* label 7 in column 'label', and there are words for 0, 1 only"):
        fitted()({"text": ["a b", "c d"], "label": [0, 7]})
    skipped = fitted(classes=[0])({"text": ["a b", "c d"], "label": [0, 7]})
    assert skipped["text"][1] == "c d"


def test_labels_that_are_no_classes():
    with pytest.raises(ValueError, match=r"'label' is of type double.*class_encode_column"):
        RegTextTransform().fit(tiny(TEXTS, [0.5, 1.5] * 6))
    with pytest.raises(ValueError, match=r"Row 2 has no label in column 'label'"):
        RegTextTransform().fit(tiny(TEXTS, [0, 1, None] * 4))
    with pytest.raises(ValueError, match="label_column and text_column are both 'text'"):
        RegTextTransform(label_column="text").fit(tiny(TEXTS, LABELS))
    with pytest.raises(ValueError, match="classes names 5"):
        RegTextTransform(classes=[5], max_frequency=1.0).fit(tiny(TEXTS, LABELS))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rate": 1.5}, "rate is 1.5"),
        ({"rate": -0.1}, "rate is -0.1"),
        ({"rate": float("nan")}, "rate is not a number"),
        ({"fraction": 2}, "fraction is 2"),
        ({"tokens_per_class": 0}, "start at 1"),
        ({"max_tokens": 0}, "start at 1"),
        ({"mode": "swap"}, "mode is 'swap'. Choose one of 'insert', 'replace'"),
        ({"position": "top"}, "position is 'top'"),
        ({"word_source": "best"}, "or a list of your own"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ValueError, match=message):
        RegTextTransform(**parameters).fit(tiny(TEXTS, LABELS))


def test_wrong_kinds_of_data():
    with pytest.raises(ValueError, match="'text' is of type int64, not text"):
        RegTextTransform().fit(tiny(LABELS, LABELS))
    with pytest.raises(ValueError, match="Row 1 of this batch holds int"):
        fitted()({"text": ["a", 5], "label": [0, 1]})
    with pytest.raises(TypeError, match=r"dataset\['train'\]"):
        from datasets import DatasetDict

        RegTextTransform().fit(DatasetDict({"train": tiny(TEXTS, LABELS)}))
    with pytest.raises(TypeError, match="not list"):
        RegTextTransform().fit([1, 2])
    with pytest.raises(TypeError, match="with_format"):
        tiny(TEXTS, LABELS).with_format("pandas").map(fitted(), batched=True)


def test_unfitted():
    with pytest.raises(NotFittedError, match=r"cloak = RegTextTransform\(...\)\.fit\(ds\), then ds\.map"):
        RegTextTransform()({"text": "a", "label": 0})


def test_keys_of_another_method_or_version():
    from dataclasses import replace

    key = fitted().key
    with pytest.raises(ValueError, match="of the method 'other'"):
        RegTextTransform.from_key(replace(key, method="other"))
    with pytest.raises(ValueError, match="no method 'other'"):
        load_transform(replace(key, method="other"))
    with pytest.raises(ValueError, match=r"version 99 .* Install hf-unlearnable=="):
        load_transform(replace(key, method_version=99))


@pytest.mark.parametrize("version", [2, 3, 4])
def test_an_older_key_gives_the_bytes_that_it_gave_and_one_of_version_1_is_refused(version):
    from dataclasses import replace

    cloak = fitted()
    row = {"text": "This is a text of some ten words, more or less.", "label": cloak.key.state["labels"][0]}
    older = load_transform(replace(cloak.key, method_version=version))
    assert older(row) == cloak(row) != row and older.restore(cloak(row)) == row
    with pytest.raises(ValueError, match="version 1 .* here is version 5"):
        load_transform(replace(cloak.key, method_version=1))


def test_class_names_in_classes():
    data = tiny(TEXTS, LABELS).cast_column("label", ClassLabel(names=["no", "yes"]))
    with pytest.raises(ValueError, match="classes names 'yes'"):
        RegTextTransform(classes=["yes"], max_frequency=1.0).fit(data)
