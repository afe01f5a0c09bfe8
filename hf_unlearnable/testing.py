"""The checks that every protection passes, for the methods of this package and for your own.

    from hf_unlearnable.testing import check_transform

    def test_my_transform():
        check_transform(MyTransform(text_column="text", label_column="label", seed=1), my_dataset)

Each check is a plain function `check(transform, dataset)` in `CHECKS`; `pytest.mark.parametrize` over it to see them
one by one. They take the transform unfitted, fit clones of it, and compare exact values.
"""

from __future__ import annotations

import logging
import os
import pickle
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.transform import Transform


def check_transform(transform: Transform, dataset: Dataset) -> None:
    """Runs every check of the contract on one transform.

    Args:
        transform: Unfitted, with a fixed `seed`.
        dataset: Some twenty rows or more, all different, with every class; at most a thousand.

    Raises:
        AssertionError: The contract is broken; the message says how.
    """
    for check in CHECKS:
        check(transform, dataset)


def clone(transform: Transform, **changes: Any) -> Transform:
    """An unfitted transform with the same parameters, but for `changes`."""
    return type(transform)(**{**transform.get_params(), **changes})


def check_init_only_stores(transform: Transform, dataset: Dataset) -> None:
    parameters = transform.get_params()
    again = type(transform)(**parameters)
    assert all(getattr(again, name) is value for name, value in parameters.items()), "__init__ must only store"
    assert transform.fit(dataset) is transform, "fit must return self"
    assert transform.get_params() == parameters, "fit must leave the parameters alone"


def check_unfitted(transform: Transform, dataset: Dataset) -> None:
    from hf_unlearnable.transform import NotFittedError

    for use in (lambda t: t(dataset[:2]), lambda t: t.key, lambda t: t.restore(dataset)):
        try:
            use(clone(transform))
        except NotFittedError:
            continue
        raise AssertionError("an unfitted transform must raise NotFittedError")


def check_identity_at_zero(transform: Transform, dataset: Dataset) -> None:
    still = clone(transform, **{transform.strength_parameter: 0}).fit(dataset)
    assert_same(_map(dataset, still), dataset, f"{transform.strength_parameter}=0 must change nothing")


def check_something_changes(transform: Transform, dataset: Dataset) -> None:
    fitted = clone(transform).fit(dataset)
    before, after = _stored(dataset), _stored(_map(dataset, fitted))
    for column in fitted._columns():
        changed = sum(a != b for a, b in zip(before[column], after[column], strict=True))
        assert changed > len(dataset) // 2, f"only {changed} of {len(dataset)} rows of {column!r} were changed"


def check_same_bytes(transform: Transform, dataset: Dataset) -> None:
    """Any batch size, number of processes, order, shard and unbatched: every row gets the same bytes."""
    fitted = clone(transform).fit(dataset)
    expected = _map(dataset, fitted)
    for size in (1, 3, len(dataset) + 1):
        assert_same(_map(dataset, fitted, batch_size=size), expected, f"batch_size={size}")
    assert_same(dataset.map(fitted, load_from_cache_file=False), expected, "unbatched")
    assert_same(_map(dataset, fitted, num_proc=2), expected, "num_proc=2")
    order = sorted(range(len(dataset)), key=lambda i: (i * 7919) % 104729)
    assert_same(_map(dataset.select(order), fitted), expected.select(order), "another order")
    for i in range(3):
        assert_same(_map(dataset.shard(3, i), fitted), expected.shard(3, i), f"shard {i} of 3")
    assert_same(_map(dataset.with_format("arrow"), fitted).with_format(None), expected, "Arrow format")
    row = dict(dataset[0])
    assert _encoded(fitted(row), expected) == _encoded(expected[0], expected), "a plain dict"


