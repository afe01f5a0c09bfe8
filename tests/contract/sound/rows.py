"""Protected sounds, and their samples."""

from datasets import Audio

from tests.contract.sound import wav
from tests.contract.sound.method import ToneTransform


def samples(value):
    return wav.read(value).samples.astype(int)


def stored(rows, column="audio"):
    return rows.cast_column(column, Audio(decode=False))[column][:]


def protected_of(rows, **parameters):
    cloak = ToneTransform(seed=2**60 + 7, **parameters).fit(rows)
    return rows.map(cloak, batched=True), cloak
