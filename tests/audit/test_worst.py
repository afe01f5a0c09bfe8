"""The worst of supervised and of contrastive learners is said where both are in the grid."""

from dataclasses import replace

import pytest

from hf_unlearnable import report
from hf_unlearnable.audit.grid import audit as grid_of
from hf_unlearnable.audit.records import Version
from hf_unlearnable.audit.worst import by_family, named, worst_case
from hf_unlearnable.image.victims import small_cnn, supcon_probe
from tests.audit.test_report import BASE, audit, cell
from tests.examples import pictures

SIMCLR = (cell("clean", "simclr", 0.85), cell("dropped", "simclr", 0.5))


def found(*cells, contrastive=("simclr",)):
    return replace(audit(*BASE, *SIMCLR, *cells), contrastive=list(contrastive))


@pytest.mark.parametrize(
    ("supervised", "contrastive", "worst", "said"),
    [
        (0.55, 0.8, "simclr", ("cnn (55.0 [", "simclr (80.0 [")),
        (0.7, 0.6, "cnn", ("cnn (70.0 [", "simclr (60.0 [")),
        (0.5, 0.5, "cnn", ("cnn (50.0 [", "simclr (50.0 [")),
    ],
)
def test_each_family_has_its_worst_and_the_worst_of_both_is_the_headline(supervised, contrastive, worst, said):
    one = found(cell("ours", "cnn", supervised), cell("ours", "simclr", contrastive))
    assert worst_case(one, "ours").victim == worst
    told = by_family(one, "ours", True)
    assert told.startswith(f"The worst of the supervised learners is {said[0]}")
    assert f"that of the contrastive ones {said[1]}" in told
    assert told.strip() in report.verdict(one, "ours") and f"At worst, {worst} reaches" in report.verdict(one, "ours")


@pytest.mark.parametrize("contrastive", [(), ("cnn", "simclr"), ("other",)])
def test_one_family_alone_is_not_told_apart(contrastive):
    one = found(cell("ours", "cnn", 0.6), cell("ours", "simclr", 0.7), contrastive=contrastive)
    assert by_family(one, "ours", True) == "" and "contrastive" not in report.verdict(one, "ours")


def test_a_family_that_learned_nothing_is_not_told():
    one = found(cell("ours", "cnn", 0.6), cell("ours", "byol", 0.7), cell("clean", "byol", 0.5), contrastive=["byol"])
    assert by_family(one, "ours", True) == ""


def test_countermeasures_are_named_or_not_in_both_families():
    one = found(
        cell("ours", "cnn", 0.6), cell("ours", "cnn", 0.7, "filter"), cell("ours", "simclr", 0.6),
        cell("ours", "simclr", 0.65, "jpeg"),
    )  # fmt: skip
    assert "cnn after filter (" in by_family(one, "ours", True) and "simclr after jpeg (" in by_family(
        one, "ours", True
    )
    unnamed = by_family(one, "ours", False)
    assert "filter" not in unnamed and unnamed.count("after a countermeasure") == 2
    assert named(replace(one, wear=["jpeg"]), one.cells[-1], False) == "simclr after wear"


def test_the_grid_knows_which_of_its_victims_are_contrastive():
    rows, test = pictures(24), pictures(12, seed=1)
    victims = {"cnn": small_cnn.configured(epochs=1), "views": supcon_probe.configured(epochs=1)}
    made = grid_of([Version("clean", rows, "clean", share=0.0)], test, victims, input_column="image")
    assert made.contrastive == ["views"] and {one.victim for one in made.cells} == {"cnn", "views"}
