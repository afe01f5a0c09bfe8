"""What shows whose data is that learned noise protects, of any kind of data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hf_unlearnable.mark import ClassMarks, NoMarkError

PRESENT = 0.5  # share of a noise's amplitude from which on it counts as there
_SEEN_AT = 3.0  # standard deviations that the whole of a class's noise has to stand out by


def noise_marks(scores: np.ndarray, given: Sequence[int], faint: str) -> ClassMarks:
    """In which rows the noise of which class is there.

    Clean rows hold a little of what was learned from them: of decoys, half as much is enough.

    Args:
        scores: How much of each noise each row holds, [rows, classes, 1 + decoys], the key's own first; 1 is all.
        given: Class index of each row, -1 where it is not known.
        faint: What to say where the noise cannot be told from the rows.

    Raises:
        NoMarkError: The noise would not stand out.
    """
    rows, classes, _ = scores.shape
    spread = float(scores[:, :, 1:].std()) / (rows / classes) ** 0.5  # of a class's mean, by chance
    if spread > 1 / _SEEN_AT:
        raise NoMarkError(f"{faint}, or keep the original data: it shows whose they are.")
    asked = np.where(np.arange(scores.shape[2]) == 0, PRESENT, PRESENT / 2)
    return ClassMarks(scores >= asked, given, drawn=False)


def known_by_column(id_column: str) -> NoMarkError:
    """That a key which knows its rows by a column cannot be shown."""
    return NoMarkError(
        f"This key knows its rows by column {id_column!r} and not by their content, so that nothing tells whether "
        "noise that is taken off leaves an original. A key without id_column can be shown."
    )
