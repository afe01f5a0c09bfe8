"""Files that a visitor may bring, friendly and hostile."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tests.examples import levels
from tests.image.files import PNG, chunk, file_of


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def photo(seed: int = 0, height: int = 60, width: int = 80) -> np.ndarray:
    return levels(1, seed=seed, height=height, width=width)[0]


def archive(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def huge_png(width: int, height: int) -> bytes:
    """A file of a few bytes that claims to be an image of so many pixels."""

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")


def rows_of(*pictures, label="mine"):
    return [{"name": f"{i}.png", "label": label, "bytes": file_of(one)} for i, one in enumerate(pictures)]
