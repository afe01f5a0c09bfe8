"""A kind of data that another package brings keeps the contract, and is protected to disk."""

import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from datasets import Audio, load_dataset

from hf_unlearnable import load_transform, protect
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_splits, paired
from hf_unlearnable.testing import CHECKS, check_same_bytes, check_streams
from tests.contract.sound.data import PLAIN, dataset, sounds
from tests.contract.sound.method import ToneTransform
from tests.contract.sound.modality import SOUND, SoundFidelity
from tests.contract.sound.rows import protected_of, samples, stored

pytestmark = pytest.mark.usefixtures("sounds_registered")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_column_of_plain_structs_passes_every_check(check):
    check(ToneTransform(seed=7), dataset(feature=PLAIN))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_audio_column_passes_every_check(check):
    if check in (check_same_bytes, check_streams):  # `Features.encode_example` on a stream and a plain row
        pytest.importorskip("torchcodec", reason="datasets encodes Audio with torchcodec, even stored bytes")
    check(ToneTransform(seed=7), dataset(feature=Audio(decode=False)))


def test_every_sound_changes_by_no_more_than_the_amplitude():
    rows = dataset()
    after, _ = protected_of(rows, amplitude=250)
    for one, two in zip(stored(rows), stored(after), strict=True):
        change = samples(two) - samples(one)
        assert 240 <= np.abs(change).max() <= 250
    found = SOUND.fidelity(rows, after, "audio", ToneTransform(amplitude=250))
    assert found.sounds == found.changed == 42 and found.max_change == 250
    assert found.snr == pytest.approx(20 * np.log10(4000 / 250), abs=0.3)
    with pytest.raises(ValueError, match="Row 0, column 'audio': a sample value changed by 250, the bound is 249"):
        SOUND.fidelity(rows, after, "audio", ToneTransform(amplitude=249))
    assert SOUND.fidelity(rows, rows, "audio") == SoundFidelity(42, 0, 0, None)


def test_protect_writes_parquet_that_is_read_again(tmp_path):
    rows = dataset()
    done = protect(rows, ToneTransform(seed=5), tmp_path / "out", key=tmp_path / "key", report=tmp_path / "report")
    assert done.changed == {"train": 42} and done.fidelity["train"]["audio"].max_change == 400
    again = load_dataset("parquet", data_files=str(tmp_path / "out" / "train.parquet"), split="train")
    assert again.features == rows.features
    expected = stored(rows.map(load_transform(tmp_path / "key"), batched=True))
    assert [one["bytes"] for one in stored(again)] == [one["bytes"] for one in expected]
    assert json.loads((tmp_path / "report" / "fidelity.json").read_text())["changed"] == 42
    assert (tmp_path / "report" / "before.wav").read_bytes() == stored(rows)[0]["bytes"]
    assert (tmp_path / "report" / "after.wav").read_bytes() == expected[0]["bytes"]
    with pytest.raises(ValueError, match="was protected with this key already"):
        protect(again, load_transform(tmp_path / "key"), tmp_path / "twice")


