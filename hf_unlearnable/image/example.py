"""What a method does to a photo that everybody may use: a card may show it, for it is nobody's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_unlearnable.transform import Transform

_SIDE = 160  # pixels per side: one pixel of the photo is one of the picture


def example(transform: Transform) -> tuple[str, Any]:
    """A part of a photo before and after, and the difference, in one picture.

    The photo is Chelsea the cat (CC0, Stefan van der Walt), which comes with scikit-image.

    Args:
        transform: One that is not fitted. It is fitted on the photo.

    Returns:
        Markdown and a PIL image. Learned noise has no example: that of one photo says nothing of a dataset's.
    """
    import numpy as np
    from datasets import Dataset
    from PIL import Image
    from skimage import data

    from hf_unlearnable.image.sheets import AMPLIFIED, strip

    if transform.needs_training:
        return "", None
    crop = Image.fromarray(np.ascontiguousarray(data.chelsea()[30 : 30 + _SIDE, 120 : 120 + _SIDE]))
    rows = Dataset.from_dict({"image": [crop, crop], "label": ["cat", "dog"]})
    after = rows.map(transform.fit(rows), batched=True)
    one, two = (part.with_format("arrow")[0]["image"][0].as_py() for part in (rows, after))
    return (
        f"**An example.** A photo of the tool's own under `{transform.method}` at the same strength, with another "
        f"key: before, after, and the difference amplified {AMPLIFIED} times. This photo is not in the dataset."
    ), strip(one, two, _SIDE)