def check_streams(transform: Transform, dataset: Dataset) -> None:
    """A stream, its parts on two nodes, and several DataLoader workers give the bytes of the plain map."""
    from datasets.distributed import split_dataset_by_node

    fitted = clone(transform).fit(dataset)
    expected = sorted(map(repr, _rows(_map(dataset, fitted))))
    stream = dataset.to_iterable_dataset(num_shards=4)
    for batched in (True, False):
        mapped = stream.map(fitted, batched=batched, features=dataset.features)
        assert sorted(map(repr, _rows(mapped))) == expected, f"IterableDataset, batched={batched}"
    assert sorted(map(repr, _rows(stream.shuffle(seed=3, buffer_size=7).map(fitted, features=dataset.features)))) == (
        expected
    ), "a shuffled stream"
    nodes = [
        split_dataset_by_node(stream, rank, 2).map(fitted, batched=True, features=dataset.features) for rank in (0, 1)
    ]
    assert sorted(repr(row) for node in nodes for row in _rows(node)) == expected, "split_dataset_by_node"
    try:
        from torch.utils.data import DataLoader
    except ImportError:
        return
    mapped = stream.map(fitted, batched=True, features=dataset.features)
    loader = DataLoader(mapped, num_workers=2, batch_size=None)
    assert sorted(map(repr, _rows(loader))) == expected, "two DataLoader workers"


def check_fit_on_stream(transform: Transform, dataset: Dataset) -> None:
    a = clone(transform).fit(dataset)
    b = clone(transform).fit(dataset.to_iterable_dataset())
    assert_same(_map(dataset, a), _map(dataset, b), "fit on an IterableDataset must learn the same")


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

        assert_same(load_from_disk(str(Path(folder, "out"))), _map(dataset, fitted), "another process")


def check_keys_differ(transform: Transform, dataset: Dataset) -> None:
    one, two = (_stored(_map(dataset, clone(transform, seed=seed).fit(dataset))) for seed in (11, 12))
    assert one != two, "another seed must give other bytes"
    fresh = [clone(transform, seed=None).fit(dataset).key.seed for _ in range(3)]
    assert len(set(fresh)) == 3, "seed=None must draw a fresh secret seed at fit"


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
    mapped = _map(more, fitted)
    assert mapped.features == more.features, f"features changed: {mapped.features} instead of {more.features}"
    others = [name for name in more.column_names if name not in fitted._columns()]
    assert_same(mapped.select_columns(others), more.select_columns(others), "other columns")
    assert_same(
        mapped.select_columns(dataset.column_names), _map(dataset, clone(transform).fit(dataset)), "same bytes"
    )


def check_rows_untouched(transform: Transform, dataset: Dataset) -> None:
    """`fraction`, `classes` and `mask_column` leave the other rows byte-identical and protect the same way."""
    full = _stored(_map(dataset, clone(transform).fit(dataset)))
    before = _stored(dataset)
    column = clone(transform)._columns()[0]

    def protected(**changes: Any) -> list[bool]:
        data = changes.pop("data", dataset)
        after = _stored(_map(data, clone(transform, **changes).fit(data)))[column]
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
    ids = dataset.add_column("row_id", [f"id-{i}" for i in range(len(dataset))])
    other = dataset.add_column("row_id", [f"other-{i}" for i in range(len(dataset))])
    cloak = clone(transform, id_column="row_id").fit(ids)
    order = list(reversed(range(len(ids))))
    assert_same(_map(ids.select(order), cloak), _map(ids, cloak).select(order), "id_column in another order")
    column = cloak._columns()[0]
    if transform.differs_by_row:  # a fit of its own, since noise may exist for the fitted rows only
        again = _map(other, clone(transform, id_column="row_id").fit(other))
        assert _stored(_map(ids, cloak))[column] != _stored(again)[column], "other ids must give other bytes"


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
        stored = load_from_disk(folder)
        first = stored.map(fitted, batched=True)
        again = stored.map(clone(transform).fit(dataset), batched=True)
        assert first.cache_files and again.cache_files == first.cache_files, "map must find its cache"
        assert stored.map(changed, batched=True).cache_files != first.cache_files, "map must not take a stale cache"


