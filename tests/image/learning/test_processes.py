"""Fits in two processes on a CPU: no rows twice, and a killed one goes on bit for bit."""

import os
import subprocess
import sys

import numpy as np

from tests import ROOT

_FIT = """
import sys
from pathlib import Path

import numpy as np

from hf_unlearnable import ErrorMinTransform
from hf_unlearnable.image.learning.rounds import NoiseLearner
from tests.examples import pictures

folder, killed_after = Path(sys.argv[1]), int(sys.argv[2])
save = NoiseLearner._save

def saved_then_killed(self, done):
    save(self, done)
    if done == killed_after:
        self.processes.wait_for_everyone()
        raise KeyboardInterrupt

NoiseLearner._save = saved_then_killed
for noise in ("sample", "class"):
    cloak = ErrorMinTransform(seed=4, max_rounds=3, batch_size=8, stop_error=None, noise=noise)
    try:
        cloak.fit(pictures(20), checkpoint_dir=folder / noise)
    except KeyboardInterrupt:
        continue
    np.savez(folder / f"{noise}.npz", passes=cloak.image_passes, **cloak.key.tensors)
"""


def fit(folder, killed_after=0):
    script = folder.parent / "fit.py"
    script.write_text(_FIT)
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(script), str(folder), str(killed_after)],
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_killed_fit_of_two_processes_goes_on_bit_for_bit(tmp_path):
    fit(tmp_path / "whole")
    fit(tmp_path / "killed", killed_after=2)
    assert not list(tmp_path.glob("killed/*.npz"))
    assert len(list(tmp_path.glob("killed/*/round-00002/process-*.pt"))) == 4
    fit(tmp_path / "killed")
    for noise, arrays in (("sample", ["ids", "levels"]), ("class", ["levels"])):
        whole, resumed = (np.load(tmp_path / run / f"{noise}.npz") for run in ("whole", "killed"))
        for name in arrays:
            assert np.array_equal(whole[name], resumed[name]), (noise, name)
        assert np.abs(whole["levels"]).max() > 0
        # Three rounds: ten steps on 4 images a process, and one on its half of the 20 images.
        assert whole["passes"] == resumed["passes"] == 3 * (10 * 4 + 10)
    assert len(np.load(tmp_path / "whole" / "sample.npz")["ids"]) == 20
