"""The network of the error-minimising edits: its gradients are those of torch, its numbers those of any machine."""

import numpy as np
import pytest

from hf_unlearnable.text.substitution.gradients import STATE, Surrogate, best_words, uniform


def test_gradients_are_those_of_the_same_network_in_torch():
    torch = pytest.importorskip("torch")
    width, lengths, labels = 5, np.array([7, 3, 1, 5]), np.array([0, 2, 1, 1])
    ours = Surrogate(width, 3, seed=5)
    order = np.r_[0 : 2 * STATE, 3 * STATE : 4 * STATE, 2 * STATE : 3 * STATE]  # torch has the new state third
    cell = torch.nn.LSTM(width, STATE, batch_first=True).double()
    bias = torch.zeros(4 * STATE, dtype=torch.float64)
    bias[STATE : 2 * STATE] = 1
    for parameter, value in {
        "weight_ih_l0": torch.from_numpy(ours._inputs.T[order]), "bias_ih_l0": bias,
        "weight_hh_l0": torch.from_numpy(ours._states.T[order]), "bias_hh_l0": torch.zeros_like(bias),
    }.items():  # fmt: skip
        getattr(cell, parameter).data = value
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 7, width))).requires_grad_()
    last = cell(vectors)[0][torch.arange(4), torch.from_numpy(lengths) - 1]
    scores = last @ torch.from_numpy(ours._head)
    torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels), reduction="sum").backward()
    found = ours.gradients(vectors.detach().numpy(), lengths, labels)
    assert np.abs(found).max() > 1e-3 and np.abs(found - vectors.grad.numpy()).max() < 1e-14


def test_gradients_of_a_text_do_not_depend_on_its_company():
    network, random = Surrogate(4, 2, seed=1), np.random.default_rng(1)
    texts = [random.normal(size=(length, 4)) for length in (3, 9, 1)]
    together = np.full((3, 9, 4), 7.0)
    for row, text in zip(together, texts, strict=True):
        row[: len(text)] = text
    found = network.gradients(together, np.array([3, 9, 1]), np.array([0, 1, 1]))
    for text, label, row in zip(texts, (0, 1, 1), found, strict=True):
        alone = network.gradients(text[None], np.array([len(text)]), np.array([label]))[0]
        assert np.allclose(row[: len(text)], alone, rtol=1e-12, atol=0) and not row[len(text) :].any()


def test_drawn_numbers_follow_from_name_and_seed_and_are_even():
    values = uniform("word plum", 7, (100, 100))
    assert values.shape == (100, 100) and -1 <= values.min() < -0.99 and 0.99 < values.max() < 1
    assert abs(values.mean()) < 0.02 and abs(values.var() - 1 / 3) < 0.01
    assert uniform("word plum", 7, (3,)).tolist() == values.flat[:3].tolist()
    assert uniform("word plum", 8, (1,)) != values[0, 0] != uniform("word plums", 7, (1,))
    assert values[0, 0].hex() == "0x1.cf2bc847a8998p-2"


@pytest.mark.parametrize(
    ("gradient", "never", "expected"),
    [
        ([[1.0, 0]], [], [2]),  # the candidate furthest against the gradient
        ([[1.0, 0]], [2], [0]),  # 0 and 1 tie but for rounding: the first one
        ([[1.0, 0]], [0, 2], [1]),
        ([[0, -1.0], [1e-30, 0]], [], [0, 2]),  # a tiny gradient chooses as a large one
    ],
)
def test_the_best_word_is_the_first_that_lowers_the_loss_most(gradient, never, expected):
    candidates = np.array([[0.0, 1], [-1e-14, 0], [-1, 0]])
    banned = np.zeros((len(gradient), 3), bool)
    banned[:, never] = True
    chosen, change = best_words(np.array(gradient), np.zeros((len(gradient), 2)), candidates, banned)
    assert chosen.tolist() == expected and (change <= 0).all()


def test_the_word_that_goes_counts_for_the_change_and_where_none_may_stand_it_is_infinite():
    gradient, before, candidates = np.array([[3.0], [3.0]]), np.array([[0.5], [0.5]]), np.array([[-1.0], [2.0]])
    chosen, change = best_words(gradient, before, candidates, np.array([[True, False], [True, True]]))
    assert chosen[0] == 1 and change.tolist() == [3 * 2.0 - 3 * 0.5, np.inf]
