"""Error-minimising edits: which words are replaced and by which, restoring them, and bad input."""

import shutil
from collections import Counter

import numpy as np
import pytest
from datasets import Dataset

from hf_unlearnable import ErrorMinTextTransform, Key, NotFittedError, load_transform, verify
from hf_unlearnable.text.substitution.edits import words_of
from hf_unlearnable.text.substitution.gradients import STATE, Surrogate, uniform
from tests.examples import notes, tiny

FIT = {"seed": 7, "max_frequency": 1.0, "words_per_class": None}
EDITED = tiny(
    ["the warm film had a kettle", "this drab film with its bucket", "warm words for a kettle"] * 4
    + ["a bucket of cold tea", "the kettle sang", "that drab bucket again"] * 4,
    [0] * 12 + [1] * 12,
)


def replaced(before, after):
    """The pairs of words that differ; fails if anything else does."""
    old, new = before.split(" "), after.split(" ")
    assert len(old) == len(new)
    return [(a, b) for a, b in zip(old, new, strict=True) if a != b]


def protected(cloak, dataset):
    return dataset.map(cloak, batched=True, load_from_cache_file=False)


# ---------------------------------------------------------------------- which edits
def test_the_edit_is_the_one_that_lowers_the_loss_of_the_drawn_network_most():
    """Every edit tried by itself, the loss to first order computed in full."""
    dataset = notes(40)
    cloak = ErrorMinTextTransform(seed=3, rate=0.001, words_per_class=None).fit(dataset)
    labels = sorted(set(dataset["label"]))
    network = Surrogate(STATE, len(labels), 3)
    candidates = {word: uniform(f"word {word}", 3, (STATE,)) for word in cloak._candidates}
    for row in dataset.select(range(3)):
        words, starts, free = words_of(row["text"])
        read = np.stack([uniform(f"word {word.lower()}", 3, (STATE,)) for word in words[:128]])
        gradient = network.gradients(read[None], np.array([len(read)]), np.array([labels.index(row["label"])]))[0]
        gains = {
            (starts[i], word): float(gradient[i] @ (vector - read[i]))
            for i in free if i < 128 for word, vector in candidates.items() if word != words[i].lower()
        }  # fmt: skip
        place, word = min(gains, key=gains.get)
        after = cloak(row)["text"]
        assert len(replaced(row["text"], after)) == 1 and after.startswith(word, place)


def test_every_text_gets_its_share_of_edits_of_words_that_may_be_put_in():
    dataset = notes(60)
    cloak = ErrorMinTextTransform(seed=7, rate=0.1).fit(dataset)
    for before, after in zip(dataset, protected(cloak, dataset), strict=True):
        pairs = replaced(before["text"], after["text"])
        assert len(pairs) == max(1, int(0.1 * (before["text"].count(" ") + 1)))
        assert {new for _, new in pairs} <= set(cloak._candidates) & set(cloak.inserted_words()[before["label"]])


@pytest.mark.parametrize(("count", "most"), [(1, 1), (3, 3), (None, 30)])
def test_each_class_has_words_of_its_own_as_many_as_asked_for(count, most):
    dataset = notes()
    cloak = ErrorMinTextTransform(seed=7, words_per_class=count).fit(dataset)
    put_in = cloak.inserted_words()
    assert all(0 < len(words) <= most for words in put_in.values())
    every = Counter(word for words in put_in.values() for word in words)
    assert count is None or set(every.values()) == {1}
    if count == 1:  # the word that lowers the loss of the class's texts most, on average
        alone = ErrorMinTextTransform(seed=7, words_per_class=None).fit(dataset)
        pulls = sum(alone._search.pulls([row["text"]], [row["label"]], 4) for row in dataset)
        first = int(pulls[:, 0].argmin())
        assert put_in[0] == [alone._candidates[first]] and alone._candidates[first] in alone.inserted_words()[0]


def test_the_papers_setting_makes_one_edit_per_text_with_any_word_that_stands_twice():
    dataset = notes(60)
    cloak = ErrorMinTextTransform.paper(seed=7).fit(dataset)
    after = protected(cloak, dataset)
    assert {len(replaced(a, b)) for a, b in zip(dataset["text"], after["text"], strict=True)} == {1}
    assert len({word for words in cloak.inserted_words().values() for word in words}) > 8
    assert "the" in cloak._candidates


@pytest.mark.parametrize("count", [2, 3])
def test_no_more_words_are_put_in_than_candidates(count):
    cloak = ErrorMinTextTransform(**FIT, num_candidates=count).fit(EDITED)
    assert len(cloak._candidates) == count
    assert {word for words in cloak.inserted_words().values() for word in words} <= set(cloak._candidates)