def check_pickle(transform: Transform, dataset: Dataset) -> None:
    fitted = clone(transform).fit(dataset)
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.get_params() == {**fitted.get_params(), "seed": None}, "a pickle keeps the parameters"
    assert_same(_map(dataset, copy), _map(dataset, fitted), "a pickled copy")


def check_key(transform: Transform, dataset: Dataset) -> None:
    """Saved and loaded, the key gives the same bytes; its files are the owner's alone; it is never overwritten."""
    import numpy as np

    from hf_unlearnable.key import Key

    fitted = clone(transform).fit(dataset)
    with tempfile.TemporaryDirectory() as folder:
        path = fitted.key.save(Path(folder, "owner.key"))
        loaded = Key.load(path)
        assert loaded.state == fitted.key.state and loaded.seed == fitted.key.seed, "the key changed on disk"
        assert all(np.array_equal(loaded.tensors[n], t) for n, t in fitted.key.tensors.items()), "the tensors changed"
        assert_same(_map(dataset, type(fitted).from_key(loaded)), _map(dataset, fitted), "a loaded key")
        if os.name == "posix":
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
            assert set(modes.values()) == {0o600}, f"key files must have mode 0600: {modes}"
        try:
            fitted.key.save(path)
        except FileExistsError:
            pass
        else:
            raise AssertionError("a key must never be overwritten")


def check_secrecy(transform: Transform, dataset: Dataset) -> None:
    """Neither `repr`, log lines, the dataset's info nor the metadata of the Arrow files hold the key."""
    import pyarrow as pa
    from datasets import load_from_disk

    seed = 9_182_736_455_463
    records: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        fitted = clone(transform, seed=seed).fit(dataset)
        with tempfile.TemporaryDirectory() as folder:
            dataset.save_to_disk(str(Path(folder, "in")))
            mapped = load_from_disk(str(Path(folder, "in"))).map(fitted, batched=True)
            mapped.save_to_disk(str(Path(folder, "out")))
            places = {"the dataset's info": repr(mapped.info), "its features": repr(mapped.features)}
            for file in Path(folder).rglob("*.json"):
                places[file.name] = file.read_text()
            for file in Path(folder).rglob("*.arrow"):
                places[f"the metadata of {file.name}"] = repr(pa.ipc.open_stream(file).schema.metadata)
                places["a file name"] = places.get("a file name", "") + str(file.relative_to(folder))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    places |= {"repr": repr(fitted), "repr of the key": repr(fitted.key), "a log line": "\n".join(records)}
    places["public_params"] = repr(fitted.public_params())
    secrets = {str(seed), f"{seed:x}", *_words_of(fitted.key.state)}
    for place, text in places.items():
        found = [secret for secret in secrets if secret in text]
        assert not found, f"{place} holds a secret: {found}"


def check_words_are_shown(transform: Transform, dataset: Dataset) -> None:
    """A method that shows words (`inserted_words`) puts no others in."""
    fitted = clone(transform).fit(dataset)
    shown = {label: " ".join(words).split() for label, words in fitted.inserted_words().items()}
    if not shown:
        return
    for column in fitted._columns():
        for before, after in zip(dataset, _map(dataset, fitted), strict=True):
            added = Counter(after[column].split()) - Counter(before[column].split())
            hidden = set(added).difference(shown[before[fitted.label_column]])
            assert not hidden, f"inserted_words() does not show {sorted(hidden)}, which went into {column!r}"


def check_ownership(transform: Transform, dataset: Dataset) -> None:
    """`verify` finds the key in the rows that it made and not in the clean ones, or says why it cannot be shown."""
    from hf_unlearnable.mark import NoMarkError
    from hf_unlearnable.ownership import SIGNIFICANT, verify

    fitted = clone(transform).fit(dataset)
    try:
        own, clean = verify(fitted, _map(dataset, fitted)), verify(fitted, dataset)
    except NoMarkError as error:
        why = str(error)
    else:
        assert own.rows == len(dataset), f"verify looked at {own.rows} of {len(dataset)} rows"
        found = own.log10_p <= SIGNIFICANT
        assert found or own.log10_least > SIGNIFICANT, f"the key is not found in the rows that it made: {own}"
        assert clean.log10_p > SIGNIFICANT, f"the key is found in clean rows: {clean}"
        return
    assert why.endswith("."), f"say in a sentence why the key cannot be shown, not {why!r}"


