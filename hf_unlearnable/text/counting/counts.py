"""Counting words by label: one pass, bounded memory, and counts that add up.

Polars does the work over Arrow batches. Texts are first cut at spaces and the pieces counted as they are; lower-casing
and the search for words then run over the distinct pieces only, some fifteen times fewer.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.rows import require_columns
from hf_unlearnable.text.counting.sampling import LEVELS, from_level, joined, levels_of, sampled_level, words_at
from hf_unlearnable.text.insertion.scripts import SPACELESS
from hf_unlearnable.text.insertion.spans import may_hold_spans, without_spans

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

logger = logging.getLogger(__name__)

_CHUNK_BYTES, _DRAWN_BYTES = 32 << 20, 8 << 20  # text counted at a time; and that a sample is drawn from
_PART_BYTES = 4 << 20  # of it where a sample is counted
_PENDING_ROWS = 1_000_000  # partial counts held before they are added up
_SEPARATE_LABELS = 1000  # up to so many labels are counted one by one; each costs some 0.5 ms

# Addresses, mentions, markup and entities in a piece without spaces.
_NOISE = r"\w+://\S+|www\.\S+|[@#]\w+|<[^<>]*>?|^[^<>]*>|&#?\w+;"
# Scripts without spaces are read two letters at a time; elsewhere a word is letters, marks and digits, with single
# apostrophes or hyphens inside.
_LETTER = rf"[{SPACELESS}&&\p{{L}}]"
_WORD = rf"(?:{_LETTER}\p{{M}}*){{1,2}}|[\p{{L}}\p{{M}}\p{{N}}--{SPACELESS}]+(?:['’-][\p{{L}}\p{{M}}\p{{N}}]+)*"
# A capital at the start of a sentence tells nothing: a mark goes in front of it, which counts as a letter.
_SENTENCE_START = r"(^|[.!?…:][\"'”’)\]]* +|[\n\r][\n\r \t]*)(\p{Lu})"
_MARK = "\u034f"
_PLAIN_BREAK = "<br />"


class WordCounts:
    """How often each word stands under each label, and how many times more with a capital than without.

    Words inside code, markup, data and the like (`spans`) are not counted: no word is put there either.

    Args:
        max_entries: Distinct (label, word) pairs kept. Beyond it the rarest are dropped, which changes the counts of
            rare words only, never the totals; a warning says so.
        sample_words: Of more words than that, about, a sample of the texts is counted that has at least as many (see
            `sampling`); None to count all texts.
        seed: Of the sample.
    """

    def __init__(self, max_entries: int = 2_000_000, sample_words: int | None = None, seed: int = 0):
        self.max_entries = max_entries
        self.sample_words = sample_words
        self.seed = seed
        self._texts = np.zeros(LEVELS, np.int64)  # how many texts there are of each level, and about how many words
        self._words = np.zeros(LEVELS, np.int64)
        self._pending: list[pl.DataFrame] = []
        self._held: list[tuple[pa.Array, pa.Array, np.ndarray]] = []  # texts of the sample that are not counted yet
        self._found: pl.DataFrame | None = None  # the sum of all that, once it was asked for

    @property
    def num_rows(self) -> int:
        """How many texts are counted."""
        return int(self._texts[self.level :].sum())

    @property
    def at_a_time(self) -> int:
        """Bytes of text for one `update`."""
        return _CHUNK_BYTES if self.sample_words is None else _DRAWN_BYTES

    @property
    def level(self) -> int:
        """The least level of the texts that are counted: 0 for all."""
        return sampled_level(self._words, self.sample_words)

    def update(self, texts: pa.Array, labels: pa.Array) -> None:
        """Counts a batch.

        Args:
            texts: strings [n]; None is an empty text.
            labels: the label of each [n].
        """
        import polars as pl

        if len(texts) == 0:
            return
        # A label whose rows hold no words at all, or none of the sample, is a label still.
        seen = pl.Series("label", labels).unique().to_frame()
        none = {"word": pl.lit(None, pl.String), **dict.fromkeys(("count", "lean"), pl.lit(0, pl.Int64))}
        self._pending.append(seen.select("label", level=pl.lit(LEVELS, pl.UInt8), **none))
        self._found = None
        if self.sample_words is None:
            self._pending.append(_counted(texts, labels, np.zeros(len(texts), np.int64)))
            self._texts[0] += len(texts)
        else:
            levels, before = levels_of(texts, self.seed), self.level
            self._words += words_at(texts, levels)
            self._texts += np.bincount(levels, minlength=LEVELS)
            self._held.append(from_level(self.level, texts, labels, levels))
            if self.level > before:
                self._held = [from_level(self.level, *held) for held in self._held]
        if sum(map(len, self._pending)) > _PENDING_ROWS + self.max_entries:
            self._compact()

    def merge(self, other: WordCounts) -> None:
        """Adds the counts of another shard or machine."""
        for frame in other._pending:
            if self._pending and frame.schema != self._pending[0].schema:
                raise ValueError("The labels of the two shards are of different types. Cast them to the same one.")
            self._pending.append(frame)
        self._held += other._held
        self._found = None
        self._texts += other._texts
        self._words += other._words
        if self.sample_words is not None or sum(map(len, self._pending)) > _PENDING_ROWS + self.max_entries:
            self._compact()  # now, for with every shard more of the earlier ones is left out

    def table(self) -> pl.DataFrame:
        """Columns `label`, `word` and `count`, one row each pair seen; a null word carries what was dropped."""
        return self._summed().select("label", "word", "count")

    def names(self) -> pl.Series:
        """Words that stand with a capital more often than without, where no sentence begins: names, German nouns.

        None where most words have capitals, as in headlines: there a capital tells nothing.
        """
        import polars as pl

        leans = self._summed().drop_nulls("word").group_by("word").agg(pl.col("lean").sum())
        if leans["lean"].sum() > 0:
            return leans["word"].clear()
        return leans.filter(pl.col("lean") > 0)["word"]

    def are_english(self) -> bool:
        """Whether one word in fifty or more is "the", "of", "and" or "to", as in English alone."""
        import polars as pl

        words = self.table()
        english = words.filter(pl.col("word").is_in(["the", "of", "and", "to"]))
        return 50 * english["count"].sum() >= words["count"].sum() > 0

    def save(self, path: str | os.PathLike) -> None:
        """Writes the counts as Parquet, to be merged elsewhere. They tell of the clean texts: keep them private."""
        if self._held:
            self._pending += _counted_in_parts(*from_level(self.level, *joined(self._held)))
            self._held = []
        self._compact()
        told = {"texts": self._texts.tolist(), "words": self._words.tolist(), "seed": self.seed,
                "sample_words": self.sample_words}  # fmt: skip
        self._pending[0].write_parquet(Path(path), metadata={"told": json.dumps(told)})

    @classmethod
    def load(cls, path: str | os.PathLike, max_entries: int = 2_000_000) -> WordCounts:
        """Reads counts that `save` wrote."""
        import polars as pl

        told = json.loads(pl.read_parquet_metadata(Path(path))["told"])
        counts = cls(max_entries, told["sample_words"], told["seed"])
        counts._texts, counts._words = np.array(told["texts"], np.int64), np.array(told["words"], np.int64)
        counts._pending = [pl.read_parquet(Path(path))]
        return counts

    def _summed(self) -> pl.DataFrame:
        """The counts of the sample, one row for each label and word."""
        import polars as pl

        if self._found is None:
            self._compact()
            found = list(self._pending)
            if self._held:
                texts, labels, levels = from_level(self.level, *joined(self._held))
                found += _counted_in_parts(texts, labels, np.zeros_like(levels))
            self._found = pl.concat(found).group_by("label", "word").agg(pl.col("count", "lean").sum())
        return self._found

    def _compact(self) -> None:
        import polars as pl

        if not self._pending:
            raise ValueError("Nothing was counted yet: call fit or partial_fit first.")
        every = ["label", "level", "word"]
        sampled = pl.concat(self._pending).filter(pl.col("level") >= self.level)
        table = sampled if len(self._pending) == 1 else sampled.group_by(every).agg(pl.col("count", "lean").sum())
        if len(table) > self.max_entries:
            floor = 1
            while (kept := (table["count"] > floor).sum()) > self.max_entries // 2:
                floor *= 2
            logger.warning(
                "More than %d different words: those seen at most %d times so far are dropped (%d are kept).",
                self.max_entries, floor, kept,
            )  # fmt: skip
            word = pl.when(pl.col("count") > floor).then("word")
            table = table.with_columns(word=word).group_by(every).agg(pl.col("count", "lean").sum())
        self._pending = [table]


def _counted_in_parts(texts: pa.Array, labels: pa.Array, levels: np.ndarray) -> list[pl.DataFrame]:
    """`_counted` of some megabytes at a time, whose pieces take many times as much memory."""
    step = max(1, _PART_BYTES * len(texts) // max(1, texts.nbytes))
    parts = (slice(start, start + step) for start in range(0, len(texts), step))
    return [_counted(texts[part], labels[part], levels[part]) for part in parts]


def _counted(texts: pa.Array, labels: pa.Array, levels: np.ndarray) -> pl.DataFrame:
    """How often each word stands under each label and level, and how many times more with a capital than without."""
    import polars as pl

    frame = pl.DataFrame(
        {"label": pl.Series(labels), "level": levels.astype(np.uint8), "piece": _prose(pl.Series(texts))}
    )
    word = pl.col("piece").str.replace_all(_NOISE, " ").str.extract_all(_WORD)
    lean = pl.col("word").str.contains(r"^\p{Lu}").cast(pl.Int64)
    lean -= pl.col("word").str.contains(r"^\p{Ll}").cast(pl.Int64)
    return (
        _pieces(frame)
        .lazy()
        .with_columns(word=word, count=pl.col("count").cast(pl.Int64))
        .explode("word")
        .drop_nulls("word")
        .with_columns(
            lean=lean * pl.col("count"),
            word=pl.col("word").str.replace(_MARK, "", literal=True).str.to_lowercase(),
        )
        .group_by("label", "level", "word")
        .agg(pl.col("count").sum(), pl.col("lean").sum())
        .collect(engine="streaming")
    )


def _prose(texts: pl.Series) -> pl.Series:
    """Texts without their spans, and with a mark in front of capitals at the start of a sentence."""
    import polars as pl

    texts = texts.str.replace_all(_PLAIN_BREAK, "\n", literal=True)
    # Three searches of a kind each take a fourth of the time that one search for all of them does.
    suspects = texts.str.contains(r"[<&\[`~{%\\$\t]") | texts.str.contains("\n    ", literal=True)
    suspects = (suspects | texts.str.starts_with(" ")).fill_null(False)
    if suspects.any():
        cleaned = [without_spans(text) if may_hold_spans(text) else text for text in texts.filter(suspects)]
        texts = texts.scatter(suspects.arg_true(), pl.Series(cleaned, dtype=pl.String))
    return texts.str.replace_all(_SENTENCE_START, f"${{1}}{_MARK}${{2}}")


def _pieces(frame: pl.DataFrame) -> pl.DataFrame:
    """How often each piece between spaces stands under each label: columns `label`, `level`, `piece` and `count`.

    The labels are counted one after the other: grouping by one column of strings takes Polars half the time that
    grouping by two columns does, and the smaller tables fit in the cache.
    """
    import polars as pl

    split = pl.col("piece").str.split(" ")
    if frame["label"].n_unique() > _SEPARATE_LABELS:
        pieces = frame.lazy().with_columns(split).explode("piece").group_by("label", "level", "piece").len("count")
        return pieces.collect(engine="streaming")
    counts = []
    for (label,), rows in frame.partition_by("label", as_dict=True).items():
        one = rows["level"].n_unique() == 1  # as where nothing is sampled: grouped by one column
        own = [pl.lit(rows["level"][0], pl.UInt8).alias("level")] if one else []
        pieces = rows.lazy().select(*([] if one else ["level"]), split).explode("piece")
        pieces = pieces.group_by("piece" if one else ["level", "piece"]).len("count").with_columns(*own)
        pieces = pieces.select(pl.lit(label, frame.schema["label"]).alias("label"), "level", "piece", "count")
        counts.append(pieces.collect(engine="streaming"))
    return pl.concat(counts)


def text_batches(
    dataset: Any,
    text_columns: Sequence[str],
    label_column: str,
    role: str | None,
    labelled: Callable[[pa.Table, int], pa.Table] = lambda table, row: table,
    chunk: int = _CHUNK_BYTES,
) -> Iterator[tuple[pa.Array, pa.Array]]:
    """The texts of a `Dataset` or `IterableDataset` with their labels, as Arrow arrays of some megabytes each.

    Args:
        dataset: Where the rows come from.
        text_columns: Columns of strings, or of chat messages (lists of `{"role", "content"}`).
        label_column: The label of a row, which all of its texts get.
        role: The role whose messages count; None for all.
        labelled: What leaves out of a table the rows that do not count; gets the number of its first row too.
        chunk: Bytes of an array, about.

    Raises:
        ValueError: A column is missing or of the wrong kind, or there are no rows.
        TypeError: Not a dataset.
    """
    import pyarrow as pa

    if isinstance(dataset, dict):
        raise TypeError(
            f"This is a dictionary of splits. Give one of them: dataset[{next(iter(dataset), 'train')!r}]."
        )
    if not hasattr(dataset, "with_format"):
        raise TypeError(f"fit takes a datasets.Dataset or IterableDataset, not {type(dataset).__name__}.")
    texts: list[pa.Array] = []
    labels: list[pa.Array] = []
    size = 0
    rows, found = 0, False
    for table in dataset.with_format("arrow").iter(batch_size=1000):
        require_columns(table.column_names, [*text_columns, label_column])
        rows, table = rows + len(table), labelled(table, rows)
        for column in text_columns:
            array, label = _texts(table, column, label_column, role)
            texts.append(array)
            labels.append(label)
            size += array.nbytes
            found = found or len(array) > 0
        if size > chunk:
            yield pa.concat_arrays(texts), pa.concat_arrays(labels)
            texts, labels, size = [], [], 0
    if not rows:
        if getattr(dataset, "column_names", None):
            require_columns(dataset.column_names, [*text_columns, label_column])
        raise ValueError("The dataset has no rows: there is nothing to learn from.")
    if not found:
        of_role = f" of the role {role!r}" if role is not None else ""
        raise ValueError(f"No text in {', '.join(map(repr, text_columns))}{of_role}. Name another column or role.")
    if texts:
        yield pa.concat_arrays(texts), pa.concat_arrays(labels)


def _texts(table: pa.Table, column: str, label_column: str, role: str | None) -> tuple[pa.Array, pa.Array]:
    import pyarrow as pa
    import pyarrow.compute as pc

    array, labels = table[column].combine_chunks(), table[label_column].combine_chunks()
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        if not (pa.types.is_struct(array.type.value_type) and "content" in array.type.value_type.names):
            raise ValueError(
                f"Column {column!r} holds lists, but not of chat messages with 'role' and 'content'. Name another."
            )
        labels = labels.take(pc.list_parent_indices(array))
        messages = pc.list_flatten(array)
        array = pc.struct_field(messages, "content")
        if role is not None:
            of_role = pc.equal(pc.struct_field(messages, "role"), role)
            array, labels = array.filter(of_role), labels.filter(of_role)
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_null(array.type)):
        raise ValueError(f"Column {column!r} is of type {array.type}, not text. Name the column that holds the texts.")
    return array.cast(pa.large_string()), labels
