# /// script
# dependencies = ["hf-unlearnable[quality,wear,attack]"]
# ///
"""What normal forms, tokenizers, extraction and quality filters leave of protected texts. Nothing is trained.

    python recipes/bench/text_survival.py --model tokens-smollm2=models/smollm2

`clean` and `kept` are the shares of the clean and of the protected texts that a wear keeps, `left` the share of the
words that a protection put in that are still there, in those texts of which both versions are kept. In the row
"minhash", `kept` is the share of protected texts that datatrove's MinHash does not take for a copy of their original,
among those that it judges: it leaves out texts under five words. Every cell is a line of `text_survival.jsonl`; those
that are there are not computed again. A tool that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import disable_progress_bars, load_dataset

from hf_unlearnable._files import write_file
from hf_unlearnable.registry import method_class
from hf_unlearnable.text.wear import TEXT_WEAR
from hf_unlearnable.text.wear.quality import signatures

METHODS = ("regtext", "order-code", "word-balance")
DATA = ("sst2", "imdb")
TEXTS = 300
OUTPUT = Path(__file__).with_suffix(".jsonl")


def main() -> None:
    """Computes the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--model", nargs="+", default=[], help="WEAR=FOLDER: the tokenizer of a wear")
    parser.add_argument("--output", default=OUTPUT, type=Path, help="default: text_survival.jsonl beside this script")
    arguments = parser.parse_args()
    disable_progress_bars()
    models = dict(pair.split("=", 1) for pair in arguments.model)
    measures: dict[str, Any] = {
        name: partial(survival, partial(wear.change, model=models[name]) if name in models else wear.change)
        for name, wear in TEXT_WEAR.items()
    }
    measures["minhash"] = not_taken_for_copies
    lacking = {}
    for data in DATA:
        every = load_dataset("parquet", data_files=str(Path(arguments.data, data, "train.parquet")), split="train")
        rows = every.select(np.sort(np.random.default_rng(0).permutation(len(every))[:TEXTS]))
        for method in METHODS:
            cloak = method_class(method)(seed=0).fit(every.select(range(0, len(every), max(1, len(every) // 5000))))
            protected = rows.map(cloak, batched=True)["text"][:]
            for name, measure in measures.items():
                key = {"data": data, "method": method, "method_version": cloak.method_version, "wear": name}
                if any(key.items() <= one.items() for one in lines_of(arguments.output)):
                    continue
                try:
                    found = measure(rows["text"][:], protected)
                except (ImportError, OSError) as error:
                    lacking[name] = " ".join(str(error).split())[:120]
                    continue
                tools = TEXT_WEAR[name].tools if name in TEXT_WEAR else TEXT_WEAR["gopher-quality"].tools
                cell = {**key, **found, "texts": len(rows), "tools": tools}
                names = ("data", "method", "wear")
                others = [one for one in lines_of(arguments.output) if any(one[part] != key[part] for part in names)]
                write_file(arguments.output, "".join(json.dumps(one) + "\n" for one in [*others, cell]))
    planned = len(DATA) * len(METHODS) * len(measures)
    print(f"{len(lines_of(arguments.output))} of {planned} cells are in {arguments.output}.")
    for name, reason in lacking.items():
        print(f"Not run: {name}: {reason}")


def survival(change: Any, clean: Sequence[str], protected: Sequence[str]) -> dict[str, float | None]:
    """What a wear keeps of texts and of the words that were put in.

    Args:
        change: Of a `Wear`.
        clean, protected: Texts before and after, in the same order.

    Returns:
        "clean" and "kept", shares of the texts, and "left", the share of the words; None where no text is kept.
    """
    before, after = change(clean), change(protected)
    put_in = there = 0
    for one, two, worn_one, worn_two in zip(clean, protected, before, after, strict=True):
        if worn_one is not None and worn_two is not None:
            inserted = words(two) - words(one)
            put_in += inserted.total()
            there += (inserted & (words(worn_two) - words(worn_one))).total()
    kept = [float(np.mean([text is not None for text in texts])) for texts in (before, after)]
    return {
        "clean": round(kept[0], 4),
        "kept": round(kept[1], 4),
        "left": round(there / put_in, 4) if put_in else None,
    }


def words(text: str) -> Counter[str]:
    """How often each word stands in a text, in lower case."""
    return Counter(re.findall(r"\w+", text.lower()))


def not_taken_for_copies(clean: Sequence[str], protected: Sequence[str]) -> dict[str, float | None]:
    """The share of protected texts whose MinHash signature shares no bucket with that of their original.

    Args:
        clean, protected: Texts before and after, in the same order.

    Raises:
        ImportError: datatrove or spaCy is not installed.
    """
    pairs = zip(signatures(clean), signatures(protected), strict=True)
    apart = [all(a != b for a, b in zip(*pair, strict=True)) for pair in pairs if all(pair)]
    return {"clean": None, "kept": round(float(np.mean(apart)), 4) if apart else None, "left": None}


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


if __name__ == "__main__":
    main()
