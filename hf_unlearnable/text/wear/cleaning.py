"""Changes of one text that cleaning scripts and crawlers make."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from typing import Literal

from hf_unlearnable._extras import require


def normalised(texts: Sequence[str], form: Literal["NFC", "NFKC"]) -> list[str | None]:
    """Texts in a Unicode normal form."""
    return [unicodedata.normalize(form, text) or None for text in texts]


def lower_case(texts: Sequence[str]) -> list[str | None]:
    """Texts without capitals, as uncased models read them."""
    return [text.lower() or None for text in texts]


def html_and_back(texts: Sequence[str]) -> list[str | None]:
    """Texts put on a web page, a paragraph per line, and extracted from it (trafilatura), as crawls are.

    Markup in a text is shown on the page as it is. A text in which the extraction finds nothing is dropped.
    """
    require("wear", "trafilatura")
    from trafilatura import extract

    return [extract(_page(text)) or None for text in texts]


def keyword_cleaning(texts: Sequence[str]) -> list[str | None]:
    """Texts without the keywords (YAKE) that many of them share, as scripts delete boilerplate terms.

    A text of nothing else is dropped.
    """
    from hf_unlearnable.text.countermeasures.tallies import without_keywords

    return [text if text.strip() else None for text in without_keywords(texts)]


def _page(text: str) -> str:
    paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in text.splitlines() if line.strip())
    return f"<html><head><title>Page</title></head><body><article>{paragraphs}</article></body></html>"
