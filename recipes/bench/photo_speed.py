# /// script
# dependencies = ["hf-unlearnable[image]"]
# ///
"""How long a photo of 12 megapixels takes to protect with texture, and how large it gets.

    python recipes/bench/photo_speed.py --photo photo.jpg

The photo is resized to 4,000 x 3,000 and stored as JPEG of quality 92. Prints the CPU seconds, the best of several, of
one whole row: opening, hashing, grain, PNG.
"""

from __future__ import annotations

import argparse
import io
import json
import time

from datasets import Dataset, Features, Image, Value

from hf_unlearnable import TextureTransform


def main() -> None:
    """Protects one photo several times for each encoding."""
    import PIL.Image

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", required=True, help="any photo")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    file = io.BytesIO()
    photo = PIL.Image.open(arguments.photo).convert("RGB").resize((4000, 3000), PIL.Image.Resampling.BICUBIC)
    photo.save(file, "JPEG", quality=92)
    value = {"bytes": file.getvalue(), "path": None}
    features = Features({"image": Image(), "label": Value("int64")})
    labels = Dataset.from_dict({"image": [value, value], "label": [0, 1]}, features)
    for encoding in ("png", "png-fast"):
        cloak, seconds = TextureTransform(seed=1, encoding=encoding).fit(labels), []
        for _ in range(arguments.repeat):
            start = time.process_time()
            made = cloak({"image": value, "label": 0})
            seconds.append(time.process_time() - start)
        size = len(made["image"]["bytes"])
        print(json.dumps({"encoding": encoding, "seconds": round(min(seconds), 2), "megabytes": round(size / 1e6, 1)}))


if __name__ == "__main__":
    main()
