"""Recordings protected in the page: exact, with players and spectrograms."""

import base64
import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hf_unlearnable import load_transform
from hf_unlearnable.audio.codec import decode
from hf_unlearnable.audio.modality import AudioModality
from hf_unlearnable.registry import method_class
from hf_unlearnable.space import reader, training
from hf_unlearnable.space.limits import RefusedError
from hf_unlearnable.space.protection import file_dataset, methods, safe_names, to_fit_on
from hf_unlearnable.space.session import zip_key
from hf_unlearnable.space.spectrogram import spectrogram
from hf_unlearnable.space.tune import tune
from tests.audio.tones import clip, tone
from tests.examples import sound_file, waves
from tests.space.files import archive

pytest.importorskip("gradio", reason="gradio is not installed: the Space is not tested here")
pytest.importorskip("soundfile")

from hf_unlearnable.space import sound


def rows_of(*files, labels=("mine",)):
    return [
        {"name": f"{i}.wav", "label": labels[i % len(labels)], "bytes": data, "left_out": []}
        for i, data in enumerate(files)
    ]


def voices(count, **shape):
    return [sound_file(one, shape.get("rate", 8000)) for one in waves(count, **shape)]


@pytest.fixture
def visitor(tmp_path, monkeypatch):
    """A request of a visitor whose folders lie in the test's own."""
    monkeypatch.setenv("HF_UNLEARNABLE_SPACE", str(tmp_path / "root"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "root/served"))
    return SimpleNamespace(session_hash="one")


# ---------------------------------------------------------------------- protecting
@pytest.mark.parametrize("method", [name for name in methods("audio") if not method_class(name).needs_training])
def test_one_recording_alone_is_protected_as_its_key_does_it(tmp_path, method):
    (data,) = voices(1, rate=16_000, channels=2)
    _, protected, change, key = sound.protect_recordings(rows_of(data), method, "Standard")
    after = protected[0]["audio"]["bytes"]
    (before, form), (samples, stored) = decode(data), decode(after)
    assert stored == form and samples.shape == before.shape and (samples != before).any()
    assert (change.recordings, change.changed) == (1, 1) and change.snr < 40
    key.save(tmp_path / "key")
    again = load_transform(tmp_path / "key")({"audio": [data], "label": ["mine"]})["audio"][0]
    assert again == after


def test_strengths_are_shares_of_the_usual_one():
    rows = rows_of(*voices(1))
    usual = method_class("position-convolution").blur
    for name, factor in {"Light": 0.5, "Standard": 1, "Strong": 2}.items():
        *_, key = sound.protect_recordings(rows, "position-convolution", name)
        assert key.parameters["blur"] == pytest.approx(factor * usual)


@pytest.mark.parametrize("method", ["audio-noise", "audio-convolution", "texture", "nothing"])
def test_what_is_no_protection_of_recordings_is_refused(method):
    with pytest.raises(RefusedError, match=f"^There is no method '{method}' for recordings. Choose one of equalizer"):
        sound.protect_recordings(rows_of(*voices(1)), method, "Standard")


@pytest.mark.parametrize(("label", "other"), [("mine", "everything else"), ("everything else", "mine")])
def test_one_class_gets_another_to_be_told_from(label, other):
    dataset = file_dataset(rows_of(*voices(2), labels=[label]), "audio")
    assert to_fit_on(dataset, "equalizer")["label"] == [label, label, other]
    assert to_fit_on(file_dataset(rows_of(*voices(2), labels="ab"), "audio"), "equalizer")["label"] == ["a", "b"]


def test_one_recording_is_a_file_and_several_are_an_archive_with_their_folders(tmp_path):
    real = sound_file(np.array([[0.5], [-0.25]] * 900, np.float32), subtype="FLOAT")
    rows = rows_of(*voices(2), real)
    for row, name in zip(rows, ("owls/a b.wav", "owls/a b.mp3", "bees/é.wav")):
        row["name"] = name
    protected = file_dataset(rows, "audio")
    path, count = sound.written(rows[2:], protected.select([2]), tmp_path)
    assert (path.name, count) == ("é-protected.wav", 1) and path.read_bytes() == real
    path, count = sound.written(rows, protected, tmp_path)
    with zipfile.ZipFile(path) as file:
        assert file.namelist() == ["owls/a b.wav", "owls/a b_.wav", "bees/é.wav"] and count == 3
        assert [file.read(name) for name in file.namelist()] == [row["bytes"] for row in rows]


def test_names_get_the_ending_of_what_is_stored():
    assert list(safe_names([{"name": "a/x.mp3"}, {"name": "y"}], [".flac", ".wav"])) == ["a/x.flac", "y.wav"]


def test_recordings_are_verified_with_their_key_and_others_are_not(tmp_path):
    files = voices(24)
    _, protected, _, key = sound.protect_recordings(rows_of(*files, labels="abcd"), "equalizer", "Standard")
    after = {
        f"{label}/{i}.flac": value["bytes"] for i, (value, label) in enumerate(zip(protected["audio"], "abcd" * 6))
    }
    before = {name.replace("flac", "wav"): data for name, data in zip(after, files)}
    key_file = str(zip_key(key, tmp_path / "equalizer.key.zip"))
    said = [
        reader.TASKS["verify"](key_file, [str(archive(tmp_path / f"{i}.zip", one))], None)[0]
        for i, one in enumerate((after, before))
    ]
    assert "Rows of this data were protected with this key" in said[0] and "There is no sign of this key" in said[1]


