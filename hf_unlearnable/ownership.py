"""Was this data made with my key? A p-value for a dataset that someone else holds.

Idea. What a key draws, nobody else would draw. So ask the same question of the key and of decoys, keys that differ in
nothing but the secret seed: does this row carry what you would have drawn for it? On data that was made without the
key, the key is one more decoy: of the B + 1, every one is as likely as any other to be the one that a row agrees with.
If t of them agree with a row, the key is among them with probability t / (B + 1), and rows are independent of each
other, since each has a random stream of its own. The number of rows that agree with the key then is a sum of
independent coins of known chances, and its upper tail is the p-value (Chernoff's bound of it, never too small).
Nothing is assumed of the data: texts may hold the words, and the clean originals count as made without the key.

What carries the mark. A text has each word at a place that is drawn for its row: taking them out again succeeds with
the key, and hardly ever with a decoy. A row that was edited no longer counts, the others do. Of images see
`hf_unlearnable.image.trace`. Where the pattern is a class's, its rows are one question, so a few classes say less than
many rows, and without labels all classes are one question. Rows may be shuffled, left out or mixed with others, and
labels missing, wrong or renamed: texts, and noise of each image, are looked at without them.

What it shows. That rows were made with this key. Not who made them: whoever holds a key can make such data at will, so
it proves something to others only if they know that it is older than the dispute. Nor that a model was trained on the
data. And who deletes the words, or re-encodes the images strongly, removes the mark: no sign of a key is no proof that
the data is another's.

    found = verify("my.key", load_dataset("someone/their-data", split="train"))
    print(found)  # 920 of 920 rows carry this key's mark; by chance one would expect 2: p = 2.5e-1186. ...
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.key import Key, row_stream
from hf_unlearnable.registry import load_transform
from hf_unlearnable.text.cells import Cells
from hf_unlearnable.transform import Transform, require_columns

if TYPE_CHECKING:
    import os

_SIGNIFICANT = -3.0  # log10 of the p-value from which on a sentence says that the data was protected
_DECOYS = 19  # where rows are the questions: one that agrees with the key alone counts 1 in 20
_CLASS_DECOYS = 999  # where classes are, of which there are few
_PRESENT = 0.5  # share of a noise's amplitude from which on it counts as there


@dataclass(frozen=True)
class Ownership:
    """Whether data carries a key's mark.

    Args:
        rows: How many were looked at.
        marked: How many of them carry the mark.
        expected: How many would by chance, by the mean of the decoys.
        log10_p: Logarithm to the base 10 of the p-value: the probability of at least so strong a sign on data that
            was made without the key.
        log10_least: The least that so many rows could have given.
    """

    rows: int
    marked: int
    expected: float
    log10_p: float
    log10_least: float

    @property
    def p_value(self) -> float:
        """The p-value; 0.0 where it is below 1e-323."""
        return 10.0**self.log10_p

    def __str__(self) -> str:
        counted = (
            f"{self.marked:,} of {self.rows:,} rows carry this key's mark; by chance one would expect "
            f"{self.expected:.3g}: p {_power(self.log10_p)}."
        )
        if self.log10_p <= _SIGNIFICANT:
            return f"{counted} Rows of this data were protected with this key."
        if self.log10_least > _SIGNIFICANT:
            return f"{counted} So little data cannot tell: p could not have been less than {10**self.log10_least:.1g}."
        return f"{counted} There is no sign of this key."


def verify(
    key: Key | str | os.PathLike | Transform, dataset: Any, *, column: str | None = None, max_rows: int = 1000
) -> Ownership:
    """Tells whether data, or a part of it, was protected with a key.

    Args:
        key: The `Key`, the directory that holds it, or the fitted transform.
        dataset: A `Dataset` or `IterableDataset` that may or may not be made of the protected one.
        column: Column of texts or images, where it is not called as it was.
        max_rows: How many rows to look at: spread over a `Dataset`, the first of an `IterableDataset`.

    Returns:
        How many rows carry the mark, and the p-value.

    Raises:
        ValueError: A column is missing or holds something else, there are no rows, or the key leaves no mark that
            could be told from chance; the message says which.
    """
    key = key.key if isinstance(key, Transform) else key if isinstance(key, Key) else Key.load(key)
    if column is not None:
        known = {"text_column", "image_column"} & set(key.parameters)
        key = replace(key, parameters={**key.parameters, **dict.fromkeys(known, column)})
    # Which rows were protected is for the data to tell; columns that said so may be gone.
    key = replace(key, parameters={**key.parameters, "classes": None, "mask_column": None, "fraction": 1.0})
    cloak = load_transform(key)
    if getattr(cloak, cloak.strength_parameter) == 0:
        raise ValueError(f"This key changes nothing ({cloak.strength_parameter}=0), so it leaves no mark.")
    rows = _looked_at(dataset, cloak, max_rows)
    return _of_texts(key, cloak, rows) if cloak.modality == "text" else _of_images(key, cloak, rows)


def _looked_at(dataset: Any, cloak: Transform, max_rows: int) -> list[dict[str, Any]]:
    """Rows as they are stored, with the columns that the key needs."""
    from datasets import Image

    if isinstance(dataset, dict):
        first = next(iter(dataset), "train")
        raise TypeError(f"This is a dictionary of splits. Give one of them: dataset[{first!r}].")
    if max_rows < 1:
        raise ValueError(f"max_rows is {max_rows}. Give at least 1.")
    needed = cloak._columns() + ([cloak.id_column] if cloak.id_column else [])
    if dataset.column_names:
        require_columns(dataset.column_names, needed)
    for name in cloak._columns():
        if isinstance((dataset.features or {}).get(name), Image):
            dataset = dataset.cast_column(name, Image(decode=False))
    if hasattr(dataset, "select") and len(dataset) > max_rows:
        dataset = dataset.select(np.linspace(0, len(dataset) - 1, max_rows).astype(int))
    rows = list(dataset.with_format(None).take(max_rows))
    if rows:
        require_columns(list(rows[0]), needed)
    rows = [row for row in rows if any(row[name] is not None for name in cloak._columns())]
    if not rows:
        raise ValueError("The dataset has no rows, or none that holds anything: there is nothing to look at.")
    return rows


# ------------------------------------------------------------------ texts
def _of_texts(key: Key, cloak: Any, rows: Sequence[dict[str, Any]]) -> Ownership:
    if getattr(cloak, "mode", "insert") != "insert":
        raise ValueError(
            "This key replaces words (mode='replace'), and the places were drawn from texts that are lost with them: "
            "what stands in the data cannot be told from chance. mode='insert' can be shown."
        )
    if getattr(cloak, "position", "random") != "random" and cloak.tokens_per_class == 1:
        raise ValueError(
            f"This key puts one word at the {cloak.position} of every text, whatever the seed, so that there is "
            "nothing to tell it from chance by. position='random' can be shown."
        )
    cloaks = [load_transform(one) for one in (key, *_decoys(key, _DECOYS))]
    # Every label is tried, each different choice once: labels may be gone, or permuted.
    labels = {repr(chosen): (label, cloak._pool(chosen)) for label, chosen in cloak._choose().items()}.values()
    every = {word for _, pool in labels for word in pool}
    agree, units = np.zeros((len(rows), len(cloaks)), bool), []
    for i, row in enumerate(rows):
        for name in cloak._columns():
            if not isinstance(row[name], (str, list, type(None))):
                kind = type(row[name]).__name__
                raise ValueError(f"Row {i} holds {kind} in column {name!r}, and this is a key for texts.")
        cells = Cells({name: [row[name]] for name in cloak._columns()}, cloak.role)
        texts = [text for text in cells.texts if isinstance(text, str)]
        # Rows with one random stream are one question, however often they are asked.
        own = [cloak._canonical_type(text, every).text for text in texts]
        units.append(repr(row[cloak.id_column]) if cloak.id_column else "\0".join(own))
        for label, pool in labels:
            if any(word in text for word in pool for text in texts):
                agree[i] |= [_taken_out(one, {**row, cloak.label_column: label}) for one in cloaks]
    return _by_row(agree, units)


def _taken_out(cloak: Any, row: dict[str, Any]) -> bool:
    """Whether every word that the key draws for a row stands where it draws it."""
    try:
        return any(cloak.restore(row)[name] != row[name] for name in cloak._columns())
    except ValueError:
        return False


# ------------------------------------------------------------------ images
def _of_images(key: Key, cloak: Any, rows: Sequence[dict[str, Any]]) -> Ownership:
    from hf_unlearnable.image import trace
    from hf_unlearnable.image.base import plain
    from hf_unlearnable.image.learning.noise import ClassNoise, SampleNoise

    noise = getattr(cloak, "_noise", None)
    if cloak.method == "one-pixel":
        raise ValueError(
            "A key of one-pixel cannot be shown: its pixels are the most telling ones of the data, which anyone "
            "finds, and the key drew from four of them only."
        )
    if cloak.method == "linearization":
        raise ValueError(
            "A key of linearization cannot be shown: its noise follows from the images and labels, and hardly from "
            "the seed, so that another key on like data leaves the same."
        )
    if cloak.method == "error-min-one-pixel" and isinstance(noise, SampleNoise):
        raise ValueError(
            "A key of error-min-one-pixel cannot be shown: the pixel that it sets takes away what the original is "
            "known by. noise='class' can be shown."
        )
    pictures = [cloak._opened(row[cloak.image_column], f"Row {i}") for i, row in enumerate(rows)]
    levels = [picture.levels for picture in pictures]
    cut = 2.0 * getattr(cloak, "max_levels", 0)

    if isinstance(noise, SampleNoise):
        if cloak.id_column:
            raise ValueError(
                f"This key knows its rows by column {cloak.id_column!r} and not by their content, so that nothing "
                "tells whether noise that is taken off leaves an original. A key without id_column can be shown."
            )
        found = trace.recovered(noise, pictures, key.seed, cut)
        chances = np.full(len({picture.content for picture in pictures}), trace.HASH_CHANCE)
        different = len({picture.content for picture, one in zip(pictures, found, strict=True) if one})
        log10_p, log10_least = (_tail(chances, count) for count in (different, len(chances)))
        return Ownership(len(rows), int(found.sum()), len(rows) * trace.HASH_CHANCE, log10_p, log10_least)
    if cloak.method == "random-noise" and cloak.noise == "sample":
        if not cloak.id_column:
            raise ValueError(
                "This key draws the noise of an image from the original image, which the protected one does not give "
                "away. With id_column, or noise='class', it can be shown."
            )
        return _by_row(*_drawn_by_id(key, cloak, rows, levels, cut))

    given = [plain(row.get(cloak.label_column)) for row in rows]
    learned = noise.levels if isinstance(noise, ClassNoise) else None
    labels = cloak._state()[0].get("labels") or sorted({x for x in given if x is not None}, key=repr)
    if not labels:
        raise ValueError(f"This key draws a pattern for each label, and there is no column {cloak.label_column!r}.")
    count = max(99, min(_CLASS_DECOYS, 10_000 // len(labels)))
    if learned is None:
        scores = trace.drawn_scores([load_transform(one) for one in (key, *_decoys(key, count))], levels, labels)
    else:
        scores = trace.learned_scores(learned, levels, cut, count)
        scores = scores >= np.where(np.arange(scores.shape[2]) == 0, _PRESENT, _PRESENT / 2)
    return _by_class(scores, [labels.index(x) if x in labels else -1 for x in given], learned is None)


def _drawn_by_id(
    key: Key, cloak: Any, rows: Sequence[dict[str, Any]], levels: Sequence[np.ndarray], cut: float
) -> tuple[np.ndarray, list[str]]:
    from hf_unlearnable.image.methods.random_noise import uniform_levels
    from hf_unlearnable.image.trace import presence

    units = [repr(row[cloak.id_column]) for row in rows]
    seeds = [one.seed for one in (key, *_decoys(key, _DECOYS))]
    agree = [
        [presence(one, uniform_levels(row_stream(unit.encode(), seed), one.shape, cloak.max_levels), cut) >= _PRESENT
         for seed in seeds]
        for one, unit in zip(levels, units, strict=True)
    ]  # fmt: skip
    return np.array(agree), units


def _decoys(key: Key, count: int) -> list[Key]:
    """Keys that differ from `key` in nothing but the seed, always the same ones."""
    return [replace(key, seed=row_stream(b"decoy %d" % i, key.seed)) for i in range(count)]


# ------------------------------------------------------------------ chance
def _by_row(agree: np.ndarray, units: Sequence[str]) -> Ownership:
    """Where every row has a random stream of its own.

    Args:
        agree: boolean [rows, 1 + decoys]: which seeds agree with a row; the key's own is the first.
        units: What a row's random stream comes from.
    """
    index = {unit: i for i, unit in enumerate(dict.fromkeys(units))}
    seeds = agree.shape[1]
    each = np.zeros((len(index), seeds), bool)
    np.logical_or.at(each, [index[unit] for unit in units], agree)
    log10_p = _tail(each.mean(axis=1), int(each[:, 0].sum()))
    expected = agree[:, 1:].sum() / (seeds - 1)
    return Ownership(len(agree), int(agree[:, 0].sum()), float(expected), log10_p, -len(each) * math.log10(seeds))


def _by_class(scores: np.ndarray, given: Sequence[int], drawn: bool) -> Ownership:
    """Where all rows of a class have one pattern: the independent questions are the classes, if labels are to be had.

    Args:
        scores: [rows, classes, 1 + decoys]; the key's own is the first.
        given: Which class each row is said to be of, -1 for none.
        drawn: Whether the scores tell how like a pattern is, so that the mark is to be the most alike of a hundred;
            else they tell whether it is there.
    """
    best = scores.max(axis=1)
    own = np.array([row[label] if label >= 0 else most for row, label, most in zip(scores, given, best, strict=True)])
    shown = own[:, :100] >= own[:, :100].max(axis=1, keepdims=True) * (1 - 1e-4) if drawn else own
    # Without labels: one question, whether the key's patterns are more like the rows than a decoy's.
    log10_p, log10_least = math.log10(_rank(best)), -math.log10(best.shape[1])
    known = sorted(set(given) - {-1})
    if known:
        ranks = [_rank(scores[np.array(given) == label, label]) for label in known]
        labelled, least = _fisher(ranks), _fisher([1 / best.shape[1]] * len(known))
        # Two looks at the data: the better one counts half.
        log10_p = min(0.0, math.log10(2) + min(log10_p, labelled))
        log10_least = math.log10(2) + min(log10_least, least)
    expected = float(shown[:, 1:].sum() / (shown.shape[1] - 1))
    return Ownership(len(best), int(shown[:, 0].sum()), expected, log10_p, log10_least)


def _rank(scores: np.ndarray) -> float:
    """The share of the seeds, the key's own among them, that do at least as well as that one over all rows."""
    totals = scores.sum(axis=0, dtype=np.float64)
    return float((totals >= totals[0] - 1e-6 * abs(totals[0])).mean())


