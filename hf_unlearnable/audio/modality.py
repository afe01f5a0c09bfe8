"""Recordings, as the rest of the product sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hf_unlearnable.audio.codec import RecordingError
from hf_unlearnable.audio.copies import AudioCopies
from hf_unlearnable.modality import Modality

if TYPE_CHECKING:
    pass

_DECODED = {"array", "sampling_rate"}  # of a column that `datasets` or a user decoded already


class AudioModality(Modality):
    """Columns of `datasets.Audio`, or of decoded `{"array", "sampling_rate"}`, compared by their samples."""

    name = "audio"
    plural = "recordings"
    column = "audio"
    cast = "datasets.Audio()"
    batch_size = 16
    task = "audio-classification"
    files = ("recordings",)
    errors = (RecordingError,)
    copies = AudioCopies()
