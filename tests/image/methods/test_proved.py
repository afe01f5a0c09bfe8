"""Bayes-error noise and provably unlearnable noise: what their rounds do, and what they refuse."""

import math

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Image, Value

from hf_unlearnable import BayesErrorTransform, ProvableErrorMinTransform, bayes_error
from hf_unlearnable.image.learning.features import features_of, headless
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.image.learning.surrogate import image_classifier
from tests.examples import pictures
from tests.image.methods.cases import arrays, fitted


class Seen(BayesErrorTransform):
    """Records what each round met."""

    def _learn(self, learner):
        self.learner, self.errors, self.losses = learner, [], []
        inner = learner.update

        def update(this, **options):
            inner(this, **options)
            features = features_of(learner, options["model"])  # after the noise moved, by the same surrogate
            self.errors.append(bayes_error(features, learner.targets, bandwidth=self.bandwidth))

        learner.update = update
        super()._learn(learner)


# ------------------------------------------------------------------ Bayes error
def test_a_round_raises_the_bayes_error_of_the_surrogate_s_features():
    cloak = Seen(seed=3, max_rounds=6, step_size=2 / 255, surrogate_epochs=3, batch_size=16)
    dataset = pictures(80)
    cloak.fit(dataset)
    learner = cloak.learner
    with_noise = features_of(learner, headless(learner.model))
    learner._noise.now.zero_()
    without = features_of(learner, headless(learner.model))
    assert bayes_error(with_noise, learner.targets) > bayes_error(without, learner.targets)
    assert np.abs(cloak.key.tensors["levels"]).max() == 8


def test_the_noise_of_the_last_round_is_kept_whatever_its_error():
    dataset = pictures(24)
    cloak = Seen(seed=3, max_rounds=3, step_size=2 / 255).fit(dataset)
    kept = cloak._noise.levels
    assert np.array_equal(kept.astype(int), cloak.learner._noise.now.numpy())
    assert np.abs(kept).max() == 6  # three rounds of two levels


def test_the_error_of_a_round_is_the_bayes_error_before_the_noise_moves(monkeypatch):
    said = []
    rounds = NoiseLearner.rounds

    def watched(self, *args, **kwargs):
        for this in rounds(self, *args, **kwargs):
            yield this
            said.append((this.error, this.loss))

    monkeypatch.setattr(NoiseLearner, "rounds", watched)
    cloak = Seen(seed=3, max_rounds=2).fit(pictures(40))
    assert all(0 <= error <= 0.75 and 0 < loss < 5 for error, loss in said) and len(said) == 2
    assert len(cloak.errors) == 2


def test_a_surrogate_that_starts_anew_is_the_one_of_the_first_round():
    dataset = pictures(24)
    options = {"seed": 3, "max_rounds": 2, "step_size": 2 / 255}
    weights = []

    class Spied(BayesErrorTransform):
        def _learn(self, learner):
            train = learner.train
            learner.train = lambda *args: (weights.append(next(learner.model.parameters()).clone()), train(*args))[1]
            super()._learn(learner)

    Spied(**options, warm_start=False).fit(dataset)
    assert torch.equal(weights[0], weights[1])
    weights.clear()
    Spied(**options).fit(dataset)
    assert not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize(
    ("parameters", "passes"),
    [({"max_rounds": 2}, 2 * 2), ({"max_rounds": 1, "surrogate_epochs": 3}, 3 + 1), ({"max_rounds": 3}, 3 * 2)],
)
def test_passes_of_bayes_error_are_those_of_the_schedule(parameters, passes):
    cloak = BayesErrorTransform(seed=1, batch_size=20, **parameters).fit(pictures(20))
    assert cloak.image_passes == 20 * passes


def test_a_class_with_one_image_and_images_that_are_all_equal_are_protected():
    dataset = pictures(9, classes=4).select(range(9))  # classes of three and of two
    one = dataset.select([0, 1, 2, 4, 5, 8])  # class 3 is gone, class 2 has one image
    protected = arrays(one.map(fitted("bayes-error", one), batched=True))
    assert any(np.abs(a.astype(int) - b).max() > 0 for a, b in zip(arrays(one), protected))
    features = features_of_equal(6)
    assert bayes_error(features, [0, 0, 0, 1, 1, 1]) == pytest.approx(2 / 5)


@pytest.mark.parametrize("noise", ["class", "sample"])
@pytest.mark.parametrize("rows", [[0, 1, 2, 4, 5, 8], [0, 1], [0, 4, 8, 3]])  # classes of one image: one, all, one
def test_pue_protects_a_class_with_one_image(monkeypatch, noise, rows):
    monkeypatch.setattr("hf_unlearnable.image.methods.provable_error_min._SETTLED", 2.0)  # the copies join at once
    dataset = pictures(9, classes=4).select(rows)
    protected = arrays(dataset.map(fitted("provable-error-min", dataset, noise=noise), batched=True))
    moved = [np.abs(a.astype(int) - b).max() for a, b in zip(arrays(dataset), protected)]
    assert max(moved) > 0 and all(most <= 8 for most in moved)


@pytest.mark.parametrize("name", ["bayes-error", "provable-error-min"])
@pytest.mark.parametrize("level", [0, 128])
def test_images_that_are_all_equal_are_protected_within_the_bound(name, level):
    images = [np.full((12, 12, 3), level, np.uint8)] * 6
    dataset = Dataset.from_dict(
        {"image": images, "label": [0, 1] * 3, "id": list("abcdef")},
        features=Features({"image": Image(), "label": Value("int64"), "id": Value("string")}),
    )
    protected = arrays(dataset.map(fitted(name, dataset, id_column="id"), batched=True))
    assert all(np.abs(image.astype(int) - level).max() <= 8 for image in protected)


