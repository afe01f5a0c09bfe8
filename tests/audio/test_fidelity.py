"""What a protection costs a listener is measured on the stored bytes."""

import numpy as np
import pytest

from hf_unlearnable import AudioNoiseTransform, EqualizerTransform
from hf_unlearnable.audio.fidelity import AudioFidelity, audio_fidelity, require_lossless
from hf_unlearnable.audio.modality import AUDIO
from tests.examples import recordings, sound_file, waves

ROWS = recordings(24)


def shielded(cls, **parameters):
    return ROWS.map(cls(seed=7, **parameters).fit(ROWS), batched=True)


def replaced(rows, row, data):
    values = rows["audio"][:]
    values[row] = {"bytes": data, "path": None}
    return recordings(files=[value["bytes"] for value in values])


@pytest.mark.parametrize("level", [0.01, 0.03, 0.1])
def test_noise_has_the_ratio_that_it_was_given(level):
    found = audio_fidelity(ROWS, shielded(AudioNoiseTransform, noise_level=level))
    assert found.recordings == found.changed == 24
    assert found.snr == pytest.approx(-20 * np.log10(level), abs=0.3)
    assert 0 < found.segmental_snr < 35 and found.log_spectral_distance > 0
    assert 0 < found.max_change < 3 * level


def test_quality_falls_with_the_strength():
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    weak, strong = (audio_fidelity(ROWS, shielded(EqualizerTransform, depth=depth)) for depth in (3.0, 30.0))
    assert 4.6 > weak.pesq > strong.pesq > 1 and 1 >= weak.stoi > strong.stoi > 0
    assert weak.log_spectral_distance < strong.log_spectral_distance
    assert "PESQ" in str(weak) and "STOI" in str(strong) and "24 of 24 recordings changed" in str(weak)


def test_unchanged_rows_cost_nothing():
    assert audio_fidelity(ROWS, ROWS) == AudioFidelity(24, 0, 0.0)
    assert str(audio_fidelity(ROWS, ROWS)) == "24 recordings, none changed"


WORD = waves(1, 5)[0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (sound_file(WORD, 16_000), "Row 5, column 'audio' had 8000 Hz and has 16000"),
        (sound_file(np.repeat(WORD, 2, axis=1)), "Row 5, column 'audio' had 1 channels and has 2"),
        (sound_file(WORD[:-30]), "Row 5, column 'audio' has another length"),
        (sound_file(WORD, format="OGG", subtype="VORBIS"), "stored as VORBIS, which loses the protection"),
        (b"no sound", "Row 5, column 'audio': the recording does not open"),
    ],
)
def test_a_row_that_is_no_protected_version_is_named(data, why):
    before = replaced(ROWS, 5, sound_file(WORD))
    with pytest.raises(ValueError, match=why):
        audio_fidelity(before, replaced(ROWS, 5, data))


def test_a_lossy_row_is_named_before_a_push():
    require_lossless(shielded(EqualizerTransform), "audio")
    with pytest.raises(ValueError, match="Row 3, column 'audio': a protected recording is stored as MPEG_LAYER_III"):
        require_lossless(replaced(ROWS, 3, sound_file(WORD, 16_000, "MP3", "MPEG_LAYER_III")), "audio")


def test_random_dose_changes_as_much_but_not_by_class():
    after = shielded(EqualizerTransform, depth=18.0)
    dose = AUDIO.random_dose(ROWS, after, "audio", seed=3)
    one, two = audio_fidelity(ROWS, after), audio_fidelity(ROWS, dose)
    assert two.changed == 24 and two.snr == pytest.approx(one.snr, abs=4)
    assert dose.features == ROWS.features and dose["audio"][:] != after["audio"][:]
    assert AUDIO.random_dose(ROWS, after, "audio", seed=3)["audio"][:] == dose["audio"][:]


def test_victims_get_clips_of_full_scale_1():
    clips = AUDIO.read(ROWS, "audio")
    assert clips[0].rate == 8000 and clips[0].samples.dtype == np.float32
    assert np.array_equal(clips[0].samples * 32768, waves(24)[0])
