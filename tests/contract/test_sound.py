"""A kind of data that another package brings works in every verb, with nothing changed outside its folder."""

import io
import json
import os
import subprocess
import sys
import types
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Audio, Dataset, load_dataset

from hf_unlearnable import attack, load_transform, protect, push_protected, register, verify
from hf_unlearnable.adversary import Countermeasure, Rows
from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.audit.run import EFFORTS, Effort
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_splits, paired
from hf_unlearnable.modality import Grid
from hf_unlearnable.publish import LeakError
from hf_unlearnable.registry import COUNTERMEASURES, METHODS, MODALITIES
from hf_unlearnable.testing import CHECKS, check_same_bytes, check_streams
from tests import ROOT
from tests.contract.sound import wav
from tests.contract.sound.data import PLAIN, dataset, sounds
from tests.contract.sound.method import ToneTransform
from tests.contract.sound.modality import SOUND, SoundFidelity


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for registry in (METHODS, MODALITIES, COUNTERMEASURES):
        monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    register(SOUND)
    register(ToneTransform)


def samples(value):
    return wav.read(value).samples.astype(int)


def stored(rows, column="audio"):
    return rows.cast_column(column, Audio(decode=False))[column][:]


def protected_of(rows, **parameters):
    cloak = ToneTransform(seed=2**60 + 7, **parameters).fit(rows)
    return rows.map(cloak, batched=True), cloak


# ---------------------------------------------------------------------- the contract
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


# ---------------------------------------------------------------------- protect
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
    assert "There is no sign of this key." in run("verify", "--key", key, "--data", clean)
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
    for other in ("images", "wav", "csv"):
        with pytest.raises(ValueError, match=f"There is no format '{other}' for sounds"):
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


# ---------------------------------------------------------------------- attack
@pytest.mark.parametrize("feature", [None, Audio(decode=False), PLAIN], ids=["audio", "undecoded", "structs"])
def test_an_attack_reads_sounds_as_its_victims_take_them(feature):
    clean, test = dataset(60, feature=feature), dataset(30, seed=1, feature=feature)
    after, _ = protected_of(clean)
    seen = []
    found = attack(
        clean, after, test, method="tone", effort=replace(EFFORTS["quick"], rows=50, test_rows=20),
        on_cell=lambda cell: seen.append((cell.version.role, cell.countermeasure)),
    )  # fmt: skip
    assert found.not_run == [] and found.protocol["column"] == "audio" and found.protocol["test rows"] == 20
    assert {role for role, _ in seen} == {"clean", "protected", "random", "dropped"}
    assert {name for _, name in seen} == {"none", "moving-average", "clean-20%"}
    assert found.of_role("clean", "nearest_class_mean").accuracy.mean == 1
    given = rows_of(clean, ("audio", "label"))
    assert all(one.dtype == np.int16 and one.shape[1] == 1 for one in given.inputs) and given.labels[:4] == [
        0,
        1,
        2,
        0,
    ]


def test_the_random_dose_is_the_change_of_other_rows():
    clean = dataset(
        30, values=[wav.stored(wav.Sound(samples(one).astype(np.int16)[:800], 8000)) for one in sounds(30)]
    )
    after, _ = protected_of(clean, classes=[0, 1])
    dose = SOUND.random_dose(clean, after, "audio", seed=3)
    assert dose.features == clean.features

    def changes(rows):
        pairs = zip(stored(clean), stored(rows), strict=True)
        return [(samples(two) - samples(one)).ravel().tolist() for one, two in pairs]

    given, taken = changes(after), changes(dose)
    assert sorted(given) == sorted(taken) and given != taken
    assert [any(one) for one in given] == [any(one) for one in taken] == [row % 3 != 2 for row in range(30)]


def test_an_effort_of_a_grid_that_a_kind_of_data_lacks_is_named(monkeypatch):
    clean, test = dataset(30), dataset(30, seed=1)
    after, _ = protected_of(clean)
    monkeypatch.setattr(type(SOUND), "grids", {"quick": SOUND.grids["quick"]})
    for grid in ("laptop", "full", "mine"):
        with pytest.raises(ValueError, match=f"There is no grid for sounds {grid}. There are: quick."):
            attack(clean, after, test, effort=Effort(100, 100, seeds=1, grid=grid))
    own = Effort(100, 100, seeds=1, grid=Grid({"nearest_class_mean": {"bands": 8}}, ()))
    assert attack(clean, after, test, effort=own).protocol["victims"] == {"nearest_class_mean": {"bands": 8}}


# ---------------------------------------------------------------------- verify and publish
def test_a_key_is_found_in_its_own_sounds_and_in_no_others():
    rows = dataset(60)
    after, cloak = protected_of(rows)
    other = ToneTransform(seed=8).fit(rows)
    assert verify(cloak, after).log10_p < -4
    assert verify(cloak, after.rename_column("audio", "theirs"), column="theirs") == verify(cloak, after)
    assert verify(cloak, rows).p_value > 0.01 and verify(other, after).p_value > 0.01


def extra(rows, values):
    """The rows with another column of files."""
    return rows.add_column("extra", values)


