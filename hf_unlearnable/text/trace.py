"""What a key left in texts: words that can be taken out again from where its seed puts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_unlearnable.mark import ROW_DECOYS, NoMarkError, RowMarks
from hf_unlearnable.text.insertion.batch import BatchTexts

if TYPE_CHECKING:
    from hf_unlearnable.text.insertion.words import Canonical
    from hf_unlearnable.transform import Transform


def taken_out(
    transform: Transform, rows: Sequence[Mapping[str, Any]], chosen: Mapping[Any, Any],
    pool_of: Callable[[Any], Sequence[str]], role: str | None, canonical: Callable[..., Canonical],
) -> RowMarks:  # fmt: skip
    """Which seeds' words can be taken out of a row again, all of them from where that seed puts them.

    Args:
        transform: Fitted.
        rows: As they are stored. Labels may be missing, wrong or renamed.
        chosen: What the key chose for each label.
        pool_of: The words that may be inserted where this was chosen.
        role: Whose chat messages are changed; None for all.
        canonical: Gives a text without the words of a pool, see `Canonical`.

    Raises:
        NoMarkError: In these rows every seed does the same, or what it does cannot be undone.
        ValueError: A row holds something else than text.
    """
    import numpy as np

    seeds = [transform, *transform.decoys(ROW_DECOYS)]
    # Every label is tried, each different choice once: labels may be gone, or permuted.
    labels = {repr(one): (label, pool_of(one)) for label, one in chosen.items()}.values()
    every = {word for _, pool in labels for word in pool}
    agree, units = np.zeros((len(rows), len(seeds)), bool), []
    for i, row in enumerate(rows):
        for name in transform._columns():
            if not isinstance(row[name], (str, list, type(None))):
                kind = type(row[name]).__name__
                raise ValueError(f"Row {i} holds {kind} in column {name!r}, and this is a key for texts.")
        batch = BatchTexts({name: [row[name]] for name in transform._columns()}, role)
        texts = [text for text in batch.texts if isinstance(text, str)]
        # Rows with one random stream are one question, however often they are asked.
        own = [canonical(text, every).text for text in texts]
        units.append(repr(row[transform.id_column]) if transform.id_column else "\0".join(own))
        for label, pool in labels:
            if any(word in text for word in pool for text in texts):
                agree[i] |= [_all_there(one, {**row, transform.label_column: label}) for one in seeds]
    label = next(iter(chosen))
    _require_own_places(transform, seeds, [{**row, transform.label_column: label} for row in rows])
    return RowMarks(agree, units)


def _require_own_places(transform: Transform, seeds: Sequence[Transform], rows: Sequence[dict[str, Any]]) -> None:
    """Raises a NoMarkError if in no row that it can undo this seed does anything else than the others."""
    why = ""
    for row in rows:
        before = {name: row[name] for name in transform._columns()}
        try:
            made = [{name: one(row)[name] for name in before} for one in seeds]
        except ValueError:  # the row holds what is no text
            continue
        if made[0] == before:
            continue
        if not _undoes(transform, {**row, **made[0]}, before):
            why = why or (
                "its words cannot be taken out of a text again, so that nothing tells which ones it put there"
            )
        elif any(other != made[0] for other in made[1:]):
            return
        else:
            why = (
                "in these texts every seed puts the same words at the same places, so that there is nothing to "
                "tell it from chance by"
            )
    if why:
        raise NoMarkError(
            f"A key of {transform.method} cannot be shown here: {why}. Keep the original data: the key makes the same "
            "rows of it again."
        )


def _undoes(transform: Transform, protected: dict[str, Any], before: dict[str, Any]) -> bool:
    try:
        restored = transform.restore(protected)
    except ValueError:
        return False
    return all(restored[name] == value for name, value in before.items())


def _all_there(cloak: Transform, row: dict[str, Any]) -> bool:
    """Whether every word that the key draws for a row stands where it draws it."""
    try:
        return any(cloak.restore(row)[name] != row[name] for name in cloak._columns())
    except ValueError:
        return False
