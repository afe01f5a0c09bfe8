"""A kind of data that another package brings is attacked, verified, published and listed."""

import os
import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from datasets import Audio, Dataset

from hf_unlearnable import attack, push_protected, register, verify
from hf_unlearnable.adversary import Countermeasure, Rows
from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.audit.run import EFFORTS, Effort
from hf_unlearnable.cli import main
from hf_unlearnable.modality import Grid
from hf_unlearnable.publish import LeakError
from tests import ROOT
from tests.contract.sound import wav
from tests.contract.sound.data import PLAIN, dataset, sounds
from tests.contract.sound.method import ToneTransform
from tests.contract.sound.modality import SOUND
from tests.contract.sound.rows import protected_of, samples, stored

pytestmark = pytest.mark.usefixtures("sounds_registered")


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
    said = run("protect", "tone", "in.parquet", "--output", "out.parquet", "--key", "my.key", "--seed", "5")
    assert "30 of 30 rows protected with tone" in said
    assert "30 of 30 rows carry this key's mark" in run("verify", "--key", "my.key", "--data", "out.parquet")
