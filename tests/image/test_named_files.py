"""What is said of a photo names its file where it has one, and its row."""

import io
import re

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value
from PIL import Image as PIL

from hf_unlearnable import TextureTransform, protect
from hf_unlearnable.audit.inputs import changed_rows
from hf_unlearnable.image.fidelity import image_fidelity, require_lossless
from hf_unlearnable.image.modality import IMAGE
from tests.examples import levels

FEATURES = Features({"image": Image(), "label": Value("int64")})


def file(array, format="PNG"):
    stream = io.BytesIO()
    PIL.fromarray(array).save(stream, format)
    return stream.getvalue()


def photos(*contents, names=("cat/one.png", "dog 2.png", "dog/three.png"), labels=(0, 1, 1)):
    rows = [{"bytes": data, "path": name} for data, name in zip(contents, names, strict=True)]
    return Dataset.from_dict({"image": rows, "label": list(labels)}, features=FEATURES)


@pytest.fixture
def arrays():
    return list(levels(3, height=12, width=10))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: file(np.clip(a.astype(int) + 20, 0, 255).astype(np.uint8)), r" changed by \d+ levels"),
        (lambda a: file(a[:6]), " had 10 x 12 pixels in 3 channels and has 10 x 6 in 3"),
        (lambda a: file(a // 2, "JPEG"), ", column 'image': the changed image is stored as JPEG"),
        (lambda a: b"\x89PNG", ", column 'image': the image "),
    ],
)
@pytest.mark.parametrize(("names", "named"), [(["a/b.png", "c 1.png", "d.png"], r" \(c 1\.png\)"), ([None] * 3, "")])
def test_fidelity_that_fails_names_the_file(arrays, change, said, names, named):
    before = photos(*map(file, arrays), names=names)
    after = photos(file(arrays[0]), change(arrays[1]), file(arrays[2]), names=names)
    with pytest.raises(ValueError, match=f"^Row 1{named}{said}"):
        image_fidelity(before, after, max_levels=8)


@pytest.mark.parametrize("step", ["fit", "map", "protect", "attack", "publish"])
def test_a_photo_that_does_not_open_is_named_by_its_file(arrays, step):
    whole, broken = photos(*map(file, arrays)), photos(file(arrays[0]), file(arrays[1], "JPEG")[:99], file(arrays[2]))
    cloak = TextureTransform(seed=1).fit(whole)
    steps = {
        "fit": lambda: TextureTransform(seed=1).fit(broken),
        "map": lambda: broken.map(cloak, batched=True),
        "protect": lambda: protect(broken, cloak),
        "attack": lambda: changed_rows(whole, broken, "image"),
        "publish": lambda: require_lossless(broken),
    }
    with pytest.raises(ValueError, match=r"Row 1( of this batch)? \(dog 2\.png\), column 'image'"):
        steps[step]() if step != "fit" else list(TextureTransform(seed=1)._pictures(broken))


def test_a_photo_without_a_label_is_named_by_its_file(arrays):
    rows = photos(*map(file, arrays), labels=(0, 1, None))
    cloak = TextureTransform(seed=1).fit(photos(*map(file, arrays)))
    with pytest.raises(ValueError, match=re.escape("(dog/three.png) has no label in column 'label'")):
        rows.map(cloak, batched=True)


@pytest.mark.parametrize(("names", "named"), [(["a.png", "b.png", "c.png"], " (b.png)"), ([None] * 3, "")])
def test_the_row_that_is_shown_after_a_protection_is_named_by_its_file(arrays, names, named):
    before = photos(*map(file, arrays), names=names)
    after = photos(*(file(np.minimum(array, 247) + 8) for array in arrays), names=names)
    (line,) = IMAGE.example(before, after, "image", 1)
    assert line.startswith(f"Row 1{named}, 10 x 12 pixels: changed by ")