def _fisher(ranks: Sequence[float]) -> float:
    """Fisher's combination of independent p-values, as log10: the tail of chi squared with 2n degrees of freedom."""
    half = -sum(map(math.log, ranks))
    terms = [i * math.log(max(half, 1e-300)) - math.lgamma(i + 1) for i in range(len(ranks))]
    return float(min(0.0, np.logaddexp.reduce(terms) - half) / math.log(10))


def _tail(chances: np.ndarray, count: int) -> float:
    """Chernoff's bound of the probability that of independent coins at least `count` fall on heads, as log10.

    Args:
        chances: Of each coin.
        count: How many.
    """
    if count <= chances.sum():
        return 0.0
    low, high = 0.0, 200.0
    for _ in range(60):
        tilt = (low + high) / 2
        tilted = float((chances / (chances + (1 - chances) * math.exp(-tilt))).sum())
        low, high = (tilt, high) if tilted < count else (low, tilt)
    moment = float(np.log1p(chances * math.expm1(high)).sum())
    return min(0.0, moment - high * count) / math.log(10)


def _power(log10: float) -> str:
    """A power of ten for people: `= 0.31`, `= 2.4e-17`."""
    if log10 > -3:
        return f"= {10**log10:.2g}"
    exponent = math.floor(log10)
    return f"= {10 ** (log10 - exponent):.1f}e{exponent}"