def features_of_equal(count):
    return headless(image_classifier("tiny_cnn", 2))(torch.full((count, 3, 12, 12), 0.5)).detach()


def test_headless_gives_what_the_last_layer_reads():
    torch.manual_seed(0)
    model = image_classifier("tiny_cnn", 5).eval()
    images = torch.rand(3, 3, 12, 12)
    features = headless(model)(images)
    assert features.shape == (3, 64)
    assert torch.allclose(model[-1](features), model(images), atol=1e-4)
    with pytest.raises(ValueError, match="no linear layer"):
        headless(torch.nn.Conv2d(3, 4, 3))


# ------------------------------------------------------------------ PUE
@pytest.mark.parametrize(
    ("parameters", "passes"),
    [
        ({"num_pairs": 2}, (20 + 20) + 5 * (20 + 20)),  # the copies join in the second round
        ({"num_pairs": 1, "max_rounds": 3}, (20 + 20) + 2 * 3 * (20 + 20)),
        ({"num_pairs": 3, "num_steps": 2}, (20 + 40) + 7 * (20 + 40)),
    ],
)
def test_copies_join_when_the_surrogate_has_learned_and_count_as_passes(monkeypatch, parameters, passes):
    update = NoiseLearner.update

    def learned(self, this, **options):
        update(self, this, **options)
        this.error = 0.4

    monkeypatch.setattr(NoiseLearner, "update", learned)
    options = {"seed": 1, "max_rounds": 2, "batch_size": 20, "surrogate_steps": 1, "stop_error": None, **parameters}
    assert ProvableErrorMinTransform(**options).fit(pictures(20)).image_passes == passes


def test_without_a_surrogate_that_has_learned_it_is_error_min():
    dataset = pictures(20)
    options = {"noise": "class", "max_rounds": 1, "surrogate_steps": 2}
    one, two = (fitted(name, dataset, **options) for name in ("provable-error-min", "error-min"))
    assert np.array_equal(one.key.tensors["levels"], two.key.tensors["levels"])


@pytest.mark.parametrize("noise", ["class", "sample"])
def test_the_noise_of_a_cloud_follows_the_key_and_keeps_its_bound(monkeypatch, noise):
    monkeypatch.setattr("hf_unlearnable.image.methods.provable_error_min._SETTLED", 2.0)  # from the first round on
    dataset = pictures(24)
    levels = [
        fitted("provable-error-min", dataset, noise=noise, seed=seed).key.tensors["levels"] for seed in (3, 3, 4)
    ]
    assert np.array_equal(levels[0], levels[1]) and not np.array_equal(levels[0], levels[2])
    assert 0 < np.abs(levels[0]).max() <= 8


def test_a_cloud_that_is_killed_goes_on_where_it_was(monkeypatch, tmp_path):
    monkeypatch.setattr("hf_unlearnable.image.methods.provable_error_min._SETTLED", 2.0)
    dataset, options = pictures(16), {"seed": 5, "surrogate_steps": 2, "stop_error": None}
    whole = ProvableErrorMinTransform(**options, max_rounds=3).fit(dataset, checkpoint_dir=tmp_path / "whole")
    update, calls = NoiseLearner.update, []

    def killed(self, this, **kwargs):
        calls.append(this.number)
        if len(calls) == 3:
            raise KeyboardInterrupt
        update(self, this, **kwargs)

    monkeypatch.setattr(NoiseLearner, "update", killed)
    cloak = ProvableErrorMinTransform(**options, max_rounds=3)
    with pytest.raises(KeyboardInterrupt):
        cloak.fit(dataset, checkpoint_dir=tmp_path / "killed")
    cloak.fit(dataset, checkpoint_dir=tmp_path / "killed")
    assert calls == [0, 1, 2, 2]
    assert np.array_equal(cloak.key.tensors["levels"], whole.key.tensors["levels"])


# ------------------------------------------------------------------ bad input
@pytest.mark.parametrize("name", ["bayes-error", "provable-error-min"])
def test_a_surrogate_that_diverges_is_named(monkeypatch, name):
    monkeypatch.setattr(NoiseLearner, "train", lambda *args, **kwargs: math.nan)
    if name == "provable-error-min":
        train = NoiseLearner.update
        monkeypatch.setattr(
            NoiseLearner,
            "update",
            lambda self, this, **options: (train(self, this, **options), setattr(this, "loss", math.nan)),
        )
    with pytest.raises(FloatingPointError, match="The loss is nan in round 0: the surrogate has diverged"):
        fitted(name, pictures(12))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("bayes-error", {"bandwidth": 0.0}, "bandwidth is 0.0"), ("bayes-error", {"bandwidth": -1}, "bandwidth is -1"),
        ("bayes-error", {"surrogate_epochs": 0}, "surrogate_epochs is 0"),
        ("bayes-error", {"max_rounds": 0}, "max_rounds is 0"),
        ("provable-error-min", {"sigma": -0.1}, "sigma is -0.1"),
        ("provable-error-min", {"sigma": math.inf}, "sigma is inf"),
        ("provable-error-min", {"num_pairs": 0}, "num_pairs is 0"),
        ("provable-error-min", {"noise": "row"}, "noise"),
    ],
)  # fmt: skip
def test_a_parameter_out_of_range_is_named(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted(name, pictures(8), **parameters)
