"""A card names the model that a protection goes by, and not where it lies."""

import pytest

from hf_unlearnable.publish.sections import made
from hf_unlearnable.registry import method_class


@pytest.mark.parametrize(
    ("method", "parameter", "value", "shown"),
    [
        ("texture", "cluster_model", "/home/ann/models/lite0/", "lite0"),
        ("texture", "cluster_model", "microsoft/resnet-50", "microsoft/resnet-50"),
        ("error-min", "surrogate", "/srv/nets/own", "own"),
        ("denoising-error", "autoencoder", "/home/ann/vae", "vae"),
        ("error-min-text", "surrogate", "/home/ann/minilm", "minilm"),
    ],
)
def test_a_folder_is_named_without_its_place(method, parameter, value, shown):
    told = made(method_class(method), {parameter: value})
    assert f"{parameter}={shown}" in told and "ann" not in told.replace("unlearnable", "") and "/srv" not in told
