# /// script
# dependencies = ["hf-unlearnable[attack]"]
# ///
"""What one version of the fine-tuning attack takes: seconds of each training with its test, and the peak of memory.

    python recipes/bench/language_model_cost.py --config recipes/configs/finetune_smollm2.yaml --versions clean

All options are those of `finetune_attack.py`, which runs in a process of its own with two threads and an output folder
that is thrown away. Run it on a machine that does nothing else. The run fails where it takes longer or more than asked
for: four minutes and 4.5 GB.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "finetune_attack.py"
SECONDS, GIGABYTES = 240, 4.5


def main(argv: list[str] | None = None) -> None:
    """Runs the attack and prints a line per training and one of the whole.

    Args:
        argv: Of the command line; None for the process's own.

    Raises:
        SystemExit: A training took longer, or the run more memory, than asked for.
    """
    given = sys.argv[1:] if argv is None else argv
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [
            sys.executable,
            str(SCRIPT),
            *given,
            "--output_dir",
            str(Path(folder, "out")),
            "--disable_tqdm",
            "true",
        ]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "2"}, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - start
        results = json.loads(Path(folder, "out/results.json").read_text(encoding="utf-8"))["results"]
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6  # kB on Linux
    for result in results:
        print(f"{result['name']}: {result['train_rows']} rows, {result['steps']} steps, {result['seconds']:.0f} s")
    print(f"all of it: {took:.0f} s, {gigabytes:.1f} GB at most")
    slowest = max(result["seconds"] for result in results)
    if slowest > SECONDS or gigabytes > GIGABYTES:
        sys.exit(f"More than was asked for: {SECONDS} s per training and {GIGABYTES} GB.")


if __name__ == "__main__":
    main()
