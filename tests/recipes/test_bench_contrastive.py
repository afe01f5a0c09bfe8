"""The table of docs/results/contrastive.md: the worst case is that of learners, and says how many of them ran."""

import pytest

from recipes.bench import contrastive_tables


def cell(accuracy):
    return {"accuracy": [accuracy, accuracy - 0.02, accuracy + 0.02], "version": "a", "method_version": 1}


@pytest.mark.parametrize(
    ("cells", "worst"),
    [
        ({("small_cnn", "a"): 0.2, ("simclr_probe", "a"): 0.4}, "40.0"),
        ({("small_cnn", "a"): 0.5, ("simclr_probe", "a"): 0.4}, "50.0"),
        ({("simclr_probe", "a"): 0.4, ("small_cnn", "b"): 0.2}, "40.0, of 1"),
        ({("simclr_probe", "a"): 0.4, ("untrained", "a"): 0.9}, "40.0"),
    ],
)
def test_the_worst_case_is_that_of_the_learners_that_ran(monkeypatch, cells, worst):
    found = {(victim, name, "none"): cell(accuracy) for (victim, name), accuracy in cells.items()}
    monkeypatch.setattr(contrastive_tables, "load", lambda name: found)
    head, _, row, *_ = (
        [part.strip() for part in line.split("|")[1:-1]] for line in contrastive_tables.contrastive().splitlines()
    )
    assert head[-1] == "worst case" and row[0] == "a" and row[-1] == worst
    assert len(head) == len(row) == 2 + len({victim for victim, _ in cells})
