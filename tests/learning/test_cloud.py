"""A surrogate with noisy copies answers as each copy alone would."""

import pytest
import torch
from torch.func import functional_call

from hf_unlearnable.image.learning.surrogate import image_classifier
from hf_unlearnable.learning.cloud import Cloud


def cloud_of(model, sigma=0.1, num_pairs=2, seed=0, in_turn=None):
    return Cloud(model, sigma, num_pairs, torch.Generator().manual_seed(seed), in_turn)


def net(seed=0):
    torch.manual_seed(seed)
    model = image_classifier("tiny_cnn", 3)
    for _ in range(2):
        model(torch.rand(8, 3, 12, 12))  # statistics that differ from the initial ones
    return model


def shaken(model, sigma, num_pairs, seed):
    """The parameters of each copy, drawn as the cloud draws them."""
    cloud = cloud_of(model, sigma, num_pairs, seed)
    every = {name: cloud._shaken(value.detach()) for name, value in model.named_parameters()}
    return [{name: value[i] for name, value in every.items()} for i in range(cloud.copies)]


@pytest.mark.parametrize("in_turn", [True, False])
@pytest.mark.parametrize(("num_pairs", "sigma"), [(1, 0.3), (2, 0.1), (4, 0.05)])
def test_one_batch_answers_as_the_copies_one_by_one(num_pairs, sigma, in_turn):
    model, images = net().eval(), torch.rand(5, 3, 12, 12)
    copies = shaken(model, sigma, num_pairs, seed=3)
    expected = torch.cat([functional_call(model, copy, (images,)) for copy in copies])
    got = cloud_of(model, sigma, num_pairs, 3, in_turn)(images.repeat(1 + 2 * num_pairs, 1, 1, 1))
    assert torch.allclose(got, expected, atol=1e-4)


def test_the_first_copy_is_the_model_and_the_others_are_pairs_whose_noise_rises():
    model = net()
    copies = shaken(model, 0.4, 4, seed=1)
    for name, value in model.named_parameters():
        assert torch.equal(copies[0][name], value)
        for i in range(4):
            plus, minus = copies[1 + i][name] - value, copies[5 + i][name] - value
            assert torch.allclose(plus, -minus, atol=1e-6)
    moved = [
        torch.cat([(copies[1 + i][n] - v.detach()).flatten() for n, v in model.named_parameters()]) for i in range(4)
    ]
    assert [float(one.std()) for one in moved] == pytest.approx([0.1, 0.2, 0.3, 0.4], rel=0.05)


def test_every_call_draws_anew_and_a_generator_of_the_same_seed_draws_alike():
    model, images = net().eval(), torch.rand(5, 3, 12, 12).repeat(5, 1, 1, 1)
    cloud = cloud_of(model)
    first, second = cloud(images), cloud(images)
    assert torch.equal(first[:5], second[:5]) and not torch.equal(first[5:], second[5:])
    assert torch.equal(cloud_of(model)(images), first)


@pytest.mark.parametrize("in_turn", [True, False])
def test_in_training_gradients_reach_the_model_and_its_statistics_are_the_mean_of_the_copies(in_turn):
    model = net().train()
    images = torch.rand(6, 3, 12, 12)
    copies = shaken(model, 0.2, 1, seed=2)
    statistics, gradients = [], []
    for copy in copies:
        own = {name: value.clone() for name, value in model.named_buffers()}
        leaf = {name: value.clone().requires_grad_() for name, value in copy.items()}
        functional_call(model, (leaf, own), (images,)).square().sum().backward()
        statistics.append(own)
        gradients.append({name: value.grad for name, value in leaf.items()})
    cloud_of(model, 0.2, 1, 2, in_turn)(images.repeat(3, 1, 1, 1)).square().sum().backward()
    for name, value in model.named_parameters():
        expected = sum(one[name] for one in gradients)
        assert torch.allclose(value.grad, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    for name, value in model.named_buffers():
        mean = torch.stack([one[name] for one in statistics]).float().mean(0)
        assert torch.allclose(value.float(), mean, rtol=1e-4, atol=1e-5)


def test_without_noise_all_copies_answer_as_the_model():
    model, images = net().eval(), torch.rand(4, 3, 12, 12)
    got = cloud_of(model, sigma=0.0)(images.repeat(5, 1, 1, 1))
    assert torch.allclose(got, model(images).repeat(5, 1), atol=1e-4)
