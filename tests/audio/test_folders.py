"""Folders of recordings are protected from file to file: none of them is in memory whole."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_unlearnable import AudioNoiseTransform, EqualizerTransform, load_transform, protect
from hf_unlearnable.audio.codec import BLOCK
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_rows

KINDS = {"wav": "PCM_16", "flac": "PCM_24", "WAV": "FLOAT"}


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    random = np.random.default_rng(3)
    for i, (ending, subtype) in enumerate(KINDS.items()):
        for name in ("ann", "bob"):
            (folder / name).mkdir(exist_ok=True)
            samples = random.normal(0, 0.05, (BLOCK + 1000 * i, 2))
            soundfile.write(folder / name / f"{i}.{ending}", samples, 44_100, subtype)
    return folder


@pytest.mark.parametrize("cls", [EqualizerTransform, AudioNoiseTransform])
def test_rows_of_files_become_rows_of_new_files_and_others_stay_what_they_are(cls, voices, tmp_path):
    rows = load_rows(voices)
    cloak = cls(seed=5, classes=[0]).fit(rows)
    stored = rows.cast_column("audio", rows.features["audio"].__class__(decode=False))
    made = stored.map(partial(cloak.to_files, folder=tmp_path), batched=True, batch_size=2)["audio"][:]
    whole = stored.map(cloak, batched=True)["audio"][:]
    for before, after, expected, label in zip(stored["audio"][:], made, whole, rows["label"], strict=True):
        assert after["bytes"] is None
        assert (after == before) == (label == 1)
        if label == 0:
            assert Path(after["path"]).parent == tmp_path and Path(after["path"]).read_bytes() == expected["bytes"]
    assert len(list(tmp_path.iterdir())) == 3


def test_rows_of_bytes_stay_rows_of_bytes(voices, tmp_path):
    cloak = EqualizerTransform(seed=5).fit(load_rows(voices))
    value = {"bytes": (voices / "ann" / "0.wav").read_bytes(), "path": "0.wav"}
    after = cloak.to_files({"audio": value, "label": 0}, tmp_path)["audio"]
    assert after == cloak({"audio": value, "label": 0})["audio"] and not list(tmp_path.iterdir())


@pytest.mark.parametrize("processes", [[], ["--num-proc", "2"]])
def test_the_command_line_writes_what_protect_file_writes(processes, voices, tmp_path):
    argv = ["protect", "equalizer", str(voices), f"--output={tmp_path}/out", f"--key={tmp_path}/key", "--seed=5"]
    assert main([*argv, f"--report={tmp_path}/report", *processes]) == 0
    cloak = load_transform(tmp_path / "key")
    for label, name in enumerate(("ann", "bob")):
        for i, ending in enumerate(KINDS):
            made = tmp_path / "out" / name / f"{i}{'.flac' if i < 2 else '.wav'}"
            expected = cloak.protect_file(voices / name / f"{i}.{ending}", tmp_path / f"{name}{i}", label)
            assert made.read_bytes() == expected.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[:3] not in ("ann", "bob")) == [
        "key", "out", "report"
    ]  # fmt: skip


def test_no_recording_is_copied_into_a_table_on_the_way(voices, tmp_path, monkeypatch):
    seen = []
    known = EqualizerTransform.to_files
    monkeypatch.setattr(
        EqualizerTransform, "to_files", lambda self, batch, folder: seen.append(known(self, batch, folder)) or seen[-1]
    )
    protect(
        {"train": load_rows(voices)}, EqualizerTransform(seed=5), tmp_path / "out", key=tmp_path / "key",
        format="recordings", source=voices,
    )  # fmt: skip
    values = [value for batch in seen for value in batch["audio"]]
    assert len(values) == 6 and all(value["bytes"] is None for value in values)
    assert not any(Path(value["path"]).exists() for value in values)
