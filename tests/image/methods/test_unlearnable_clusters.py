"""Unlearnable clusters: bound, tile, what features do, resumed fits, bad input."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Image
from PIL import Image as Pillow

from hf_unlearnable.image.learning.cluster_noise import ClusterNoiseLearner
from hf_unlearnable.image.learning.generator import Generator
from hf_unlearnable.image.methods.unlearnable_clusters import UnlearnableClustersTransform
from tests.examples import levels, pictures
from tests.image.methods.cases import arrays, fitted
from tests.image.models import tiny_model


def unlabelled(rows=40, **shape):
    return pictures(rows, **shape).remove_columns("label")


@pytest.mark.parametrize("most", [1, 8, 16])
def test_every_noise_is_a_tile_within_the_bound(most):
    dataset = unlabelled(height=16, width=16)
    cloak = fitted("unlearnable-clusters", dataset, tile=4, epsilon=most / 255, max_steps=8)
    noise = cloak.key.tensors["levels"]
    assert noise.shape == (3, 16, 16, 3) and noise.dtype == np.int8
    assert np.array_equal(noise, np.tile(noise[:, :4, :4], (1, 4, 4, 1)))
    assert np.abs(noise).max() == most and all(one.any() for one in noise)
    change = [b.astype(int) - a for a, b in zip(arrays(dataset), arrays(dataset.map(cloak, batched=True)))]
    for image, one, stream in zip(arrays(dataset), change, streams(cloak, dataset)):
        free = (image >= 16) & (image <= 239)
        assert np.array_equal(one[free], noise[cloak._clusters.known(stream)][free])


def streams(cloak, dataset):
    from hf_unlearnable.key import row_stream

    return [row_stream(identity, cloak._resolved_seed()) for _, _, _, identity in cloak._opened_rows(dataset)]


@pytest.mark.parametrize(
    "way", [{"tile": 8, "max_steps": 30}, {"generator": True, "max_steps": 15, "step_size": 1e-3}]
)
def test_features_of_a_cluster_come_nearer_to_the_next_centre(way):
    dataset = unlabelled(height=32, width=32)
    cloak = fitted("unlearnable-clusters", dataset, cluster_model=tiny_model(), num_epochs=30, **way)
    model, centres = cloak._feature_model, cloak._clusters.centres
    middle = centres.mean(axis=0)

    def likeness(image, centre):
        a, b = model.features(np.asarray(image)) - middle, centre - middle
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    protected = dataset.map(cloak, batched=True)
    known = [cloak._clusters.known(stream) for stream in streams(cloak, dataset)]
    wanted = [centres[(k + 1) % 3] for k in known]
    before = np.mean([likeness(a, c) for a, c in zip(dataset["image"], wanted)])
    after = np.mean([likeness(a, c) for a, c in zip(protected["image"], wanted)])
    assert after > before + 0.1, (before, after)
    assert np.abs(cloak.key.tensors["levels"]).max() <= 16


def test_a_generator_follows_the_schedule_of_the_paper_and_its_noise_comes_again():
    paper = UnlearnableClustersTransform.paper()
    assert (paper.generator, paper.members_only, paper.num_epochs, paper.batch_size) == (True, False, 50, 256)
    assert paper.max_steps is None and paper.cluster_model == "microsoft/resnet-50"
    draws = [torch.Generator().manual_seed(seed) for seed in (1, 1, 2)]
    sources = [Generator(7, 8 / 255, 1e-2, one, torch.device("cpu")) for one in draws]
    told = []
    for source in sources:
        first = source.noise()
        first.sum().backward()
        source.step(1.0)
        told.append(torch.cat([first, source.noise()]).detach())
        assert told[-1].shape == (2, 3, 7, 7) and told[-1].abs().max() <= 8 / 255
        assert told[-1][1].sum() < told[-1][0].sum()  # it went down
    assert torch.equal(told[0], told[1]) and not torch.equal(told[0], told[2])


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_size_get_the_noise_of_their_cluster(channels):
    sizes = [(12, 12), (20, 9), (7, 30), (40, 40)]
    images = [Pillow.fromarray(levels(1, seed=i, height=h, width=w)[0]) for i, (h, w) in enumerate(sizes * 3)]
    images = [one.convert("L") for one in images] if channels == 1 else images
    dataset = Dataset.from_dict({"image": images}).cast_column("image", Image())
    protected = dataset.map(fitted("unlearnable-clusters", dataset, num_clusters=2), batched=True)
    for before, after in zip(arrays(dataset), arrays(protected)):
        assert before.shape == after.shape and 0 < np.abs(after.astype(int) - before).max() <= 16


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_killed_fit_goes_on_with_the_next_cluster(tmp_path, monkeypatch, killed_after):
    dataset, noise, learned = unlabelled(), ClusterNoiseLearner.noise, []
    whole = fitted("unlearnable-clusters", dataset)

    def counted(learner, cluster, rows, seed):
        if len(learned) == killed_after:
            raise KeyboardInterrupt
        learned.append(cluster)
        return noise(learner, cluster, rows, seed)

    cloak = UnlearnableClustersTransform(**whole.get_params())
    monkeypatch.setattr(ClusterNoiseLearner, "noise", counted)
    with pytest.raises(KeyboardInterrupt):
        cloak.fit(dataset, checkpoint_dir=tmp_path)
    seen = []
    monkeypatch.setattr(ClusterNoiseLearner, "noise", lambda *a: seen.append(a[1]) or noise(*a))
    cloak.fit(dataset, checkpoint_dir=tmp_path)
    assert learned + seen == [0, 1, 2] and len(learned) == killed_after
    assert np.array_equal(cloak.key.tensors["levels"], whole.key.tensors["levels"])
    with pytest.raises(ValueError, match="holds a fit of other data or parameters"):
        UnlearnableClustersTransform(**{**whole.get_params(), "max_steps": 3}).fit(dataset, checkpoint_dir=tmp_path)


def test_all_images_or_those_of_the_cluster(monkeypatch):
    dataset, noise, used = unlabelled(), ClusterNoiseLearner.noise, []
    monkeypatch.setattr(ClusterNoiseLearner, "noise", lambda *a: used.append(len(a[2])) or noise(*a))
    cloak = fitted("unlearnable-clusters", dataset)
    assert used == np.bincount(cloak._clusters.members).tolist()
    used.clear()
    fitted("unlearnable-clusters", dataset, members_only=False)
    assert used == [40, 40, 40]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"num_clusters": 41}, "num_clusters is 41, but only 40 images differ: give 2 to 40"),
        ({"tile": 0}, "tile is 0, but it starts at 1"),
        ({"max_steps": 0}, "max_steps is 0, but it starts at 1"),
        ({"batch_size": -1}, "batch_size is -1, but it starts at 1"),
        ({"step_size": 3}, "step_size is 3, but it is a share of the range"),
        ({"parallel": "rows"}, "parallel is 'rows'"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        fitted("unlearnable-clusters", unlabelled(), **wrong)
