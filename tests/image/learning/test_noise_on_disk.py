"""Noise of many images stays on disk from the start: hashing and pickling its transform takes little memory."""

import gc
import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from datasets import config
from datasets.fingerprint import Hasher

from hf_unlearnable import ErrorMinTransform, _mapped
from hf_unlearnable._mapped import on_disk
from hf_unlearnable.image.learning.noise import SampleNoise
from tests.examples import pictures


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", str(tmp_path))
    return tmp_path / "hf-unlearnable-noise"


def test_a_key_of_100_000_images_hashes_in_50_megabytes(cache):
    count, size = 100_000, 32 * 32 * 3
    levels = on_disk(np.zeros(count * size, np.int8))
    cloak = ErrorMinTransform(seed=1)
    cloak._seed = 1
    shapes, starts = np.full((count, 3), (32, 32, 3), np.int32), np.arange(count, dtype=np.int64) * size
    cloak._noise = SampleNoise(np.arange(count, dtype=np.uint64), starts, shapes, levels)
    tracemalloc.start()
    try:
        first = Hasher.hash(cloak)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert Hasher.hash(cloak) == first and len(pickle.dumps(cloak)) < 4e6


def test_large_noise_is_mapped_protects_alike_and_is_gone_with_its_transform(cache, monkeypatch):
    dataset = pictures(24)
    settings = {"seed": 3, "max_rounds": 1, "surrogate_steps": 1}
    small = ErrorMinTransform(**settings).fit(dataset)
    monkeypatch.setattr(_mapped, "_LARGE", 0)
    cloak = ErrorMinTransform(**settings).fit(dataset)
    (folder,) = cache.iterdir()
    assert folder.stat().st_mode & 0o077 == 0 and isinstance(cloak._noise.levels, np.memmap)
    assert cloak.key.same_secret(small.key)
    row = {"image": dataset[0]["image"], "label": 0}
    assert np.array_equal(pickle.loads(pickle.dumps(cloak))(row)["image"], small(row)["image"])
    del cloak
    gc.collect()
    assert not folder.exists()


def test_a_copy_in_a_forked_process_does_not_remove_the_file(cache, monkeypatch):
    array = on_disk(np.ones(_mapped._LARGE, np.int8))
    other = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: other)
    place = Path(array.filename)
    del array
    gc.collect()
    assert place.exists()


def test_small_arrays_and_those_that_are_mapped_stay_as_they_are(cache, tmp_path):
    small = np.zeros(10, np.int8)
    assert on_disk(small) is small
    mapped = np.memmap(tmp_path / "x", np.int8, "w+", shape=(_mapped._LARGE,))
    assert on_disk(mapped) is mapped and not cache.exists()
