"""Whose the noise of recordings is: originals that come out to the last sample, and noise of classes in many rows."""

import io

import numpy as np
import pytest
import soundfile

from hf_unlearnable import AudioErrorMinTransform, verify
from hf_unlearnable.mark import NoMarkError
from tests.examples import recordings, sound_file, waves

QUICK = {"max_rounds": 2, "surrogate_steps": 3}


def fitted(rows, **parameters):
    return AudioErrorMinTransform(**{"seed": 7, **QUICK, **parameters}).fit(rows)


def stored_anew(rows, **how):
    """The same samples in other files."""
    files = []
    for value in rows["audio"][:]:
        samples, rate = soundfile.read(io.BytesIO(value["bytes"]), dtype="int16", always_2d=True)
        files.append(io.BytesIO())
        soundfile.write(files[-1], samples, rate, **how)
    return recordings(files=[file.getvalue() for file in files])


@pytest.mark.parametrize(
    ("shape", "bound", "epsilon"),
    [({}, "loudness", 0.1), ({"rate": 22_050, "channels": 2}, "loudness", 0.1), ({}, "full-scale", 0.004)],
)
def test_originals_come_out_of_protected_recordings_and_of_no_others(shape, bound, epsilon):
    rows, others = recordings(16, **shape), recordings(files=[sound_file(one) for one in waves(24)[16:]])
    cloak = fitted(rows, bound=bound, epsilon=epsilon)
    after = rows.map(cloak, batched=True)
    found = verify(cloak, after.select(range(4, 12)).remove_columns("label"))
    assert (found.marked, found.rows) == (8, 8) and found.shown and found.log10_p < -100
    assert verify(cloak, stored_anew(after, format="AIFF", subtype="PCM_16")).marked == 16
    assert verify(cloak, stored_anew(after, format="OGG", subtype="VORBIS")).marked == 0
    for clean in (rows, others):
        assert verify(cloak, clean).marked == 0 and not verify(cloak, clean).shown
    assert verify(fitted(rows, seed=8, bound=bound, epsilon=epsilon), after).marked == 0


def test_noise_that_is_longer_than_a_block_of_the_file_comes_off():
    long = np.random.default_rng(0).normal(0, 0.1, (2, 150_000))
    rows = recordings(classes=2, files=[sound_file(one) for one in long])
    cloak = fitted(rows, duration=0.5)
    assert verify(cloak, rows.map(cloak, batched=True)).marked == 2


def test_noise_of_classes_shows_in_many_recordings_and_not_in_clean_ones():
    rows = recordings(40)
    cloak = fitted(rows.select(range(32)), noise="class", max_rounds=3)
    after = rows.map(cloak, batched=True)
    found = verify(cloak, after)
    assert found.shown and found.marked > 30 and found.expected < found.marked / 2
    assert not verify(cloak, rows).shown and verify(cloak, rows).marked < 5
    shuffled = after.select(np.random.default_rng(0).permutation(40))
    assert verify(cloak, shuffled).marked == found.marked


def test_keys_that_cannot_be_shown_say_why():
    rows = recordings(16)
    named = rows.add_column("id", list(range(16)))
    cloak = fitted(named, id_column="id")
    with pytest.raises(NoMarkError, match="knows its rows by column 'id' .* A key without id_column can be shown"):
        verify(cloak, named.map(cloak, batched=True))
    floats = stored_anew(rows, format="WAV", subtype="FLOAT")
    cloak = fitted(floats)
    with pytest.raises(NoMarkError, match="stored as floats.* Keep the original data"):
        verify(cloak, floats.map(cloak, batched=True))
    cloak = fitted(rows, noise="class", epsilon=0.01)
    with pytest.raises(NoMarkError, match="4 recordings of this length cannot tell this key's noise"):
        verify(cloak, rows.map(cloak, batched=True).select(range(4)))
