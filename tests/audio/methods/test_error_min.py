"""Error-minimising noise on the wave: its bound, which recordings it reaches, and what it does to a network."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from hf_unlearnable import AudioErrorMinTransform, load_transform, protect
from hf_unlearnable.audio.codec import decode, opened
from hf_unlearnable.audio.learning.noise import Hearing, loudness
from hf_unlearnable.audio.learning.rounds import ClipLearner
from hf_unlearnable.learning.pgd import frozen
from tests.audio.tones import tones
from tests.examples import recordings, sound_file, waves

QUICK = {"max_rounds": 2, "surrogate_steps": 3}


def fitted(rows, **parameters):
    return AudioErrorMinTransform(seed=7, **{**QUICK, **parameters}).fit(rows)


def tone_rows(count, seed):
    """Noisy tones as a dataset of files, labels 0 to 2."""
    clips, labels = tones(count, seed, labels=(0, 1, 2))
    rows = recordings(classes=3, files=[sound_file(clip.samples, clip.rate) for clip in clips])
    assert rows["label"][:] == labels
    return rows


def changes(rows, cloak):
    """The change of each recording in its file's scale, with the recording before."""
    after = rows.map(cloak, batched=True)["audio"][:]
    for one, two in zip(rows["audio"][:], after, strict=True):
        before, form = decode(one)
        yield decode(two)[0].astype(float) - before, before.astype(float), form


@pytest.mark.parametrize("noise", ["sample", "class"])
@pytest.mark.parametrize("shape", [{}, {"rate": 22_050, "channels": 2}])
@pytest.mark.parametrize(("bound", "epsilon"), [("loudness", 0.1), ("full-scale", 0.004)])
def test_no_sample_moves_by_more_than_the_bound_and_some_move_by_it(noise, shape, bound, epsilon):
    rows = recordings(16, **shape)
    for change, before, form in changes(rows, fitted(rows, noise=noise, bound=bound, epsilon=epsilon)):
        most = epsilon * (np.sqrt(np.square(before).mean()) if bound == "loudness" else form.full_scale)
        assert 0.3 * most < abs(change).max() <= most
        if bound == "loudness":
            assert 10 * np.log10(np.square(before).mean() / np.square(change).mean()) >= 20


def test_the_channels_of_a_recording_get_the_same_noise():
    rows = recordings(8, rate=16_000, channels=2)
    for change, _, _ in changes(rows, fitted(rows)):
        assert np.array_equal(change[:, 0], change[:, 1])


def test_noise_begins_anew_on_a_recording_that_is_longer_than_what_is_heard():
    rows = recordings(files=[sound_file(np.random.default_rng(i).normal(0, 0.1, 4000)) for i in range(8)])
    cloak = fitted(rows, duration=0.1, bound="full-scale", epsilon=0.01)
    for change, before, _ in changes(rows, cloak):
        assert len(before) > 1600 and np.array_equal(change[:800], change[800:1600]) and change[:800].any()


def test_class_noise_protects_new_recordings_of_a_known_class_and_refuses_others():
    rows = recordings(24)
    cloak = fitted(rows.select(range(16)), noise="class")
    assert all(change.any() for change, _, _ in changes(rows.select(range(16, 24)), cloak))
    with pytest.raises(ValueError, match="has a label without noise: the label 9 was not seen by fit"):
        cloak({"audio": rows[0]["audio"], "label": 9})


def test_sample_noise_refuses_recordings_that_were_not_there():
    rows = recordings(24)
    with pytest.raises(ValueError, match="Row 16, column 'audio': the recording was not there at fit"):
        protect(rows, fitted(rows.select(range(16))))


@pytest.mark.parametrize("noise", ["sample", "class"])
def test_a_fit_that_is_killed_goes_on_to_the_same_noise(noise, tmp_path, monkeypatch):
    rows = recordings(16)
    parameters = {"noise": noise, "max_rounds": 3, "stop_error": None, "surrogate_steps": 2}
    expected = AudioErrorMinTransform(seed=7, **parameters).fit(rows).key
    update, rounds = ClipLearner.update, []

    def killed(self, this, **given):
        if this.number == 2 and len(rounds) == 2:
            raise KeyboardInterrupt
        rounds.append(this.number)
        update(self, this, **given)

    monkeypatch.setattr(ClipLearner, "update", killed)
    with pytest.raises(KeyboardInterrupt):
        AudioErrorMinTransform(seed=7, **parameters).fit(rows, checkpoint_dir=tmp_path / "rounds")
    rounds.append(-1)
    found = AudioErrorMinTransform(seed=7, **parameters).fit(rows, checkpoint_dir=tmp_path / "rounds").key
    assert rounds == [0, 1, -1, 2]
    assert all(np.array_equal(found.tensors[name], one) for name, one in expected.tensors.items())


