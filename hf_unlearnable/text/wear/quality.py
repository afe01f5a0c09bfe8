"""The quality filters of FineWeb, from datatrove with its thresholds: they drop whole texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_unlearnable._extras import require

# Of `datatrove.pipeline.filters`.
FILTERS = {
    "gopher-quality": "GopherQualityFilter",
    "gopher-repetition": "GopherRepetitionFilter",
    "fineweb-quality": "FineWebQualityFilter",
}


def kept(texts: Sequence[str], name: str) -> list[str | None]:
    """The texts that a filter of English web pages keeps, as they are; None in the place of the others.

    They are made for pages: most drop any text under 50 words, or one whose lines end without punctuation.

    Args:
        texts: Any.
        name: One of `FILTERS`.
    """
    require("quality", "datatrove", "spacy")
    from datatrove.data import Document
    from datatrove.pipeline import filters

    judge: Any = getattr(filters, FILTERS[name])()
    return [text if judge.filter(Document(text=text, id=str(row))) is True else None for row, text in enumerate(texts)]
