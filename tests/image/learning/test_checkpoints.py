"""A fit that was killed goes on bit for bit, and from no damaged or foreign checkpoint."""

import gc
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import torch

from hf_unlearnable import ErrorMinTransform, StableErrorMinTransform, _files
from hf_unlearnable.image.learning.rounds import NoiseLearner
from tests.examples import pictures


@pytest.mark.parametrize(
    "cloak",
    [
        ErrorMinTransform(seed=4, max_rounds=4, batch_size=8, stop_error=None),
        ErrorMinTransform(seed=4, max_rounds=4, batch_size=8, stop_error=None, noise="class"),
        StableErrorMinTransform(seed=4, max_rounds=3, num_draws=2, stop_error=None),
    ],
    ids=["sample", "class", "stable"],
)
@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_killed_fit_goes_on_bit_for_bit(cloak, killed_after, tmp_path):
    dataset = pictures(20)
    whole = cloak.fit(dataset).key.tensors["levels"].copy()
    save = NoiseLearner._save

    def saved_then_killed(self, done):
        save(self, done)
        if done == killed_after:
            raise KeyboardInterrupt

    with mock.patch.object(NoiseLearner, "_save", saved_then_killed), pytest.raises(KeyboardInterrupt):
        cloak.fit(dataset, checkpoint_dir=tmp_path / "fit")
    rounds = []
    update = NoiseLearner.update

    def counted(self, this, **kwargs):
        rounds.append(this.number)
        update(self, this, **kwargs)

    with mock.patch.object(NoiseLearner, "update", counted):
        cloak.fit(dataset, checkpoint_dir=tmp_path / "fit")
    assert rounds == list(range(killed_after, cloak.max_rounds))
    assert np.array_equal(cloak.key.tensors["levels"], whole)


def test_a_fit_killed_while_saving_goes_back_one_round(tmp_path):
    dataset = pictures(12)
    cloak = ErrorMinTransform(seed=4, max_rounds=3, stop_error=None)
    whole = cloak.fit(dataset).key.tensors["levels"].copy()
    real = torch.save

    def killed(value, path, *args):
        if "round-00002" in str(path) and "model" in str(path):
            raise KeyboardInterrupt
        real(value, path, *args)

    with mock.patch.object(torch, "save", killed), pytest.raises(KeyboardInterrupt):
        cloak.fit(dataset, checkpoint_dir=tmp_path)
    cloak.fit(dataset, checkpoint_dir=tmp_path)
    assert np.array_equal(cloak.key.tensors["levels"], whole)
    assert [p.name for p in tmp_path.glob("round-*")] == ["round-00003"]  # older ones are gone


def test_a_resumed_fit_keeps_its_drawn_seed(tmp_path):
    cloak = ErrorMinTransform(max_rounds=1)
    seeds = {cloak.fit(pictures(8), checkpoint_dir=tmp_path).key.seed for _ in range(2)}
    assert len(seeds) == 1
    assert (tmp_path / "seed").stat().st_mode & 0o777 == 0o600
    assert ErrorMinTransform(max_rounds=1).fit(pictures(8)).key.seed not in seeds


@pytest.mark.parametrize("left", [b"", b"12", b"-3", b"7\n", b"\xff", b"1e3", b"9" * 25])
def test_a_damaged_seed_file_is_replaced_where_no_round_depends_on_it(tmp_path, left):
    (tmp_path / "seed").write_bytes(left)
    cloak = ErrorMinTransform(max_rounds=1).fit(pictures(8), checkpoint_dir=tmp_path)
    kept = int((tmp_path / "seed").read_text())
    assert cloak.key.seed == kept and (kept == 12) == (left == b"12")
    (tmp_path / "seed").write_bytes(b"" if left == b"12" else left)
    with pytest.raises(ValueError, match="seed is missing or damaged, and the rounds beside it are of its seed"):
        ErrorMinTransform(max_rounds=1).fit(pictures(8), checkpoint_dir=tmp_path)


@pytest.mark.parametrize("file", ["process-00000.pt", "model.pt"])
@pytest.mark.parametrize("size", [0, 1, 100, 2000])
def test_a_round_that_does_not_read_is_passed_over(tmp_path, caplog, file, size):
    dataset, cloak = pictures(12), ErrorMinTransform(seed=4, max_rounds=2, stop_error=None)
    whole = cloak.fit(dataset, checkpoint_dir=tmp_path).key.tensors["levels"].copy()
    damaged = tmp_path / "round-00002" / file
    damaged.write_bytes(damaged.read_bytes()[:size])
    assert np.array_equal(cloak.fit(dataset, checkpoint_dir=tmp_path).key.tensors["levels"], whole)
    assert "round-00002 does not read" in caplog.text
    caplog.clear()
    assert np.array_equal(cloak.fit(dataset, checkpoint_dir=tmp_path).key.tensors["levels"], whole)  # written anew
    assert caplog.text == ""


def test_the_scratch_of_a_killed_fit_is_removed_by_the_next(tmp_path, monkeypatch):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / f".hf-unlearnable-fit.{done.pid}@{_files._host()}.abcd1234"
    left.mkdir()
    (left / "noise").write_bytes(b"n" * 99)
    cloak = ErrorMinTransform(seed=4, max_rounds=1).fit(pictures(8))
    assert not left.exists()
    del cloak
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"epsilon": 4 / 255}, {"seed": 5}, {"batch_size": 64}])
def test_a_checkpoint_of_another_fit_is_refused(change, tmp_path):
    ErrorMinTransform(seed=4, max_rounds=1).fit(pictures(8), checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match="holds a fit of other data or parameters"):
        ErrorMinTransform(**{"seed": 4, "max_rounds": 1, **change}).fit(pictures(8), checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match="holds a fit of other data or parameters"):
        ErrorMinTransform(seed=4, max_rounds=1).fit(pictures(8, seed=1), checkpoint_dir=tmp_path)
