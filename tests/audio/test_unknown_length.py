"""FLAC files whose header does not tell how long they are, as an encoder writes them into a pipe."""

import io

import numpy as np
import pytest

from hf_unlearnable import EqualizerTransform, PositionConvolutionTransform
from hf_unlearnable.audio.codec import BLOCK, RecordingError, decode, opened
from tests.audio.tones import noise
from tests.examples import recordings, sound_file


def without_length(data: bytes) -> bytes:
    """A FLAC file with no number of frames in its header."""
    return data[:21] + bytes([data[21] & 0xF0, 0, 0, 0, 0]) + data[26:]


def flac(frames, channels=1, subtype="PCM_16", rate=8000):
    return sound_file(noise(frames, frames, channels), rate, "FLAC", subtype)


@pytest.mark.parametrize("frames", [1, 700, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 200_000])
@pytest.mark.parametrize(("channels", "subtype"), [(1, "PCM_16"), (2, "PCM_24"), (3, "PCM_S8")])
def test_every_sample_is_read_as_often_as_asked(frames, channels, subtype):
    data = flac(frames, channels, subtype)
    expected, form = decode(data)
    with opened(without_length(data)) as recording:
        assert recording.frames == -1 and recording.format == form
        for _ in range(3):
            assert (recording.samples() == expected).all()


def test_a_file_that_is_cut_off_is_refused_all_the_same():
    with pytest.raises(RecordingError, match="does not decode|cut off"):
        decode(without_length(flac(50_000))[:-3000])


@pytest.mark.parametrize("cls", [EqualizerTransform, PositionConvolutionTransform])
def test_a_recording_is_protected_as_with_its_length(tmp_path, cls):
    cloak = cls(seed=1).fit(recordings(8))
    data = flac(90_000)
    (tmp_path / "a.flac").write_bytes(without_length(data))
    expected = decode(cloak({"audio": [data], "label": [0]})["audio"][0])[0]
    for after in (
        cloak({"audio": [without_length(data)], "label": [0]})["audio"][0],
        cloak.protect_file(tmp_path / "a.flac", tmp_path / "b.flac", 0),
        cloak({"audio": [{"bytes": without_length(data), "path": None}], "label": [0]})["audio"][0],
    ):
        assert np.array_equal(decode(after)[0], expected)


def test_a_file_is_open_to_soundfile_as_before():
    import soundfile

    with soundfile.SoundFile(io.BytesIO(flac(100))) as file:
        assert file.seekable() and file.frames == 100