def test_a_broken_recording_is_named_unless_it_is_left_out():
    rows = recordings(9)
    files = [one["bytes"] for one in rows["audio"][:]]
    files[3] = files[3][: len(files[3]) // 2]
    broken = recordings(files=files)
    with pytest.raises(ValueError, match="Row 3, column 'audio': the recording"):
        fitted(broken)
    assert len(fitted(broken, classes=[0, 1, 2]).key.tensors["ids"]) == 8


def test_silence_gets_no_noise_and_stays_silence():
    rows = recordings(files=[sound_file(np.zeros(900)), *[sound_file(one) for one in waves(7)]])
    found = list(changes(rows, fitted(rows)))
    assert not found[0][0].any() and all(change.any() for change, _, _ in found[1:])


def test_a_saved_key_protects_alike(tmp_path):
    rows = recordings(12)
    cloak = fitted(rows)
    cloak.key.save(tmp_path / "key")
    again = load_transform(tmp_path / "key")
    assert rows.map(again, batched=True)["audio"][:] == rows.map(cloak, batched=True)["audio"][:]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epsilon": 1.5}, "epsilon is 1.5, but it is a share of the recording's loudness: give 0 to 1"),
        ({"epsilon": -1, "bound": "full-scale"}, "epsilon is -1, but it is a share of full scale"),
        ({"bound": "peak"}, "bound is 'peak'. Choose one of 'loudness', 'full-scale'"),
        ({"duration": 0.001}, "duration is 0.001. Give seconds, from 0.025 to 60"),
        ({"shift": 0.7}, "shift is 0.7, but it is a share of the length"),
        ({"rate": 100}, "rate is 100, but it starts at 2000"),
        ({"num_draws": 0}, "num_draws is 0, but it starts at 1"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        AudioErrorMinTransform(**parameters).fit(recordings(8))


def test_a_tile_keeps_a_tone_at_another_rate():
    hearing = Hearing(8000, 4000)
    tone = np.rint(100 * np.sin(2 * np.pi * 500 * np.arange(4000) / 8000)).astype(np.int8)
    tile = hearing.tile(tone, 44_100)
    assert len(tile) == 22_050
    assert abs(tile - 100 / 127 * np.sin(2 * np.pi * 500 * np.arange(22_050) / 44_100)).max() < 0.02


def test_loudness_is_the_root_mean_square_of_all_channels():
    samples = np.array([[0.5, 0.0], [-0.5, 0.0]])
    with opened({"array": samples.T, "sampling_rate": 8000}) as recording:
        assert loudness(recording) == pytest.approx(0.5 / np.sqrt(2))


def test_noise_lowers_the_loss_of_the_surrogate_where_the_negative_of_it_raises_it(monkeypatch):
    learners = []
    kept = ClipLearner._kept
    monkeypatch.setattr(ClipLearner, "_kept", lambda self: learners.append(self) or kept(self))
    AudioErrorMinTransform(seed=7, max_rounds=6, stop_error=None, surrogate_steps=4).fit(tone_rows(60, seed=0))
    (learner,) = learners
    rows, model = torch.arange(60), frozen(learner.model)
    waves, noise = learner._inputs(rows), learner._noise_of(rows)
    with torch.no_grad():
        losses = [float(cross_entropy(model(waves + sign * noise), learner.targets)) for sign in (1, 0, -1)]
    assert losses[0] < 0.8 * losses[1] and losses[1] < losses[2], losses


@pytest.mark.parametrize("noise", ["sample", "class"])
def test_padding_stays_silent_and_says_nothing_of_the_noise_of_a_class(noise, monkeypatch):
    learners = []
    kept = ClipLearner._kept
    monkeypatch.setattr(ClipLearner, "_kept", lambda self: learners.append(self) or kept(self))
    fitted(tone_rows(30, seed=1), noise=noise)
    (learner,) = learners
    lengths, found = learner.gallery.lengths, learner._noise_of(torch.arange(30)).numpy()
    assert len(set(lengths)) > 10
    for one, length in zip(found, lengths, strict=True):
        assert one[: length // 2].any() and not one[length:].any()
