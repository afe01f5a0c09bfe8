import os

import numpy as np
import pytest
from PIL import Image

from tests.cli.photos import FLAT
from tests.examples import levels, pictures


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Photos of four kinds, the same in folders of classes, and a table of pictures."""
    monkeypatch.chdir(tmp_path)
    array = levels(8, height=20, width=24)
    os.mkdir("photos")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(array[0]).save(f"photos/{FLAT[0]}", exif=exif, quality=90)
    Image.fromarray(array[1]).save(f"photos/{FLAT[1]}", comment=b"at home")
    Image.fromarray(np.dstack([array[2], array[3, :, :, 0]])).save(f"photos/{FLAT[2]}")
    Image.fromarray(array[3, :, :, 0]).save(f"photos/{FLAT[3]}")
    for i, name in enumerate(["cat", "dog"]):
        os.makedirs(f"classes/{name}")
        Image.fromarray(array[2 * i]).save(f"classes/{name}/one.jpg")
        Image.fromarray(array[2 * i + 1]).save(f"classes/{name}/two.png")
    pictures(12, height=20, width=16).to_parquet("pictures.parquet")
    return tmp_path
