"""Folders and tables of recordings go through every verb."""

import json

import numpy as np
import pytest
from datasets import load_dataset

from hf_unlearnable import EqualizerTransform, load_transform, protect, verify
from hf_unlearnable.audio.codec import decode
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_splits
from tests.examples import recordings, sound_file, waves

NAMES = ["bee", "elm", "fox", "owl"]


def folder_of(place, rows=24, ending="wav", **how):
    """Recordings as files below a folder for each class."""
    for row, samples in enumerate(waves(rows)):
        file = place / NAMES[row % 4] / f"{row:02}_george.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sound_file(samples, **how))
    return place


def test_a_folder_of_recordings_stays_one(tmp_path, capsys):
    clean, out, key = folder_of(tmp_path / "in", 48), tmp_path / "out", tmp_path / "key"
    argv = ["protect", "equalizer", str(clean), f"--output={out}", f"--key={key}", "--seed", "5"]
    argv += ["--classes", "bee", "elm", "owl"]
    assert main(argv) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "36 of 48 rows protected with equalizer" in said and "36 of 48 recordings changed" in said
    for file in clean.rglob("*.wav"):
        after = out / file.relative_to(clean)
        if file.parent.name == "fox":
            assert after.read_bytes() == file.read_bytes()
            continue
        assert not after.exists() and after.with_suffix(".flac").is_file()
        (one, form), (two, same) = decode(file), decode(after.with_suffix(".flac"))
        assert form == same and one.shape == two.shape and not np.array_equal(one, two)
    assert main(["verify", "--key", str(key), "--data", str(out)]) == 0
    assert "Rows of this data were protected with this key." in capsys.readouterr().out
    assert main(["verify", "--key", str(key), "--data", str(clean)]) == 1
    assert main(["restore", str(out), "--key", str(key), f"--output={tmp_path}/back"]) == 1
    assert "equalizer cannot be undone" in capsys.readouterr().err


@pytest.mark.parametrize(("ending", "how"), [("mp3", {"rate": 16_000, "format": "MP3", "subtype": "MPEG_LAYER_III"}),
                                             ("ogg", {"format": "OGG", "subtype": "VORBIS"}),
                                             ("aiff", {"format": "AIFF"})])  # fmt: skip
def test_files_of_other_formats_become_flac(tmp_path, capsys, ending, how):
    clean, out = folder_of(tmp_path / "in", 8, ending, **how), tmp_path / "out"
    assert main(["protect", "equalizer", str(clean), f"--output={out}", f"--key={tmp_path}/key"]) == 0
    names = sorted(path.relative_to(clean).with_suffix(".flac") for path in clean.rglob(f"*.{ending}"))
    assert sorted(path.relative_to(out) for path in out.rglob("*.*")) == names and len(names) == 8


def test_a_table_is_protected_and_read_again(tmp_path):
    rows = recordings(24)
    done = protect(
        rows, EqualizerTransform(seed=5), tmp_path / "out", key=tmp_path / "key", report=tmp_path / "report"
    )
    assert done.changed == {"train": 24}
    again = load_dataset("parquet", data_files=str(tmp_path / "out" / "train.parquet"), split="train")
    assert again.features == rows.features
    assert again["audio"][:] == rows.map(load_transform(tmp_path / "key"), batched=True)["audio"][:]
    assert json.loads((tmp_path / "report" / "fidelity.json").read_text())["changed"] == 24
    for name, data in (("before", rows), ("after", again)):
        assert np.array_equal(decode(tmp_path / "report" / f"{name}.wav")[0], decode(data["audio"][0])[0])
    assert verify(tmp_path / "key", again).shown and not verify(tmp_path / "key", rows).shown


@pytest.mark.parametrize("broken", [b"RIFF", b"some text in a file named .wav", b"\0\0\0\x20ftypisom" + bytes(99)])
def test_a_broken_file_of_a_folder_is_named_or_skipped(tmp_path, capsys, broken):
    clean = folder_of(tmp_path / "in", 12)
    file = clean / "elm" / "01_george.wav"
    file.write_bytes(broken)
    argv = ["protect", "equalizer", str(clean), f"--output={tmp_path}/out", f"--key={tmp_path}/key"]
    assert main(argv) == 1
    said = capsys.readouterr().err
    assert "01_george.wav" in said and "the recording " in said and not (tmp_path / "out").exists()
    assert main([*argv, "--skip-broken"]) == 0
    assert "11 of 11 rows protected" in capsys.readouterr().out


def test_folders_of_splits_hold_recordings(tmp_path):
    for part in ("train", "test"):
        folder_of(tmp_path / "in" / part, 8)
    found = load_splits(tmp_path / "in")
    assert {name: len(rows) for name, rows in found.items()} == {"train": 8, "test": 8}
    assert found["train"].features["label"].names == NAMES


def test_the_path_of_the_speaker_is_a_label_like_any_other():
    rows = recordings(24)
    places = [f"speakers/{name}/" for name in ("george", "lucas", "theo")]
    rows = rows.remove_columns("label").add_column("label", [places[i % 3] for i in range(24)])
    cloak = EqualizerTransform(seed=5).fit(rows)
    after = rows.map(cloak, batched=True)
    assert verify(cloak, after).shown and cloak.key.state["labels"] == places
    assert not any(b"george" in value["bytes"] or value["path"] for value in after["audio"][:])


def test_a_clean_copy_in_another_column_stops_a_push(tmp_path):
    from hf_unlearnable import push_protected
    from hf_unlearnable.publish.findings import LeakError

    files = [np.concatenate(waves(3, seed)) for seed in range(12)]
    rows = recordings(files=[sound_file(one) for one in files])
    cloak = EqualizerTransform(seed=5).fit(rows)
    after = rows.map(cloak, batched=True)
    copies = [{"bytes": sound_file(x, format="MP3", subtype="MPEG_LAYER_III"), "path": None} for x in files]
    with pytest.raises(LeakError, match="clean-copy:train/preview"):
        push_protected(
            after.add_column("preview", copies), "me/words", key=cloak, original=rows, dry_run=tmp_path / "look"
        )


@pytest.mark.slow
def test_the_command_line_attacks_and_publishes(tmp_path, capsys):
    for name, seed in (("train", 0), ("test", 1)):
        recordings(24, seed=seed).to_parquet(str(tmp_path / f"{name}.parquet"))
    clean, out, key, report = (str(tmp_path / name) for name in ("train.parquet", "out", "key", "report"))
    assert main(["protect", "equalizer", clean, "--output", out, "--key", key, "--seed", "5"]) == 0
    argv = ["attack", "--clean", clean, "--protected", out, "--test", f"{tmp_path}/test.parquet", "--report", report]
    assert main([*argv, "--quick", "--victims", "mfcc_linear", "--countermeasures", "none"]) == 0
    said = capsys.readouterr().out
    assert "protected, mfcc_linear, none:" in said and "random change, same dose, mfcc_linear, none:" in said
    argv = ["publish", out, "me/words", "--key", key, "--original", clean, "--dry-run", f"{tmp_path}/look"]
    assert main(argv) == 0, capsys.readouterr().err
    card = (tmp_path / "look" / "README.md").read_text()
    assert "audio-classification" in card.split("---")[1] and "The recordings of this dataset were changed" in card
