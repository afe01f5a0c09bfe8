"""Where the bytes of a recording are, and what is said of those that are none."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_OTHERS = {  # first bytes, from which place on, of what people take for a recording
    "an MP4 file, a video or AAC": (4, b"ftyp"),
    "a Matroska or WebM file": (0, b"\x1a\x45\xdf\xa3"),
    "an AVI video": (8, b"AVI "),
    "raw AAC": (0, b"\xff\xf1"),
    "raw MPEG-2 AAC": (0, b"\xff\xf9"),
    "a Windows Media file": (0, b"\x30\x26\xb2\x75"),
    "AMR": (0, b"#!AMR"),
}


class RecordingError(ValueError):
    """A recording that cannot be protected exactly; the message goes on after "the recording" and says what to do."""


@contextmanager
def source(value: Any) -> Iterator[Any]:
    """The file behind a value, open for reading bytes."""
    if isinstance(value, str | os.PathLike):
        value = {"bytes": None, "path": os.fspath(value)}
    if isinstance(value, bytes):
        value = {"bytes": value}
    if not isinstance(value, dict) or not {"bytes", "path"} & set(value):
        raise RecordingError(f"is {type(value).__name__}, no file: cast the column with datasets.Audio() first")
    if value.get("bytes") is not None:
        if not value["bytes"]:
            raise RecordingError("is empty: leave such rows out with mask_column")
        yield io.BytesIO(value["bytes"])
        return
    path = value.get("path")
    if not path:
        raise RecordingError("is empty: leave such rows out with mask_column")
    try:
        file = _open(path)
    except FileNotFoundError:
        raise RecordingError(
            f"is a path to a file that is not there ({path}), and its bytes are not stored: load the data where its "
            "files are"
        ) from None
    except OSError as error:
        raise RecordingError(f"cannot be read ({error.strerror or error})") from None
    with file:
        yield file


def _open(path: str) -> Any:
    if "://" not in path:
        return open(path, "rb")
    import fsspec

    return fsspec.open(path, "rb").open()


def refused(head: bytes, error: Any) -> str:
    """Why a file does not open, by its first bytes and what libsndfile says; goes on after "the recording"."""
    for name, (place, mark) in _OTHERS.items():
        if head[place : place + len(mark)] == mark:
            return f"is {name}, which soundfile does not read: convert it first, with ffmpeg -i FILE FILE.wav"
    return f"does not open ({said(error)}): the file is broken, or no recording"


def said(error: Any) -> str:
    """What libsndfile says, without the name of a Python object."""
    return str(error.error_string).rstrip(".") or f"error {error.code} of libsndfile"
