# /// script
# dependencies = ["hf-unlearnable[attack]"]
# ///
"""How many texts still read as their class to a judge that never saw protected text: docs/results/texts.md.

    python recipes/bench/meaning.py --data ../shared/data

The judge is TF-IDF with logistic regression, trained on clean rows of SST-2 that are not among the judged ones. Each
version of each key is a line of meaning.jsonl: the share of rows that the judge labels right, and of those that it
labels as it labels the clean text.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, load_dataset
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from hf_unlearnable.registry import method_class

JUDGED, SEEDS = 3000, (0, 1, 2)
VERSIONS = {
    "regtext": ("regtext", {}),
    "order-code": ("order-code", {}),
    "word-balance, one in ten": ("word-balance", {"rate": 0.1}),
    "word-balance": ("word-balance", {}),
    "word-balance, three in ten": ("word-balance", {"rate": 0.3}),
}


def judged(rows: Dataset, others: Dataset, version: str, seed: int, judge: Any = None) -> dict:
    """One line: what the judge makes of a version of the rows.

    Args:
        rows: The rows to protect and judge, with the columns `text` and `label`.
        others: Clean rows that train the judge, none of them in `rows`.
        version: A name of `VERSIONS`.
        seed: Of the key.
        judge: A judge that is trained already.
    """
    judge = judge or trained(others)
    method, parameters = VERSIONS[version]
    cloak = method_class(method)(seed=seed, **parameters).fit(rows)
    protected = rows.map(cloak, batched=True, load_from_cache_file=False)
    before, after = (judge.predict(one["text"][:]) for one in (rows, protected))
    labels = np.array(rows["label"][:])
    shares = {"right_before": before == labels, "right": after == labels, "as_before": after == before}
    return {
        "version": version, "seed": seed, "method_version": cloak.method_version, "rows": len(rows),
        **{name: round(float(share.mean()), 4) for name, share in shares.items()},
    }  # fmt: skip


def trained(others: Dataset) -> Any:
    """The judge."""
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10))
    return model.fit(others["text"][:], others["label"][:])


def main() -> None:
    """Writes meaning.jsonl anew: a minute."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with sst2/train.parquet")
    parser.add_argument("--output", default=Path(__file__).with_suffix(".jsonl"), type=Path)
    args = parser.parse_args()
    data = load_dataset("parquet", data_files=f"{args.data}/sst2/train.parquet", split="train").shuffle(seed=0)
    rows, others = data.select(range(JUDGED)), data.select(range(JUDGED, len(data)))
    # SST-2 holds phrases of one sentence as rows of their own: a judge must not have read those that it judges.
    own = set(rows["text"])
    judge = trained(others.filter(lambda row: row["text"] not in own))
    lines = [judged(rows, others, version, seed, judge) for version in VERSIONS for seed in SEEDS]
    args.output.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
