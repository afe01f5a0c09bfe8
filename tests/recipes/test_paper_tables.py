"""The tables of the papers' experiments, from cells: what is counted, and that what did not run is an empty cell."""

import json

import pytest

from recipes.bench import paper_tables


def rows_of(table):
    """The cells of a Markdown table, by the first one of each row."""
    parts = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {first: rest for first, *rest in (parts[0], *parts[2:])}


def cell(accuracy=0.5, **more):
    return {"version": "x", "accuracy": [accuracy, accuracy - 0.1, accuracy + 0.1], "seeds": [0], **more}


ALONE = [[10, 30, 0, 0, 0], [0, 40, 0, 0, 0], [4, 0, 36, 0, 0], [0, 0, 0, 20, 20], [0, 0, 0, 0, 40]]


def test_of_one_protected_class_its_images_those_taken_for_it_and_the_others_are_counted():
    cells = {("small_cnn", "texture, one class", "none"): cell(confusion=ALONE)}
    found = rows_of(paper_tables.one_class(cells))
    assert found["texture, one class"] == ["25.0", "2.5", "85.0"] and found["clean"] == ["", "", ""]
    counted = rows_of(paper_tables.confusion(cells))
    assert counted["dog"] == ["/ 25 /", "/ 75 /", "/ 0 /", "/ 0 /", "/ 0 /"] and counted["ship"][3:] == ["/ 50 /"] * 2
    carried = rows_of(paper_tables.carried_class({("small_resnet", "class 5, texture, carried", "none"):
                                                  cell(confusion=ALONE)}))  # fmt: skip
    assert carried["texture, carried from classes 0 to 5"] == ["", "", "25.0", "85.0"]
    assert carried["texture, made in this task"] == [""] * 4


def test_a_dose_stands_under_the_way_that_it_was_trained():
    cells = {("small_cnn_plain", "error-min, class, 4/255", "none"): cell(0.21),
             ("small_cnn", "gray, sample, 8/255", "grayscale"): cell(0.4)}  # fmt: skip
    found = rows_of(paper_tables.dose(cells))
    assert found["class-wise, 4/255"] == ["21.0", "", "", "", ""]
    assert found["sample-wise, 8/255, made on gray images"] == ["", "", "", "", "40.0"]
    assert len(found) == 1 + 1 + 2 * 4 + 2


def test_a_curve_is_the_mean_over_keys_after_some_epochs_and_its_best():
    one = [[epoch / 50, epoch / 50] for epoch in range(1, 31)]
    two = [[0.5, 0.3]] * 30
    cells = {("small_cnn_30", "texture", "none"): cell(curves=[one, two], peak=0.2)}
    found = rows_of(paper_tables.curves(cells))
    assert found["texture"] == ["26 / 16", "27 / 17", "29 / 19", "32 / 22", "37 / 27", "45 / 35", "55 / 45", "20.0"]
    assert found["clean"] == [""] * 8


def test_sensitivity_is_of_the_sick_and_specificity_of_the_healthy(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/medical.yaml").write_text("versions: {clean: clean, texture: {method: texture}}")
    monkeypatch.setattr(paper_tables, "BENCH", tmp_path / "bench")
    (tmp_path / "bench").mkdir()
    assert rows_of(paper_tables.medical())["texture"] == [""] * 4
    line = {"version": "texture", "countermeasure": "jpeg-10", "confusion": [[30, 10], [4, 36]], "seeds": [0, 1]}
    (tmp_path / "bench/medical.jsonl").write_text(json.dumps(line) + "\n")
    found = rows_of(paper_tables.medical())
    assert found["texture"] == ["", "", "90.0 (2)", "75.0 (2)"] and found["clean"] == [""] * 4


@pytest.mark.parametrize("share", paper_tables.SHARES)
def test_a_share_stands_beside_its_clean_part(share):
    cells = {("small_cnn", f"{share} % error-min", "none"): cell(0.6),
             ("small_cnn", f"clean part at {share} %", "none"): cell(0.7)}  # fmt: skip
    found = rows_of(paper_tables.shares(cells))
    assert found[f"{share} %"] == ["60.0 [50.0, 70.0]", "70.0 [60.0, 80.0]"]
