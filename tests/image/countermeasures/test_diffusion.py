"""Purification by a diffusion model: sizes, repetition, whose images it learns from."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="purification needs torch")
pytest.importorskip("diffusers", reason="purification needs diffusers")

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.image import ddpm
from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES, purification

rng = np.random.default_rng(0)
IMAGES = list(rng.integers(90, 110, (8, 9, 14, 3), np.uint8))
CLEAN = Rows(list(rng.integers(10, 30, (8, 9, 14, 3), np.uint8)), [0] * 8)


@pytest.fixture
def few(monkeypatch):
    """Few updates; and what the model was trained on."""
    seen, real = [], ddpm.trained_ddpm

    def watched(made, images, targets, training, then):
        seen.append((images.numpy(), targets, training))
        return real(made, images, targets, training, then)

    monkeypatch.setattr("hf_unlearnable.image.countermeasures.diffusion._UPDATES", 3)
    monkeypatch.setattr("hf_unlearnable.image.countermeasures.diffusion._DRAWN", 10)
    monkeypatch.setattr(ddpm, "trained_ddpm", watched)
    return seen


def test_images_keep_their_size_and_labels_and_the_model_learns_from_what_was_published(few):
    rows = Rows(IMAGES, list(range(8)))
    found = IMAGE_COUNTERMEASURES["diffusion-purification"].on_rows(rows, Attacker(seed=1))
    assert [image.shape for image in found.inputs] == [(9, 14, 3)] * 8 and found.labels == rows.labels
    ((images, targets, training),) = few
    assert images.shape == (8, 16, 16, 3) and 90 <= images.mean() <= 110 and targets is None
    assert training.epochs == 3 and training.seed == 1


@pytest.mark.parametrize(
    ("share", "published", "known"), [(0.05, None, 1), (0.5, 8, 4), (0.05, 100, 5), (9.0, None, 8)]
)
def test_with_clean_images_the_model_learns_from_these_alone(few, share, published, known):
    attacker = Attacker(clean=CLEAN, published=published)
    purification(clean=share).on_rows(Rows(IMAGES, [0] * 8), attacker)
    ((images, _, _),) = few
    assert len(images) == known and images.mean() < 40


def test_the_seed_decides_what_comes_out(few):
    change = IMAGE_COUNTERMEASURES["diffusion-purification"].on_rows
    one, two, other = (change(Rows(IMAGES, [0] * 8), Attacker(seed=seed)).inputs for seed in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_nothing_becomes_nothing(few):
    assert len(IMAGE_COUNTERMEASURES["diffusion-purification"].on_rows(Rows([], []), Attacker())) == 0 and not few


def test_a_laptop_s_grid_leaves_it_out_for_what_it_costs():
    from hf_unlearnable.image.modality import IMAGE

    dear = [name for name, one in IMAGE_COUNTERMEASURES.items() if one.cost > IMAGE.grids["laptop"].dearest]
    assert dear == ["diffusion-purification", "diffusion-purification-clean-5%"]
    assert IMAGE_COUNTERMEASURES[dear[1]].needs == ("clean",)
