"""Checks of the estimator: what is stored, learned, kept by a copy and found in a cache."""

from __future__ import annotations

import pickle
import tempfile
from typing import TYPE_CHECKING
from unittest import mock

from hf_unlearnable.testing.compare import assert_same, clone, map_with, stored

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.transform import Transform


def check_init_only_stores(transform: Transform, dataset: Dataset) -> None:
    """`__init__` stores its arguments, `fit` returns self and leaves them alone."""
    parameters = transform.get_params()
    again = type(transform)(**parameters)
    assert all(getattr(again, name) is value for name, value in parameters.items()), "__init__ must only store"
    assert transform.fit(dataset) is transform, "fit must return self"
    assert transform.get_params() == parameters, "fit must leave the parameters alone"


def check_unfitted(transform: Transform, dataset: Dataset) -> None:
    """Any use before `fit` raises `NotFittedError`."""
    from hf_unlearnable.transform import NotFittedError

    for use in (lambda t: t(dataset[:2]), lambda t: t.key, lambda t: t.restore(dataset)):
        try:
            use(clone(transform))
        except NotFittedError:
            continue
        raise AssertionError("an unfitted transform must raise NotFittedError")


def check_identity_at_zero(transform: Transform, dataset: Dataset) -> None:
    """Strength 0 changes nothing."""
    still = clone(transform, **{transform.strength_parameter: 0}).fit(dataset)
    assert_same(map_with(dataset, still), dataset, f"{transform.strength_parameter}=0 must change nothing")


def check_something_changes(transform: Transform, dataset: Dataset) -> None:
    """At the usual strength more than half of the rows change, in every protected column."""
    fitted = clone(transform).fit(dataset)
    before, after = stored(dataset), stored(map_with(dataset, fitted))
    for column in fitted._columns():
        changed = sum(a != b for a, b in zip(before[column], after[column], strict=True))
        assert changed > len(dataset) // 2, f"only {changed} of {len(dataset)} rows of {column!r} were changed"


def check_fit_on_stream(transform: Transform, dataset: Dataset) -> None:
    """`fit` learns the same from an `IterableDataset`."""
    a = clone(transform).fit(dataset)
    b = clone(transform).fit(dataset.to_iterable_dataset())
    assert_same(map_with(dataset, a), map_with(dataset, b), "fit on an IterableDataset must learn the same")


def check_caching(transform: Transform, dataset: Dataset) -> None:
    """`map` finds its cache when nothing changed, and computes anew when anything did."""
    from datasets import load_from_disk
    from datasets.fingerprint import Hasher

    fitted = clone(transform).fit(dataset)
    once = Hasher.hash(fitted)
    fitted(dataset[:3])
    assert Hasher.hash(fitted) == once, "use must not change the hash"
    assert Hasher.hash(clone(transform).fit(dataset)) == once, "the same fit must hash the same"
    assert Hasher.hash(type(fitted).from_key(fitted.key)) == once, "a loaded key must hash the same"
    changed = clone(transform, fraction=0.5).fit(dataset)
    fewer = dataset.select(range(len(dataset) // 2, len(dataset)))
    assert Hasher.hash(changed) != once, "a changed parameter must change the hash"
    assert Hasher.hash(clone(transform, seed=12).fit(dataset)) != once, "another seed must change the hash"
    learned = clone(transform).fit(fewer)
    if learned.key.state != fitted.key.state:
        assert Hasher.hash(learned) != once, "another learned state must change the hash"
    with mock.patch("hf_unlearnable._version.__version__", "0.0.0.test"):
        assert Hasher.hash(fitted) != once, "another package version must change the hash"
    with tempfile.TemporaryDirectory() as folder:
        dataset.save_to_disk(folder)
        on_disk = load_from_disk(folder)
        first = on_disk.map(fitted, batched=True)
        again = on_disk.map(clone(transform).fit(dataset), batched=True)
        assert first.cache_files and again.cache_files == first.cache_files, "map must find its cache"
        assert on_disk.map(changed, batched=True).cache_files != first.cache_files, "map must not take a stale cache"


def check_pickle(transform: Transform, dataset: Dataset) -> None:
    """A pickled copy has the same parameters, without the seed, and gives the same bytes."""
    fitted = clone(transform).fit(dataset)
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.seed is None, "a pickle holds no seed among the parameters"
    assert copy._key_params() == fitted._key_params(), "a pickle keeps the parameters"  # with lists for tuples
    assert_same(map_with(dataset, copy), map_with(dataset, fitted), "a pickled copy")
