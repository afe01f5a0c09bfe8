"""Contrastive victims: their losses are those of the papers, they learn, and both evaluations label as they should."""

import numpy as np
import pytest

from hf_unlearnable.image.victims import IMAGE_VICTIMS, contrastive
from hf_unlearnable.image.victims.contrastive import likeness, partners, voted
from tests.image.test_victims import LABELS, TEST, TRAIN, accuracy

torch = pytest.importorskip("torch", reason="image victims need torch")

NAMES = [name for name, one in IMAGE_VICTIMS.items() if one.contrastive]


def vectors(count, seed=0, width=4):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(z):
    return z / z.norm(dim=1, keepdim=True)


class Training:
    """What a victim gives the training loop, caught before it runs."""

    def __init__(self, monkeypatch, name, **settings):
        def caught(build, training, rows, **given):
            vars(self).update(given, build=build, training=training, rows=rows)
            return np.zeros(len(TEST), int)

        monkeypatch.setattr(contrastive, "trained", caught)
        IMAGE_VICTIMS[name](TRAIN[:24], LABELS[:24], TEST, seed=3, **settings)
        torch.manual_seed(0)
        self.parts = self.build()

    def step(self, seed=0, rows=8):
        return self.scored(self.parts, torch.arange(rows), torch.Generator().manual_seed(seed))


def test_contrastive_victims_are_marked_and_the_others_are_not():
    assert NAMES == ["simclr_probe", "moco_probe", "simsiam_probe", "supcon_probe"]


@pytest.mark.parametrize("temperature", [0.5, 0.1])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_of_simclr_is_that_of_the_paper(temperature, seed):
    z = vectors(6, seed)
    exp = torch.exp(unit(z) @ unit(z).T / temperature)
    losses = [-torch.log(exp[i, (i + 3) % 6] / (exp[i].sum() - exp[i, i])) for i in range(6)]
    found = torch.nn.functional.cross_entropy(likeness(z, temperature), partners(z))
    assert found.item() == pytest.approx(float(np.mean(losses)), rel=1e-9)


def test_the_loss_of_supervised_contrastive_learning_is_that_of_the_paper(monkeypatch):
    training = Training(monkeypatch, "supcon_probe", temperature=0.2)
    training.parts["body"].register_forward_hook(lambda module, given, out: setattr(training, "z", out))
    scores, targets = training.step()
    found = torch.nn.functional.cross_entropy(scores, targets)
    z, labels = unit(training.z.double()), np.tile(np.unique(LABELS[:8], return_inverse=True)[1], 2)
    exp, losses = torch.exp(z @ z.T / 0.2), []
    for i in range(16):
        others = [a for a in range(16) if a != i]
        mates = [p for p in others if labels[p] == labels[i]]
        losses.append(-np.mean([float(torch.log(exp[i, p] / exp[i, others].sum()).detach()) for p in mates]))
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_follower_and_the_queue_of_moco(monkeypatch):
    training = Training(monkeypatch, "moco_probe", momentum=0.75, queue=12, temperature=0.2)
    parts = training.parts
    with torch.no_grad():
        for weight in parts["encoder"].parameters():
            weight.add_(1.0)
    before = [weight.clone() for weight in parts["follower"].parameters()]
    queue = parts.queue.clone()
    scores, targets = training.step()
    for old, now in zip(before, parts["follower"].parameters()):
        assert torch.allclose(now, old + 0.25, atol=1e-6) and now.grad is None
    assert scores.shape == (8, 13) and targets.tolist() == [0] * 8
    assert torch.equal(parts.queue[8:], queue[:4]) and torch.allclose(parts.queue.norm(dim=1), torch.ones(12))
    asked = 0.2 * scores.detach()
    assert asked.abs().max() <= 1 + 1e-5
    torch.nn.functional.cross_entropy(scores, targets).backward()
    assert all(weight.grad is not None for weight in parts["encoder"].parameters())
    assert all(weight.grad is None for weight in parts["follower"].parameters())


