"""Victims that generate: what is asked of their inputs, and how a report shows them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.adversary import Rows, Victim
from hf_unlearnable.audit.page import Heading, Paragraph, Part, Picture, Table
from hf_unlearnable.audit.records import NONE
from hf_unlearnable.registry import MODALITIES

if TYPE_CHECKING:
    from PIL.Image import Image

    from hf_unlearnable.adversary.judge import Judge
    from hf_unlearnable.audit.records import Audit, Cell

MEASURES = ("kid", "fid", "precision", "recall", "nearest")
_GAP = 24  # pixels between two sheets
_EXPLAINED = (
    "A generator has no accuracy. Its number above is the share of its samples that a classifier of the clean test "
    "rows recognises as the class that was asked for. Of the same classifier are the features of kid and fid "
    "(distance to the test rows, lower is nearer), precision (how many samples look real) and recall (how many test "
    "rows are like a sample). Nearest is the distance of a sample to the nearest training row: 1 for one as new as a "
    "test row, 0 for a copy. Mean of the seeds."
)


class Judges:
    """Has the inputs of generators judged, by one judge for each kind of data."""

    def __init__(self) -> None:
        self._known: dict[str, Judge] = {}

    def judged(self, run: Victim, rows: Rows, test: Rows, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Trains a generator.

        Args:
            run: The generator.
            rows: What it trains on.
            test: Clean rows, which train the judge; the generator makes an input for the label of each.
            seed: Of the generator.

        Returns:
            The labels that the judge recognises, int [test rows], and `{"made": measures and sheet}`.

        Raises:
            ValueError: The generator names no kind of data, or one whose values cannot be judged.
        """
        if run.modality is None:
            raise ValueError(f"{run.name} generates, and names no kind of data. Give its modality.")
        if run.modality not in self._known:
            self._known[run.modality] = MODALITIES[run.modality].judge(test)
        made: Any = run(rows.inputs, rows.labels, test.labels, seed=seed)
        if len(made) != len(test):
            raise ValueError(f"{run.name} was asked for {len(test)} inputs and made {len(made)}: one for each label.")
        found, told = self._known[run.modality].judged(made, test.labels, rows)
        return found, {"made": told}


def told(made: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The measures of each seed, without the sheets."""
    return [{name: value for name, value in one.items() if name != "sheet"} for one in made]


def generated_parts(folder: Path, audit: Audit) -> list[Part]:
    """What a report says of generators; nothing where none ran.

    Args:
        folder: Gets `samples-<victim>.png`, what was made from every version side by side, the clean one first. It
            may show what the owner's images show, so it is not among the files that are published.
        audit: What was found.
    """
    cells = [cell for cell in audit.cells if cell.made]
    if not cells:
        return []
    rows = [[_named(cell), f"{cell.accuracy}", *(_mean(cell, name) for name in MEASURES)] for cell in cells]
    table = Table(["generator and what it trained on", "recognised (%)", *MEASURES], rows)
    parts: list[Part] = [Heading("What generators made"), Paragraph(_EXPLAINED), table]
    plain = [cell for cell in cells if cell.countermeasure == NONE]
    plain.sort(key=lambda cell: cell.version.role != "clean")
    for victim in dict.fromkeys(cell.victim for cell in plain):
        own = [cell for cell in plain if cell.victim == victim]
        path = Path(folder, f"samples-{victim}.png")
        _beside([cell.made[0]["sheet"] for cell in own]).save(path)
        names = ", ".join(cell.version.name for cell in own)
        parts.append(Picture(path, f"Samples of {victim}, a class per line; trained on, from left to right: {names}"))
    return parts


def _beside(sheets: Sequence[str]) -> Image:
    """Sheets beside each other, on white."""
    from PIL import Image

    pictures = [Image.open(io.BytesIO(base64.b64decode(sheet))) for sheet in sheets]
    size = sum(one.width + _GAP for one in pictures) - _GAP, max(one.height for one in pictures)
    whole, left = Image.new("RGB", size, "white"), 0
    for one in pictures:
        whole.paste(one, (left, 0))
        left += one.width + _GAP
    return whole


def _named(cell: Cell) -> str:
    after = "" if cell.countermeasure == NONE else f" after {cell.countermeasure}"
    return f"{cell.victim}, {cell.version.name}{after}"


def _mean(cell: Cell, name: str) -> str:
    return f"{np.mean([one[name] for one in cell.made]):.3f}"
