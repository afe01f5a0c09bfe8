# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""One epoch of the noise of all clusters: on each cluster's own images, and on all images as published.

    python recipes/bench/clusters_speed.py --model models/efficientnet-lite0 --data ../shared/data --rows 60

Prints a line per way: images seen, seconds of wall time and of the processor.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from datasets import disable_progress_bars, load_dataset

from hf_unlearnable import UnlearnableClustersTransform
from hf_unlearnable.image.learning.cluster_noise import ClusterNoiseLearner


def main() -> None:
    """Times both ways, the fit less the clustering."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/efficientnet-lite0")
    parser.add_argument("--data", default="../shared/data", type=Path)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--num_clusters", type=int, default=10)
    arguments = parser.parse_args()
    disable_progress_bars()
    photos = load_dataset("parquet", data_files=str(arguments.data / "flowers" / "train.parquet"), split="train")
    photos = photos.select(range(0, len(photos), len(photos) // arguments.rows)).remove_columns("label")
    noise, seen = ClusterNoiseLearner.noise, [0, 0.0, 0.0]

    def timed(learner, cluster, rows, seed):
        wall, processor = time.perf_counter(), time.process_time()
        found = noise(learner, cluster, rows, seed)
        batch = min(learner.batch_size, len(rows))
        seen[0] += batch * -(-len(rows) // batch)
        seen[1] += time.perf_counter() - wall
        seen[2] += time.process_time() - processor
        return found

    ClusterNoiseLearner.noise = timed  # type: ignore[method-assign]
    for members_only in (True, False):
        seen[:] = [0, 0.0, 0.0]
        UnlearnableClustersTransform(
            cluster_model=arguments.model, num_clusters=arguments.num_clusters, seed=0, num_epochs=1, max_steps=None,
            members_only=members_only,
        ).fit(photos)  # fmt: skip
        way = "its own images" if members_only else "all images"
        print(f"{len(photos)} photos, {arguments.num_clusters} clusters, {way}: {seen[0]} passes, "
              f"{seen[1]:.1f} s, {seen[2]:.1f} s of the processor", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