def test_simsiam_predicts_the_other_view_and_gives_it_no_gradient(monkeypatch):
    training = Training(monkeypatch, "simsiam_probe")
    parts, seen = training.parts, {}
    for name in ("head", "predictor"):
        parts[name].register_forward_hook(lambda module, given, out, name=name: seen.update({name: out}))
    scores, targets = training.step()
    loss = training.loss(scores, targets)
    z, p = (unit(seen[name].double()) for name in ("head", "predictor"))
    cosines = [float((p[i] @ z[(i + 8) % 16]).detach()) for i in range(16)]
    assert loss.item() == pytest.approx(-np.mean(cosines), rel=1e-4)
    (gradient,) = torch.autograd.grad(loss, seen["head"], retain_graph=True)
    with torch.no_grad():
        fixed = unit(seen["head"]).roll(8, 0)
    (through,) = torch.autograd.grad(
        -torch.nn.functional.cosine_similarity(seen["predictor"], fixed).mean(), seen["head"]
    )
    assert torch.allclose(gradient, through, atol=1e-7)


@pytest.mark.parametrize("name", ["moco_probe", "simsiam_probe", "supcon_probe"])  # the others: test_victims.py
def test_learns_an_easy_task(name):
    assert accuracy(IMAGE_VICTIMS[name](TRAIN, LABELS, TEST, seed=0, epochs=2, batch_size=60)) > 0.6


@pytest.mark.parametrize("evaluation", ["linear", "knn"])
@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_answer_and_leaves_the_generators_alone(name, evaluation):
    settings = {"epochs": 1, "batch_size": 16, "seed": 4, "evaluation": evaluation}
    before = torch.get_rng_state()
    first, second = (IMAGE_VICTIMS[name](TRAIN[:32], LABELS[:32], TEST[:40], **settings) for _ in range(2))
    assert (first == second).all() and set(first) <= {3, 5, 8} and torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("able", [True, False])
def test_bf16_is_what_networks_answer_in_where_the_processor_has_it(monkeypatch, name, able):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able}, raising=False)
    with monkeypatch.context() as caught:
        training = Training(caught, name, bf16=True)
        training.parts["body"].register_forward_hook(lambda module, given, out: setattr(training, "z", out))
        scores, _ = training.step()
    assert training.z.dtype == (torch.bfloat16 if able else torch.float32) and scores.dtype == torch.float32
    half = IMAGE_VICTIMS[name](TRAIN, LABELS, TEST, seed=0, epochs=3, batch_size=32, bf16=True)
    assert accuracy(half) > 0.8
    if not able:
        usual = IMAGE_VICTIMS[name](TRAIN, LABELS, TEST, seed=0, epochs=3, batch_size=32)
        assert (half == usual).all()


def test_training_makes_better_features_than_none():
    short, long = (
        accuracy(IMAGE_VICTIMS["supcon_probe"](TRAIN, LABELS, TEST, seed=0, epochs=e, batch_size=60, evaluation="knn"))
        for e in (1, 6)
    )
    assert long > short + 0.1 and long > 0.6


@pytest.mark.parametrize(
    ("known", "targets", "asked", "expected"),
    [
        ([[1, 0], [0, 1]], [0, 1], [[2, 0.1], [0.1, 5]], [0, 1]),
        ([[1, 0], [1, 0], [0, 1]], [1, 1, 0], [[0.4, 1]], [0]),  # the nearest outweighs two that are far
        ([[1, 0.9], [1, 0.9], [0.9, 1]], [1, 1, 0], [[1, 1]], [1]),  # equally near: the majority
        ([[0, 0], [1, 0]], [0, 1], [[3, 0]], [1]),  # features of nothing are no error
        ([[1, 0]] * 3 + [[-1, 0]] * 30, [1] * 3 + [0] * 30, [[1, 0]], [1]),
    ],
)
def test_the_vote_of_the_nearest(known, targets, asked, expected):
    assert voted(np.array(known, float), np.array(targets), np.array(asked, float)).tolist() == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("evaluation", ["KNN", "", "probe"])
def test_an_unknown_evaluation_is_named(name, evaluation):
    with pytest.raises(ValueError, match=f"evaluation is '{evaluation}'. Give linear or knn."):
        IMAGE_VICTIMS[name](TRAIN[:6], LABELS[:6], TEST[:3], evaluation=evaluation)


@pytest.mark.parametrize(("setting", "value"), [("queue", 0), ("queue", -5), ("momentum", 1.1), ("momentum", -0.1)])
def test_a_setting_of_moco_out_of_range_is_named(setting, value):
    with pytest.raises(ValueError, match=f"{setting} is {value}"):
        IMAGE_VICTIMS["moco_probe"](TRAIN[:6], LABELS[:6], TEST[:3], **{setting: value})
