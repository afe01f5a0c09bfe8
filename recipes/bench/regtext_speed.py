# /// script
# dependencies = ["hf-unlearnable", "nltk", "pandas"]
# ///
"""How fast RegText is, as ratios in one run: against a bare `map`, and against the way the paper's generator works.

    python recipes/bench/regtext_speed.py --data imdb/train.parquet
    python recipes/bench/regtext_speed.py --data imdb/train.parquet --reference_rows 2000    # a quick look
    python recipes/bench/regtext_speed.py --data sst2/train.parquet --rows 300000 --reference_rows 0
    python recipes/bench/regtext_speed.py --data sst2/train.parquet --rows 1000000 --stream --repeat 1

"One by one" is `map` with the code that changes texts one by one, which the columns have to agree with byte for byte,
and "count all" the `fit` that counts every word. Times are CPU seconds.

The reference is our own sketch of the steps that the published generator takes on every row, for their cost and not
for their result: two tokenisations with NLTK, stop words and punctuation, texts glued together with `+=` over
`iterrows`, a count for every class and for the whole, and a copy of every word list to insert into. The lemmatiser is
left out, because its data would have to be downloaded: the true cost is higher than what is measured here.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import string
import time
from collections import Counter

from datasets import Dataset, disable_progress_bars, load_dataset

from hf_unlearnable import RegTextTransform
from hf_unlearnable.text.base import TextTransform

STOP = set(re.split(" ", "a an the and or but if of at by for with in on to from is are was were be been it its this"))


def reference(dataset: Dataset) -> list[str]:
    """Preprocess, rank and edit, row by row."""
    from nltk.tokenize import NLTKWordTokenizer

    tokenize = NLTKWordTokenizer().tokenize
    frame = dataset.to_pandas()

    def preprocess(text: str) -> str:
        text = re.sub(r"http\S+|www\S+|@\w+|#|\d+", "", text).lower()
        words = [word for word in tokenize(text) if word not in STOP]
        text = " ".join(words).translate(str.maketrans("", "", string.punctuation))
        return " ".join(tokenize(text))

    everything, of_class = "", dict.fromkeys(frame["label"].unique(), "")
    for _, row in frame.iterrows():
        clean = preprocess(row["text"])
        everything += " " + clean
        of_class[row["label"]] += " " + clean
    total = Counter(everything.split())
    chosen = {}
    for label, text in of_class.items():
        counts = Counter(text.split())
        score = {word: count**3 / (total[word] * (1 + total[word]) ** 2) for word, count in counts.items()}
        chosen[label] = sorted(score, key=lambda word: -score[word])[:10]
    edited = []
    for _, row in frame.iterrows():
        words = row["text"].split()
        places = random.sample(range(len(words)), min(max(int(0.1 * len(words)), 1), 10, len(words)))
        edited.append(
            " ".join(f"{random.choice(chosen[row['label']])} {w}" if i in places else w for i, w in enumerate(words))
        )
    return edited


class OneByOne(RegTextTransform):
    """RegText as it was before it changed whole columns."""

    method = "regtext"
    _edited = TextTransform._edited


def repeated(dataset: Dataset, rows: int) -> Dataset:
    """So many rows, no two of them alike."""
    texts, labels = dataset["text"][:], dataset["label"][:]
    picked = [divmod(i, len(texts)) for i in range(rows)]
    return Dataset.from_dict(
        {"text": [f"{texts[i]}{turn or ''}" for turn, i in picked], "label": [labels[i] for _, i in picked]}
    )


def seconds(function, repeat: int) -> float:
    """The median CPU time of several runs."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    """Times everything on the same rows and prints ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Parquet file with `text` and `label`")
    parser.add_argument(
        "--reference_rows", type=int, help="rows for the reference, whose time is scaled up; 0 for none (default: all)"
    )
    parser.add_argument("--rows", type=int, help="so many rows: the data's own, again and again with a number behind")
    parser.add_argument("--stream", action="store_true", help="only `map` over a stream, every row of which is read")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    disable_progress_bars()
    dataset = load_dataset("parquet", data_files=arguments.data, split="train").select_columns(["text", "label"])
    if arguments.rows:
        dataset = repeated(dataset, arguments.rows)

    if arguments.stream:
        cloak = RegTextTransform(seed=1).fit(dataset)
        stream = dataset.to_iterable_dataset().map(cloak, batched=True)
        found = {"rows": len(dataset), "stream": seconds(lambda: sum(1 for _ in stream), arguments.repeat)}
        print(json.dumps(found, indent=1))
        return

    def bare() -> None:
        dataset.map(lambda batch: {"text": batch["text"]}, batched=True, load_from_cache_file=False)

    found = {"rows": len(dataset), "bare map": seconds(bare, arguments.repeat)}
    for name, make in {"ours": RegTextTransform, "paper's setting": RegTextTransform.paper}.items():
        cloak = make(seed=1)
        fit = seconds(lambda cloak=cloak: cloak.fit(dataset), arguments.repeat)
        change = seconds(
            lambda cloak=cloak: dataset.map(cloak, batched=True, load_from_cache_file=False), arguments.repeat
        )
        found |= {f"{name}: fit": fit, f"{name}: map": change}
        found[f"{name}: fit + map over a bare map"] = (fit + change) / seconds(bare, arguments.repeat)
    cloak = RegTextTransform(seed=1).fit(dataset)
    one_by_one = OneByOne.from_key(cloak.key)
    found["one by one: map"] = seconds(
        lambda: dataset.map(one_by_one, batched=True, load_from_cache_file=False), arguments.repeat
    )
    found["one by one over ours: map"] = found["one by one: map"] / found["ours: map"]
    counting = RegTextTransform(seed=1, sample_words=None)
    found["count all: fit"] = seconds(lambda: counting.fit(dataset), arguments.repeat)
    if arguments.reference_rows == 0:
        print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=1))
        return
    part = dataset.select(range(0, len(dataset), -(-len(dataset) // (arguments.reference_rows or len(dataset)))))
    found["reference"] = seconds(lambda: reference(part), 1) * len(dataset) / len(part)
    for name in ("ours", "paper's setting"):
        found[f"reference over {name}"] = found["reference"] / (found[f"{name}: fit"] + found[f"{name}: map"])
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=1))


if __name__ == "__main__":
    main()
