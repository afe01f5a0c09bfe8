"""Whether the test is clean: an audit on protected test rows measures something else.

Three signs are looked for. A test row that shows the same as a protected training row is certain. With the key, so is
its mark. Without it, a model learns to tell protected training rows from clean ones and is asked about the test: it
notices other keys of the image methods too, and how well it tells is measured on rows held out. Without the key these
are not noticed: a few protected rows among many, texts that were protected with other words, and rows that look clean.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._words import counted
from hf_unlearnable.audit.inputs import changed_rows, identities
from hf_unlearnable.registry import modality_of

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.transform import Transform

logger = logging.getLogger(__name__)

_DRAWN, _LEARNED, _JUDGED = 320, 160, 120  # pairs that are drawn, learned from at most, and asked about at most
_LEAST = 40  # changed pairs among the drawn ones without which nothing is asked
_APART = 0.4  # how much more protected rows than clean ones it has to call protected, else its answer says nothing


def check_unprotected(
    clean: Dataset, protected: Dataset, test: Dataset, column: str, cloak: Transform | None = None
) -> list[str]:
    """What is certain about protected rows in the test.

    Args:
        clean: The training rows before.
        protected: The training rows after, in the same order.
        test: The test rows, all columns.
        column: Column of inputs.
        cloak: The transform of the owner's key, if it was given.

    Returns:
        Sentences for a reader; none where nothing was found.

    Raises:
        ValueError: More than half of the test rows are protected.
    """
    from hf_unlearnable.ownership import SIGNIFICANT, verify

    known = set(identities(protected, column)) - set(identities(clean, column))
    same = sum(identity in known for identity in identities(test, column))
    signs = [(same, len(test), "show the same as protected training rows")] if same else []
    if cloak is not None:
        try:
            found = verify(cloak, test, column=column)
        except ValueError as error:  # a key without a mark, or a column that it needs is not there
            logger.warning("The key does not tell whether the test is protected: %s", error)
        else:
            if found.log10_p <= SIGNIFICANT:
                signs.append((found.marked, found.rows, "carry the key's mark"))
    for count, rows, sign in signs:
        if count > rows / 2:
            raise ValueError(
                f"The test is protected: {count} of {rows} test rows {sign}. Give clean rows that were held out "
                "before the protection."
            )
    return [f"{count} of {rows} test rows {sign}. Leave them out." for count, rows, sign in signs]


def looks_protected(clean: Dataset, protected: Dataset, test: Dataset, column: str) -> tuple[str, bool]:
    """Asks a model that learned to tell protected training rows from clean ones about the test, see `told_apart`.

    Args:
        clean: The training rows before.
        protected: The training rows after, in the same order.
        test: The test rows.
        column: Column of inputs.

    Returns:
        How many test rows it takes for protected ones, in words, and whether that is nearer to what it says of
        protected rows than to what it says of clean ones.
    """
    modality = modality_of(clean.features, column)
    some = np.random.default_rng(0).permutation(len(clean))[:_DRAWN]
    rows = some[changed_rows(clean.select(some), protected.select(some), column)]
    if len(rows) < _LEAST:
        return f"not judged: {counted(len(rows), 'protected row is', 'protected rows are')} too few", False
    learned = rows[: min(_LEARNED, len(rows) // 2)]
    judged = rows[len(learned) :][:_JUDGED]
    tested = np.random.default_rng(0).permutation(len(test))[:_JUDGED]

    def read(data: Dataset, some: np.ndarray) -> list[Any]:
        return modality.read(data.select(some), column)

    asked = [read(clean, judged), read(protected, judged), read(test, tested)]
    try:
        said = modality.told_apart(
            read(clean, learned), read(protected, learned), [one for part in asked for one in part]
        )
    except (OSError, ImportError, ValueError, RuntimeError) as error:  # as in the grid, it ends this question only
        return f"not judged: {' '.join(str(error).split())}", False
    before, after, there = (
        float(np.mean(part)) for part in np.split(said, np.cumsum([len(part) for part in asked])[:-1])
    )
    told = f"{100 * there:.0f} % (clean training rows {100 * before:.0f} %, protected ones {100 * after:.0f} %)"
    return told, after - before >= _APART and there - before > (after - before) / 2
