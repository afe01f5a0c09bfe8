"""Protecting photos without labels by the recipe: killed and started again."""

from unittest import mock

import numpy as np
import pytest

from hf_unlearnable import load_transform
from hf_unlearnable.image.learning.cluster_noise import ClusterNoiseLearner
from hf_unlearnable.registry import method_class
from recipes import protect_images
from tests import ROOT
from tests.examples import pictures
from tests.image.models import needed
from tests.recipes.test_protect_images import protect, stored


def test_clusters_that_are_done_are_not_computed_again(tmp_path):
    source = tmp_path / "source.parquet"
    pictures(20).remove_columns("label").to_parquet(source)
    parameters = {**needed("unlearnable-clusters"), "seed": 5}
    method = ("--method", "unlearnable-clusters")
    protect(source, tmp_path / "whole", *method, parameters=parameters)
    noise, computed = ClusterNoiseLearner.noise, []

    def killed(learner, cluster, rows, seed):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(cluster)
        return noise(learner, cluster, rows, seed)

    with mock.patch.object(ClusterNoiseLearner, "noise", killed), pytest.raises(KeyboardInterrupt):
        protect(source, tmp_path / "out", *method, parameters=parameters)
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.key").exists()
    goes_on = lambda *given: computed.append(given[1]) or noise(*given)  # noqa: E731
    with mock.patch.object(ClusterNoiseLearner, "noise", goes_on):
        protect(source, tmp_path / "out", *method, parameters=parameters)
    assert computed == [0, 1, 2]
    assert stored(tmp_path / "out") == stored(tmp_path / "whole")
    keys = [load_transform(tmp_path / f"{name}.key").key.tensors for name in ("out", "whole")]
    assert np.array_equal(keys[0]["levels"], keys[1]["levels"])
    assert not (tmp_path / "out.fit").exists()


def test_the_configuration_names_what_there_is():
    arguments = protect_images.parse(["--config", str(ROOT / "recipes/configs/flowers_unlearnable_clusters.yaml")])
    parameters = {name: protect_images.as_number(value) for name, value in arguments.parameters.items()}
    cloak = method_class(arguments.method)(**parameters)
    cloak._check_parameters()
    assert cloak.max_levels == 16 and not cloak.needs_labels
