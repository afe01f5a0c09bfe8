"""Clusters in the place of labels, with every image method."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset, Image, concatenate_datasets
from PIL import Image as Pillow
from safetensors.numpy import load_file, save_file

from hf_unlearnable import load_transform
from hf_unlearnable.key import row_stream
from hf_unlearnable.ownership import verify
from hf_unlearnable.protection import with_key
from hf_unlearnable.registry import method_class
from hf_unlearnable.testing.estimator import check_caching, check_pickle
from hf_unlearnable.testing.mapping import check_same_bytes
from hf_unlearnable.testing.owner import check_key
from tests.examples import levels, pictures, stored
from tests.image.methods.cases import fitted
from tests.image.models import tiny_model

CLOSED = ["texture", "linear-separable", "convolution", "one-pixel"]
PER_CLASS = {"random-noise": {"noise": "class"}, "error-min": {"noise": "class"}}


def unlabelled(rows=40, **shape):
    return pictures(rows, **shape).remove_columns("label")


def by_cluster(name, dataset, **parameters):
    settings = {"cluster_model": tiny_model(), "num_clusters": 3, **PER_CLASS.get(name, {}), **parameters}
    return fitted(name, dataset, **settings)


def clusters_of(cloak, dataset):
    streams = [row_stream(identity, cloak._resolved_seed()) for _, _, _, identity in cloak._opened_rows(dataset)]
    return [cloak._clusters.known(stream) for stream in streams]


@pytest.mark.parametrize("name", [*CLOSED, "linearization", *PER_CLASS])
def test_images_without_labels_get_the_bytes_of_their_clusters_as_labels(name):
    dataset = unlabelled()
    cloak = by_cluster(name, dataset)
    clusters = clusters_of(cloak, dataset)
    assert set(clusters) == {0, 1, 2}
    labelled = dataset.add_column("label", clusters)
    by_label = fitted(name, labelled, **PER_CLASS.get(name, {}))
    protected = stored(dataset.map(cloak, batched=True))
    assert protected == stored(labelled.map(by_label, batched=True))
    assert all(a["bytes"] != b["bytes"] for a, b in zip(stored(dataset), protected))


@pytest.mark.parametrize(
    "check", [check_same_bytes, check_key, check_pickle, check_caching], ids=lambda check: check.__name__
)
def test_the_contract_holds_without_labels(check):
    check(method_class("texture")(seed=7, cluster_model=tiny_model(), num_clusters=3), pictures(40))


@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_a_new_image_has_the_same_cluster_in_any_batch_and_with_a_loaded_key(batch_size, tmp_path):
    new = unlabelled(40, seed=5)
    cloak = by_cluster("texture", unlabelled())
    cloak.key.save(tmp_path / "key")
    expected = [int(cloak._clusters._distances(cloak._feature_model.features(one, exact=True)).argmin())
                for one in levels(40, seed=5)]  # fmt: skip
    assert len(set(expected)) == 3
    labelled = new.add_column("label", expected)
    by_label = fitted("texture", labelled)
    found = new.map(load_transform(tmp_path / "key"), batched=True, batch_size=batch_size)
    assert stored(found) == stored(labelled.map(by_label, batched=True))


def test_where_two_centres_are_as_near_the_exact_features_decide():
    cloak, image = by_cluster("texture", unlabelled()), levels(1, seed=5)[0]
    model = cloak._feature_model
    exact = model.features(image, exact=True)
    step = np.zeros_like(exact)
    step[0] = 1e-9  # less than float32 tells at this size
    for sign in (1, -1):
        tied = replace(cloak._clusters, centres=np.stack([exact - 1 + sign * step, exact + 1 + sign * step]))
        assert tied.of(1, image, model) == (1 if sign < 0 else 0)


def test_new_images_need_the_model_of_fit_and_known_ones_do_not(tmp_path):
    folder = shutil.copytree(tiny_model(), tmp_path / "model")
    dataset, new = unlabelled(), unlabelled(4, seed=5)
    cloak = by_cluster("texture", dataset, cluster_model=str(folder))
    cloak.key.save(tmp_path / "key")
    protected = stored(dataset.map(cloak, batched=True))
    shutil.rmtree(folder)
    assert stored(dataset.map(load_transform(tmp_path / "key"), batched=True)) == protected
    with pytest.raises(
        ValueError, match="Row 0 of this batch.* is new to this key, .*told by the features of .*model"
    ):
        new.map(load_transform(tmp_path / "key"), batched=True)
    shutil.copytree(tiny_model(seed=1), folder)
    with pytest.raises(ValueError, match="clusters are told by another model than the one that .*model holds now"):
        new.map(load_transform(tmp_path / "key"), batched=True)
    moved = with_key("texture", {"cluster_model": tiny_model()}, tmp_path / "key")
    assert stored(new.map(moved, batched=True)) == stored(new.map(cloak, batched=True))


def test_a_key_of_labels_takes_no_cluster_model_and_the_other_way_round(tmp_path):
    fitted("texture", pictures(8)).key.save(tmp_path / "labels")
    by_cluster("texture", unlabelled()).key.save(tmp_path / "clusters")
    with pytest.raises(ValueError, match="The key goes by labels. Leave it out: cluster_model"):
        with_key("texture", {"cluster_model": tiny_model()}, tmp_path / "labels")
    with pytest.raises(ValueError, match="The key goes by clusters. Give it: cluster_model"):
        with_key("texture", {"cluster_model": None}, tmp_path / "clusters")


@pytest.mark.parametrize(
    ("images", "count", "said"),
    [
        (6, 10, "num_clusters is 10, but only 6 images differ: give 2 to 6"),
        (1, 10, "All images are the same one"),
        (0, 10, "All images are the same one"),
        (6, 1, "num_clusters is 1. Give 2 to 65,536"),
    ],
)
def test_too_few_images_for_the_clusters(images, count, said):
    dataset = unlabelled(images) if images else concatenate_datasets([unlabelled(1)] * 12)
    with pytest.raises(ValueError, match=said):
        by_cluster("texture", dataset, num_clusters=count)


def test_equal_images_under_many_ids_are_one():
    dataset = concatenate_datasets([unlabelled(2)] * 20).add_column("id", range(40))
    with pytest.raises(ValueError, match="num_clusters is 3, but only 2 images differ: give 2 to 2"):
        by_cluster("texture", dataset, id_column="id")
    assert set(by_cluster("texture", dataset, id_column="id", num_clusters=2)._clusters.members) == {0, 1}


def test_gray_and_palette_images_are_put_into_clusters():
    images = [Pillow.fromarray(one) for one in levels(12)]
    images = [
        one.convert("L") if i % 3 == 0 else one.quantize(16) if i % 3 == 1 else one for i, one in enumerate(images)
    ]
    dataset = Dataset.from_dict({"image": images}).cast_column("image", Image())
    cloak = by_cluster("texture", dataset)
    assert [image.mode for image in dataset.map(cloak, batched=True)["image"]] == ["L", "RGB", "RGB"] * 4


def test_features_that_are_no_numbers_name_row_and_model(tmp_path):
    folder = shutil.copytree(tiny_model(), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("convolution.weight"))
    weights[name] = weights[name] * float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="Row 0: the image has features by .*model that are no finite numbers"):
        by_cluster("texture", unlabelled(), cluster_model=str(folder))


def test_a_model_without_weights_is_refused(tmp_path):
    folder = shutil.copytree(tiny_model(), tmp_path / "model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match="model holds no image classifier that can be loaded"):
        by_cluster("texture", unlabelled(), cluster_model=str(folder))


@pytest.mark.parametrize("damage", ["cluster_members", "cluster_ids", "cluster_centres"])
def test_a_key_with_damaged_clusters_is_refused(damage):
    key = by_cluster("texture", unlabelled()).key
    broken = {"cluster_members": key.tensors["cluster_members"] + np.int32(3),
              "cluster_ids": key.tensors["cluster_ids"][::-1].copy(),
              "cluster_centres": key.tensors["cluster_centres"] * np.float32("nan")}  # fmt: skip
    with pytest.raises(ValueError, match="damaged"):
        load_transform(replace(key, tensors={**key.tensors, damage: broken[damage]}))


def test_protected_images_without_labels_are_known_by_their_key():
    dataset = unlabelled(60, height=48, width=48)
    cloak = by_cluster("texture", dataset)
    assert verify(cloak, dataset.map(cloak, batched=True)).shown
    assert not verify(cloak, dataset).shown
