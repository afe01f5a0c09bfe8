"""Words that may be replaced, replacing them and putting them back, and the store of that."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable.text.substitution.edits import Edits, LabelledRow, content, edited, undone, words_of


@pytest.mark.parametrize(
    ("text", "free"),
    [
        ("A warm film , and it's fun", ["A", "warm", "film", "and", "it's"]),
        ("not all of two hundred films", ["of", "films"]),  # what negates, quantifies and counts stays
        ('end. (so) "we" go-on 3rd B2 x', ["go-on", "x"]),  # what hangs on a word, and digits
        ("see <b>bold words</b> or `a code` at www.site.example/a b", ["see", "at", "b"]),
        ("tab\tline\nthree  spaces\u00a0hard", ["tab", "line", "spaces", "hard"]),
        ("Das schöne Mädchen не знает", ["Das", "schöne", "Mädchen", "не", "знает"]),
        ("这是一部电影 天气", []),
        ("ein 电影 Abend", ["Abend"]),
        ("😀 … --- 42", []),
        ("", []),
    ],
)
def test_words_that_may_be_replaced_stand_alone_and_turn_nothing(text, free):
    words, starts, numbers = words_of(text)
    assert [words[i] for i in numbers] == free
    assert all(text.startswith(word, start) for word, start in zip(words, starts, strict=True))


@given(st.text(), st.lists(st.sampled_from(["plum", "gist", "ä", "İ"]), min_size=1, max_size=9))
def test_edits_are_undone_byte_for_byte(text, new):
    words, starts, free = words_of(text)
    edits = [(starts[i], words[i], new[k % len(new)]) for k, i in enumerate(free)]
    after = edited(text, edits)
    assert edited(after, undone(edits)) == text
    assert len(after) - len(text) == sum(len(put) - len(old) for _, old, put in edits)


def test_an_edit_of_another_text_is_refused():
    with pytest.raises(ValueError, match="not where it was"):
        edited("a warm film", [(2, "cold", "plum")])


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.1, [{0: [(4, "b", "x")], 1: [(0, "c", "x")]}, {0: [(0, "a", "y")]}]),
        (0.5, [{0: [(0, "a", "y"), (4, "b", "x")], 1: [(0, "c", "x")]}, {0: [(0, "a", "y")]}]),
    ],
)
def test_a_row_is_edited_by_rate_or_with_other_words_or_by_insertion_or_not_at_all(rate, expected):
    row = LabelledRow(["a p b q", "c", None, " "], 0, 0, 1)
    ways = list(row.ways([[(4, "b", "x"), (0, "a", "y")], [(0, "c", "x")], [], []], rate))
    inserted = {part: [(place, "", f"{new} ") for place, _, new in edits] for part, edits in expected[0].items()}
    assert ways == [*expected, inserted, {}]
    assert edited("a p b q", inserted[0]).endswith("p x b q")
    assert list(row.ways([[], [], [], []], rate)) == [{}, {}]


def store():
    return Edits.of({
        9: (8, 1, {0: [(2, "warm", "plum")], 2: [(0, "a", "gist"), (4, "ö", "plum")]}),
        2**64 - 1: (2**64 - 1, 0, {}),
        3: (5, 0, {0: [(1, "x", "gist")]}),
    })  # fmt: skip


def test_the_store_gives_the_edits_of_each_row_and_no_other():
    edits = store()
    assert edits.ids.tolist() == [3, 9, 2**64 - 1]
    assert [edits.row(one) for one in (3, 9, 2**64 - 1, 5, 0)] == [0, 1, 2, None, None]
    assert [edits.protected_row(one) for one in (5, 8, 2**64 - 1, 3, 9)] == [0, 1, 2, None, None]
    assert edits.of_row(1) == {0: [(2, "warm", "plum")], 2: [(0, "a", "gist"), (4, "ö", "plum")]}
    assert edits.of_row(0) == {0: [(1, "x", "gist")]} and edits.of_row(2) == {}
    assert edits.back(1)[2] == [(0, "gist", "a"), (7, "plum", "ö")]
    assert edits.new_words() == {0: ["gist"], 1: ["plum", "gist"]}
    assert Edits.of({1: (2, 0, {0: [(0, "", "gist "), (5, "a", "gist")]})}).new_words() == {0: ["gist"]}
    edits.check(2)
    Edits.of({}).check(2)
    assert Edits.of({}).row(3) is None and Edits.of({}).protected_row(3) is None


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("ids", [3, 3, 9], "do not ascend"), ("ends", [1, 4, 5], "as many"), ("ends", [3, 1, 4], "do not ascend"),
        ("after", [1], "as many"), ("old", [0, 1, 2, 9], "that is none"), ("new", [-1, 0, 0, 0], "that is none"),
        ("places", [-1, 0, 0, 0], "that is none"), ("classes", [0, 2, 0], "label that is none"),
    ],
)  # fmt: skip
def test_a_damaged_store_is_refused(name, values, why):
    edits = store()
    damaged = replace(edits, **{name: np.array(values, getattr(edits, name).dtype)})
    with pytest.raises(ValueError, match=why):
        damaged.check(2)
    with pytest.raises(ValueError, match=f"{name} of its edits is not of the type"):
        replace(edits, **{name: getattr(edits, name).astype(np.float32)}).check(2)


def test_what_identifies_a_row_is_its_texts_after_the_edits_and_its_label():
    assert content(["a film", None], 1, {0: [(2, "film", "plum")]}) == content(["a plum", ""], 1)
    assert len({content(["a", "b"], 0), content(["a", "b"], 1), content(["a b"], 0), content(["a", "b"], "0")}) == 4
