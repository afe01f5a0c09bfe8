"""Checks of what the owner has of it: the key, its secrecy, proof of ownership, and what is published."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from hf_unlearnable.testing.compare import assert_same, clone, map_with, stored

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.transform import Transform


def check_keys_differ(transform: Transform, dataset: Dataset) -> None:
    """Another seed gives other bytes, and `seed=None` draws a fresh one."""
    one, two = (stored(map_with(dataset, clone(transform, seed=seed).fit(dataset))) for seed in (11, 12))
    assert one != two, "another seed must give other bytes"
    fresh = [clone(transform, seed=None).fit(dataset).key.seed for _ in range(3)]
    assert len(set(fresh)) == 3, "seed=None must draw a fresh secret seed at fit"


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
        assert_same(map_with(dataset, type(fitted).from_key(loaded)), map_with(dataset, fitted), "a loaded key")
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
    # Words that the dataset's info held before, such as names of its classes, are no secret of the key's.
    public = repr(dataset.info) + repr(dataset.features)
    secrets = {str(seed), f"{seed:x}", *(word for word in _words_of(fitted.key.state) if word not in public)}
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
        for before, after in zip(dataset, map_with(dataset, fitted), strict=True):
            added = Counter(after[column].split()) - Counter(before[column].split())
            hidden = set(added).difference(shown[before[fitted.label_column]])
            assert not hidden, f"inserted_words() does not show {sorted(hidden)}, which went into {column!r}"


def check_ownership(transform: Transform, dataset: Dataset) -> None:
    """`verify` finds the key in the rows that it made and not in the clean ones, or says why it cannot be shown."""
    from hf_unlearnable.mark import NoMarkError
    from hf_unlearnable.ownership import SIGNIFICANT, verify

    fitted = clone(transform).fit(dataset)
    try:
        own, clean = verify(fitted, map_with(dataset, fitted)), verify(fitted, dataset)
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
    protected = map_with(dataset, fitted)
    here = {transform.method: type(transform)}
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(METHODS._registered, here):
        folder = Path(scratch, "upload")
        try:
            done = push_protected(protected, "owner/name", key=fitted, original=dataset, dry_run=folder)
        except ValueError as error:
            raise AssertionError(f"push_protected refuses what this method makes: {error}") from error
        uploaded = pq.read_table(sorted(folder.glob("data/*.parquet"))).to_pydict()
    assert f"`{transform.method}`" in done.card, f"the card does not name {transform.method!r}"
    for column, values in stored(protected).items():
        assert _without_paths(uploaded[column]) == _without_paths(values), f"other bytes of {column!r} are uploaded"


def _without_paths(values: list) -> list:
    """Files by their bytes alone: what they are called does not leave."""
    return [value["bytes"] if isinstance(value, dict) and "bytes" in value else value for value in values]


def _words_of(state: Any) -> set[str]:
    """Every string of four letters or more in a key's state; shorter ones stand anywhere by chance."""
    if isinstance(state, str):
        return {state} if len(state) > 3 else set()
    values = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    return set().union(*(_words_of(value) for _, value in values)) if values else set()
