# /// script
# dependencies = ["hf-unlearnable[attack,audio,speech]"]
# ///
"""What a listener hears of protected recordings: PESQ and STOI of each version of the studies, per key.

    python recipes/bench/audio_heard.py

A single digit is too short for PESQ, so twelve recordings of one speaker are joined. Of each speaker two such streams
are drawn, the same ones for all versions. What is kept is the median over streams, a line per version in the output;
versions that stand there with the same keys, of the method's version of today, are left out. Each key is fitted on all
rows of the test split.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from datasets import Audio, disable_progress_bars, load_dataset
from protection import lines_of, method_version
from study import protected_by, read

from hf_unlearnable.audio.fidelity import audio_fidelity
from hf_unlearnable.data import write_file

BENCH = Path(__file__).parent
STUDIES = ("audio_attack", "audio_portfolio", "speakers")
JOINED, STREAMS = 12, 2


def streams_of(speakers: list) -> list[np.ndarray]:
    """Rows that are joined, two draws of twelve per speaker."""
    found = []
    for speaker in sorted(set(speakers)):
        rows = [i for i, one in enumerate(speakers) if one == speaker]
        drawn = np.random.default_rng(0).permutation(rows)
        found += [drawn[k * JOINED : (k + 1) * JOINED] for k in range(STREAMS)]
    return found


def versions() -> dict[str, tuple[dict, str]]:
    """The protections of the studies by name, and the column that each takes its labels from.

    A version of a study with another label is named with its column behind: "equalizer, by speaker".
    """
    found: dict[str, tuple[dict, str]] = {}
    for study in map(read, (BENCH.parent / f"configs/{name}.yaml" for name in STUDIES)):
        column = study.get("label_column")
        for name, parameters in study["versions"].items():
            if isinstance(parameters, dict):
                found[f"{name}, by {column}" if column else name] = parameters, column or "label"
    return found


def main() -> None:
    """Adds a line per version that is missing."""
    data = os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", default=f"{data}/fsdd/test.parquet", help="with the columns audio, label and speaker"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[2026, 2027, 2028])
    parser.add_argument("--versions", nargs="+", help="those to measure")
    parser.add_argument("--output", type=Path, default=BENCH / "audio_heard.jsonl")
    arguments = parser.parse_args()
    disable_progress_bars()
    rows = load_dataset("parquet", data_files=arguments.data, split="train").cast_column("audio", Audio(decode=False))
    streams = streams_of(rows["speaker"][:])
    for name, (parameters, column) in versions().items():
        line = {"version": name, "method_version": method_version(parameters), "seeds": arguments.seeds}
        known = lines_of(arguments.output)
        if name not in (arguments.versions or [name]) or any(line == {key: one[key] for key in line} for one in known):
            continue
        labelled = rows if column == "label" else rows.remove_columns("label").rename_column(column, "label")
        heard = []
        for seed in arguments.seeds:
            changed, _ = protected_by(parameters, labelled, labelled, seed=seed)
            found = [audio_fidelity(rows.select(own), changed.select(own), "audio") for own in streams]
            heard.append([np.median([getattr(one, measure) for one in found]) for measure in ("pesq", "stoi")])
        pesq, stoi = np.round(np.transpose(heard), 3).tolist()
        kept = [one for one in known if one["version"] != name]
        write_file(
            arguments.output, "".join(json.dumps(one) + "\n" for one in [*kept, {**line, "pesq": pesq, "stoi": stoi}])
        )
        print(name, pesq, stoi, flush=True)


if __name__ == "__main__":
    main()
