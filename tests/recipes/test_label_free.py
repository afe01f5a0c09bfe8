"""What filters without labels leave: shares of words and of a change of pixels, and what clean rows lose."""

import numpy as np
import pytest

from recipes.bench import label_free as bench
from recipes.bench import tables


def test_words_left_and_lost():
    clean, protected = ["a b c d", "e f"], ["a zorp b c d zorp", "quib e f"]
    found = bench.words_left(clean, protected, ["a b c", "e f"], ["a b c zorp", "quib e f"])
    assert found == {"left": 0.6667, "lost": 0.1667}


@pytest.mark.parametrize(("after", "left"), [(8, 1.0), (0, 0.0), (4, 0.5), (-8, -1.0)])
def test_pixels_left_and_lost(after, left):
    clean = [np.full((4, 4, 3), 100, np.uint8)]
    protected, filtered = ([np.full((4, 4, 3), 100 + change, np.uint8)] for change in (8, after))
    found = bench.pixels_left(clean, protected, [clean[0] + np.uint8(3)], filtered)
    assert found == {"left": left, "lost": 3.0}


def test_a_filter_sees_one_label(monkeypatch):
    seen = []
    tried = {"made": type("Made", (), {"on_rows": staticmethod(lambda rows, attacker: seen.append(rows) or rows)})}
    monkeypatch.setattr(bench, "countermeasures_of", lambda kind: tried)
    assert bench.filtered("text", "made", ["a", "b"]) == ["a", "b"] and seen[0].labels == [0, 0]


def test_the_table_shows_what_is_left_and_in_parentheses_what_is_lost(monkeypatch):
    cell = {"data": "imdb", "version": "regtext", "filter": "keyword-filter", "left": 0.004, "lost": 0.0144}
    monkeypatch.setattr(tables, "lines", lambda name: [cell, {**cell, "data": "sst2"}])
    assert tables.label_free({"imdb": "IMDb"}).splitlines()[2:] == ["| IMDb | regtext | 0.00 (0.014) |"]
