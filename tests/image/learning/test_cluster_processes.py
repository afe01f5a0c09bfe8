"""Unlearnable clusters in two processes on a CPU, beside one."""

import os
import subprocess
import sys

import numpy as np
import pytest

from hf_unlearnable.image.methods.unlearnable_clusters import UnlearnableClustersTransform
from hf_unlearnable.learning import processes
from tests import ROOT
from tests.examples import pictures
from tests.image.models import tiny_model

SETTINGS = {"seed": 4, "num_clusters": 3, "tile": 8, "max_steps": 12, "num_epochs": 12, "batch_size": 8}
_FIT = """
import sys
from pathlib import Path

import numpy as np

from hf_unlearnable.learning.processes import processes
from hf_unlearnable.image.methods.unlearnable_clusters import UnlearnableClustersTransform
from tests.examples import pictures
from tests.image.learning.test_cluster_processes import SETTINGS

dataset = pictures(41, height=24, width=24).remove_columns("label")
for parallel in ("clusters", "batches"):
    folder = Path(sys.argv[1], parallel)
    cloak = UnlearnableClustersTransform(cluster_model=sys.argv[2], parallel=parallel, **SETTINGS)
    cloak.fit(dataset, checkpoint_dir=folder / "fit")
    if processes().is_main_process:
        np.savez(folder / "key.npz", **cloak.key.tensors)
try:
    UnlearnableClustersTransform(cluster_model=sys.argv[2], **SETTINGS).fit(
        dataset.select([0]), checkpoint_dir=Path(sys.argv[1], "few")
    )
except ValueError as error:
    print(error, flush=True)
processes().wait_for_everyone()
"""


@pytest.mark.slow  # two processes are in recipes/test_protect_images.py
def test_two_processes_give_what_one_gives(tmp_path):
    dataset = pictures(41, height=24, width=24).remove_columns("label")
    one = UnlearnableClustersTransform(cluster_model=tiny_model(), **SETTINGS).fit(dataset).key.tensors
    (tmp_path / "fit.py").write_text(_FIT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(tmp_path / "fit.py"), str(tmp_path), tiny_model()],
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("1 rows are fewer than the 2 processes that share them.") == 2
    spread, shared = (dict(np.load(tmp_path / name / "key.npz")) for name in ("clusters", "batches"))
    for name in ("cluster_ids", "cluster_members"):
        assert np.array_equal(spread[name], one[name]) and np.array_equal(shared[name], one[name])
    # Whole clusters: the same bytes. Parts of a batch: sums in another order, so that a few signs differ.
    assert np.array_equal(spread["levels"], one["levels"]) and one["levels"].any()
    differ = np.abs(shared["levels"].astype(int) - one["levels"])
    assert (differ > 0).mean() < 0.02, (differ > 0).mean()


def test_fewer_rows_than_processes_are_told_in_all_of_them(monkeypatch):
    class Four:
        process_index, num_processes = 0, 4

    monkeypatch.setattr(processes, "processes", lambda: Four)
    for rows in (1, 3):
        with pytest.raises(ValueError, match=f"{rows} rows are fewer than the 4 processes that share them"):
            processes.part_of(pictures(rows))
    assert len(processes.part_of(pictures(4))) == 1
