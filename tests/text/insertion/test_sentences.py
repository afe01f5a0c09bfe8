"""Order codes go into a whole column byte for byte as they go into its texts one by one."""

import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hf_unlearnable import OrderCodeTransform
from hf_unlearnable.text.base import TextTransform
from hf_unlearnable.text.insertion import coding, spread
from tests.text.insertion.test_columns import columns, is_utf8, outcome, table

# What sentences are made of, and what parts them or seems to.
pieces = st.sampled_from([
    "It rained. ", "Wow! ", "No. ", "He saw Mr. Smith.  ", "We met Mrs. ", "in 19. ", "A. B. ", "i.e. ", 'He said "no." ',
    "(very good!) ", "the ", "not ", "of a ", "twenty-five ", "<br /> ", "end.<br /><br />Next ", "end<br />  next ",
    "Dr.\nWho ", "a\tb ", "wait... ", "wait… ", "’ ", "é.” ", "über. ", "Prof. ", "x1. ", "\U0001f642! ", "in turn ", "by then ",
    "word " * 40, "of the one word " * 28, "<i>not a</i> ", "<b>", "$x of$ ", "Go.' ", "so? ", ". ", "?", ") ", "` a `", "{a b} ", "a", " ",
])  # fmt: skip
prose = st.lists(st.lists(pieces, max_size=14).map("".join), min_size=1, max_size=10)
designs = st.fixed_dictionaries(
    {"code": st.sampled_from(["place", "refrain"]), "rate": st.sampled_from([0.02, 0.2, 1.0])},
    optional={
        "num_codes": st.just(2), "fraction": st.sampled_from([0.0, 0.5]), "classes": st.just([1]),
        "id_column": st.just("id"), "mask_column": st.just("mask"),
    },
)  # fmt: skip


@pytest.fixture(autouse=True)
def small_columns(monkeypatch):
    monkeypatch.setattr(spread, "_FEW", 1)
    monkeypatch.setattr(coding, "_FEW", 1)


class OneByOne(OrderCodeTransform):
    """What the row-wise code makes of texts: the oracle."""

    method = "order-code"
    _planned = OrderCodeTransform._planned_alone
    _edited = TextTransform._edited


def fitted(**parameters):
    cloak = OrderCodeTransform(seed=5, **parameters).fit(Dataset(table(["a b", "c d"])))
    return cloak, OneByOne.from_key(cloak.key)


@settings(max_examples=80, deadline=None)
@given(st.one_of(prose, columns), designs)
@example(["I am 5. Is it. No one of the. A"], {"code": "place", "rate": 1.0})
@example(
    ["a b. " + "one of the no word " * 60 + "x. c d", "no " * 130 + ". x y", "<i>no a</i> not <b>a b</b>. a b"],
    {"code": "place", "rate": 1.0},
)
@example(
    ["a word of the " * 45, "é to be of a " * 70 + "<br />no a. b", "the <br /> no the " * 30 + "a"],
    {"code": "refrain", "rate": 0.2},
)
@example(["", None, " ", ".", "a. b", "the the. the of the. x"], {"code": "place", "rate": 1.0})
def test_codes_in_columns_have_the_bytes_of_texts_one_by_one(values, parameters):
    (cloak, oracle), rows = (
        fitted(**parameters),
        table([value if value is None or is_utf8(value) else "" for value in values]),
    )
    made = outcome(lambda: cloak(rows)["text"].to_pylist())
    assert made == outcome(lambda: oracle(rows)["text"].to_pylist())
    if isinstance(made, list):
        back = rows.set_column(0, "text", pa.array(made, pa.string()))
        assert outcome(lambda: cloak.restore(back)["text"].to_pylist()) == outcome(
            lambda: oracle.restore(back)["text"].to_pylist()
        )
