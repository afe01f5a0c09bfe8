"""A text without what only spells it: URL escapes, escapes of JSON, markup and its entities."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    import polars as pl

_TAG = r"<[/!?a-zA-Z][^<>]*>"
_ESCAPED = r"&#?[a-zA-Z0-9]{2,8};|%[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
_FEW = 30  # texts that are done one by one in less time than a column takes to begin with
_OTHER_TAG = r"<(?:[/!?ac-zA-Z]|b(?:[^r]|r(?:[^ ]| (?:[^/]|/[^>]))))"
# Regular expression (RE2) of the texts that `plain` changes, but for those that hold no markup except line breaks:
# these are many, and a break between two words hides nothing.
SPELLED = rf"{_OTHER_TAG}|{_ESCAPED}"


def plain(text: str) -> str:
    """The text with escapes resolved and a space in place of each tag.

    Args:
        text: Any text.

    Returns:
        The same text if it holds nothing of the kind.
    """
    if "%" in text:
        text = unquote(text.replace("+", " ") if " " not in text else text, errors="replace")
    if "\\u" in text:
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return html.unescape(re.sub(_TAG, " ", text))


def plain_texts(texts: pl.Series) -> pl.Series:
    """`plain` of many texts.

    Args:
        texts: n texts.

    Returns:
        n texts; null where there was none.
    """
    import polars as pl

    if len(texts) < _FEW:
        return pl.Series([None if text is None else plain(text) for text in texts.to_list()], dtype=pl.String)
    escaped = texts.str.contains(_ESCAPED).fill_null(False).arg_true()
    if len(escaped):
        texts = texts.clone().scatter(escaped, [plain(text) for text in texts.gather(escaped).to_list()])
    # A fixed text is replaced fast.
    texts = texts.str.replace_all("<br />", " ", literal=True)
    marked = texts.str.contains("<[/!?a-zA-Z]").fill_null(False).arg_true()
    return texts.scatter(marked, texts.gather(marked).str.replace_all(_TAG, " ")) if len(marked) else texts
