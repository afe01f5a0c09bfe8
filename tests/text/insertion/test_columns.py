"""Words go into a whole column byte for byte as they go into its texts one by one."""

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hf_unlearnable import RegTextTransform
from hf_unlearnable.rows import Batch
from hf_unlearnable.text.base import TextTransform
from hf_unlearnable.text.insertion import spread

WORDS = {0: ["piston"], 1: ["gist"]}
MANY = {0: ["piston", "plum", "эди"], 1: ["gist", "a", "导演"]}
# What a text is made of where places differ: white space, marks, markup, code, scripts without spaces, the words.
fragments = st.one_of(
    st.sampled_from([
        " ", "  ", "\n", "\n    ", "\n\t", "\t", "\r\n", "\x0b", "\x1c", "\x85", "\u00a0", "\u2003", "\u3000", "\u200d",
        "<br />", "<br", "<br />a<br /> b", "<a href='x y'>", "<", "& <b", "`a b`", "```", "{a b}", "[1, 2]", "$x y$",
        "$5 and", "\\(a b\\)", "100 % of", "~", "e\u0301", " \u0301", "🙂", " 👩‍👩‍👧 x", "שלום עולם", "Привет мир ",
        "这部电影很好看", "これ は", "ภาษาไทย", "한국어 말", "piston", " piston ", "pistons", " gist", "plum ", "эди",
    ]),
    st.text(max_size=8),
    st.text("abc é", max_size=30),
)  # fmt: skip
texts = st.lists(fragments, max_size=20).map("".join).filter(lambda text: text.isascii() or is_utf8(text))
columns = st.lists(st.one_of(st.none(), texts), min_size=1, max_size=12)
settings_of = st.fixed_dictionaries(
    {"rate": st.sampled_from([0.01, 0.1, 0.5, 1.0])},
    optional={
        "max_tokens": st.integers(1, 3), "fraction": st.sampled_from([0.0, 0.5, 1.0]), "classes": st.just([1]),
        "id_column": st.just("id"), "mask_column": st.just("mask"),
    },
)  # fmt: skip


def is_utf8(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def table(values):
    size = len(values)
    return pa.table({
        "text": pa.array(values, pa.string()), "label": [i % 2 for i in range(size)],
        "id": list(range(size)), "mask": [i % 3 != 0 for i in range(size)],
    })  # fmt: skip


def one_by_one(cloak, rows):
    """What the row-wise code makes of a table: the oracle."""
    return TextTransform._edited(cloak, Batch(rows, ["text"], cloak._is_row), False)["text"]


@pytest.fixture(autouse=True)
def small_columns(monkeypatch):
    monkeypatch.setattr(spread, "_FEW", 1)


@settings(max_examples=150, deadline=None)
@given(columns, settings_of, st.sampled_from([WORDS, MANY]), st.sampled_from([1, 40, 1 << 19]))
@example(["a", "b c", "", None, " ", "\u3000"], {"rate": 1.0}, WORDS, 1)
@example(["a piston b", "gist", "x gist"], {"rate": 0.5}, MANY, 40)
@example(["{ab}", "$x$", "<a>", "x"], {"rate": 1.0}, WORDS, 1)
@example(["ends with <br", " />begins so", "a\n", "    b c d"], {"rate": 1.0}, WORDS, 1 << 19)
@example(["<br />" + " a" * 40, "x\n<br />    " + "a b" * 40, " <br /> a b"], {"rate": 0.5}, WORDS, 1 << 19)
@example(["word " * 30, "$5 and {a b} c d", "`a b c` `d e`", "{a b c}"], {"rate": 0.5}, WORDS, 1 << 19)
def test_columns_get_the_bytes_of_texts_one_by_one(values, parameters, words, size):
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patched:
        patched.setattr(spread, "_BYTES", size)
        cloak = RegTextTransform(word_source=words, tokens_per_class=len(words[0]), seed=3, **parameters)
        rows = table(values)
        made = outcome(lambda: cloak(rows)["text"].to_pylist())
        assert made == outcome(lambda: one_by_one(cloak, rows))


def outcome(function):
    try:
        return function()
    except ValueError as error:  # protected already: a text may hold its words where they go
        return str(error)


def test_tables_dictionaries_and_lazy_batches_get_the_same_bytes():
    from datasets import Dataset

    rows = table([f"one two three {i} <br /> $four$ five" for i in range(9)])
    cloak = RegTextTransform(word_source=WORDS, seed=3)
    expected = one_by_one(cloak, rows)
    assert cloak(rows)["text"].to_pylist() == expected
    assert cloak(rows.to_pydict())["text"] == expected
    lazy = Dataset(rows).map(cloak, batched=True, load_from_cache_file=False)
    assert lazy["text"][:] == expected
    stream = Dataset(rows).to_iterable_dataset().map(cloak, batched=True)
    assert [row["text"] for row in stream] == expected


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_table_keeps_the_type_of_its_column(kind):
    rows = pa.table({"text": pa.array(["a b c", None], kind), "label": [0, 1]})
    made = RegTextTransform(word_source=WORDS, seed=3)(rows)
    assert made["text"].type == kind
    assert made["text"].null_count == 1
    assert "piston" in made["text"][0].as_py()


def test_a_batch_that_was_changed_before_is_read_as_it_is_now():
    from datasets import Dataset

    cloak = RegTextTransform(word_source=WORDS, seed=3)

    def changed(batch):
        batch["text"] = [text.upper() for text in batch["text"]]
        return cloak(batch)

    made = Dataset(table(["one two", "three four"])).map(changed, batched=True, load_from_cache_file=False)
    assert [text.replace("piston ", "").replace("gist ", "") for text in made["text"][:]] == ["ONE TWO", "THREE FOUR"]


@pytest.mark.parametrize("value", [3, b"bytes", "half \ud800 of a pair"])
def test_values_that_arrow_takes_for_no_text_go_one_by_one(value):
    rows = {"text": ["a b", value], "label": [0, 1]}
    cloak = RegTextTransform(word_source=WORDS, seed=3)
    if isinstance(value, str):
        assert cloak(rows)["text"][1].replace("gist ", "").replace(" gist", "") == value
        return
    with pytest.raises(ValueError, match=f"Row 1 of this batch holds {type(value).__name__} in column 'text'"):
        cloak(rows)


def test_protecting_twice_is_refused_with_the_number_of_the_row():
    rows = table([f"text number {i} with some more words to hold what goes in" for i in range(20)])
    cloak = RegTextTransform(word_source=WORDS, seed=3)
    with pytest.raises(ValueError, match=r"^Row 10 of this batch, column 'text', is protected with this key already"):
        cloak(cloak(rows))
