"""A recording's change made anew at random: as much of it, but no more telling of the label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.audio.base import like
from hf_unlearnable.audio.codec import decode, opened
from hf_unlearnable.key import draws, row_stream
from hf_unlearnable.rows import file_of

if TYPE_CHECKING:
    from datasets import Dataset


def random_changes(
    clean: Dataset, protected: Dataset, column: str, seed: int, naming: Callable[..., AbstractContextManager]
) -> tuple[Callable[..., dict[str, list]], list[Dataset]]:
    """What gives each recording the change of another one.

    Each protected row gets the change of another protected row of as many channels, drawn at random: as loud beside
    the recording as it was beside its own, and begun anew where it is too short. What a filter did to one class is
    noise for another.

    Args:
        clean, protected: Rows before and after, recordings undecoded.
        column: Column of recordings.
        seed: Of the draws.
        naming: `Modality.naming`.

    Returns:
        A function of a batch of recordings and of batches of what each one is given, and the datasets of these.
    """
    donors = np.arange(len(clean))
    streams = np.zeros(len(clean), np.uint64)
    channels = np.zeros(len(clean), int)  # 0 for rows without a change
    for row, (before, after) in enumerate(zip(clean[column], protected[column], strict=True)):
        with naming(row, column, before):
            if before == after:
                continue
            with opened(before) as one, opened(after) as two:
                content, shapes = one.content(), [(x.format.rate, x.format.channels, x.frames) for x in (one, two)]
                if content == two.content():
                    continue
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"Row {row}{file_of(before)}, column {column!r}: the recording has rate, channels and frames "
                f"{shapes[0]} before and {shapes[1]} after, and their difference cannot be taken. Give versions that "
                "agree in these."
            )
        streams[row], channels[row] = row_stream(content, seed), shapes[0][1]
    for count in set(channels) - {0}:
        rows = np.flatnonzero(channels == count)
        orders = [draws(streams[rows], np.full(len(rows), i, np.uint64)) for i in (0, 1)]
        takers, givers = (rows[np.argsort(order, kind="stable")] for order in orders)
        donors[takers] = givers
    return partial(_given, column=column), [clean.select(donors), protected.select(donors)]


def _given(values: Sequence[Any], befores: Sequence[Any], afters: Sequence[Any], *, column: str) -> dict[str, list]:
    """Recordings with the changes of their donors; a recording without a change is its own donor."""
    changed = []
    for value, before, after in zip(values, befores, afters, strict=True):
        if before == after:
            changed.append(value)
            continue
        (one, _), (two, _) = decode(before), decode(after)
        change = (two.astype(float) - one) / max(float(np.sqrt(np.square(one, dtype=float).mean())), 1e-12)
        with opened(value) as recording:
            samples = recording.samples()
            loud = float(np.sqrt(np.square(samples, dtype=float).mean()))
            given = samples + loud * np.resize(change, samples.shape)
            changed.append(like(value, recording, iter([recording.format.stored(given)])))
    return {column: changed}