def test_names_words_that_hurt_and_words_that_judge_are_put_in_only_if_sensitive():
    texts = [f"a nightmare of Gwendolyn and boring cancer by the kettle near bucket {i}" for i in range(20)]
    dataset = tiny(texts, [0, 1] * 10)
    kept = set(ErrorMinTextTransform(**FIT).fit(dataset)._candidates)
    more = set(ErrorMinTextTransform(**FIT, sensitive=True).fit(dataset)._candidates)
    assert "kettle" in kept and not kept & {"nightmare", "gwendolyn", "boring", "cancer"}
    assert {"nightmare", "boring", "cancer", "kettle"} <= more
    without = ErrorMinTextTransform(**FIT, exclude="kettle,near").fit(dataset)
    assert not {"kettle", "near"} & set(without._candidates)


def test_a_long_text_is_edited_in_all_of_its_stretches():
    dataset = tiny([f"{' '.join(f'word{chr(97 + i % 26)} kettle bucket' for i in range(200))} {n}" for n in "xyzw"],
                   [0, 1, 0, 1])  # fmt: skip
    cloak = ErrorMinTextTransform(seed=1, max_frequency=1.0, rate=0.1, max_length=50).fit(dataset)
    row = dataset[0]["text"]
    at = [i for i, (a, b) in enumerate(zip(row.split(), cloak(dataset[0])["text"].split(), strict=True)) if a != b]
    assert len(at) == 60 and len({i // 50 for i in at}) >= 10


# ---------------------------------------------------------------------- restoring
@pytest.mark.parametrize("count", [None, 1])
def test_restore_gives_back_all_rows_where_edits_would_make_texts_alike(count):
    """Texts of one word would all come out as the word of their class: it is inserted there."""
    texts = ["film", "movie", "story", "kettle", "bucket", "film ", "the film", "the movie", "the kettle"]
    texts += [f"kettle bucket spoon saucer ladle number{i}" for i in range(30)]
    dataset = tiny(texts, [0] * 9 + [i % 2 for i in range(30)])
    cloak = ErrorMinTextTransform(**{**FIT, "words_per_class": count}).fit(dataset)
    after = protected(cloak, dataset)
    assert len(set(after["text"])) == len(texts)
    assert all(a != b for a, b in zip(texts, after["text"], strict=True))
    if count:
        (word,) = cloak.inserted_words()[0]
        others = [text for text in texts[:5] if text != word]
        assert sum(text.split()[0] == word and len(text.split()) == 2 for text in after["text"][:5]) >= len(others) - 1
    assert cloak.restore(after)["text"][:] == texts
    assert load_transform(cloak.key).restore(after)["text"][:] == texts


def test_equal_texts_of_different_classes_are_told_apart_by_their_label():
    dataset = tiny(["the same old film", "the same old film", *EDITED["text"]], [0, 1, *EDITED["label"]])
    cloak = ErrorMinTextTransform(**FIT).fit(dataset)
    after = protected(cloak, dataset)
    assert cloak.restore(after)["text"][:] == dataset["text"][:]


@pytest.mark.parametrize(
    "options", [{"fraction": 0.5}, {"classes": [1]}, {"mask_column": "mask"}, {"id_column": "id"}]
)
def test_restore_leaves_the_rows_that_were_not_protected(options):
    dataset = notes(60).add_column("mask", [i % 3 > 0 for i in range(60)]).add_column("id", list(range(60)))
    cloak = ErrorMinTextTransform(seed=7, **options).fit(dataset)
    after = protected(cloak, dataset)
    assert 0 < sum(a != b for a, b in zip(dataset["text"], after["text"], strict=True)) <= 60
    assert cloak.restore(after)["text"][:] == dataset["text"][:]


def test_several_columns_and_messages_are_restored():
    chats = [[{"role": "user", "content": f"my kettle {i}"}, {"role": "assistant", "content": "a bucket it is"}]
             for i in range(12)]  # fmt: skip
    dataset = Dataset.from_dict({"text": chats, "label": [0, 1] * 6})
    cloak = ErrorMinTextTransform(**FIT).fit(dataset)
    after = protected(cloak, dataset)
    assert all(one[0] != two[0] and one[1] == two[1] for one, two in zip(chats, after["text"], strict=True))
    assert cloak.restore(after)["text"][:] == chats
    both = Dataset.from_dict({"a": EDITED["text"][:], "b": EDITED["text"][::-1], "label": EDITED["label"][:]})
    cloak = ErrorMinTextTransform(**FIT, text_column=["a", "b"]).fit(both)
    after = protected(cloak, both)
    assert cloak.restore(after).to_dict() == both.to_dict() and after["a"] != both["a"] and after["b"] != both["b"]


def test_a_row_that_fit_did_not_see_is_protected_by_the_same_rule_and_not_restored():
    dataset = notes(60)
    cloak = load_transform(ErrorMinTextTransform(seed=7).fit(dataset.select(range(50))).key)
    new = dataset.select(range(50, 60))
    alone = [cloak(row)["text"] for row in new]
    assert protected(cloak, new)["text"][:] == alone
    assert all(len(replaced(a, b)) >= 1 for a, b in zip(new["text"], alone, strict=True))
    with pytest.raises(ValueError, match="Row 0 of this batch was not there at fit.* no words to put back"):
        cloak.restore(protected(cloak, new))


def test_counts_alone_do_not_make_a_fit():
    dataset = notes(60)
    merged = ErrorMinTextTransform(seed=7).partial_fit(dataset.select(range(30)))
    merged.merge(ErrorMinTextTransform(seed=7).partial_fit(dataset.select(range(30, 60))))
    more = ErrorMinTextTransform(seed=7).fit(dataset).partial_fit(dataset)
    for counted in (merged, more):
        with pytest.raises(NotFittedError):
            counted(dataset[:2])


def test_a_key_is_found_in_its_rows_without_labels_and_in_no_others():
    dataset = notes(60)
    cloak = ErrorMinTextTransform(seed=7).fit(dataset)
    after = protected(cloak, dataset)
    found = verify(cloak, after.remove_columns("label").add_column("label", ["gone"] * 60))
    assert found.marked == 60 and found.log10_p < -900
    assert verify(cloak, dataset).marked == 0
    assert verify(ErrorMinTextTransform(seed=8).fit(dataset), after).marked == 0


# ---------------------------------------------------------------------- a pretrained model's vectors
@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model that knows some words whole and splits others; "kettle" and "teapot" are alike."""
    transformers = pytest.importorskip("transformers", reason="a pretrained surrogate needs transformers")
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = str(tmp_path_factory.mktemp("model"))
    pieces = "[UNK] [PAD] kettle teapot bucket film tea cold the a had sang b ##uck ##et".split()
    pieces.remove("bucket")
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]"
    ).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bert = transformers.BertModel(config)
        table = bert.get_input_embeddings().weight.data
        table[pieces.index("teapot")] = table[pieces.index("kettle")] * 1.5
        bert.save_pretrained(folder)
    return folder


POTS = tiny(["the kettle sang", "a teapot had tea", "the bucket of tea", "cold film a teapot"] * 6, [0, 1, 1, 0] * 6)


def test_words_that_the_surrogate_splits_are_replaced_and_never_put_in(model):
    dataset = POTS.map(lambda row, i: {"text": f"{row['text']} number{i}"}, with_indices=True)
    cloak = ErrorMinTextTransform(**FIT, surrogate=model, rate=1.0).fit(dataset)
    assert "kettle" in cloak._candidates and "bucket" not in cloak._candidates
    pairs = [pair for row in dataset if "bucket" in row["text"] for pair in replaced(row["text"], cloak(row)["text"])]
    assert "bucket" in {old for old, _ in pairs} and "bucket" not in {new for _, new in pairs}


def test_only_words_alike_take_the_place_of_one_where_asked_for(model):
    dataset = POTS.map(lambda row, i: {"text": f"{row['text']} number{i}"}, with_indices=True)
    cloak = ErrorMinTextTransform(**FIT, surrogate=model, min_similarity=0.99, rate=1.0).fit(dataset)
    pairs = {pair for row in dataset for pair in replaced(row["text"], cloak(row)["text"])}
    assert pairs == {("kettle", "teapot"), ("teapot", "kettle")}
    assert cloak.restore(protected(cloak, dataset))["text"][:] == dataset["text"][:]


def test_a_surrogate_that_is_gone_is_missed_by_new_rows_alone(model, tmp_path):
    moved = shutil.copytree(model, tmp_path / "model")
    dataset = POTS.map(lambda row, i: {"text": f"{row['text']} number{i}"}, with_indices=True)
    cloak = ErrorMinTextTransform(**FIT, surrogate=str(moved)).fit(dataset)
    before = protected(cloak, dataset)
    key = Key.load(cloak.key.save(tmp_path / "key"))
    shutil.rmtree(moved)
    again = load_transform(key)
    assert protected(again, dataset)["text"][:] == before["text"][:]
    assert again.restore(before)["text"][:] == dataset["text"][:]
    with pytest.raises(OSError, match="is no folder here, and the Hub did not give a tokenizer"):
        again({"text": "the kettle of another day", "label": 0})
    with pytest.raises(OSError, match="is no folder here, and the Hub did not give a tokenizer"):
        ErrorMinTextTransform(**FIT, surrogate=str(moved)).fit(dataset)
