"""The scripts behind docs/results/proof.md: both forms of the gradient agree, and tables show every seed."""

import pytest
import torch

from hf_unlearnable.bayes import bayes_error_gradient
from recipes.bench import bayes_error_speed, proof_tables


@pytest.mark.parametrize("rows", [40, 70])
def test_the_published_form_is_the_gradient_that_the_package_computes(rows):
    features, labels = bayes_error_speed.drawn(rows, 16)
    expected = bayes_error_gradient(features, labels, bayes_error_speed.BANDWIDTH)[1]
    found = bayes_error_speed.published(features, labels, rows)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("values", "told"), [([], ""), ([0.5], "50.0"), ([0.1, 0.2], "15.0 (10.0, 20.0)"), ([1.0, 0.0, 0.5], "50.0 (100.0, 0.0, 50.0)")],
)  # fmt: skip
def test_a_cell_shows_the_mean_and_every_seed(values, told):
    assert proof_tables.shown(values) == told


def test_tables_hold_only_radii_that_were_certified_and_shares_that_were_run(monkeypatch):
    def certificate(seed, bound):
        curve = [{"radius": 0.0, "learnability": bound}, {"radius": 0.02, "learnability": None}]
        return {"study": "certificate", "method": "a", "seed": seed, "accuracy": 0.2, "bayes_error": 0.8, "curve": curve,
                "recovered": {"1.0": 0.3}}  # fmt: skip

    mixture = {"study": "mixture", "method": "b", "seed": 0, "share": 0.5, "accuracy": 0.4}
    monkeypatch.setattr(proof_tables, "lines", lambda name: [certificate(1, 0.3), mixture, certificate(0, 0.2)])
    table = proof_tables.certificates()
    assert "certified, radius 0 " in table and "radius 0.02" not in table and "25.0 (20.0, 30.0)" in table
    assert "| method | 50 % protected |" in proof_tables.mixtures() and "40.0" in proof_tables.mixtures()
