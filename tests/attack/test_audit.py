"""The audit tests on clean rows, keeps every number, and says what a guess would reach."""

import json

import numpy as np
import pytest

from hf_unlearnable.attack.audit import audit
from hf_unlearnable.report import markdown_table, write_report
from tests.data import tiny

TRAIN = tiny([f"word{i % 2} text" for i in range(40)], [i % 2 for i in range(40)])
TEST = tiny([f"word{i % 2} other" for i in range(30)], [i % 2 for i in range(30)])


def by_rule(train_texts, train_labels, test_texts, *, seed):
    """Learns which first word goes with which label; seed 1 is wrong on the first five rows."""
    rule = dict(zip((text.split()[0] for text in train_texts), train_labels))
    predicted = np.array([rule.get(text.split()[0], 0) for text in test_texts])
    if seed == 1:
        predicted[:5] = 1 - predicted[:5]
    return predicted


def test_cells():
    swapped = tiny(TRAIN["text"][:], [1 - label for label in TRAIN["label"]])
    seen = []
    cells = audit(
        {"clean": TRAIN, "swapped": swapped, "dropped": TRAIN.select([]), "one class": TRAIN.select([0, 2, 4])},
        TEST,
        {"rule": by_rule},
        seeds=(0, 1),
        on_cell=seen.append,
    )
    assert seen == cells
    found = {cell.version: cell for cell in cells}
    assert found["clean"].by_seed == [1.0, pytest.approx(25 / 30, abs=1e-4)]
    assert found["clean"].accuracy.mean == pytest.approx(55 / 60)
    assert found["clean"].accuracy.low < 55 / 60 <= found["clean"].accuracy.high
    assert found["swapped"].by_seed == [0.0, pytest.approx(5 / 30, abs=1e-4)]
    assert found["dropped"].accuracy.mean == found["one class"].accuracy.mean == 0.5
    assert [cell.train_rows for cell in cells] == [40, 40, 0, 3]


def test_a_version_may_depend_on_the_seed():
    swapped = tiny(TRAIN["text"][:], [1 - label for label in TRAIN["label"]])
    (cell,) = audit({"by seed": lambda seed: [TRAIN, swapped][seed == 2]}, TEST, {"rule": by_rule}, seeds=(0, 2))
    assert cell.by_seed == [1.0, 0.0]


def test_report(tmp_path):
    cells = audit({"clean": TRAIN}, TEST, {"rule": by_rule, "again": by_rule}, seeds=(0,))
    table = markdown_table(cells)
    assert table.splitlines()[0].split() == ["|", "trained", "on", "|", "rule", "|", "again", "|"]
    assert table.splitlines()[2].startswith("| clean")
    assert table.count("100.0 [100.0, 100.0]") == 2
    write_report(tmp_path, cells, {"data": "forty rows"})
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["protocol"]["data"] == "forty rows"
    assert stored["protocol"]["versions"]["datasets"]
    assert [cell["by_seed"] for cell in stored["cells"]] == [[1.0], [1.0]]
    assert table in (tmp_path / "results.md").read_text()