def check_publish(transform: Transform, dataset: Dataset) -> None:
    """What `push_protected` would upload holds the protected bytes, and a card that names the method."""
    import pyarrow.parquet as pq

    from hf_unlearnable.publish import push_protected
    from hf_unlearnable.registry import METHODS

    fitted = clone(transform).fit(dataset)
    protected = _map(dataset, fitted)
    here = {transform.method: type(transform)}
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(METHODS._registered, here):
        folder = Path(scratch, "upload")
        try:
            done = push_protected(protected, "owner/name", key=fitted, original=dataset, dry_run=folder)
        except ValueError as error:
            raise AssertionError(f"push_protected refuses what this method makes: {error}") from error
        uploaded = pq.read_table(sorted(folder.glob("data/*.parquet"))).to_pydict()
    assert f"`{transform.method}`" in done.card, f"the card does not name {transform.method!r}"
    for column, values in _stored(protected).items():
        assert _without_paths(uploaded[column]) == _without_paths(values), f"other bytes of {column!r} are uploaded"


CHECKS: list[Callable[[Any, Any], None]] = [
    check_init_only_stores,
    check_unfitted,
    check_identity_at_zero,
    check_something_changes,
    check_same_bytes,
    check_streams,
    check_fit_on_stream,
    check_two_processes_agree,
    check_keys_differ,
    check_columns_untouched,
    check_rows_untouched,
    check_id_column,
    check_caching,
    check_pickle,
    check_key,
    check_secrecy,
    check_words_are_shown,
    check_ownership,
    check_publish,
]


def assert_same(mapped: Dataset, expected: Dataset, what: str) -> None:
    """Both datasets hold the same columns, features and stored bytes."""
    assert mapped.column_names == expected.column_names, f"{what}: the columns differ"
    assert mapped.features == expected.features, f"{what}: the features differ"
    one, two = _stored(mapped), _stored(expected)
    for column, values in two.items():
        wrong = [i for i, (x, y) in enumerate(zip(one[column], values, strict=True)) if x != y]
        assert not wrong, (
            f"{what}: {len(wrong)} of {len(values)} rows of {column!r} differ, the first is row {wrong[0]}"
        )


def _map(dataset: Dataset, transform: Any, **kwargs: Any) -> Dataset:
    return dataset.map(transform, batched=True, load_from_cache_file=False, **kwargs)


def _stored(dataset: Dataset) -> dict[str, list]:
    """The values as Arrow holds them, nothing decoded."""
    return dataset.with_format("arrow")[:].to_pydict()


def _without_paths(values: list) -> list:
    """Files by their bytes alone: what they are called does not leave."""
    return [value["bytes"] if isinstance(value, dict) and "bytes" in value else value for value in values]


def _rows(rows: Any) -> list[dict]:
    return [{name: _comparable(value) for name, value in row.items()} for row in rows]


def _comparable(value: Any) -> Any:
    """An opened image as its pixels; everything else as it is."""
    return (value.mode, value.size, value.tobytes()) if hasattr(value, "tobytes") and hasattr(value, "mode") else value


def _encoded(row: dict, like: Dataset) -> dict:
    return like.features.encode_example(dict(row))


def _words_of(state: Any) -> set[str]:
    """Every string of four letters or more in a key's state; shorter ones stand anywhere by chance."""
    if isinstance(state, str):
        return {state} if len(state) > 3 else set()
    values = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    return set().union(*(_words_of(value) for _, value in values)) if values else set()
