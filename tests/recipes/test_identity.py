"""Whether hashes still find protected data: distances, the limits of a match, and the tables made of them."""

import json

import numpy as np
import pytest
from PIL import Image

from recipes.bench import identity as bench
from recipes.bench import tables


def first_bits(count):
    """A picture whose top row tells how many of 16 bits are set."""
    return Image.fromarray((np.arange(16)[None, :, None] < count).repeat(3, 2).astype(np.uint8) * 255)


def top_row(image):
    return np.asarray(image)[0, :, 0] > 0


@pytest.mark.parametrize(
    ("before", "after", "within", "found", "distance"),
    [
        ([0, 3], [0, 3], 0, 1.0, 0.0),
        ([0, 3], [2, 3], 1, 0.5, 1.0),
        ([0, 3], [2, 3], 2, 1.0, 1.0),
        ([0, 0, 0, 16], [1, 4, 9, 0], 4, 0.5, 6.5),
        ([0], [16], 15, 0.0, 16.0),
    ],
)
def test_a_match_is_a_distance_within_the_limit(before, after, within, found, distance):
    told = bench.found(top_row, list(map(first_bits, before)), list(map(first_bits, after)), within)
    assert told == {"found": found, "distance": distance}


def test_texts_are_found_by_their_runs_of_words():
    pytest.importorskip("datatrove", reason="MinHash needs the quality extra")
    text = "the quick brown fox jumps over the lazy dog and runs home to sleep until the next morning comes"
    assert bench.copied([text, text], [text, " ".join(reversed(text.split()))]) == {"found": 0.5}
    assert bench.copied(["two words"], ["two words"]) == {"found": None}


def test_the_tables_show_shares_in_percent_and_strangers_last(monkeypatch, tmp_path):
    cells = [("strangers", "PDQ", 0.0), ("texture", "PDQ", 1.0), ("texture", "pHash", 0.426)]
    told = [{"data": "flowers", "method": method, "hash": name, "found": share} for method, name, share in cells]
    monkeypatch.setattr(tables, "lines", lambda name: told)
    assert tables.identity({"flowers": "photos"}).splitlines()[0] == "| method | photos, PDQ | photos, pHash |"
    assert tables.identity({"flowers": "photos"}).splitlines()[2:] == [
        "| texture | 100 | 43 |",
        "| strangers | 0 |  |",
    ]
    assert tables.identity({"cifar10_jpeg": "small"}).splitlines()[2:] == []


def test_no_cell_stands_twice():
    cells = [bench.key_of(cell) for cell in bench.lines_of(bench.OUTPUT)]
    assert len(set(cells)) == len(cells) >= 94


def test_a_cell_of_another_version_is_not_done(tmp_path):
    cell = {"data": "sst2", "method": "regtext", "hash": "minhash", "method_version": 1}
    (tmp_path / "cells.jsonl").write_text(json.dumps(cell) + "\n", encoding="utf-8")
    assert not bench.done(tmp_path / "cells.jsonl", "sst2", "regtext", "minhash")
