"""Clean-up and rewriting: near-duplicates, invisible letters, words dropped, shuffled or paraphrased."""

from __future__ import annotations

import re
import unicodedata

import numpy as np

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.countermeasures.words import cut, only

_SHINGLE = 5  # letters
_HASHES, _BANDS = 32, 8  # rows that share 70 % of their shingles share a band of four hashes nine times in ten
_SAME = 0.7  # share of common shingles from which two texts are the same
_DROPPED = 0.3
_KEPT_WORDS = 32


def near_duplicate_removal(rows: Rows, attacker: Attacker) -> Rows:
    """Drops texts that share seven in ten of their runs of five letters with an earlier text of the same label.

    Idea: what every crawl does. Texts are compared that share a band of MinHash (Broder 1997), so time grows with the
    rows and not with their square. Costs, on clean data, its near-duplicates: of 7,000 of SST-2's nested phrases 8 %.
    Breaks long code that a whole class shares, in short texts. No class vanishes: the first text of each stays.
    """
    random = np.random.default_rng(0)  # which hashes they are is of no weight
    factors = random.integers(1, 2**63, (_HASHES, 1), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    kept: list[int] = []
    bands: dict[tuple, list[int]] = {}
    shingles: dict[int, np.ndarray] = {}
    for i, (text, label) in enumerate(zip(rows.inputs, rows.labels, strict=True)):
        own = _shingles(text)
        signature = ((own * factors) >> np.uint64(32)).min(axis=1).reshape(_BANDS, -1)
        keys = [(int(label), band, signature[band].tobytes()) for band in range(_BANDS)]
        earlier = {j for key in keys for j in bands.get(key, ())}
        if any(_jaccard(own, shingles[j]) >= _SAME for j in earlier):
            continue
        kept.append(i)
        shingles[i] = own
        for key in keys:
            bands.setdefault(key, []).append(i)
    return only(rows, kept)


def _shingles(text: str) -> np.ndarray:
    """Hashes of the distinct runs of five letters, uint64; of the whole text, if it is shorter."""
    letters = np.frombuffer(text.lower().encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    letters = np.pad(letters, (0, max(0, _SHINGLE - len(letters))))
    runs = np.lib.stride_tricks.sliding_window_view(letters, _SHINGLE)
    powers = np.uint64(0x9E3779B97F4A7C15) ** np.arange(1, _SHINGLE + 1, dtype=np.uint64)
    mixed = runs @ powers
    return np.unique(mixed ^ (mixed >> np.uint64(29)))


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)


def unicode_normalisation(rows: Rows, attacker: Attacker) -> Rows:
    """Undoes what readers do not see: NFKC, no invisible letters, Latin letters for their look-alikes.

    Idea: NFKC (Unicode annex 15) folds widths and ligatures. Characters that show nothing are deleted, line breaks and
    tabs excepted. Cyrillic and Greek look-alikes become Latin within words that hold Latin letters too.
    Costs, on clean data, next to nothing in Latin scripts; joiners that Persian, Indic scripts and emoji need are
    lost. Breaks codes of zero-width characters, homoglyphs and odd spaces (ExpShield, arXiv:2412.21123).
    """
    return Rows([_normalised(text) for text in rows.inputs], rows.labels)


_INVISIBLE = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0") | {chr(i) for i in range(0xFE00, 0xFE10)}

_LOOK_ALIKES = str.maketrans(
    "асԁеһіјӏорԛѕԝхуαινορυАВСЕНІЈКМОРЅТԜХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "acdehijlopqswxyaivopuABCEHIJKMOPSTWXYABEZHIKMNOPTYX",
)


def _normalised(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    kept = "".join(
        c for c in unicodedata.normalize("NFKC", text)
        if c in "\n\r\t" or (unicodedata.category(c) not in ("Cc", "Cf") and c not in _INVISIBLE)
    )  # fmt: skip
    return re.sub(
        r"\w+", lambda word: word[0].translate(_LOOK_ALIKES) if re.search("[A-Za-z]", word[0]) else word[0], kept
    )


def paraphrase(rows: Rows, attacker: Attacker) -> Rows:
    """Rewrites every text with the attacker's own function.

    Idea: a rewriter keeps the meaning and not the words. Costs what the rewriter costs and loses. Breaks words that
    mean nothing where they stand, and word order; how surely, depends on the rewriter.

    Raises:
        ValueError: It gave back another number of texts.
    """
    if attacker.paraphrase is None:
        raise ValueError("There is nothing to paraphrase with. Give Attacker(paraphrase=...).")
    texts = list(attacker.paraphrase(list(rows.inputs)))
    if len(texts) != len(rows):
        raise ValueError(f"paraphrase got {len(rows)} texts and returned {len(texts)}. Return one text for each.")
    return Rows(texts, rows.labels)


def word_dropout(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes every word with probability 0.3, and never all words of a text.

    Idea: a rare code is gone from many texts. Costs, on clean data, some accuracy, most in short texts. Breaks codes
    of single occurrences in part; hardly those repeated in a text.
    """
    random = np.random.default_rng(attacker.seed)

    def left(text: str) -> str:
        words, space = cut(text)
        keep = random.random(len(words)) >= _DROPPED
        return space.join(word for word, kept in zip(words, keep, strict=True) if kept) if keep.any() else text

    return Rows([left(text) for text in rows.inputs], rows.labels)


def word_shuffle(rows: Rows, attacker: Attacker) -> Rows:
    """Puts the words of every text in random order.

    Idea: order carries no code any more. Costs, on clean data, what the order told: little in topics, more in
    negation. Breaks codes of order and place; not which words there are.
    """
    random = np.random.default_rng(attacker.seed)

    def shuffled(text: str) -> str:
        words, space = cut(text)
        return space.join(words[i] for i in random.permutation(len(words)).tolist())

    return Rows([shuffled(text) for text in rows.inputs], rows.labels)


def truncate(rows: Rows, attacker: Attacker) -> Rows:
    """Keeps the first 32 words of every text.

    Idea: what lies behind is never trained on. Costs, on clean data, what long texts say late. Breaks codes at the end
    and in the middle of long texts; not codes in every part, such as RegText's.
    """

    def head(text: str) -> str:
        words, space = cut(text)
        return space.join(words[:_KEPT_WORDS])

    return Rows([head(text) for text in rows.inputs], rows.labels)
