"""Checks of the map function: the same bytes in every way of calling it, and nothing else touched."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable.testing.compare import assert_same, clone, comparable_rows, map_with, stored

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.transform import Transform


def check_same_bytes(transform: Transform, dataset: Dataset) -> None:
    """Any batch size, number of processes, order, shard and unbatched: every row gets the same bytes."""
    fitted = clone(transform).fit(dataset)
    expected = map_with(dataset, fitted)
    for size in (1, 3, len(dataset) + 1):
        assert_same(map_with(dataset, fitted, batch_size=size), expected, f"batch_size={size}")
    assert_same(dataset.map(fitted, load_from_cache_file=False), expected, "unbatched")
    assert_same(map_with(dataset, fitted, num_proc=2), expected, "num_proc=2")
    order = sorted(range(len(dataset)), key=lambda i: (i * 7919) % 104729)
    assert_same(map_with(dataset.select(order), fitted), expected.select(order), "another order")
    for i in range(3):
        assert_same(map_with(dataset.shard(3, i), fitted), expected.shard(3, i), f"shard {i} of 3")
    assert_same(map_with(dataset.with_format("arrow"), fitted).with_format(None), expected, "Arrow format")
    row = dict(dataset[0])
    assert _encoded(fitted(row), expected) == _encoded(expected[0], expected), "a plain dict"


def check_streams(transform: Transform, dataset: Dataset) -> None:
    """A stream, its parts on two nodes, and several DataLoader workers give the bytes of the plain map."""
    from datasets.distributed import split_dataset_by_node

    fitted = clone(transform).fit(dataset)
    expected = sorted(map(repr, comparable_rows(map_with(dataset, fitted))))
    stream = dataset.to_iterable_dataset(num_shards=4)
    for batched in (True, False):
        mapped = stream.map(fitted, batched=batched, features=dataset.features)
        assert sorted(map(repr, comparable_rows(mapped))) == expected, f"IterableDataset, batched={batched}"
    assert sorted(
        map(repr, comparable_rows(stream.shuffle(seed=3, buffer_size=7).map(fitted, features=dataset.features)))
    ) == (expected), "a shuffled stream"
    nodes = [
        split_dataset_by_node(stream, rank, 2).map(fitted, batched=True, features=dataset.features) for rank in (0, 1)
    ]
    assert sorted(repr(row) for node in nodes for row in comparable_rows(node)) == expected, "split_dataset_by_node"
    try:
        from torch.utils.data import DataLoader
    except ImportError:
        return
    mapped = stream.map(fitted, batched=True, features=dataset.features)
    loader = DataLoader(mapped, num_workers=2, batch_size=None)
    assert sorted(map(repr, comparable_rows(loader))) == expected, "two DataLoader workers"


def check_two_processes_agree(transform: Transform, dataset: Dataset) -> None:
    """A process of its own, with another hash seed, loads the key and gives the same bytes."""
    fitted = clone(transform).fit(dataset)
    with tempfile.TemporaryDirectory() as folder:
        fitted.key.save(Path(folder, "key"))
        dataset.save_to_disk(str(Path(folder, "data")))
        Path(folder, "class.pickle").write_bytes(pickle.dumps(type(fitted)))
        script = (
            "import pickle, sys; from pathlib import Path\n"
            "from datasets import load_from_disk, disable_progress_bars\n"
            "from hf_unlearnable.key import Key\n"
            "disable_progress_bars(); here = Path(sys.argv[1]); sys.path[:0] = sys.argv[2:]\n"
            "cls = pickle.loads((here / 'class.pickle').read_bytes())\n"
            "mapped = load_from_disk(str(here / 'data')).map(cls.from_key(Key.load(here / 'key')), batched=True)\n"
            "mapped.save_to_disk(str(here / 'out'))\n"
        )
        subprocess.run(
            [sys.executable, "-c", script, folder, *sys.path], check=True, env={**os.environ, "PYTHONHASHSEED": "5"}
        )
        from datasets import load_from_disk

        assert_same(load_from_disk(str(Path(folder, "out"))), map_with(dataset, fitted), "another process")


def check_columns_untouched(transform: Transform, dataset: Dataset) -> None:
    """Other columns keep their bytes, and all columns their features: ClassLabel, nested, large_string, ..."""
    from datasets import ClassLabel, Features, Value

    rows = len(dataset)
    more = dataset.add_column("note", [f"keep {i}" for i in range(rows)])
    more = more.add_column("nested", [{"a": [i, i + 1], "b": {"c": str(i)}} for i in range(rows)])
    more = more.add_column("stars", [i % 5 for i in range(rows)])
    more = more.cast(
        Features(
            {**more.features, "note": Value("large_string"), "stars": ClassLabel(names=["a", "b", "c", "d", "e"])}
        )
    )
    fitted = clone(transform).fit(more)
    mapped = map_with(more, fitted)
    assert mapped.features == more.features, f"features changed: {mapped.features} instead of {more.features}"
    others = [name for name in more.column_names if name not in fitted._columns()]
    assert_same(mapped.select_columns(others), more.select_columns(others), "other columns")
    assert_same(
        mapped.select_columns(dataset.column_names), map_with(dataset, clone(transform).fit(dataset)), "same bytes"
    )


def check_rows_untouched(transform: Transform, dataset: Dataset) -> None:
    """`fraction`, `classes` and `mask_column` leave the other rows byte-identical and protect the same way."""
    full = stored(map_with(dataset, clone(transform).fit(dataset)))
    before = stored(dataset)
    column = clone(transform)._columns()[0]

    def protected(**changes: Any) -> list[bool]:
        data = changes.pop("data", dataset)
        after = stored(map_with(data, clone(transform, **changes).fit(data)))[column]
        assert all(x in (y, z) for x, y, z in zip(after, full[column], before[column], strict=True)), f"{changes}"
        return [x != y for x, y in zip(after, before[column], strict=True)]

    assert not any(protected(fraction=0.0)), "fraction=0 must leave every row alone"
    half, most = protected(fraction=0.5), protected(fraction=0.9)
    assert 0.2 < sum(half) / len(half) < 0.8, f"fraction=0.5 protected {sum(half)} of {len(half)}"
    assert all(b or not a for a, b in zip(half, most, strict=True)), "a larger fraction must hold a smaller one"
    labels = dataset[transform.label_column]
    first = sorted(set(labels))[0]
    assert not any(p and y != first for p, y in zip(protected(classes=[first]), labels, strict=True)), "classes"
    mask = [i % 3 == 0 for i in range(len(dataset))]
    masked = protected(mask_column="mask", data=dataset.add_column("mask", mask))
    assert not any(p and not m for p, m in zip(masked, mask, strict=True)), "mask_column"


def check_id_column(transform: Transform, dataset: Dataset) -> None:
    """With `id_column` a row has the same bytes in any order, and other ids give other bytes."""
    ids = dataset.add_column("row_id", [f"id-{i}" for i in range(len(dataset))])
    other = dataset.add_column("row_id", [f"other-{i}" for i in range(len(dataset))])
    cloak = clone(transform, id_column="row_id").fit(ids)
    order = list(reversed(range(len(ids))))
    assert_same(map_with(ids.select(order), cloak), map_with(ids, cloak).select(order), "id_column in another order")
    column = cloak._columns()[0]
    if transform.differs_by_row:  # a fit of its own, since noise may exist for the fitted rows only
        again = map_with(other, clone(transform, id_column="row_id").fit(other))
        assert stored(map_with(ids, cloak))[column] != stored(again)[column], "other ids must give other bytes"


def _encoded(row: dict, like: Dataset) -> dict:
    """A row with its images encoded; recordings are given as they are stored, and `datasets` asks for torchcodec."""
    from datasets import Audio, Features

    features = {name: feature for name, feature in like.features.items() if not isinstance(feature, Audio)}
    encoded = Features(features).encode_example({name: row[name] for name in features})
    return {**row, **encoded}
