"""FineWeb's filters of whole texts and its removal of near copies, from datatrove with its thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hf_unlearnable._extras import require

# Of `datatrove.pipeline.filters`, with the settings that FineWeb gives them, in its order.
FILTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gopher-repetition": ("GopherRepetitionFilter", {}),
    "gopher-quality": ("GopherQualityFilter", {}),
    "c4-quality": ("C4QualityFilter", {"filter_no_terminal_punct": False}),
    "fineweb-quality": ("FineWebQualityFilter", {}),
}


def kept(texts: Sequence[str], name: str) -> list[str | None]:
    """The texts that a filter of English web pages keeps; None in the place of the others.

    They are made for pages: most drop any text under 50 words, or one whose lines end without punctuation. That of C4
    also deletes lines of less than three words or about cookies; the others leave a text as it is.

    Args:
        texts: Any.
        name: One of `FILTERS`.
    """
    require("quality", "datatrove", "spacy")
    from datatrove.data import Document
    from datatrove.pipeline import filters

    kind, settings = FILTERS[name]
    judge: Any = getattr(filters, kind)(**settings)
    documents = [Document(text=text, id=str(row)) for row, text in enumerate(texts)]
    return [one.text if judge.filter(one) is True and one.text else None for one in documents]


def without_near_copies(texts: Sequence[str]) -> list[str | None]:
    """The texts without those that MinHash takes for copies of an earlier one, as FineWeb does in each crawl.

    Texts that share a bucket are copies, and so are those of which each is a copy of a third. The first one stays.
    Texts under five words have no signature and stay.

    Args:
        texts: Any.
    """
    first: dict[tuple[int, ...], int] = {}  # the first text in a bucket, by the bucket's number and hashes
    group = list(range(len(texts)))  # an earlier text of the same group, or itself

    def oldest(row: int) -> int:
        while group[row] != row:
            group[row] = row = group[group[row]]
        return row

    for row, signature in enumerate(signatures(texts)):
        for number, hashes in enumerate(signature):
            low, high = sorted((oldest(first.setdefault((number, *hashes), row)), oldest(row)))
            group[high] = low
    return [text if oldest(row) == row else None for row, text in enumerate(texts)]


def signatures(texts: Sequence[str]) -> list[list[list[int]]]:
    """The MinHash signature of every text with FineWeb's settings: runs of 5 words, 14 buckets of 8 hashes.

    Args:
        texts: Any.

    Returns:
        For each text its hashes [14][8]; nothing for a text under five words.
    """
    require("quality", "datatrove", "spacy")
    from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupSignature
    from datatrove.utils.hashing import HashConfig

    # SHA-1, for what datatrove 0.10.1 calls of xxhash 4 takes no strings.
    judge = MinhashDedupSignature("memory://signatures", MinhashConfig(hash_config=HashConfig(hash_fc="sha1")))
    shingles = [judge.get_shingles(text) for text in texts]
    return [judge.get_signature(one) if len(one) else [] for one in shingles]


def fineweb_pipeline(texts: Sequence[str]) -> list[str | None]:
    """The texts that FineWeb would keep of pages in English: its four filters one after the other, then near copies.

    What FineWeb does before is left out: lists of addresses, extraction from HTML and the recognition of English.

    Args:
        texts: Any.
    """
    left: list[str | None] = list(texts)
    changes: list[Callable[[Sequence[str]], list[str | None]]] = [partial(kept, name=name) for name in FILTERS]
    for change in [*changes, without_near_copies]:
        there = [(row, text) for row, text in enumerate(left) if text is not None]
        for (row, _), text in zip(there, change([text for _, text in there]), strict=True):
            left[row] = text
    return left
