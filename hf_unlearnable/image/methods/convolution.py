"""Convolution-based unlearnable data (CUDA)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.base import ImageTransform
from hf_unlearnable.image.trace import Bank, filtered
from hf_unlearnable.key import draws
from hf_unlearnable.labelled import class_stream

_SMALL = 64  # up to this shorter side an image takes the paper's filter for CIFAR, beyond it that for ImageNet
_SEEN = 224  # the shorter side at which victims train on photos


@dataclass(kw_only=True, repr=False, eq=False)
class ConvolutionTransform(ImageTransform):
    """Convolution-based unlearnable data (CUDA): every class is seen through its own slightly blurring filter.

    Idea:
        One small filter per class, drawn with the key: a model learns to tell the filters apart instead of the
        pictures. The method needs no surrogate and takes seconds. It multiplies instead of adding, so adversarial
        training with small steps does not undo it.

    Paper:
        V. S. Sadasivan, M. Soltanolkotabi, S. Feizi, "CUDA: Convolution-based Unlearnable Datasets", CVPR 2023,
        arXiv:2303.04278.

        For class c:

            w_c ~ U(0, blur)^(k x k), one entry drawn at random set to 1;   x' = (w_c * x) / max(w_c * x)

    Ours:
        The maximum is that over the whole image, as in the published code, which then truncates to integers. Here they
        are rounded, so that half of the pixel values are one higher. Victims train on large photos at a fraction of
        their size, where a filter of 9 pixels has vanished. The filter's entries therefore lie further apart in larger
        images, as far as a victim requires that scales the shorter side to 224 pixels.

    Args:
        blur: Largest weight of a filter's entries beside its one entry of 1, at least 0; 0 changes nothing. None for
            the paper's: 0.3 for filters of 3, 0.06 for those of 9.
        kernel_size: Entries per side, odd; None for the paper's: 3 up to a shorter side of 64 pixels, else 9.

    Secret:
        The seed, and with it the filters.

    Cost:
        Nothing to fit; k x k additions per pixel to apply.

    Breaks:
        Random sharpening kernels with a low pass in DCT space (arXiv:2411.01742: 23 -> 79 % on CIFAR-10). Pixels read
        from random places near them (COIN, arXiv:2311.18403), and rounding to four pixel values. Adversarial training
        with learned deblurring (46 %), and fine-tuning a pretrained model (42 to 48 %). A linear probe of ImageNet
        weights on 720 photos gets 94 % of 96. It is no small change: pictures look softer and brighter, and no epsilon
        bounds it. With few images or little training it protects less (see docs/results): a model learns filters later
        than noise.

    Prefer:
        Where people may see the change. On 32-pixel images it leaves the least to a linear probe of a pretrained
        model (see docs/results).

    Example:
        cloak = ConvolutionTransform(image_column="img", label_column="label").fit(ds)
    """

    blur: float | None = None
    kernel_size: int | None = None

    method: ClassVar[str] = "convolution"
    adaptive_attacks: ClassVar[tuple[str, ...]] = (
        "spectrum-equalisation", "sharpening-and-low-pass", "random-sharpening-kernels", "coin", "bit-depth-2-rounded",
    )  # fmt: skip
    strength_parameter: ClassVar[str] = "blur"
    differs_by_row: ClassVar[bool] = False
    additive: ClassVar[bool] = False

    @classmethod
    def strength(cls, factor: float = 1.0) -> dict[str, Any]:
        """`blur` at so many times the paper's for photos, 0.06; the paper's own, by the size of an image, at 1."""
        return {"blur": None if factor == 1 else 0.06 * factor}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.blur is not None and not 0 <= self.blur <= 1:
            raise ValueError(
                f"blur is {self.blur}, but it is the largest weight of a neighbouring pixel: give 0 to 1."
            )
        if self.kernel_size is not None and (self.kernel_size < 1 or self.kernel_size % 2 == 0):
            raise ValueError(f"kernel_size is {self.kernel_size}. Give an odd number of pixels.")

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        size, blur, dilation = self._kernel_of(levels.shape)
        return convolved(levels, class_kernel(class_stream(label, self._resolved_seed()), size, blur), dilation)

    def _kernel_of(self, shape: tuple[int, ...]) -> tuple[int, float, int]:
        """For images of this shape: entries a side of the kernel, their largest weight, and pixels between them."""
        shorter = min(shape[:2])
        size = self.kernel_size or (3 if shorter <= _SMALL else 9)
        blur = (0.3 if size == 3 else 0.06) if self.blur is None else self.blur
        return size, blur, max(1, round(shorter / _SEEN))

    def _pattern_bank(self, labels: Sequence[Any], shape: tuple[int, ...]) -> Bank:
        size, blur, dilation = self._kernel_of(shape)
        streams = [class_stream(label, self._resolved_seed()) for label in labels]
        return filtered([class_kernel(stream, size, blur) for stream in streams], dilation)

    def _pattern_kind(self, shape: tuple[int, ...]) -> Hashable:
        return self._kernel_of(shape)


def class_kernel(stream: int, size: int, blur: float) -> np.ndarray:
    """A class's kernel, float32 [size, size]: uniform entries up to `blur`, and one of 1."""
    bits = draws(np.full(size * size + 1, stream, np.uint64), np.arange(size * size + 1, dtype=np.uint64))
    kernel = (bits[:-1] * 2.0**-64 * blur).astype(np.float32)
    kernel[int(bits[-1] % np.uint64(size * size))] = 1
    return kernel.reshape(size, size)


def convolved(levels: np.ndarray, kernel: np.ndarray, dilation: int = 1) -> np.ndarray:
    """An image under a kernel, zeros beyond its border, scaled so that its brightest level is 255.

    Args:
        levels: uint8 [height, width, channels].
        kernel: Float32 [k, k], entries at least 0; its entries lie `dilation` pixels apart.
        dilation: In pixels.
    """
    height, width, channels = levels.shape
    half = kernel.shape[0] // 2 * dilation
    padded = np.zeros((height + 2 * half, width + 2 * half, channels), np.float32)
    padded[half : half + height, half : half + width] = levels
    total, term = np.zeros(levels.shape, np.float32), np.empty(levels.shape, np.float32)
    for (row, column), weight in np.ndenumerate(kernel):
        top, left = row * dilation, column * dilation
        np.multiply(padded[top : top + height, left : left + width], weight, out=term)
        total += term
    brightest = total.max(initial=0.0)
    return levels if brightest == 0 else np.rint(total * (255 / brightest)).astype(np.uint8)
