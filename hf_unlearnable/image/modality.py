"""Images, as the rest of the product sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hf_unlearnable.data.folders import split_folders
from hf_unlearnable.image.codec import ImageError, decode
from hf_unlearnable.image.copies import ImageCopies
from hf_unlearnable.image.files import PICTURES, holds_images, read_pictures, without_image_labels, write_images
from hf_unlearnable.modality import Grid, Modality
from hf_unlearnable.rows import file_of

if TYPE_CHECKING:
    import os

    import numpy as np
    from datasets import Dataset

    from hf_unlearnable.adversary import Countermeasure, Rows, Victim, Wear
    from hf_unlearnable.image.fidelity import ImageFidelity
    from hf_unlearnable.image.generated import ImageJudge
    from hf_unlearnable.transform import Transform


_SMALL = 32  # pixels a side at most of an image that is trained on while a visitor watches


class ImageModality(Modality):
    """Columns of `datasets.Image`, compared by their pixels: a row may be stored anew in another encoding."""

    name = "image"
    plural = "images"
    column = "image"
    cast = "datasets.Image()"
    batch_size = 16
    task = "image-classification"
    files = ("images",)
    errors = (ImageError,)
    copies = ImageCopies()
    prices: ClassVar[Mapping[str, tuple[str, bool]]] = {"psnr": ("PSNR (dB)", True), "ssim": ("SSIM", True)}
    grids: ClassVar[Mapping[str, Grid]] = {
        "quick": Grid(
            {"small_cnn": {"epochs": 8}},
            ("jpeg-10", "grayscale", "grain-removal", "class-mean-subtraction", "clean-20%", "cutmix"),
            ("jpeg-75-420", "webp-75", "avif-60", "thumbnails"),
        ),
        "laptop": Grid({"linear_probe": {}, "small_cnn": {}, "pretrained_image_model": {}}, dearest=5),
        "full": Grid(
            {
                "linear_probe": {}, "small_cnn": {}, "small_cnn_long": {}, "resnet18": {},
                "small_vgg": {}, "small_resnet": {}, "small_densenet": {}, "small_vit": {},
                "pretrained_image_model": {"epochs": 15}, "simclr_probe": {"epochs": 200},
                "moco_probe": {"epochs": 200}, "simsiam_probe": {"epochs": 200}, "supcon_probe": {"epochs": 200},
            }
        ),
    }  # fmt: skip
    watched: ClassVar[Grid] = Grid(
        {"small_cnn": {"epochs": 6, "augment": False, "image_size": _SMALL}}, ("jpeg-10", "grain-removal", "box-blur")
    )

    @property
    def victims(self) -> Mapping[str, Victim]:
        from hf_unlearnable.image.victims import IMAGE_VICTIMS

        return IMAGE_VICTIMS

    @property
    def countermeasures(self) -> Mapping[str, Countermeasure]:
        from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES

        return IMAGE_COUNTERMEASURES

    @property
    def wear(self) -> Mapping[str, Wear]:
        from hf_unlearnable.image.wear import IMAGE_WEAR

        return IMAGE_WEAR

    def accepts(self, feature: Any) -> bool:
        from datasets import Image

        return isinstance(feature, Image)

    def undecoded(self, dataset: Any, column: str) -> Any:
        from datasets import Image

        is_image = isinstance((dataset.features or {}).get(column), Image)
        return dataset.cast_column(column, Image(decode=False)) if is_image else dataset

    def content(self, value: Any) -> bytes:
        return decode(value).content

    def same(self, before: Any, after: Any) -> bool:
        if isinstance(before, dict) and before["bytes"] is not None and before["bytes"] == after["bytes"]:
            return True
        return self.content(before) == self.content(after)

    def read_small(self, dataset: Dataset, column: str) -> list[Any]:
        import numpy as np
        from PIL import Image

        pictures = []
        for row in self.undecoded(dataset, column).select_columns([column]):
            levels = decode(row[column]).levels
            picture = Image.fromarray(np.broadcast_to(levels, (*levels.shape[:2], 3)).copy())
            if max(picture.size) > _SMALL:
                picture = picture.resize((_SMALL, _SMALL), Image.Resampling.BILINEAR)
            pictures.append(picture)
        return pictures

    def random_dose(self, clean: Dataset, protected: Dataset, column: str, seed: int) -> Dataset:
        from hf_unlearnable.image.dose import random_changes

        before, after = (self.undecoded(data.with_format(None), column) for data in (clean, protected))
        return self._beside(clean, column, *random_changes(before, after, column, seed, self.naming))

    def told_apart(self, clean: Sequence[Any], protected: Sequence[Any], asked: Sequence[Any]) -> np.ndarray:
        from hf_unlearnable.image.traits import told_apart

        return told_apart(clean, protected, asked)

    def network(
        self, rows: Rows, others: Sequence[Rows], seed: int, on_epoch: Callable[[Any], Any] | None = None
    ) -> tuple[Any, list[tuple[Any, Any]]]:
        from hf_unlearnable.image.victims.networks import small_cnn_of

        return small_cnn_of(rows, others, seed, on_epoch)

    def judge(self, test: Rows) -> ImageJudge:
        from hf_unlearnable.image.generated import ImageJudge

        return ImageJudge(test)

    def fidelity(
        self, original: Any, protected: Any, column: str, transform: Transform | None = None
    ) -> ImageFidelity:
        from hf_unlearnable.image.fidelity import image_fidelity

        bound = transform.max_levels if getattr(transform, "additive", False) else None  # type: ignore[union-attr]
        return image_fidelity(original, protected, column, bound)

    def require_exact(self, dataset: Any, column: str) -> None:
        from hf_unlearnable.image.fidelity import require_lossless

        require_lossless(dataset, column)

    def card_example(self, transform: Transform) -> tuple[str, Any]:
        from hf_unlearnable.image.example import example

        return example(transform)

    def write_fidelity(self, folder: Path, original: Any, protected: Any, column: str) -> None:
        from hf_unlearnable.image.sheets import contact_sheet, full_size_crops

        contact_sheet(original, protected, column).save(Path(folder, "contact-sheet.png"))
        full_size_crops(original, protected, column).save(Path(folder, "full-size.png"))

    def example(self, original: Dataset, protected: Dataset, column: str, row: int) -> list[str]:
        import numpy as np

        before, after = (self.undecoded(data, column)[row][column] for data in (original, protected))
        one, two = decode(before).levels, decode(after).levels
        height, width = one.shape[:2]
        named = f"Row {row}{file_of(before)}"
        if one.shape != two.shape:
            return [f"{named}, {width} x {height} pixels: stored as {two.shape[1]} x {two.shape[0]} pixels"]
        change = np.maximum(one, two) - np.minimum(one, two)  # in the type of the pixels: a photo may be large
        mean, most = change.mean(), change.max()
        return [f"{named}, {width} x {height} pixels: changed by {mean:.1f} of 255 levels, at most {most}"]

    def holds(self, folder: str | os.PathLike) -> bool:
        return holds_images(folder)

    def read_files(self, folder: str | os.PathLike, **options: Any) -> dict[str, Callable[[], Dataset]]:
        parts = split_folders(Path(folder), PICTURES)
        every = tuple(parts.values())
        return {name: partial(read_pictures, parts[name], split=name, parts=every, **options) for name in parts}

    def without_labels(self, folder: str | os.PathLike) -> str:
        return without_image_labels(Path(folder))

    def write_files(
        self, protected: Any, original: Any, output: Path, column: str, source: str | os.PathLike | None
    ) -> None:
        if source is None or not Path(source).is_dir():
            raise ValueError(
                "The format images writes files under the names that they had: it needs a folder of image files as "
                "source."
            )
        write_images(protected, original, output, column, source)


IMAGE = ImageModality()
