"""Wear of texts: what each real tool gives back, drops, and says where it is not installed."""

import pytest

from hf_unlearnable import _extras
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.wear import TEXT_WEAR
from hf_unlearnable.text.wear.quality import without_near_copies

PAGE = (
    "The house that we have been looking for was to be found at the end of the street. It has a garden with old "
    "apple trees, and from each of its windows you can see the river.\nNobody of us had been there before, but all "
    "knew at once that this would be the place where we wanted to live with our three dogs and a parrot."
)
TEXTS = [
    "Ｗide and ﬁne",
    "A cafe\u0301 in Straße",
    "MIXED Case, twice!",
    "x < y & z > 1",
    "emoji 👩‍👩‍👧 and tab\there",
]


def worn(name, texts):
    return TEXT_WEAR[name].on_rows(Rows(texts, list(range(len(texts)))), Attacker())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nfc", ["Ｗide and ﬁne", "A café in Straße", *TEXTS[2:]]),
        ("nfkc", ["Wide and fine", "A café in Straße", *TEXTS[2:]]),
        ("lower-case", ["ｗide and ﬁne", "a cafe\u0301 in straße", "mixed case, twice!", *TEXTS[3:]]),
        ("tokens-bpe", TEXTS),
    ],
)
def test_a_change_of_letters_is_that_of_its_name(name, expected):
    if name == "tokens-bpe":
        pytest.importorskip("tokenizers")
    left = worn(name, TEXTS)
    assert (left.inputs, left.labels) == (expected, [0, 1, 2, 3, 4])


@pytest.mark.parametrize("name", ["nfc", "nfkc", "lower-case", "tokens-bpe", "html-and-back", "keyword-cleaning"])
@pytest.mark.parametrize(("texts", "labels"), [(["", PAGE, ""], [1]), ([], []), ([""], []), ([PAGE, ""], [0])])
def test_a_text_of_which_nothing_is_left_is_dropped(name, texts, labels):
    pytest.importorskip("trafilatura")
    assert worn(name, texts).labels == labels


def test_html_keeps_paragraphs_and_shows_markup_as_it_is():
    pytest.importorskip("trafilatura")
    markup = PAGE.replace("old apple trees", "<b>old</b> apple trees & more")
    assert worn("html-and-back", [PAGE, markup]).inputs == [PAGE, markup]


def test_keyword_cleaning_takes_what_many_texts_are_about():
    pytest.importorskip("yake")
    subjects = "harbour lantern violin meadow tunnel".split()
    texts = [
        f"The zeppelin over the {subject} was painted in {colour}."
        for subject in subjects
        for colour in ("red", "teal")
    ]
    left = worn("keyword-cleaning", [*texts, "Zeppelin"])
    assert left.inputs == [f"The over the {subject} was painted in ." for subject in subjects for _ in range(2)]
    assert left.labels == list(range(10)), "the text of nothing else is dropped"


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("html-and-back", "trafilatura", "wear"), ("gopher-quality", "spacy", "quality"),
     ("keyword-cleaning", "yake", "attack"), ("fineweb-quality", "datatrove", "quality"), ("minhash-deduplication", "spacy", "quality"), ("tokens-minilm", "transformers", "attack")],
)  # fmt: skip
def test_a_tool_that_is_not_installed_says_what_to_install(monkeypatch, name, module, extra):
    monkeypatch.setattr(_extras, "find_spec", lambda asked: None if asked == module else asked)
    with pytest.raises(ImportError, match=rf'{module} not installed. Install the "{extra}" extra'):
        worn(name, [PAGE])


@pytest.mark.parametrize(
    ("name", "kept"),
    [("gopher-quality", [0]), ("gopher-repetition", [0]), ("fineweb-quality", [0])],
)
def test_a_quality_filter_keeps_a_page_and_drops_debris(name, kept):
    pytest.importorskip("datatrove")
    pytest.importorskip("spacy")
    debris = ["", "spam " * 60, "buy now\n" * 80]
    left = worn(name, [PAGE, *debris])
    assert (left.inputs, left.labels) == ([PAGE], kept)


def test_every_short_text_is_dropped_by_gopher_quality():
    pytest.importorskip("datatrove")
    pytest.importorskip("spacy")
    left = worn("gopher-quality", TEXTS)
    assert (left.inputs, left.labels) == ([], [])


def test_a_tokenizer_is_read_from_the_folder_that_is_named(tmp_path):
    transformers = pytest.importorskip("transformers")
    words = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "the", "house", ".", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "model")
    found = TEXT_WEAR["tokens-minilm"].change(["The Houses.", "THE  house"], model=str(tmp_path / "model"))
    assert found == ["the houses.", "the house"]


SENTENCES = [
    "The old mill by the river was sold to a family from the north last autumn.",
    "They have painted its door in a deep green that the neighbours first laughed about.",
    "In the evening you can hear the wheel turn, and the children count how often it does.",
    "Nobody knows who built it, for the papers were lost when the town hall burned.",
    "A teacher once wrote that monks had lived there, but she gave no reason for it.",
    "What is certain is that the stones of the lower wall are much older than the rest.",
]


def long_page(*places):
    """A page of the sentences at these places."""
    return " ".join(SENTENCES[place] for place in places)


def test_near_copies_of_an_earlier_text_are_dropped_in_any_spelling():
    pytest.importorskip("datatrove")
    pytest.importorskip("spacy")
    whole, other = long_page(0, 1, 2, 3, 4, 5), PAGE
    near = whole.replace("deep green", "DEEP, green").replace("last autumn", "in autumn")
    left = worn("minhash-deduplication", [whole, other, near, "", "too short", whole, "too short"])
    assert (left.inputs, left.labels) == ([whole, other, "", "too short", "too short"], [0, 1, 3, 4, 6])
    assert worn("minhash-deduplication", []).inputs == []


def test_copies_of_a_third_text_are_copies_of_each_other(monkeypatch):
    """The middle text shares one bucket with either neighbour, which share none."""
    given = {"a": [[1], [2]], "b": [[3], [4]], "c": [[1], [4]], "d": [[4], [1]]}
    monkeypatch.setattr("hf_unlearnable.text.wear.quality.signatures", lambda texts: [given[text] for text in texts])
    assert without_near_copies(["a", "b", "c", "d"]) == ["a", None, None, "d"]


def test_the_pipeline_keeps_pages_once_and_drops_what_any_of_its_parts_drops():
    pytest.importorskip("datatrove")
    pytest.importorskip("spacy")
    page = long_page(0, 1, 2, 3, 4, 5)
    bracket, cookies = page + " {", page + "\nThis site uses cookies as all others do."
    texts = [bracket, page, "spam " * 60, cookies, "Short.", page, ""]
    assert worn("c4-quality", texts).labels == [1, 3, 5]
    left = worn("fineweb-pipeline", texts)
    assert (left.inputs, left.labels) == ([page], [1])
    assert worn("c4-quality", [cookies]).inputs == [page], "the line about cookies is deleted"


@pytest.mark.parametrize("texts", [[], [""], TEXTS])
def test_a_pipeline_may_drop_every_text(texts):
    pytest.importorskip("datatrove")
    pytest.importorskip("spacy")
    assert worn("fineweb-pipeline", texts).inputs == []
