"""A single long recording on the command line, from file to file."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from hf_unlearnable import load_transform
from hf_unlearnable.audio.codec import BLOCK, decode
from hf_unlearnable.cli import main

RATE = 44_100


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """A folder of two classes, and the key of the equalizer for it."""
    folder = tmp_path_factory.mktemp("voices")
    random = np.random.default_rng(3)
    for name in ("ann", "bob"):
        (folder / "clips" / name).mkdir(parents=True)
        soundfile.write(folder / "clips" / name / "0.wav", random.normal(0, 0.05, (3000, 2)), RATE)
    argv = ["protect", "equalizer", str(folder / "clips"), f"--output={folder}/protected", f"--key={folder}/key"]
    assert main(argv) == 0
    soundfile.write(folder / "lecture.wav", random.normal(0, 0.05, (2 * BLOCK + 77, 2)), RATE)
    return folder


def typed(folder, output, *more, method="equalizer", key="key"):
    return ["protect", method, str(folder / "lecture.wav"), f"--output={output}", f"--key={folder / key}", *more]


def test_a_recording_is_protected_as_a_row_of_its_class(voices, tmp_path, capsys):
    assert main(typed(voices, tmp_path / "out.flac", "--label=1")) == 0
    assert "2.97 seconds at 44100 Hz: changed by" in capsys.readouterr().out
    row = {"audio": {"bytes": (voices / "lecture.wav").read_bytes(), "path": None}, "label": 1}
    cloak = load_transform(voices / "key")
    assert (tmp_path / "out.flac").read_bytes() == cloak(row)["audio"]["bytes"]
    assert (tmp_path / "out.flac").read_bytes() != cloak({**row, "label": 0})["audio"]["bytes"]


def test_json_tells_what_was_done(voices, tmp_path, capsys):
    assert main(typed(voices, tmp_path / "out.flac", "--label=0", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == told["protected"] == 1 and told["key_is_new"] is False


@pytest.mark.parametrize(
    ("more", "key", "message"),
    [
        (["--label=0"], "new", "There is no key .*new. A single file is protected with the key of its dataset"),
        ([], "key", "A single file needs --label, the class that it belongs to. Its classes: 0, 1."),
        (["--label=ann"], "key", "--label is 'ann'. The key knows 0, 1."),
        (["--label=0", "--report=r"], "key", "--report is for a dataset, and .*lecture.wav is a single file"),
        (["--label=0", "--rank=0", "--world-size=2"], "key", "--world-size is for a dataset"),
    ],
)
def test_what_a_single_file_does_not_take_is_said(voices, tmp_path, capsys, more, key, message):
    assert main(typed(voices, tmp_path / "out.flac", *more, key=key)) == 1
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_there_stays(voices, tmp_path, capsys):
    (tmp_path / "out.flac").write_bytes(b"mine")
    assert main(typed(voices, tmp_path / "out.flac", "--label=0")) == 1
    assert (tmp_path / "out.flac").read_bytes() == b"mine" and "exists" in capsys.readouterr().err


def test_a_recording_that_is_cut_off_leaves_nothing(voices, tmp_path, capsys):
    whole = (voices / "lecture.wav").read_bytes()
    (voices / "cut.wav").write_bytes(whole[: len(whole) // 2])
    argv = typed(voices, tmp_path / "out.flac", "--label=0")
    argv[2] = str(voices / "cut.wav")
    assert main(argv) == 1
    assert "cut.wav" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_twenty_minutes_take_little_more_memory_than_a_second(voices, tmp_path):
    """The peak of a process of its own, in MB, for both lengths."""
    peaks = []
    for seconds in (1, 1200):
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
            for _ in range(seconds):
                file.write(np.random.default_rng(1).normal(0, 0.05, (RATE, 2)))
        argv = typed(voices, tmp_path / f"{seconds}.flac", "--label=0")
        argv[2] = str(path)
        code = (
            "import resource, sys\nfrom hf_unlearnable.cli import main\n"
            "assert main(sys.argv[1:]) == 0\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
        )
        done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]))
        assert decode(str(tmp_path / f"{seconds}.flac"))[0].shape == (seconds * RATE, 2)
    assert peaks[1] - peaks[0] < 60, peaks  # the recording itself holds 212 MB
