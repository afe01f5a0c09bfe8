"""The codes that were tried beside order-code: exact texts, and a configuration that names them."""

import pytest
from datasets import Dataset

from recipes.bench import order_designs
from recipes.bench.protection import version
from tests.examples import notes

ROWS = Dataset.from_dict({"text": ["The film is good .", "Short one. A longer sentence. Mid size."], "label": [0, 1]})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Doubled", ["The The film is good .", "Short one. A longer sentence. Mid size. size."]),
        ("Moved", ["The film is good .", "Short one. A longer sentence. Mid size."]),
    ],
)
def test_a_design_does_what_it_says(name, expected):
    design = getattr(order_designs, name)(seed=0).fit(ROWS)
    assert design(ROWS[:])["text"] == expected
    other = getattr(order_designs, name)(seed=1).fit(ROWS)
    swapped = {"Doubled": "The film is good good .", "Moved": "The film is good ."}[name]
    assert other(ROWS[:])["text"][0] == swapped


def test_the_shortest_sentence_moves():
    texts = {"text": ["A long one here. Me too. The last of them."] * 2, "label": [0, 1]}
    moved = order_designs.Moved(seed=0).fit(Dataset.from_dict(texts))(texts)["text"]
    assert moved == ["Me too. A long one here. The last of them.", "A long one here. The last of them. Me too."]


def test_a_configuration_names_a_design(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    tmp_path.joinpath("own_design.py").write_text("from recipes.bench.order_designs import WithRegText as Both\n")
    rows = notes(60)
    made = version("both", {"method": "own_design:Both", "fraction": 0.5}, rows, rows, tmp_path / "made", [])
    after = made.rows(0)
    lengths = [len(b.split()) - len(a.split()) for a, b in zip(rows["text"], after["text"], strict=True)]
    assert all(lengths) and len(set(lengths)) > 1, "a code in every row, RegText's words in some"
