"""The tables of attacks that a reader sees are those of the cells."""

import re

import pytest

from recipes.bench import attack_tables, recording_tables, tables


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


def cell(victim, version, countermeasure, accuracy, method_version=2, **more):
    """One entry of the cells that tables are made of."""
    found = {"victim": victim, "version": version, "countermeasure": countermeasure, "seeds": [0], **more}
    found |= {"accuracy": [accuracy, accuracy - 0.02, accuracy + 0.02], "method_version": method_version}
    return (victim, version, countermeasure), found


CELLS = dict(
    [
        cell("small_cnn", "texture", "none", 0.9),
        cell("small_cnn", "texture", "jpeg-10", 0.6),
        cell("small_cnn", "texture", "cutout", 0.65, method_version=1),
        cell("small_cnn", "texture", "clean-20%", 0.8),
        cell("small_cnn", "texture", "jpeg-10+cutout", 0.5),
        cell("small_cnn", "one-pixel (OPS)", "jpeg-10", 0.6, method_version=1),
        cell("small_cnn_30", "one-pixel (OPS)", "none", 0.7, method_version=1, protocol={"epochs": 30}),
        cell("small_cnn_30", "one-pixel (OPS)", "clean-5%", 0.75, method_version=1, protocol={"epochs": 30}),
        cell("small_cnn", "clean", "jpeg-10", 0.9, method_version=None),
    ]
)


@pytest.mark.parametrize(
    ("version", "countermeasure", "told"),
    [("texture", "jpeg-10", "60.0"), ("texture", "cutout", "65.0 v1"), ("one-pixel (OPS)", "jpeg-10", "60.0")],
)
def test_a_number_of_an_earlier_version_is_marked(version, countermeasure, told):
    found = CELLS["small_cnn", version, countermeasure]
    assert attack_tables.short(found) == told
    assert attack_tables.whole(found).startswith(told[:4]) and attack_tables.whole(found).endswith(told[4:])


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("texture", "65.0 [63.0, 67.0] v1, cutout"),
        ("one-pixel (OPS)", "70.0 [68.0, 72.0], 30 epochs"),
        ("linearization (PIL)", ""),
        ("clean", ""),
    ],
)
def test_the_worst_case_counts_long_training_and_not_the_attackers_own_rows(version, told):
    assert attack_tables.worst(CELLS, "small_cnn", version) == told


def test_what_ran_is_counted_against_the_whole_grid_without_compositions():
    singles = len(attack_tables.IMAGE_COUNTERMEASURES) + 1
    assert attack_tables.ran(CELLS, "small_cnn", "texture") == f"3 of {singles}, and 1 of an earlier version"
    assert attack_tables.ran(CELLS, "small_cnn_30", "one-pixel (OPS)") == f"2 of {singles}"
    rows = [one for one in attack_tables.IMAGE_COUNTERMEASURES.values() if one.in_training is None]
    assert attack_tables.ran(CELLS, "linear_probe", "texture") == f"0 of {len(rows) + 1}", (
        "it takes nothing in training"
    )
    assert "| OPS | 1 of" in attack_tables.coverage(CELLS) and attack_tables.ran(CELLS, "small_cnn", "clean") == ""


def test_the_worst_case_of_recordings_stands_first_where_it_is_lowest_beside_its_price(monkeypatch):
    cells = dict(
        [
            cell("log_mel_cnn", "equalizer", "none", 0.2),
            cell("mfcc_linear", "equalizer", "gap-repair", 0.7),
            cell("mfcc_linear", "equalizer", "clean-20%", 0.9),
            cell("log_mel_cnn", "equalizer, narrow", "none", 0.5),
            cell("log_mel_cnn", "random noise", "none", 0.1),
        ]
    )
    heard = [{"version": "equalizer", "pesq": [3.0, 3.5, 3.1], "stoi": [0.9, 0.95, 0.97]}]
    monkeypatch.setattr(recording_tables, "lines", lambda name: heard)
    _, _, *rows = [row.split(" | ") for row in recording_tables.worst_first(cells).splitlines()]
    assert [row[0].strip("| ") for row in rows] == ["equalizer, narrow", "**equalizer** (ours)"]
    assert rows[1][1:4] == ["70.0 [68.0, 72.0]", "mfcc_linear", "gap-repair"]
    assert rows[1][4].startswith("2 of ") and [one.strip(" |") for one in rows[1][5:]] == ["3.10", "0.95"]
