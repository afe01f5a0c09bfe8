"""The training loop of the neural victims: what it minimises, when it looks, what it leaves as it was."""

from functools import partial

import numpy as np
import pytest

from hf_unlearnable.adversary import Training
from hf_unlearnable.adversary.loop import trained

torch = pytest.importorskip("torch")

POINTS = torch.tensor([[-2.0, 0.0], [-1.0, 1.0], [1.0, -1.0], [2.0, 0.0], [3.0, 1.0]])
LABELS = torch.tensor([0, 0, 1, 1, 1])


def run(training=None, soft=False, largest_norm=float("inf"), seen=None, learning_rate=0.5):
    """A linear classifier of five points, without momentum."""
    training = training or Training(epochs=4, batch_size=3)
    targets = torch.nn.functional.one_hot(LABELS, 2).float() if soft else LABELS
    models = []

    def scored(model, rows, generator):
        models.append(model)
        if seen is not None:
            seen.append((rows.tolist(), model.training))
        return model(POINTS[rows]), targets[rows]

    def predicted(model):
        model.eval()
        with torch.no_grad():
            return model(POINTS).argmax(1).numpy()

    answers = trained(
        lambda: torch.nn.Linear(2, 2), training, len(POINTS),
        batches=lambda generator: torch.randperm(5, generator=generator).split(training.batch_size), scored=scored,
        optimizer=partial(torch.optim.SGD, lr=learning_rate),
        schedule=torch.optim.lr_scheduler.CosineAnnealingLR, predicted=predicted, largest_norm=largest_norm,
    )  # fmt: skip
    return answers, models[0]


@pytest.mark.parametrize("soft", [False, True])
def test_separable_points_are_learned_from_class_indices_and_from_probabilities(soft):
    answers, _ = run(Training(epochs=20, batch_size=3), soft=soft)
    assert answers.tolist() == LABELS.tolist()


def test_every_row_is_in_one_batch_of_each_epoch_and_the_model_is_in_training_mode():
    seen = []
    run(Training(epochs=3, batch_size=3, on_epoch=lambda *_: None), seen=seen)  # a look leaves evaluation mode
    assert [len(rows) for rows, _ in seen] == [3, 2] * 3
    assert all(sorted(seen[i][0] + seen[i + 1][0]) == [0, 1, 2, 3, 4] for i in (0, 2, 4))
    assert all(mode for _, mode in seen)
    assert len({tuple(rows) for rows, _ in seen}) > 2, "each epoch has an order of its own"


@pytest.mark.parametrize("norm", [0.01, 0.05, 0.1])
def test_a_gradient_above_the_norm_moves_the_weights_by_the_norm_times_the_rate(norm):
    torch.manual_seed(0)
    before = torch.nn.utils.parameters_to_vector(torch.nn.Linear(2, 2).parameters())
    _, model = run(Training(epochs=1, batch_size=5), largest_norm=norm, learning_rate=100.0)
    moved = (torch.nn.utils.parameters_to_vector(model.parameters()) - before).norm().item()
    assert moved == pytest.approx(100 * norm, rel=1e-3)


def test_a_look_that_draws_changes_nothing_of_the_outcome_nor_of_the_callers_generator():
    told = []

    def on_epoch(accuracy, answers):
        told.append((accuracy, answers.tolist()))
        torch.rand(7)
        answers[:] = 9

    torch.manual_seed(3)
    state = torch.get_rng_state()
    looked, with_looks = run(Training(epochs=4, batch_size=3, on_epoch=on_epoch))
    plain, without = run()
    assert torch.equal(torch.get_rng_state(), state)
    assert looked.tolist() == plain.tolist() == told[-1][1]
    assert torch.equal(with_looks.weight, without.weight)
    assert len(told) == 4 and all(accuracy in np.arange(6) / 5 for accuracy, _ in told)


def test_another_seed_begins_with_other_weights_and_the_same_seed_with_the_same():
    weights = [run(Training(seed=seed, epochs=1, batch_size=3))[1].weight.detach() for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_no_epoch_leaves_the_model_as_it_was_built():
    answers = trained(
        lambda: torch.nn.Linear(2, 2), Training(epochs=0, on_epoch=lambda *_: None), 5, batches=lambda _: [],
        scored=lambda *_: None, optimizer=partial(torch.optim.SGD, lr=1.0),
        schedule=lambda optimizer, steps: torch.optim.lr_scheduler.ConstantLR(optimizer),
        predicted=lambda model: np.array([steps.numel() for steps in model.parameters()]),
    )  # fmt: skip
    assert answers.tolist() == [4, 2]