# ---------------------------------------------------------------------- what the tab shows
def test_the_tab_answers_with_players_of_what_is_downloaded(tmp_path, visitor):
    files = []
    for name, data in zip(("hello.wav", "second.aiff"), voices(2)):
        (tmp_path / name).write_bytes(data)
        files.append(str(tmp_path / name))
    numbers, shown, players, pictures, data, _ = sound._protect(files, None, "me", "equalizer", "Standard", visitor)
    assert [name for name, _ in shown["choices"]] == ["hello.wav", "second.aiff"] and shown["visible"]
    assert "SNR" in numbers and "log-spectral distance" in numbers and data["label"] == "2 protected recordings"
    addresses = re.findall(r'src="gradio_api/file=([^"]+)"', players)
    with zipfile.ZipFile(data["value"]) as file:
        assert Path(addresses[1]).read_bytes() == file.read("hello.flac")
    assert (decode(addresses[0])[0] == decode(files[0])[0]).all()
    assert sound._show(0, visitor) == (players, pictures) and sound._show(1, visitor)[0] != players
    recorded = sound._protect(None, files[1], "me", "equalizer", "Light", visitor)
    assert recorded[4]["value"].endswith("/second-protected.flac") and recorded[4]["label"] == "Protected FLAC"


def test_what_is_refused_is_said_to_the_visitor_in_words(tmp_path, visitor):
    import gradio

    (tmp_path / "<b>.wav").write_bytes(b"words")
    for files, said in (([str(tmp_path / "<b>.wav")], "^&lt;b&gt;.wav is no recording"), (None, "no recording yet")):
        with pytest.raises(gradio.Error) as error:
            sound._protect(files, None, "me", "equalizer", "Standard", visitor)
        assert re.search(said, error.value.message)
    with pytest.raises(gradio.Error, match="Nothing was protected in this session yet"):
        sound._show(0, visitor)


def pixels(html):
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)
        for data in re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    ]


def test_a_spectrogram_shows_what_was_taken_away_in_red_and_what_came_in_blue():
    before, after = clip(tone(1000) + 0.01 * tone(3000)), clip(0.01 * tone(1000) + tone(3000))
    html = spectrogram(before, after)
    one, two, change = pixels(html)
    assert "From 0 at the bottom to 4 kHz, the first 0.5 seconds." in html
    rows = [round((1 - pitch / 4000) * (len(one) - 1)) for pitch in (1000, 3000)]
    middle = one.shape[1] // 2
    strong, weak = one[rows, middle, 3]
    assert strong > 240 and weak < strong - 100 and (two[rows[::-1], middle, 3] == [strong, weak]).all()
    assert (change[rows, middle] == [(179, 38, 30, 255), (31, 111, 139, 255)]).all()
    assert pixels(spectrogram(before, before))[2][:, :, 3].max() == 0


@pytest.mark.parametrize(
    "samples", [np.zeros((1, 1)), np.zeros((9000, 2)), tone(440, 200_000), [[1.0], [-1.0]]], ids=len
)
def test_a_spectrogram_of_anything_is_three_small_pictures(samples):
    found = pixels(spectrogram(clip(samples), clip(samples)))
    assert len(found) == 3 and all(one.shape[0] <= 130 and one.shape[1] <= 560 for one in found)


def test_the_tune_is_the_same_every_time_and_within_range():
    samples, form = decode(tune())
    first = tune()
    tune.cache_clear()
    assert tune() == first
    assert (form.rate, form.channels, len(samples)) == (16_000, 1, 64_000)
    assert 2**13 < abs(samples.astype(int)).max() < 2**15 - 1


# ---------------------------------------------------------------------- the proof
def test_protected_recordings_are_proved_in_turns_with_what_breaks_the_equaliser_offered_first(monkeypatch):
    original, protected, _, _ = sound.protect_recordings(rows_of(*voices(48), labels="abc"), "equalizer", "Standard")
    proof = training.own_proof(original, protected, "audio", "label", "equalizer")
    assert (len(proof.clean), len(proof.protected), len(proof.test_inputs)) == (36, 36, 12)
    assert all(
        one.samples.shape == two.samples.shape and (one.samples != two.samples).any()
        for one, two in zip(proof.clean, proof.protected)
    )
    assert training.countermeasures("audio")[0] == "spectral-whitening"
    ((victim, settings),) = AudioModality.watched.victims.items()
    short = replace(AudioModality.watched, victims={victim: {**settings, "epochs": 2, "duration": 0.2}})
    monkeypatch.setattr(AudioModality, "watched", short)
    runs = training.trainings(proof, {"clean": None, "whitened": "spectral-whitening"})
    seen = list(training.watched(runs, proof.test_labels, lambda: False))
    assert [name for name, _ in seen] == ["clean", "whitened"] * 2
    assert all((12 * accuracy).is_integer() for _, accuracy in seen)
