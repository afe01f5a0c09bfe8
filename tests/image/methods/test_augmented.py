"""Noise under the views of contrastive learners (AUE, AAP): what its rounds do, and what it refuses."""

import math
from dataclasses import fields

import numpy as np
import pytest
import torch

from hf_unlearnable import AugmentedErrorMaxTransform, AugmentedErrorMinTransform
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.image.learning.views import contrastive_view
from hf_unlearnable.learning.pgd import frozen
from tests.examples import pictures
from tests.image.methods.cases import fitted

BOTH = ["augmented-error-min", "augmented-error-max"]
KNOWING = {
    "surrogate": "tiny_cnn",
    "surrogate_epochs": 12,
    "batch_size": 16,
    "num_steps": 8,
}  # it has learned a little


@pytest.fixture
def learner(monkeypatch):
    """The learner of the last fit, and what each of its calls was told."""
    told = {"train": [], "update": [], "rate": []}
    for name in ("train", "update"):
        inner = getattr(NoiseLearner, name)

        def watched(self, *args, inner=inner, name=name, **options):
            told[name].append(options)
            told["learner"] = self
            if name == "train":
                told["rate"].append(self.optimizer.param_groups[0]["lr"])
            return inner(self, *args, **options)

        monkeypatch.setattr(NoiseLearner, name, watched)
    return told


def loss_of_views(learner, targets, noise=True):
    """The surrogate's mean loss over many views of the images, with their noise or without."""
    kept = learner._noise.now.clone()
    if not noise:
        learner._noise.now.zero_()
    seen, _ = learner.seen(torch.arange(len(targets)))
    learner._noise.now.copy_(kept)
    generator, model = torch.Generator().manual_seed(1), frozen(learner.model)
    views = [contrastive_view(seen, generator, 0.6) for _ in range(20)]
    return float(torch.nn.functional.cross_entropy(model(torch.cat(views)), targets.repeat(20)))


@pytest.mark.parametrize(
    ("name", "parameters", "shift", "sign"),
    [
        ("augmented-error-min", {}, 0, -1),
        ("augmented-error-max", KNOWING, 1, -1),
        ("augmented-error-max", {**KNOWING, "targeted": False}, 0, 1),
    ],
)
def test_the_noise_moves_the_loss_of_views_that_it_did_not_see(learner, name, parameters, shift, sign):
    fitted(name, pictures(48), max_rounds=4, step_size=4 / 255, view_strength=0.6, **parameters)
    model = learner["learner"]
    targets = (model.targets + shift) % 4
    with_noise, without = (loss_of_views(model, targets, noise) for noise in (True, False))
    assert sign * (with_noise - without) > 0.02


@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("name", BOTH)
def test_surrogate_and_noise_see_views_of_the_strength(learner, name, strength):
    fitted(name, pictures(12), view_strength=strength)
    assert learner["train"] and learner["update"]
    images = torch.rand(4, 3, 12, 12)
    expected = contrastive_view(images, torch.Generator().manual_seed(2), strength)
    for options in learner["train"] + learner["update"]:
        assert torch.equal(options["view"](images, torch.Generator().manual_seed(2)), expected)


def test_the_learning_rate_falls_over_the_rounds_and_over_the_epochs(learner):
    fitted("augmented-error-min", pictures(12), max_rounds=4, learning_rate=0.2)
    assert learner["rate"] == pytest.approx([0.1 * (1 + math.cos(math.pi * i / 4)) for i in range(4)])
    learner["rate"].clear()
    fitted("augmented-error-max", pictures(12), surrogate_epochs=3, max_rounds=2, learning_rate=0.2)
    assert learner["rate"] == pytest.approx([0.1 * (1 + math.cos(math.pi * i / 3)) for i in range(3)])


