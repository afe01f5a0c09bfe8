"""Fits in two processes on a CPU: no rows twice, and a killed one goes on bit for bit."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests import ROOT

_FIT = """
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_unlearnable import ErrorMinTransform
from hf_unlearnable.learning.processes import processes
from hf_unlearnable.image.learning.rounds import NoiseLearner
from tests.examples import pictures

save = NoiseLearner._save

def saved_then_killed(self, done):
    save(self, done)
    if done == 2:
        self.processes.wait_for_everyone()
        raise KeyboardInterrupt

for run, saving in (("whole", save), ("killed", saved_then_killed), ("killed", save)):
    NoiseLearner._save = saving
    for noise in ("sample", "class"):
        folder = Path(sys.argv[1], run)
        cloak = ErrorMinTransform(seed=4, max_rounds=3, batch_size=8, stop_error=None, noise=noise)
        try:
            cloak.fit(pictures(20), checkpoint_dir=folder / noise)
        except KeyboardInterrupt:
            whole = len(list(folder.glob(f"{noise}/round-00002/process-*.pt")))
            assert whole == 2 and not (folder / f"{noise}.npz").exists()
            print("killed")
        else:
            assert saving is save
            if processes().is_main_process:
                np.savez(folder / f"{noise}.npz", passes=cloak.image_passes, **cloak.key.tensors)
    processes().wait_for_everyone()
"""


@pytest.mark.slow  # two processes are in recipes/test_protect_images.py, kills in interrupted/
def test_a_killed_fit_of_two_processes_goes_on_bit_for_bit(tmp_path):
    (tmp_path / "fit.py").write_text(_FIT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(tmp_path / "fit.py"), str(tmp_path)],
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("killed") == 4  # each process, with each noise
    for noise, arrays in (("sample", ["ids", "levels"]), ("class", ["levels"])):
        whole, resumed = (np.load(tmp_path / run / f"{noise}.npz") for run in ("whole", "killed"))
        for name in arrays:
            assert np.array_equal(whole[name], resumed[name]), (noise, name)
        assert np.abs(whole["levels"]).max() > 0
        # Three rounds: ten steps on 4 images a process, and one on its half of the 20 images.
        assert whole["passes"] == resumed["passes"] == 3 * (10 * 4 + 10)
    assert len(np.load(tmp_path / "whole" / "sample.npz")["ids"]) == 20
