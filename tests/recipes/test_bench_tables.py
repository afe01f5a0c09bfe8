"""The tables of attacks that a reader sees are those of the cells."""

import re

import pytest

from recipes.bench import tables


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.stem)
def test_every_table_is_what_its_cells_say(page):
    text = page.read_text(encoding="utf-8")
    assert tables.filled(text) == text


def test_every_table_of_countermeasures_stands_on_a_page():
    pages = "".join(page.read_text(encoding="utf-8") for page in tables.PAGES)
    missing = set(tables.tables()) - set(re.findall(r"<!-- table: (\w+) -->", pages))
    assert all(len(tables.tables()[name].splitlines()) == 3 for name in missing), "more than the row without any"


def test_a_changed_number_is_noticed():
    page = tables.PAGES[0].read_text(encoding="utf-8")
    forged = page.replace("| 77.9 |", "| 79.9 |", 1)
    assert forged != page and tables.filled(forged) == page