@pytest.mark.parametrize(
    ("feature", "streaming"),  # `datasets` decodes a stream of Audio() in `map`
    [(None, False), (Audio(decode=False), False), (PLAIN, False), (Audio(decode=False), True), (PLAIN, True)],
)
def test_published_sounds_are_the_protected_ones_with_a_card_of_their_task(tmp_path, feature, streaming):
    rows = dataset(feature=feature)
    after, cloak = protected_of(rows)
    source = rows.to_iterable_dataset().map(cloak, batched=True) if streaming else after
    done = push_protected(source, "me/sounds", key=cloak, original=rows, dry_run=tmp_path / "new")
    assert "- audio-classification" in done.card and "The sounds of this dataset were changed" in done.card
    assert "train: 42 of 42 sounds changed: sample values by at most 400 of 32,767" in done.card
    (file,) = (tmp_path / "new" / "data").glob("*.parquet")
    again = Dataset.from_parquet(str(file))
    assert again.features == rows.features
    before, now = (data.with_format("arrow")[:]["audio"].to_pylist() for data in (after, again))
    assert [one["bytes"] for one in now] == [one["bytes"] for one in before]


def test_sounds_are_published_with_their_key_alone_and_clean_ones_refused(tmp_path):
    rows = dataset(60)
    after, cloak = protected_of(rows)
    push_protected(after, "me/sounds", key=cloak, dry_run=tmp_path / "new")
    with pytest.raises(ValueError, match="never protected"):
        push_protected(rows, "me/sounds", key=cloak, dry_run=tmp_path / "clean")


@pytest.mark.parametrize(
    ("copy", "row"),
    [
        (lambda value: value["bytes"], 5),
        (lambda value: wav.stored(replace(wav.read(value), rate=16000))["bytes"], 5),
        (lambda value: wav.stored(wav.Sound(wav.read(value).samples // 256 * 256, 8000))["bytes"], 5),
        (lambda value: wav.stored(replace(wav.read(value), rate=11025))["bytes"], 17),
    ],
)
def test_a_clean_copy_of_a_sound_is_found(tmp_path, copy, row):
    rows = dataset()
    after, cloak = protected_of(rows)
    values = [None] * len(rows)
    values[row] = copy(stored(rows)[5])
    with pytest.raises(LeakError) as caught:
        push_protected(
            extra(after, values), "me/sounds", key=cloak, original=extra(rows, values), dry_run=tmp_path / "new"
        )
    assert [(one.name, one.row) for one in caught.value.findings] == [("clean-copy:train/extra", row)]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("chunk", [b"bext", b"LIST....bext", b"bext\0\0\0\0Recorder of Jane Doe"])
def test_what_a_sound_tells_of_its_making_is_found_under_a_name_of_its_own(tmp_path, chunk):
    rows = dataset()
    after, cloak = protected_of(rows)
    values = [None] * len(rows)
    values[9] = wav.stored(wav.Sound(np.zeros((50, 1), np.int16), 8000))["bytes"] + chunk
    with pytest.raises(LeakError) as caught:
        push_protected(extra(after, values), "me/x", key=cloak, original=extra(rows, values), dry_run=tmp_path / "new")
    (found,) = caught.value.findings
    assert (found.name, found.row) == ("recorder:train/extra", 9)
    assert found.remedy.startswith("Store the file without its metadata")


def test_a_stream_that_does_not_say_what_its_files_are_is_refused(tmp_path):
    after, cloak = protected_of(dataset(feature=PLAIN))

    def generated():
        for value, label in zip(after["audio"], after["label"], strict=True):
            yield {"audio": value, "label": label}

    from datasets import IterableDataset

    with pytest.raises(ValueError, match="Column 'audio' of this stream may hold files, .* does not say so after map"):
        push_protected(IterableDataset.from_generator(generated), "me/x", key=cloak, dry_run=tmp_path / "new")


@pytest.mark.parametrize("made_in", ["a notebook", "a closure", "an object"])
def test_a_countermeasure_that_stands_in_no_file_does_not_stop_a_push(tmp_path, monkeypatch, made_in):
    module = types.ModuleType("of_a_notebook")
    exec(
        "def quieter(rows, attacker): return type(rows)([x // 2 for x in rows.inputs], rows.labels)\n"
        "def outer():\n    def inner(rows, attacker): return quieter(rows, attacker)\n    return inner\n"
        "class Quieter:\n    def __call__(self, rows, attacker): return quieter(rows, attacker)\n",
        vars(module),
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    on_rows = {"a notebook": module.quieter, "a closure": module.outer(), "an object": module.Quieter()}[made_in]
    register(Countermeasure(on_rows, modality="sound"), name="quieter")
    assert on_rows(Rows([np.array([4])], [0]), None).inputs[0].tolist() == [2]
    rows = dataset(30)
    after, cloak = protected_of(rows)
    done = push_protected(after, "me/sounds", key=cloak, original=rows, dry_run=tmp_path / "new")
    assert done.commit is None and "`tone`" in done.card


# ---------------------------------------------------------------------- listed
def test_the_kind_is_listed_with_its_method_victims_and_countermeasures(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "tone  sound  Adds a quiet tone to every sound, of a pitch that is drawn for its class." in said
    assert "victims, sound: nearest_class_mean\n" in said
    assert "countermeasures, sound: moving-average, clean-20%\n" in said


def test_an_installed_package_brings_a_kind_by_entry_points(tmp_path):
    info = tmp_path / "site" / "tones-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tones\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[hf_unlearnable.modalities]\nsound = tests.contract.sound.modality:SOUND\n"
        "[hf_unlearnable.methods]\ntone = tests.contract.sound.method:ToneTransform\n"
    )
    dataset(30).to_parquet(str(tmp_path / "in.parquet"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path / "site")])}

    def run(*argv):
        command = [sys.executable, "-m", "hf_unlearnable.cli", *argv]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    assert "victims, sound: nearest_class_mean" in run("list")
    said = run("protect", "tone", "in.parquet", "--output", "out.parquet", "--key", "my.key")
    assert "30 of 30 rows protected with tone" in said
    assert "30 of 30 rows carry this key's mark" in run("verify", "--key", "my.key", "--data", "out.parquet")
