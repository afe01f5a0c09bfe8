"""Wear of texts: what each real tool gives back, drops, and says where it is not installed."""

import pytest

from hf_unlearnable import _extras
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.wear import TEXT_WEAR

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
     ("keyword-cleaning", "yake", "attack"), ("fineweb-quality", "datatrove", "quality"), ("tokens-minilm", "transformers", "attack")],
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