@pytest.mark.parametrize(
    ("name", "parameters", "passes"),
    [
        ("augmented-error-min", {"max_rounds": 3}, 3 * 2),
        ("augmented-error-min", {"max_rounds": 2, "num_steps": 5}, 2 * 6),
        ("augmented-error-min", {"max_rounds": 2, "noise": "class"}, 2 * 2),
        ("augmented-error-max", {"max_rounds": 2, "num_steps": 3, "surrogate_epochs": 4}, 4 + 2 * 3),
    ],
)
def test_passes_are_those_of_the_schedule(name, parameters, passes):
    assert fitted(name, pictures(20), batch_size=20, **parameters).image_passes == 20 * passes


@pytest.mark.parametrize("name", BOTH)
def test_the_noise_of_the_last_round_is_kept(learner, name):
    cloak = fitted(name, pictures(16), max_rounds=3, step_size=2 / 255)
    assert np.array_equal(np.sort(cloak._noise.levels), np.sort(learner["learner"]._noise.now.numpy()))


@pytest.mark.parametrize("noise", ["sample", "class"])
def test_noise_follows_the_key_and_keeps_its_bound(noise):
    dataset = pictures(16)
    levels = [
        fitted("augmented-error-min", dataset, noise=noise, seed=seed).key.tensors["levels"] for seed in (3, 3, 4)
    ]
    assert np.array_equal(levels[0], levels[1]) and not np.array_equal(levels[0], levels[2])
    assert 0 < np.abs(levels[0]).max() <= 8


@pytest.mark.parametrize("name", BOTH)
def test_a_fit_that_is_killed_goes_on_where_it_was(monkeypatch, tmp_path, name):
    dataset, options = pictures(12), {"max_rounds": 3}
    whole = fitted(name, dataset, **options)
    update, calls = NoiseLearner.update, []

    def killed(self, this, **given):
        calls.append(this.number)
        if len(calls) == 2:
            raise KeyboardInterrupt
        update(self, this, **given)

    monkeypatch.setattr(NoiseLearner, "update", killed)
    cloak = type(whole)(**whole.get_params())
    with pytest.raises(KeyboardInterrupt):
        cloak.fit(dataset, checkpoint_dir=tmp_path)
    cloak.fit(dataset, checkpoint_dir=tmp_path)
    assert calls == [0, 1, 1, 2] and np.array_equal(cloak.key.tensors["levels"], whole.key.tensors["levels"])


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (AugmentedErrorMinTransform.paper(), {"max_rounds": 60, "num_steps": 5, "step_size": 0.8 / 255}),
        (
            AugmentedErrorMinTransform.paper(epsilon=16 / 255, view_strength=1.0),
            {"step_size": 1.6 / 255, "view_strength": 1.0},
        ),
        (AugmentedErrorMinTransform.paper(noise="class"), {"num_steps": 1, "noise": "class"}),
        (AugmentedErrorMaxTransform.paper(), {"surrogate_epochs": 40, "step_size": 0.08 / 255, "targeted": True}),
        (
            AugmentedErrorMaxTransform.paper(targeted=False, view_strength=0.8),
            {"targeted": False, "view_strength": 0.8},
        ),
    ],
)
def test_the_schedule_of_the_paper(made, expected):
    found = {field.name: getattr(made, field.name) for field in fields(made)}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    if isinstance(made, AugmentedErrorMaxTransform):
        assert made.max_rounds * made.num_steps == 250
        assert 250 * made.step_size == pytest.approx(2.5 * made.epsilon)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("augmented-error-min", {"view_strength": -0.1}, "view_strength is -0.1"),
        ("augmented-error-min", {"view_strength": math.nan}, "view_strength is not a number"),
        ("augmented-error-max", {"view_strength": 1.1}, "view_strength is 1.1"),
        ("augmented-error-max", {"surrogate_epochs": 0}, "surrogate_epochs is 0"),
        ("augmented-error-min", {"max_rounds": 0}, "max_rounds is 0"),
        ("augmented-error-max", {"num_steps": 0}, "num_steps is 0"),
        ("augmented-error-min", {"noise": "row"}, "noise"),
    ],
)
def test_a_parameter_out_of_range_is_named(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted(name, pictures(8), **parameters)
