"""Folders of recordings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from hf_unlearnable.data.file_folders import FileKind, holds_files, read_files, without_labels, write_files

# Files that are recordings to their owner, readable here or not; what is not readable is named.
_ENDINGS = """
    .aac .aif .aifc .aiff .amr .ape .au .avr .caf .flac .htk .ircam .m4a .mka .mp2 .mp3 .mpc .nist .oga .ogg .opus .paf
    .pvf .rf64 .sd2 .sds .sf .snd .sph .svx .tta .voc .w64 .wav .wave .webm .wma .wv .wve .xi
"""
RECORDINGS = frozenset(_ENDINGS.split())


def _feature(**options: Any) -> Any:
    from datasets import Audio

    return Audio(**options)


def _refused(path: Path, deep: bool) -> str | None:
    if "::" in str(path):
        return "has '::' in its name, which `datasets` takes for an archive: rename it"
    if deep:
        from hf_unlearnable.audio.codec import RecordingError, opened

        try:
            with opened(path) as recording:
                for _ in recording.blocks():
                    continue
        except RecordingError as error:
            return str(error)
    return None


def _ending(data: bytes) -> str:
    return ".flac" if data[:4] == b"fLaC" else ".wav"


KIND = FileKind("recording", "recordings", "audio", RECORDINGS, _feature, _refused, _ending)
holds_recordings = partial(holds_files, KIND)
read_recordings = partial(read_files, KIND)
without_recording_labels = partial(without_labels, KIND)
write_recordings = partial(write_files, KIND)
