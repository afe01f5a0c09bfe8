"""What an adversary does to images, and in training on them, to learn in spite of a protection.

Some of it removes any small change (JPEG, fewer bits, blur, adversarial training), some makes a model look at more
than the first thing it finds (stronger augmentation), and some is the attack that the author of one method would
mount, who knows the method and not the key:

    box-blur, grain-removal, spectrum-peak-removal          texture
    spectrum-equalisation, sharpening-and-low-pass,
    random-sharpening-kernels, coin, bit-depth-2-rounded    convolution
    class-mean-subtraction, orthogonal-projection           linear-separable, class-wise error-min and random-noise
    orthogonal-projection                                   linearization
    constant-pixel-repair, median-filter, cutout            one-pixel
    constant-pixel-repair-and-grayscale, ...-and-jpeg-10    error-min-one-pixel
    jpeg-10, grayscale, adversarial-training-4              error-min, error-max, bayes-error, augmented-error-min,
                                                            augmented-error-max
    class-mean-subtraction, jpeg-10, grayscale              provable-error-min
    adversarial-training-8, jpeg-10, grayscale              stable-error-min
    jpeg-10, gaussian-blur, diffusion-purification          denoising-error

On rows every one is a pure function, from PIL images or uint8 arrays to uint8 arrays [height, width, 3] of the images'
own size. In training all draws come from the generator that the victim hands over. An accuracy "on clean data" is that
of a ResNet-18 trained on clean CIFAR-10 with the countermeasure, from 94.7 % without (Z. Liu, Z. Zhao, M. Larson,
"Image Shortcut Squeezing", ICML 2023, arXiv:2301.13838); the protected accuracies are those that the papers report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.adversary import Countermeasure, mixed_with_clean
from hf_unlearnable.image.countermeasures.adversarial import adversarial_training
from hf_unlearnable.image.countermeasures.augmentation import (
    cutmix,
    cutout,
    mixup,
    rand_augment,
    random_resized_crop,
    ueraser,
)
from hf_unlearnable.image.countermeasures.classes import (
    class_mean_subtraction,
    constant_pixel_repair,
    orthogonal_projection,
    spectrum_equalisation,
)
from hf_unlearnable.image.countermeasures.diffusion import purification
from hf_unlearnable.image.countermeasures.filters import coin, random_sharpening_kernels, sharpening_and_low_pass
from hf_unlearnable.image.countermeasures.outliers import perceptual_hash_filter, spectrum_outlier_filter
from hf_unlearnable.image.countermeasures.pixels import (
    box_blur,
    gaussian_blur,
    grayscale,
    half_size,
    jpeg,
    median_filter,
    on_each,
    reduced_bits,
    rounded_bits,
    without_grain,
)
from hf_unlearnable.image.countermeasures.spectrum import spectrum_peak_removal

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = [
    "IMAGE_COUNTERMEASURES", "adversarial_training", "box_blur", "class_mean_subtraction", "coin",
    "constant_pixel_repair", "cutmix", "cutout", "gaussian_blur", "grayscale", "half_size", "jpeg",
    "median_filter", "mixup", "orthogonal_projection", "perceptual_hash_filter", "purification", "rand_augment",
    "random_resized_crop", "random_sharpening_kernels", "reduced_bits", "rounded_bits", "sharpening_and_low_pass",
    "spectrum_equalisation", "spectrum_outlier_filter", "spectrum_peak_removal", "ueraser", "without_grain",
]  # fmt: skip


def _jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda levels: jpeg(levels, quality)


def _cropped(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return random_resized_crop(images, generator), targets


_REPAIR = Countermeasure(constant_pixel_repair)

IMAGE_COUNTERMEASURES: dict[str, Countermeasure] = {
    "jpeg-10": Countermeasure(on_each(_jpeg(10))),
    "jpeg-50": Countermeasure(on_each(_jpeg(50))),
    "jpeg-90": Countermeasure(on_each(_jpeg(90))),
    "grayscale": Countermeasure(on_each(grayscale)),
    "bit-depth-2": Countermeasure(on_each(reduced_bits)),
    "bit-depth-2-rounded": Countermeasure(on_each(rounded_bits)),
    "gaussian-blur": Countermeasure(on_each(gaussian_blur)),
    "half-size": Countermeasure(on_each(half_size)),
    "median-filter": Countermeasure(on_each(median_filter)),
    "box-blur": Countermeasure(on_each(box_blur)),
    "grain-removal": Countermeasure(on_each(without_grain)),
    "spectrum-peak-removal": Countermeasure(spectrum_peak_removal),
    "spectrum-outlier-filter": Countermeasure(spectrum_outlier_filter),
    "perceptual-hash-filter": Countermeasure(perceptual_hash_filter),
    "orthogonal-projection": Countermeasure(orthogonal_projection),
    "class-mean-subtraction": Countermeasure(class_mean_subtraction),
    "constant-pixel-repair": _REPAIR,
    "constant-pixel-repair-and-grayscale": _REPAIR.then(Countermeasure(on_each(grayscale))),
    "constant-pixel-repair-and-jpeg-10": _REPAIR.then(Countermeasure(on_each(_jpeg(10)))),
    "spectrum-equalisation": Countermeasure(spectrum_equalisation),
    "sharpening-and-low-pass": Countermeasure(in_training=sharpening_and_low_pass, cost=1.3),
    "random-sharpening-kernels": Countermeasure(in_training=random_sharpening_kernels, cost=1.3),
    "coin": Countermeasure(in_training=coin, cost=1.3),
    "random-resized-crop": Countermeasure(in_training=_cropped, cost=1.2),
    "cutout": Countermeasure(in_training=cutout, cost=1.1),
    "mixup": Countermeasure(in_training=mixup, cost=1.2),
    "cutmix": Countermeasure(in_training=cutmix, cost=1.2),
    "rand-augment": Countermeasure(in_training=rand_augment, cost=1.6),
    "ueraser": Countermeasure(in_training=ueraser, cost=2.2),
    "adversarial-training-4": adversarial_training(4 / 255),
    "adversarial-training-8": adversarial_training(8 / 255),
    "clean-1%": mixed_with_clean(0.01),
    "clean-5%": mixed_with_clean(0.05),
    "clean-20%": mixed_with_clean(0.2),
    "diffusion-purification": purification(),
    "diffusion-purification-clean-5%": purification(clean=0.05),
}
