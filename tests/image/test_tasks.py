"""What one network learns of several tasks: scores, their guesses, what is left of them, and bad input."""

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image

from hf_unlearnable.image.victims.tasks import KINDS, TaskScore, task_scores

torch = pytest.importorskip("torch", reason="image victims need torch")


def rows(count=48, size=16, seed=0, **changed):
    """A bright square on noise: its colour is the class, its place two numbers, its pixels the mask."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(count):
        levels, mask = random.integers(0, 90, (size, size, 3), np.uint8), np.zeros((size, size), np.uint8)
        top, left = random.integers(0, size - 6, 2).tolist()
        levels[top : top + 6, left : left + 6, i % 3] = 255
        mask[top : top + 6, left : left + 6] = 255
        found.append({"image": Image.fromarray(levels), "colour": "rgb"[i % 3], "place": [top, left], "mask": mask})
    return Dataset.from_list([{**row, **{name: value(i) for name, value in changed.items()}}
                              for i, row in enumerate(found)])  # fmt: skip


TASKS = {"colour": "class", "place": "number", "mask": "mask", "image": "reconstruction"}
FEW = {"image_size": 16, "epochs": 1}


def test_every_task_is_learned_and_a_protection_of_none_leaves_all():
    clean = task_scores(rows(96), rows(32, seed=1), TASKS, image_size=16, epochs=12, batch_size=16)
    assert list(clean) == list(TASKS)
    assert clean["colour"].score > 0.9 and clean["colour"].guess == pytest.approx(11 / 32)
    assert clean["place"].score > 0.5 and clean["place"].guess == 0
    assert clean["mask"].score > clean["mask"].guess + 0.05
    assert clean["image"].score > 0.2 and clean["image"].guess == 0
    assert all(score.left(score) == 1 for score in clean.values())


def test_the_same_seed_gives_the_same_scores_and_another_one_others():
    data = rows(24), rows(12, seed=1)
    first, same, other = (task_scores(*data, TASKS, **FEW, seed=seed) for seed in (1, 1, 2))
    assert first == same != other


@pytest.mark.parametrize("name", ["training", "mask.png", "forward", "my mask"])
def test_one_task_alone_with_a_name_that_no_module_could_have(name):
    data = [part.rename_column("mask", name) for part in (rows(24), rows(12, seed=1))]
    assert list(task_scores(*data, {name: "mask"}, **FEW)) == [name]


@pytest.mark.parametrize(
    ("score", "clean", "left"), [(0.5, 0.9, 3 / 7), (0.2, 0.9, 0), (0.1, 0.9, -1 / 7), (0.9, 0.9, 1)]
)
def test_what_is_left_is_counted_from_a_guess(score, clean, left):
    assert TaskScore(score, 0.2).left(TaskScore(clean, 0.2)) == pytest.approx(left)


@pytest.mark.parametrize("clean", [0.2, 0.1])
def test_what_is_left_of_a_task_that_was_not_learned_is_not_known(clean):
    with pytest.raises(ValueError, match=f"score {clean:.3f} and a guess 0.200: nothing to lose"):
        TaskScore(0.5, 0.2).left(TaskScore(clean, 0.2))


def test_a_mask_scores_the_mean_intersection_over_union_of_its_classes():
    task = KINDS["mask"]("m", [[[0, 5], [5, 5]]], [np.zeros((2, 2, 3))], 2)
    truth = task.targets([[[0, 5], [0, 5]]], [np.zeros((2, 2, 3))])
    scores = torch.nn.functional.one_hot(torch.tensor([[[0, 1], [1, 1]]]), 2).permute(0, 3, 1, 2).float()
    assert task.score(scores, truth) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert task.guess(truth) == pytest.approx((0 / 2 + 2 / 4) / 2)


@pytest.mark.parametrize(("seen", "asked"), [(["a", "b"], ["c", "a"]), ([1, 2], [0, 1]), ([1, 5], [3, 1])])
def test_a_class_that_only_the_test_has_counts_as_wrong(seen, asked):
    task = KINDS["class"]("c", seen, [], 8)
    targets = task.targets(asked, [])
    assert targets.tolist() == [-1, 0]
    assert task.score(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), targets) == 0.5
    unseen = task_scores(
        rows(12, colour=lambda i: "rg"[i % 2]), rows(6, colour=lambda i: "z"), {"colour": "class"}, **FEW
    )
    assert unseen["colour"] == TaskScore(0.0, 0.0)


@pytest.mark.parametrize(
    ("train", "test", "tasks", "said"),
    [
        (rows(6), rows(6), {}, "There is no task"),
        (rows(6), rows(6).select([]), TASKS, "test has no rows"),
        (rows(6), rows(6), {"depth": "number"}, "train has no column 'depth'. It has: image, colour, place, mask"),
        (rows(6), rows(6).remove_columns("mask"), TASKS, "test has no column 'mask'"),
        (rows(6).remove_columns("image"), rows(6), {"colour": "class"}, "train has no column 'image'"),
        (rows(6), rows(6), {"mask": "segmentation"}, "The kind of 'mask' is 'segmentation'. There are: class,"),
        (rows(6, mask=lambda i: np.zeros((16, 15 + (i < 2)), int)), rows(6), TASKS, "mask of row 2 is 16 x 15 and its"),
        (rows(6), rows(6, mask=lambda i: np.zeros((8, 8), int)), TASKS, "mask of row 0 is 8 x 8 and its image 16 x 16"),
        (rows(6, mask=lambda i: i), rows(6), TASKS, "mask of row 0 is"),
        (rows(6, mask=lambda i: np.zeros((16, 16), int)), rows(6), TASKS, "'mask' has one class in train"),
        (rows(6, colour=lambda i: "r"), rows(6), TASKS, "'colour' has one class in train"),
        (rows(6, colour=lambda i: None if i == 4 else "rg"[i % 2]), rows(6), TASKS, "Row 4 has no colour"),
        (rows(6, place=lambda i: [1.0, i]), rows(6), TASKS, "'place' has one value in train"),
        (rows(6, place=lambda i: [float(i), np.nan if i == 3 else i]), rows(6), TASKS, "place of row 3 is no number"),
    ],
)  # fmt: skip
def test_bad_input_is_named(train, test, tasks, said):
    with pytest.raises(ValueError, match=said):
        task_scores(train, test, tasks, **FEW)


@pytest.mark.parametrize("size", [0, 12, -8])
def test_a_size_that_the_network_cannot_see_is_named(size):
    with pytest.raises(ValueError, match=f"image_size is {size}"):
        task_scores(rows(6), rows(6), TASKS, image_size=size)
