"""The README is short, and a sentence of any page too."""

import re

import pytest

from tests import ROOT
from tests.docs.markdown import PAGES, name_of, prose, read, sentences, words

README = read(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_sentence_has_at_most_25_words(page):
    assert [one for one in sentences(read(page)) if len(words(one)) > 25] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_speaks_in_riddles(page):
    assert not re.search(r"\bwhoever\b|no lock|riddle", prose(read(page)), re.IGNORECASE)


def test_the_readme_has_at_most_900_words():
    without_tables = "\n".join(line for line in README.splitlines() if not line.startswith("|"))
    assert len(without_tables.split()) <= 900


def test_the_readme_installs_within_120_words():
    before = README[: README.index("pip install")]
    assert len(prose(before).split()) <= 120


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("One two three. Four five.\n", [3, 2]),
        ("- one two\n- three `four` five\n", [2, 3]),
        ("# A title\n\nOne two,\nthree.\n", [2, 3]),
        ("| a | b |\n|---|---|\n\nOne [two three](four.md).\n", [3]),
        ("**Bold one.** Two 0.5 three 8/255.\n", [2, 4]),
        ("One.\n\n```python\nfive = 5\n```\n<!-- six -->\n", [1]),
    ],
)
def test_words_of_sentences_are_counted(text, counts):
    assert [len(words(one)) for one in sentences(text)] == counts
