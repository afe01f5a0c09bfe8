"""Image files made by hand, and what stands in them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

PNG = b"\x89PNG\r\n\x1a\n"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def file_of(image, format="PNG", **options):
    """The bytes of a file of this image or array."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, format=format, **options)
    return file.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def same(picture, expected, alpha=None):
    assert picture.levels.dtype == np.uint8
    np.testing.assert_array_equal(picture.levels, expected)
    assert (picture.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(picture.alpha, alpha)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def chunks(data):
    """Names of a PNG's chunks, in order."""
    names, place = [], len(PNG)
    while place < len(data):
        names.append(data[place + 4 : place + 8].decode())
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return names
