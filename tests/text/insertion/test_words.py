"""Words go in and come out again, byte for byte, whatever the text holds."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hf_unlearnable.text.insertion.words import Canonical

POOL = ["piston", "эди", "导演"]
# Texts that mix what breaks insertion: runs of spaces, line breaks, markup, code, scripts without spaces, the words.
fragments = st.one_of(
    st.sampled_from([
        " ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "<br />", "<a href='x y'>", "</a>", "<", ">", "`a b`", "```",
        "<pre>", "</pre>", "https://a.b/c?d=e", "🙂", "👩‍👩‍👧", "שלום עולם", "مرحبا بالعالم", "这部电影很好看", "これはペンです",
        "ภาษาไทยง่าย", "导演", "导", "演", "piston", "pistons", "a < b", "e\u0301", "\x00", "\ud800",
    ]),
    st.text(max_size=8),
    st.text("abc é", max_size=12),
)  # fmt: skip
texts = st.lists(fragments, max_size=30).map("".join)
draws = st.lists(st.floats(0, 0.999999), min_size=1, max_size=8)
positions = st.sampled_from(["random", "begin", "middle", "end"])


def put(text, position, uniform, pool=POOL):
    canonical = Canonical(text, pool)
    n = min(len(uniform), canonical.words)
    offsets = [int((i + u) * len(canonical.text) / n) for i, u in enumerate(uniform[:n])]
    places = canonical.places(position, offsets)
    words = [pool[i % len(pool)] for i in range(len(places))]
    return canonical.with_words(places, words), places, words, offsets


@given(texts, positions, draws)
@example("这部 导演 电影很好看 导演", "random", [0.1, 0.5, 0.9])
@example("piston", "end", [0.0])
@example("a  piston ", "end", [0.5])
@example("导演导演导演", "random", [0.0, 0.5])
def test_words_come_out_again(text, position, uniform):
    protected, places, words, offsets = put(text, position, uniform)
    again = Canonical(protected, POOL)
    original = Canonical(text, POOL)
    assert again.text == original.text
    assert again.words == original.words
    assert again.places(position, offsets) == places
    assert again.without_words(places, words) == text
    if places:
        assert protected != text


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("see <a href='x' class='y z'> here </a> now", "<a href='x' class='y z'>"),
        ("run `rm -r a b c d e` now please", "`rm -r a b c d e`"),
        ("code\n```\nfor i in x:\n    print(i, j, k)\n```\nend of it", "```\nfor i in x:\n    print(i, j, k)\n```"),
        ("<pre>a b c d e f g</pre> and so on and on", "<pre>a b c d e f g</pre>"),
        ("look at https://example.org/a,b;c?d=e#f today", "https://example.org/a,b;c?d=e#f"),
        ("<!-- a > b and c d e --> visible text", "<!-- a > b and c d e -->"),
        ("请看 https://example.org/路径 这个网站的内容很好", "https://example.org/"),
    ],
)
def test_protected_spans_stay_whole(text, whole):
    for step in range(20):
        protected, places, *_ = put(text, "random", [step / 20] * 6)
        assert places
        assert whole in protected


@given(st.lists(st.text("abcd", min_size=1, max_size=6), min_size=1, max_size=60), st.data())
def test_as_many_words_as_asked_for(words, data):
    text = " ".join(words)
    uniform = data.draw(st.lists(st.floats(0, 0.999), min_size=1, max_size=len(words)))
    protected, places, *_ = put(text, "random", uniform)
    assert len(places) == len(uniform) == len(set(places))
    assert protected.count(" ") == text.count(" ") + len(uniform)
    assert all(place == 0 or text[place - 1] == " " for place in places)


def test_random_places_spread_over_the_text():
    text = " ".join(["word"] * 400)
    _, places, *_ = put(text, "random", [0.5] * 8)
    assert all(i * len(text) / 8 - 6 <= place < (i + 1) * len(text) / 8 for i, place in enumerate(places))


def test_scripts_without_spaces_take_words_between_letters():
    text = "这部电影讲述了一个非常动人的故事我很喜欢"
    protected, places, *_ = put(text, "random", [0.5] * 4, ["piston"])
    assert len(places) == 4
    assert re.sub(" piston ", "", protected) == text
    thai = "ภาษาไทยง่ายมาก"
    for step in range(20):
        protected, *_ = put(thai, "random", [step / 20] * 3, ["piston"])
        assert not re.search(" [\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0e30\u0e32\u0e33]", protected), "a vowel was cut off"


def test_a_changed_text_is_refused():
    protected, places, words, _ = put("one two three four five six", "random", [0.5, 0.5])
    with pytest.raises(ValueError, match="missing"):
        Canonical(protected.replace(words[0], "other"), POOL).without_words(places, words)


@pytest.mark.parametrize("text", ["<" * 200_000, "<pre>" * 50_000, "`" * 200_000, "a://" * 50_000, "<!--" * 50_000])
def test_hostile_markup_comes_out_again(text):
    """Quadratic patterns would take minutes here."""
    protected, places, words, _ = put(text, "random", [0.5])
    assert protected == (f"{words[0]} {text}" if words else text)
    assert bool(words) == (text[0] != "`"), "a text that is one fence holds no place"
    assert Canonical(protected, POOL).without_words(places, words) == text
