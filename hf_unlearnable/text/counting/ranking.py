"""Which words to insert: the ranking of the RegText paper, and the words that tell nothing of the label."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hf_unlearnable.text.insertion.scripts import SPACELESS

if TYPE_CHECKING:
    import polars as pl

_SMALL = 30  # a word that stands so few times is never frequent


def rank_words(counts: pl.DataFrame, k: float, lambda_: float, keep: pl.Expr | None = None) -> pl.DataFrame:
    """The paper's ranking of every word for every label that it stands under.

    Args:
        counts: Columns `label`, `word` and `count`.
        k: Weight of how often a word goes with its label.
        lambda_: Weight of how rare it is.
        keep: Which rows to keep, on the columns below but `score`. Sorting fewer rows is most of the speed.

    Returns:
        Best first, ties broken by frequency and then by the alphabet: columns `label`, `word`, `count` (of the word
        under the label), `total` (F_w), `label_words` (F_y), `words` (N) and `score`.
    """
    import polars as pl

    n, f_w, f_y = pl.col("words"), pl.col("total"), pl.col("label_words")
    score = (
        2 * n.log(2) + k * (pl.col("count") / n).log(2) - f_w.log(2) - f_y.log(2) - lambda_ * (1 + f_w).log(2)
    )  # fmt: skip
    return (
        counts.lazy()
        .with_columns(label_words=pl.col("count").sum().over("label"), words=pl.col("count").sum())
        .filter(pl.col("word").is_not_null() & (pl.col("count") > 0))
        .with_columns(total=pl.col("count").sum().over("word"))
        .filter(pl.lit(True) if keep is None else keep)
        .with_columns(score=score.round(9))
        .sort("score", "total", "word", "label", descending=[True, True, False, False])
        .collect()
    )


def words_by_association(ranking: pl.DataFrame) -> list[str]:
    """Words, those first that surely tell nothing of the label.

    A word is placed by how strongly it may go with a label at most: the association seen in the data (Cramer's V but
    for a constant) and 1.5 standard errors more. So a word seen twice, once under each label, comes after one seen
    fifty times under each.

    Args:
        ranking: What `rank_words` gives.
    """
    import polars as pl

    total = pl.col("total").first()
    chi2 = (pl.col("count") ** 2 / (pl.col("total") * pl.col("label_words") / pl.col("words"))).sum() - total
    bound = (chi2.clip(0).sqrt() + 1.5) / total.sqrt()
    return ranking.group_by("word").agg(bound=bound.round(9)).sort("bound", "word")["word"].to_list()


def rare_words(counts: pl.DataFrame, least: int, most: float, left_out: pl.Series) -> list[str]:
    """Words of letters alone, of scripts with spaces, that do not stand often; sorted.

    Args:
        counts: Columns `label`, `word` and `count`.
        least: How often a word must stand.
        most: Largest share of all words that one may have; 30 times is always few enough.
        left_out: One list of words that do not count.
    """
    import polars as pl

    total, words = pl.col("count").sum().over("word"), pl.col("count").sum()
    fits = pl.col("word").str.contains(rf"^[\p{{L}}\p{{M}}--{SPACELESS}]{{2,}}$") & ~pl.col("word").is_in(left_out)
    fits &= (total >= least) & (total <= pl.max_horizontal(most * words, _SMALL))
    return counts.filter(fits)["word"].unique().sort().to_list()


def unfit_to_draw() -> pl.Series:
    """Words that no neutral word is: those that judge or negate, and pieces of words."""
    import polars as pl

    from hf_unlearnable.text.carriers import TURNING

    return pl.concat([listed("opinions.txt"), pl.Series(sorted(TURNING))])


@cache
def listed(name: str) -> pl.Series:
    """The words of a file: names, words that can hurt, words that judge and pieces of words."""
    import polars as pl

    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return pl.Series([word for line in lines if not line.startswith("#") for word in line.split()])
