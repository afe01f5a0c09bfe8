# /// script
# dependencies = ["hf-unlearnable[image,attack,quality]", "imagehash==4.3.2", "pdqhash==0.2.8"]
# ///
"""Whether services that look for known pictures and texts still find protected ones. Nothing is trained but noise.

    python recipes/bench/identity.py

Of images: perceptual hashes of each protected picture against that of its original. `found` is the share within the
distance that services use: 31 of 256 bits of PDQ, 10 of 64 bits of pHash, dHash and aHash. The method "strangers" is
the share of different clean pictures that are as near. Of texts: the share of protected ones that datatrove's MinHash
takes for copies of their originals. Learned noise is fitted on these rows alone, in one round. Every cell is a line of
`identity.jsonl`; those that are there are not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from datasets import disable_progress_bars, load_dataset
from text_survival import not_taken_for_copies

from hf_unlearnable._files import write_file
from hf_unlearnable.registry import METHODS, method_class

ROWS = {"flowers": 60, "cifar10_jpeg": 200, "sst2": 300, "imdb": 300}
KIND = {"flowers": "image", "cifar10_jpeg": "image", "sst2": "text", "imdb": "text"}
FITTED_ON = 5000  # texts: words are drawn from the counts of many
SHORT: dict[str, dict[str, int]] = {
    **{name: {"max_rounds": 1} for name in ("error-min", "error-min-one-pixel", "stable-error-min", "error-max")},
    "linearization": {"epochs": 5},
}
OUTPUT = Path(__file__).with_suffix(".jsonl")


def main() -> None:
    """Computes the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--output", default=OUTPUT, type=Path, help="default: identity.jsonl beside this script")
    parser.add_argument("--methods", nargs="+", default=[*METHODS, "strangers"], help="methods to run")
    arguments = parser.parse_args()
    disable_progress_bars()
    for data, count in ROWS.items():
        every = load_dataset("parquet", data_files=str(Path(arguments.data, data, "train.parquet")), split="train")
        rows = every.select(np.sort(np.random.default_rng(0).permutation(len(every))[:count]))
        measures = hashes() if KIND[data] == "image" else {"minhash": copied}
        column = KIND[data]
        names = [name for name in METHODS if method_class(name).modality == KIND[data]]
        names = [*names, *(["strangers"] if KIND[data] == "image" else [])]
        for method in [name for name in names if name in arguments.methods]:
            settings = SHORT.get(method, {})
            missing = [name for name in measures if not done(arguments.output, data, method, name)]
            if not missing:
                continue
            clean = rows[column][:]
            if method == "strangers":
                changed, number = [*clean[1:], clean[0]], None
            else:
                learn = (
                    rows
                    if KIND[data] == "image"
                    else every.select(range(0, len(every), max(1, len(every) // FITTED_ON)))
                )
                cloak = method_class(method)(seed=0, **settings).fit(learn)
                changed, number = rows.map(cloak, batched=True)[column][:], cloak.method_version
            for name in missing:
                cell = {"data": data, "method": method, "method_version": number, "hash": name}
                cell |= {**measures[name](clean, changed), "rows": count, "settings": settings, "tools": tools(name)}
                others = [one for one in lines_of(arguments.output) if key_of(one) != key_of(cell)]
                write_file(arguments.output, "".join(json.dumps(one) + "\n" for one in [*others, cell]))
                print(data, method, name, cell["found"], flush=True)


def hashes() -> dict[str, Callable[..., dict[str, float]]]:
    """What measures pictures, by name."""
    import imagehash
    import pdqhash

    def pdq(image: Any) -> np.ndarray:
        return pdqhash.compute(np.asarray(image.convert("RGB")))[0].astype(bool)

    bits = {"pHash": imagehash.phash, "dHash": imagehash.dhash, "aHash": imagehash.average_hash}
    return {
        "PDQ": partial(found, pdq, within=31),
        **{name: partial(found, partial(flat, of), within=10) for name, of in bits.items()},
    }


def flat(of: Callable[[Any], Any], image: Any) -> np.ndarray:
    """The bits of a hash of `imagehash`, bool [64]."""
    return of(image).hash.ravel()


def found(bits: Callable[[Any], np.ndarray], before: Sequence[Any], after: Sequence[Any], within: int) -> dict:
    """How near the hashes of two versions of each picture are.

    Args:
        bits: A picture's hash, bool [bits].
        before, after: PIL images, in the same order.
        within: The most bits that may differ in a match.

    Returns:
        "found", the share of matches, and "distance", the median number of bits that differ.
    """
    away = [int((bits(one) != bits(two)).sum()) for one, two in zip(before, after, strict=True)]
    return {"found": round(float(np.mean(np.array(away) <= within)), 4), "distance": float(np.median(away))}


def copied(before: Sequence[str], after: Sequence[str]) -> dict[str, float | None]:
    """The share of texts that MinHash takes for copies, among those of five words or more."""
    kept = not_taken_for_copies(before, after)["kept"]
    return {"found": None if kept is None else round(1 - kept, 4)}


def tools(name: str) -> str:
    """The package of a measure, with its version."""
    package = {"PDQ": "pdqhash", "minhash": "datatrove"}.get(name, "imagehash")
    return f"{package} {version(package)}"


def done(output: Path, data: str, method: str, name: str) -> bool:
    """Whether a cell is there, of the version of the method that is here."""
    number = None if method == "strangers" else method_class(method).method_version
    return any(key_of(one) == (data, method, name) and one["method_version"] == number for one in lines_of(output))


def key_of(cell: dict) -> tuple[str, str, str]:
    """What tells a cell from the others."""
    return cell["data"], cell["method"], cell["hash"]


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


if __name__ == "__main__":
    main()
