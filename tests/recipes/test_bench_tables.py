"""The tables of attacks that a reader sees are those of the cells."""

import pytest

from recipes.bench import tables


@pytest.mark.parametrize("page", tables.PAGES, ids=["bench", "front page"])
def test_every_table_is_what_its_cells_say(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("<!-- table: ") >= 2
    assert tables.filled(text) == text


def test_a_changed_number_is_noticed():
    page = tables.PAGES[1].read_text(encoding="utf-8")
    first = page.index("| clean | ") + len("| clean | ")
    forged = page[:first] + "99" + page[first + 2 :]
    assert forged != page and tables.filled(forged) == page
