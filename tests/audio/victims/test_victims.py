"""Audio victims learn what can be learned, tell how it went, take a hook, repeat themselves, and leave no trace."""

import random

import numpy as np
import pytest

from hf_unlearnable.audio.clip import Clip
from hf_unlearnable.audio.victims import (
    AUDIO_VICTIMS,
    audio_transformer,
    log_mel_cnn,
    log_mel_cnn_normalised,
    mfcc_linear,
    mfcc_linear_normalised,
    pretrained_audio_model,
    raw_cnn,
    voice_encoder_probe,
)
from hf_unlearnable.audio.victims.pretrained import _fresh
from hf_unlearnable.audio.victims.training import AudioTraining, heard
from tests.audio.tones import ODD, clip, noise, tones

torch = pytest.importorskip("torch", reason="audio victims need torch")
transformers = pytest.importorskip("transformers", reason="audio victims need transformers")
pytest.importorskip("soxr", reason="audio victims need soxr")
pytest.importorskip("sklearn", reason="audio victims need scikit-learn")

TRAIN, LABELS = tones(120, seed=0)
TEST, TEST_LABELS = tones(60, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny audio spectrogram transformer that knows nothing yet, with its feature extractor."""
    path = str(tmp_path_factory.mktemp("tiny_ast"))
    config = transformers.ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, patch_size=8,
        frequency_stride=8, time_stride=8, max_length=24, num_mel_bins=32, num_labels=3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.ASTForAudioClassification(config).save_pretrained(path)
    transformers.ASTFeatureExtractor(sampling_rate=8000, num_mel_bins=32, max_length=24).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory):
    """A tiny model of waves."""
    path = str(tmp_path_factory.mktemp("tiny_wav2vec2"))
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=(16, 16),
        conv_kernel=(10, 8), conv_stride=(5, 8), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        classifier_proj_size=16, feat_extract_norm="layer", num_labels=3, num_feat_extract_layers=2, mask_time_prob=0.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.Wav2Vec2ForSequenceClassification(config).save_pretrained(path)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000, return_attention_mask=True).save_pretrained(path)
    return path


# Settings with which each learns the tones in a second or two.
QUICK = {
    log_mel_cnn: {"epochs": 4, "batch_size": 24},
    log_mel_cnn_normalised: {"epochs": 2, "batch_size": 24},
    raw_cnn: {"epochs": 8, "batch_size": 24},
    audio_transformer: {"epochs": 16, "batch_size": 24, "learning_rate": 2e-3},
    mfcc_linear: {},
    mfcc_linear_normalised: {},
}
# A steady tone is a filter that does not move: what normalises does not hear it.
HEARS_TONES = [one for one in QUICK if "normalised" not in one.name]


@pytest.mark.parametrize(
    "victim",
    [pytest.param(one, marks=[pytest.mark.slow] if one is audio_transformer else []) for one in HEARS_TONES],
    ids=lambda one: one.name,
)
def test_a_victim_tells_tones_apart(victim):
    assert np.mean(victim(TRAIN, LABELS, TEST, seed=0, **QUICK[victim]) == TEST_LABELS) > 0.85


@pytest.mark.parametrize("victim", [log_mel_cnn_normalised, mfcc_linear_normalised], ids=lambda one: one.name)
def test_a_victim_that_normalises_tells_courses_of_pitch_apart_but_no_filter(victim):
    def rows(n, seed):
        made = []
        for i in range(n):
            seconds = np.arange(2000) / 8000
            sweep = 4000 * seconds * (1 - 2 * (i % 2)) + (2200 if i % 2 else 1200) + 100 * (seed + i) % 300
            made.append(clip(0.3 * np.sin(2 * np.pi * np.cumsum(sweep) / 8000) + noise(2000, seed + i, 1, 0.01)[:, 0]))
        return made, [i % 2 for i in range(n)]

    (train, labels), (test, truth) = rows(60, 0), rows(40, 1000)
    settings = {**QUICK[victim], "epochs": 5} if "epochs" in QUICK[victim] else {}
    assert np.mean(victim(train, labels, test, seed=0, **settings) == truth) > 0.9


@pytest.mark.parametrize("victim", QUICK, ids=lambda one: one.name)
def test_the_same_seed_gives_the_same_answers_and_leaves_no_trace(victim):
    settings = {**QUICK[victim], "epochs": 1} if "epochs" in QUICK[victim] else {}
    state = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    kept = [one.samples.copy() for one in TRAIN[:30]]
    one, two = (victim(TRAIN[:30], LABELS[:30], TEST, seed=5, **settings) for _ in range(2))
    assert np.array_equal(one, two) and one.shape == (60,) and set(one) <= {3, 5, 8}
    assert (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()) == state
    assert all(np.array_equal(clip.samples, was) for clip, was in zip(TRAIN, kept))


@pytest.mark.parametrize("victim", QUICK, ids=lambda one: one.name)
def test_a_hook_is_given_mono_waves_and_what_it_returns_is_learned(victim):
    given = []

    def hook(waves, targets, model, generator):
        given.append(waves.shape)
        return waves.flip(1), (targets + 1) % 3

    settings = {**QUICK[victim], "epochs": 1} if "epochs" in QUICK[victim] else {}
    plain = victim(TRAIN[:30], LABELS[:30], TEST[:6], seed=0, **settings)
    turned = victim(TRAIN[:30], LABELS[:30], TEST[:6], seed=0, in_training=hook, **settings)
    assert given and all(len(shape) == 2 for shape in given)
    if victim is mfcc_linear:
        following = {3: 5, 5: 8, 8: 3}
        assert np.mean(turned == [following[label] for label in plain]) > 0.8


def test_a_look_after_each_epoch_sees_training_and_answers():
    seen = []
    answers = log_mel_cnn(
        TRAIN, LABELS, TEST, epochs=3, batch_size=24, on_epoch=lambda share, predicted: seen.append((share, predicted))
    )
    assert len(seen) == 3 and seen[0][0] < seen[2][0] <= 1
    assert np.array_equal(seen[2][1], answers)


@pytest.mark.parametrize("victim", QUICK, ids=lambda one: one.name)
def test_a_victim_takes_recordings_of_every_shape(victim):
    settings = {**QUICK[victim], "epochs": 1} if "epochs" in QUICK[victim] else {}
    answers = victim(ODD, [i % 2 for i in range(len(ODD))], ODD, seed=0, **settings)
    assert answers.shape == (len(ODD),) and set(answers) <= {0, 1}


@pytest.mark.parametrize(
    ("clips", "settings", "expected"),
    [
        ([(8000, 8000)] * 3 + [(44_100, 44_100)], {}, (8000, 8000)),
        ([(44_100, 44_100)] * 3, {}, (16_000, 16_000)),
        ([(96_000, 960_000)], {}, (16_000, 64_000)),
        ([(8000, 10)], {}, (8000, 200)),
        ([(8000, 8000)], {"rate": 4000, "duration": 0.5}, (4000, 2000)),
        ([(8000, 4000)] * 19 + [(8000, 80_000)], {}, (8000, 7800)),
    ],
)
def test_what_a_victim_hears_follows_the_training_recordings(clips, settings, expected):
    made = [Clip(np.zeros((frames, 1), np.float32), rate) for rate, frames in clips]
    assert heard(made, AudioTraining(**settings)) == expected


@pytest.mark.parametrize("model", ["folder", "wav2vec2"])
def test_a_pretrained_model_is_fine_tuned_and_repeats_itself(model, request):
    path = request.getfixturevalue(model)
    settings = {"model": path, "epochs": 2, "batch_size": 20, "learning_rate": 3e-3, "seed": 1}
    seen = []
    one = pretrained_audio_model(
        TRAIN[:60], LABELS[:60], TEST, on_epoch=lambda share, _: seen.append(share), **settings
    )
    assert np.array_equal(one, pretrained_audio_model(TRAIN[:60], LABELS[:60], TEST, **settings))
    assert len(seen) == 2 and set(one) <= {3, 5, 8}


def test_a_wave_is_heard_the_same_beside_any_other(wav2vec2):
    """Wav2Vec2's extractor, left alone, normalises a clip together with the silence that a longer one brings it."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(wav2vec2)
    with torch.random.fork_rng():
        model = _fresh(wav2vec2, extractor, 3).eval()
    short, long = torch.zeros(8000), torch.tensor(noise(8000, 1)[:, 0], dtype=torch.float32)
    short[:2000] = long[:2000] / 3
    with torch.inference_mode():
        alone, beside = model(short[None, :2000]), model(torch.stack([short, long]))
    assert torch.allclose(alone[0], beside[0], atol=1e-4) and not torch.allclose(beside[0], beside[1], atol=1e-3)


def test_a_model_that_is_not_there_is_named_with_what_to_give(tmp_path):
    with pytest.raises(OSError, match=r"no/such is no folder here, and no feature extractor of that id could be had"):
        pretrained_audio_model(TRAIN, LABELS, TEST, model="no/such")
    with pytest.raises(OSError, match=r"holds no feature extractor that can be loaded .*give the folder of an Auto"):
        pretrained_audio_model(TRAIN, LABELS, TEST, model=str(tmp_path))


@pytest.mark.parametrize("victim", [log_mel_cnn, mfcc_linear, raw_cnn], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("labels", "test", "expected"),
    [([3] * 120, TEST, "1 class"), (LABELS[:5], TEST, "5 labels"), (LABELS, [], "no test inputs"), ([0.5] * 120, TEST, "not integers")],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_refused(victim, labels, test, expected):
    with pytest.raises(ValueError, match=expected):
        victim(TRAIN, labels, test)


def test_speakers_are_told_by_the_voice_encoder_or_the_error_says_how_to_install_it():
    try:
        import resemblyzer  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pip install --no-deps resemblyzer"):
            voice_encoder_probe(TRAIN[:9], LABELS[:9], TEST)
        return
    answers = voice_encoder_probe(TRAIN[:30], LABELS[:30], TEST)
    assert np.mean(answers == TEST_LABELS) > 0.8


def test_every_victim_is_one_of_sound_and_known_by_its_name():
    assert all(one.modality == "audio" and one.name == name for name, one in AUDIO_VICTIMS.items())
    assert [name for name, one in AUDIO_VICTIMS.items() if "in_training" not in one.takes] == ["voice_encoder_probe"]
