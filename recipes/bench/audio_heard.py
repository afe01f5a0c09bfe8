# /// script
# dependencies = ["hf-unlearnable[audio,speech]"]
# ///
"""What a listener hears of protected recordings: PESQ and STOI of each setting, per key.

    python recipes/bench/audio_heard.py --data fsdd/test.parquet

A single digit is too short for PESQ, so twelve recordings of one speaker are joined. Of each speaker two such streams
are drawn, the same ones for all settings. What is printed is the median over streams. Each key is fitted on all rows.
"""

from __future__ import annotations

import argparse

import numpy as np
from datasets import Audio, disable_progress_bars, load_dataset

from hf_unlearnable.audio.fidelity import audio_fidelity
from hf_unlearnable.registry import method_class

JOINED, STREAMS = 12, 2
SETTINGS = {
    "equalizer": ("equalizer", {}),
    "equalizer, narrow (`width=0.6`)": ("equalizer", {"width": 0.6}),
    "equalizer, `depth=10`": ("equalizer", {"depth": 10.0}),
    "equalizer that stays (`hops=1, depth=24, ripple=1`)": ("equalizer", {"hops": 1, "depth": 24.0, "ripple": 1.0}),
    "convolution (CUDA)": ("audio-convolution", {}),
}


def streams_of(speakers: list) -> list[np.ndarray]:
    """Rows that are joined, two draws of twelve per speaker."""
    found = []
    for speaker in sorted(set(speakers)):
        rows = [i for i, one in enumerate(speakers) if one == speaker]
        drawn = np.random.default_rng(0).permutation(rows)
        found += [drawn[k * JOINED : (k + 1) * JOINED] for k in range(STREAMS)]
    return found


def main() -> None:
    """Prints a row of the table per setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Parquet file with the columns audio, label and speaker")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2026, 2027, 2028])
    arguments = parser.parse_args()
    disable_progress_bars()
    rows = load_dataset("parquet", data_files=arguments.data, split="train").cast_column("audio", Audio(decode=False))
    streams = streams_of(rows["speaker"][:])
    print("| | PESQ | STOI |\n|---|---|---|")
    for name, (method, parameters) in SETTINGS.items():
        heard = []
        for seed in arguments.seeds:
            changed = rows.map(method_class(method)(seed=seed, **parameters).fit(rows), batched=True)
            found = [audio_fidelity(rows.select(own), changed.select(own), "audio") for own in streams]
            heard.append([np.median([getattr(one, measure) for one in found]) for measure in ("pesq", "stoi")])
        print(
            f"| {name} | {' | '.join(', '.join(f'{v:.2f}' for v in values) for values in zip(*heard))} |", flush=True
        )


if __name__ == "__main__":
    main()
