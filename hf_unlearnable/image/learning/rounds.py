"""A surrogate that learns from images, and noise that answers it, in rounds; see `hf_unlearnable.learning`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable.image.codec import Picture
from hf_unlearnable.image.learning.gallery import PictureGallery
from hf_unlearnable.image.learning.noise import ClassNoise, SampleNoise
from hf_unlearnable.image.learning.scale import seen_size
from hf_unlearnable.image.learning.surrogate import image_classifier
from hf_unlearnable.image.learning.views import resize
from hf_unlearnable.learning.rounds import Learner

if TYPE_CHECKING:
    from torch import Tensor, nn


class NoiseLearner(Learner):
    """One fit of images; the other arguments are those of `Learner`.

    Args:
        rows: As for `PictureGallery.of_rows`; of this process only.
        image_size: Pixels a side of what the surrogate sees; None for the images' own size, from 8 to 64.
        build: From the name of the surrogate and the number of classes to the model; see `image_classifier`.
    """

    gallery: PictureGallery

    def __init__(
        self,
        rows: Iterable[tuple[Picture, Any, bytes]],
        *,
        image_size: int | None,
        build: Callable[[str, int], nn.Module] = image_classifier,
        **learner: Any,
    ):
        self._rows, self._asked = rows, image_size
        super().__init__(build=build, **learner)

    def _gathered(self, seed: int, folder: Path) -> PictureGallery:
        return PictureGallery.of_rows(self._rows, seed, folder)

    def _settled(self, per_class: bool) -> PictureGallery:
        self.image_size = seen_size(self.model, self._asked, max(max(shape[:2]) for shape in self._shapes))
        if per_class and len(self._shapes) > 1:
            return self.gallery.uniform((self.image_size, self.image_size, 3))
        return self.gallery

    def _inputs(self, rows: Tensor) -> Tensor:
        """Rows of one shape, float [n, channels, height, width] in [0, 1], channels last in memory."""
        return self.gallery.take(self._values, rows).to(self.device).movedim(3, 1).float() / 255

    def _noise_of(self, rows: Tensor) -> Tensor:
        return self._noise.of(rows).movedim(3, 1) / 255

    def _put(self, rows: Tensor, noise: Tensor, max_levels: int) -> None:
        self._noise.put(rows, (noise * 255).movedim(1, 3), max_levels)

    def _bounds(self, rows: Tensor, max_levels: int, step_size: float) -> tuple[float, float]:
        return max_levels / 255, step_size

    def _met(self, inputs: Tensor) -> Tensor:
        return resize(inputs, self.image_size)

    def _laid_out(self, inputs: Tensor) -> Tensor:
        import torch

        return inputs.contiguous(memory_format=torch.channels_last)

    def _kept(self) -> SampleNoise | ClassNoise:
        if self._noise.per_class:
            return ClassNoise(self.classes, self._noise.of_classes())
        return SampleNoise(*self._noise.of_rows())
