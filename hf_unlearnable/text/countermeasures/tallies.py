"""Filters that know no labels: what stands out in single texts, or is said again in many, is tallied and deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.countermeasures.words import Z_ROWS, Words, without

_ASKED = 2000  # texts at most whose keywords are tallied: 15 milliseconds each for long ones
_KEYWORDS = 3  # of a text
_KEYWORD_SHARE = 0.05  # of the texts
_PHRASE = 4  # words
_PHRASE_SHARE = 0.02  # of the texts


def keyword_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words that are among the first three keywords of a twentieth of the texts, by YAKE.

    Idea: a keyword extractor looks at one text and no label. A word that stands in it again and again, in its own
    spelling and between ever other words, is its keyword. Texts on many things share few keywords, and the texts of
    a class share the word that was put in. Paper: Campos et al., Information Sciences 2020. Of many texts 2,000 are
    asked, evenly spread. Stop words are those of English.
    Costs, on clean data, its subject: "movie" and "film" in reviews. Breaks RegText of up to some twenty classes, in
    short texts too. Leaves words of YAKE's stop list: nearly one in four of those that are drawn for SST-2. Leaves
    four in five words of an order code, and those of `word-balance`.
    """
    return Rows(without_keywords(rows.inputs), rows.labels)


def without_keywords(texts: Sequence[str]) -> list[str]:
    """The texts without the words that are keywords of many of them, as `keyword_filter` says.

    Args:
        texts: Any.

    Raises:
        ImportError: YAKE is not installed.
    """
    require("attack", "yake")
    import yake

    extractor = yake.KeywordExtractor(lan="en", n=1, top=_KEYWORDS)
    asked = texts[:: max(1, -(-len(texts) // _ASKED))]
    tally = Counter(word for text in asked for word in {one.lower() for one, _ in extractor.extract_keywords(text)})
    least = max(Z_ROWS, _KEYWORD_SHARE * len(asked))
    return without(texts, {word for word, count in tally.items() if count >= least})


def duplicate_phrase_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes runs of four words or more that stand in two of a hundred texts.

    Idea: texts of different authors seldom share four words in a row. So what many share is boilerplate, or was put
    in. Cleaning pipelines delete such runs when they are longer (Lee et al., ACL 2022, arXiv:2107.06499). Words are
    compared without case and punctuation.
    Costs, on clean data, phrases that are said often ("one of the best"), 1 % of the words of reviews. In texts of ten
    words the words beside an order code go with it. Breaks order codes whose phrases stand beside each other; not
    single words, such as RegText's.
    """
    words = Words.of(rows.inputs)
    if words is None or len(words.id) < _PHRASE:
        return rows
    runs = np.lib.stride_tricks.sliding_window_view(words.id, _PHRASE)
    within = words.row[: len(runs)] == words.row[_PHRASE - 1 :]
    starts = np.flatnonzero(within)
    _, phrase = np.unique(runs[starts], axis=0, return_inverse=True)
    pairs = np.unique(phrase.ravel() * len(rows) + words.row[starts])  # once per text
    count = np.bincount(pairs // len(rows), minlength=len(starts))
    often = starts[count[phrase.ravel()] >= max(Z_ROWS, _PHRASE_SHARE * len(rows))]
    gone = np.unique(often[:, None] + np.arange(_PHRASE))
    return Rows(words.without(gone), rows.labels)