def wide(value, width):
    """A sound with samples of another width."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, width, 8000, 100, "NONE", ""))
        out.writeframes(bytes(100 * width))
    return {**value, "bytes": file.getvalue()}


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda value: {**value, "bytes": b"ID3\x03 no wave"}, "does not open as a WAV file (file does not start"),
        (lambda value: {**value, "bytes": value["bytes"][:20]}, "does not open as a WAV file"),
        (lambda value: {**value, "bytes": b""}, "does not open as a WAV file (it is cut off)"),
        (lambda value: wide(value, 1), "has 8-bit samples. Convert it to 16 bits."),
        (lambda value: wide(value, 3), "has 24-bit samples. Convert it to 16 bits."),
    ],
)
def test_a_broken_sound_is_named_by_row_and_column(tmp_path, capsys, broken, why):
    values = sounds()
    values[20] = broken(values[20])
    with pytest.raises(ValueError) as caught:
        protect(dataset(values=values), ToneTransform(seed=5), tmp_path / "out")
    assert f"Row 20, column 'audio': the sound {why}" in str(caught.value) and not (tmp_path / "out").exists()
    dataset(values=values).to_parquet(str(tmp_path / "in.parquet"))
    argv = ["protect", "tone", f"{tmp_path}/in.parquet", f"--output={tmp_path}/out", f"--key={tmp_path}/key"]
    assert main(argv) == 1
    assert f"Row 20, column 'audio': the sound {why}" in capsys.readouterr().err


def test_the_command_line_protects_attacks_verifies_and_publishes(tmp_path, capsys):
    parts = {"train": dataset(90), "test": dataset(30, seed=1)}
    for name, rows in parts.items():
        rows.to_parquet(str(tmp_path / f"{name}.parquet"))

    def run(*argv):
        assert main([str(part) for part in argv]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    key, out, clean = tmp_path / "key", tmp_path / "out", tmp_path / "train.parquet"
    said = run("protect", "tone", clean, "--output", out, "--key", key, "--amplitude", 300, "--seed", 5)
    assert "90 of 90 rows protected with tone" in said
    assert "90 of 90 sounds changed: sample values by at most 300 of 32,767, SNR 22." in said
    said = run(
        "attack", "--clean", clean, "--protected", out, "--test", tmp_path / "test.parquet", "--report",
        tmp_path / "report", "--quick", "--method", "tone",
    )  # fmt: skip
    assert "protected, nearest_class_mean, moving-average:" in said and "Not run" not in said
    assert "90 of 90 rows carry this key's mark" in run("verify", "--key", key, "--data", out)
    assert main(["verify", "--key", str(key), "--data", str(clean)]) == 1
    assert "There is no sign of this key." in capsys.readouterr().out
    run(
        "publish", out, "me/sounds", "--key", key, "--original", clean, "--report", tmp_path / "report",
        "--dry-run", tmp_path / "look",
    )  # fmt: skip
    card = (tmp_path / "look" / "README.md").read_text()
    assert "audio-classification" in card.split("---")[1] and "The sounds of this dataset were changed" in card


def folder_of(place, values):
    """Sounds as files below a folder for each class."""
    for row, value in enumerate(values):
        file = place / ("bell", "drum", "horn")[row % 3] / f"{row:02}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(value["bytes"])
    return place


def test_a_folder_of_sounds_stays_one(tmp_path, capsys):
    clean, out, key = folder_of(tmp_path / "in", sounds(30)), tmp_path / "out", tmp_path / "key"
    folder_of(tmp_path / "test", sounds(12, seed=1))
    argv = ["protect", "tone", str(clean), "--output", str(out), "--key", str(key), "--classes", "bell", "horn"]
    assert main(argv) == 0, capsys.readouterr().err
    assert "20 of 30 rows protected with tone" in capsys.readouterr().out
    files = sorted(path.relative_to(clean) for path in clean.rglob("*.wav"))
    assert files == sorted(path.relative_to(out) for path in out.rglob("*.wav")) and len(files) == 30
    for file in files:
        assert ((out / file).read_bytes() == (clean / file).read_bytes()) == (file.parent.name == "drum")
    assert main(["verify", "--key", str(key), "--data", str(out)]) == 0
    assert "Rows of this data were protected with this key." in capsys.readouterr().out
    argv = ["attack", f"--clean={clean}", f"--protected={out}", f"--test={tmp_path}/test", f"--report={tmp_path}/r"]
    assert main([*argv, "--quick", "--countermeasures", "none"]) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "r" / "report.json").read_text())["protocol"]["of them protected"] == "67 %"


@pytest.mark.parametrize("parts", [("train",), ("train", "test"), ("train", "dev", "test")])
def test_folders_of_splits_hold_sounds(tmp_path, parts):
    for i, part in enumerate(parts):
        folder_of(tmp_path / "in" / part, sounds(3 * (i + 1)))
    found = load_splits(tmp_path / "in")
    assert {name: len(rows) for name, rows in found.items()} == {
        "validation" if part == "dev" else part: 3 * (i + 1) for i, part in enumerate(parts)
    }
    assert all(rows.features == dataset().features for rows in found.values())


def test_a_broken_file_of_a_folder_is_named_or_skipped(tmp_path, capsys):
    broken = folder_of(tmp_path / "in", sounds(12)) / "drum" / "01.wav"
    broken.write_bytes(b"RIFF")
    argv = ["protect", "tone", f"{tmp_path}/in", f"--output={tmp_path}/out", f"--key={tmp_path}/key"]
    assert main(argv) == 1
    assert f"{broken}: the sound does not open as a WAV file (it is cut off)." in capsys.readouterr().err
    assert main([*argv, "--skip-broken"]) == 0
    said = capsys.readouterr().out
    assert f"Skipped: {broken}: the sound does not open" in said and "11 of 11 rows protected" in said


def test_formats_of_other_kinds_of_data_are_refused(tmp_path):
    no = "There is no format '{}' for sounds"
    for other, said in {"images": no, "wav": no, "csv": "holds more than text and numbers"}.items():
        with pytest.raises(ValueError, match=said.format(other)):
            protect(dataset(), ToneTransform(seed=5), tmp_path / "out", format=other)


def test_files_of_folders_are_paired_by_name(tmp_path):
    folders = {}
    for name, order in {"before": range(6), "after": [3, 1, 5, 0, 2, 4]}.items():
        (tmp_path / name).mkdir()
        for i, value in enumerate(sounds(6)):
            (tmp_path / name / f"{i}.wav").write_bytes(value["bytes"])
        files = [{"bytes": None, "path": str(tmp_path / name / f"{i}.wav")} for i in order]
        folders[name] = dataset(values=files).remove_columns("label")
    found = stored(paired(folders["before"], folders["after"], columns=["audio"]))
    assert [Path(one["path"]).name for one in found] == [f"{i}.wav" for i in range(6)]
