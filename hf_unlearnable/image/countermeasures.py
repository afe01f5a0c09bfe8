"""What an adversary does to images, and in training on them, to learn in spite of a protection.

Some of it removes any small change (JPEG, fewer bits, blur, adversarial training), some makes a model look at more
than the first thing it finds (stronger augmentation), and some is the attack that the author of one method would
mount, who knows the method and not the key:

    box-blur, grain-removal                                 texture
    spectrum-equalisation, sharpening-and-low-pass          convolution
    class-mean-subtraction, orthogonal-projection           linear-separable, class-wise error-min and random-noise
    orthogonal-projection                                   linearization
    constant-pixel-repair, median-filter, cutout            one-pixel
    constant-pixel-repair-and-grayscale, ...-and-jpeg-10    error-min-one-pixel
    jpeg-10, grayscale, adversarial-training-4              error-min, error-max
    adversarial-training-8, jpeg-10, grayscale              stable-error-min

On rows every one is a pure function, from PIL images or uint8 arrays to uint8 arrays [height, width, 3] of the images'
own size. In training all draws come from the generator that the victim hands over. An accuracy "on clean data" is that
of a ResNet-18 trained on clean CIFAR-10 with the countermeasure, from 94.7 % without (Z. Liu, Z. Zhao, M. Larson,
"Image Shortcut Squeezing", ICML 2023, arXiv:2301.13838); the protected accuracies are those that the papers report.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, mixed_with_clean

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_GRID = 64  # pixels a side at most at which classes are compared
_SEEN = 224  # the shorter side at which victims train on photos: small patterns grow with images beyond it


# ---------------------------------------------------------------------- one image at a time
def jpeg(levels: np.ndarray, quality: int) -> np.ndarray:
    """An image saved and opened as a JPEG, which drops what the eye hardly sees: most noise of a few levels.

    Quality 10 costs 9 points on clean data and brings additive noise back to 69 to 85 % (Liu et al. 2023); 50 and 90
    cost less and leave more of it.

    Args:
        levels: uint8 [height, width, 3].
        quality: From 1 to 95.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def grayscale(levels: np.ndarray) -> np.ndarray:
    """An image without colour: noise of weakly trained surrogates (error-min) lies in colours.

    Costs 2 points on clean data; error-min comes back to 93 %, adversarial noise (error-max) stays (Liu et al. 2023).
    """
    from PIL import Image

    return np.asarray(Image.fromarray(levels).convert("L").convert("RGB"))


def reduced_bits(levels: np.ndarray, bits: int = 2) -> np.ndarray:
    """An image in 2 to the power of `bits` levels a channel (bit-depth reduction, as in Liu et al. 2023)."""
    steps = 2**bits - 1
    return np.rint(np.rint(levels / 255 * steps) * (255 / steps)).astype(np.uint8)


def gaussian_blur(levels: np.ndarray, radius: float = 1.0) -> np.ndarray:
    """An image under a Gaussian whose standard deviation is `radius` pixels: fine noise goes, and fine detail."""
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(levels).filter(ImageFilter.GaussianBlur(radius)))


def median_filter(levels: np.ndarray) -> np.ndarray:
    """Every level replaced by the median of its 3 x 3 surroundings: a single odd pixel is gone without a trace."""
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(levels).filter(ImageFilter.MedianFilter(3)))


def box_blur(levels: np.ndarray) -> np.ndarray:
    """An image under a box of two pixels a side, which no grain that repeats every two pixels survives.

    Against `TextureTransform`; in large images the box grows as the grain does. Costs fine detail, and a victim
    tested on sharp images feels it.
    """
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(levels).filter(ImageFilter.BoxBlur(_cell(levels) - 0.5)))


def without_grain(levels: np.ndarray) -> np.ndarray:
    """An image without what repeats in it every 2, 3, 4 or 5 pixels: what the author of `TextureTransform` would try.

    Whatever repeats is the average over all its repetitions, in which a picture cancels out and a grain does not. So
    the average is subtracted. It takes 47 of 1,024 frequencies from a 32-pixel image and leaves the rest as it is.
    """
    cell = _cell(levels)
    rows, columns = (np.arange(size) // cell for size in levels.shape[:2])
    image = levels.astype(np.float64)
    for period in (3, 4, 5):  # what repeats every 2 repeats every 4
        place = ((rows % period)[:, None] * period + columns % period).reshape(-1)
        counts = np.bincount(place, minlength=period**2).clip(1)
        for channel in np.moveaxis(image, 2, 0):
            means = np.bincount(place, channel.reshape(-1), period**2) / counts
            channel -= (means[place] - channel.mean()).reshape(channel.shape)
    return _whole(image)


def _cell(levels: np.ndarray) -> int:
    """How many pixels of an image a victim sees as one."""
    return max(1, round(min(levels.shape[:2]) / _SEEN))


# ---------------------------------------------------------------------- all images together
def orthogonal_projection(rows: Rows, attacker: Attacker) -> Rows:
    """Images without what a linear model reads the label from.

    Logistic regression W on raw pixels, its columns made orthonormal (QR: Q), and x - Q Q' (x - mean): the paper's
    projection, with the images' mean left in so that they stay images. Breaks one-pixel (over 87 %), linear-separable
    and what else is linear and the same for a class. With few images W learns these by heart, and the projection takes
    5 points on clean data (2,500 images of CIFAR-10, `small_cnn`: 44 to 38 %).

    Paper: P. Sandoval-Segura, V. Singla, J. Geiping, M. Goldblum, T. Goldstein, "What Can We Learn from Unlearnable
    Datasets?", NeurIPS 2023, arXiv:2305.19254.
    """
    from hf_unlearnable.image.methods.linearization import linear_classifier

    images = _levels(rows)
    small = _on_grid(images)
    flat = small.reshape(len(small), -1)
    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)
    weights = linear_classifier(flat, targets, len(classes), epochs=20, learning_rate=0.003, seed=attacker.seed)
    basis, _ = np.linalg.qr(weights.T.astype(np.float64))
    mean = flat.mean(axis=0)
    read = (basis @ (basis.T @ (one - mean)) for one in flat)
    return _subtracted(images, (one.reshape(small.shape[1:]) for one in read), rows)


def class_mean_subtraction(rows: Rows, attacker: Attacker) -> Rows:
    """Images without what is finer in the average of their class than in that of all.

    A noise that all images of a class share is what their average shows and the pictures, averaged, do not. What
    varies slowly over the image (a Gaussian of an eighth of its width) may be the class itself and stays. Breaks
    class-wise noise; costs next to nothing on clean data. With few images a class the pictures do not average out.
    """
    from scipy.ndimage import gaussian_filter

    images = _levels(rows)
    small = _on_grid(images)
    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)
    means = np.stack([small[targets == i].mean(axis=0) for i in range(len(classes))]) - small.mean(axis=0)
    patterns = means - gaussian_filter(means, (0, means.shape[1] / 8, means.shape[2] / 8, 0))
    return _subtracted(images, (patterns[i] for i in targets), rows)


def constant_pixel_repair(rows: Rows, attacker: Attacker) -> Rows:
    """Pixels that hardly differ within a class, replaced by the median of their 3 x 3 surroundings.

    Hardly is: a standard deviation of less than a quarter of the median one in that class. Breaks one-pixel: it is
    what its author would look for. Costs next to nothing on clean data.
    """
    images = _levels(rows)
    small = _on_grid(images)
    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)
    spread = np.stack([small[targets == i].std(axis=0).mean(axis=2) for i in range(len(classes))])
    odd = spread < np.median(spread, axis=(1, 2), keepdims=True) / 4
    excess = (one - median_filter(one).astype(np.float64) for one in small)
    change = (one * odd[i, :, :, None] for one, i in zip(excess, targets, strict=True))
    return _subtracted(images, change, rows)


def spectrum_equalisation(rows: Rows, attacker: Attacker) -> Rows:
    """Images whose class's mean amplitude at every frequency is brought to that of all images.

    A filter that a class was seen through (`ConvolutionTransform`) multiplies its spectrum, so the ratio to the
    average spectrum shows it and dividing by it undoes it, but for its phase and the dark border that it left: enough
    for a small CNN to tell the classes by, so `sharpening_and_low_pass` does better. What it costs on clean data is
    the part of a class that lies in its average spectrum alone.
    """
    images = _levels(rows)
    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)
    height, width = np.min([image.shape[:2] for image in images], axis=0)
    sums = np.zeros((len(classes), height, width // 2 + 1))
    for image, i in zip(images, targets, strict=True):
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        window = image[top : top + height, left : left + width]
        sums[i] += np.abs(np.fft.rfft2(window, axes=(0, 1))).mean(axis=2)
    counts = np.bincount(targets)[:, None, None]
    gains = sums.sum(axis=0) / len(images) / np.maximum(sums / counts, 1e-9)

    def equalised(image: np.ndarray, gain: np.ndarray) -> np.ndarray:
        down = np.rint(np.fft.fftfreq(image.shape[0]) * height).astype(int)
        right = np.rint(np.fft.rfftfreq(image.shape[1]) * width).astype(int).clip(max=width // 2)
        spectrum = np.fft.rfft2(image, axes=(0, 1)) * gain[down[:, None], right, None]
        return _whole(np.fft.irfft2(spectrum, image.shape[:2], axes=(0, 1)))

    return Rows([equalised(image, gains[i]) for image, i in zip(images, targets, strict=True)], rows.labels)


def _levels(rows: Rows) -> list[np.ndarray]:
    """The images as uint8 [height, width, 3]."""
    require("image", "PIL")
    from PIL import Image

    def one(image: Any) -> np.ndarray:
        opened = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image).squeeze())
        return np.asarray(opened.convert("RGB"))

    return [one(image) for image in rows.inputs]


def _on_grid(images: list[np.ndarray]) -> np.ndarray:
    """All images at the size of the first one, 64 pixels a side at most: uint8 [n, height, width, 3]."""
    from hf_unlearnable.image.methods.one_pixel import on_grid

    grid = (min(_GRID, images[0].shape[0]), min(_GRID, images[0].shape[1]))
    return np.stack([on_grid(image, grid) for image in images])


def _subtracted(images: list[np.ndarray], patterns: Iterator[np.ndarray], rows: Rows) -> Rows:
    """The rows with each image less its pattern, which is stretched to the image."""
    from hf_unlearnable.image.learning.noise import fitted_to

    pairs = zip(images, patterns, strict=True)
    return Rows([_whole(image - fitted_to(pattern, image.shape)) for image, pattern in pairs], rows.labels)


def _whole(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


# ---------------------------------------------------------------------- in training
def random_resized_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random part of each image, a fifth of it at least and 3:4 to 4:3, enlarged to its size.

    Args:
        images: Float [n, channels, height, width].
        generator: On the CPU.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    n = len(images)
    area, shape, across, down = torch.rand(4, n, generator=generator)
    area, shape = 0.2 + 0.8 * area, (4 / 3) ** (2 * shape - 1)
    width, height = (area * shape).sqrt().clamp(max=1), (area / shape).sqrt().clamp(max=1)
    box = torch.zeros(n, 2, 3)
    box[:, 0, 0], box[:, 1, 1] = width, height
    box[:, 0, 2], box[:, 1, 2] = (2 * across - 1) * (1 - width), (2 * down - 1) * (1 - height)
    grid = affine_grid(box.to(images.device), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def cutout(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A black square of half the width somewhere in each image: it hides one pixel from many images.

    Clean data loses nothing; one-pixel comes back to 62 %. Paper: T. DeVries, G. W. Taylor, arXiv:1708.04552.
    """
    hidden = _squares(images, 0.5, generator)
    return images * ~hidden, targets


def mixup(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Averages of two images under the averages of their labels, with a weight drawn for the batch.

    Clean data gains. Paper: H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, ICLR 2018, arXiv:1710.09412.
    """
    import torch

    weight = torch.rand(1, generator=generator).item()
    other = torch.randperm(len(images), generator=generator).to(images.device)
    return weight * images + (1 - weight) * images[other], _mixed(targets, other, weight, images, model)


def cutmix(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A square of another image in each image, under the labels of both by their share, drawn for the batch.

    Clean data gains. Paper: S. Yun et al., ICCV 2019, arXiv:1905.04899.
    """
    import torch

    share = torch.rand(1, generator=generator).item()
    other = torch.randperm(len(images), generator=generator).to(images.device)
    pasted = _squares(images, share**0.5, generator)
    kept = 1 - pasted.float().mean((1, 2, 3))
    return torch.where(pasted, images[other], images), _mixed(targets, other, kept[:, None], images, model)


def rand_augment(
    images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Two of fifteen strong changes to each image, of colour, contrast, sharpness or place.

    Clean data gains with long training. One-pixel comes back to 71 %, error-min to 52. Paper: E. D. Cubuk, B. Zoph,
    J. Shlens, Q. V. Le, NeurIPS 2020, arXiv:1909.13719. kornia draws the kind of change for all images that it is
    given, so it is given sixteen at a time.
    """
    import torch

    change = _rand_augment()
    with _seeded_by(generator):
        return torch.cat([change(part) for part in images.split(16)]).clamp(0, 1), targets


def ueraser(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clouds of brightness and contrast, shuffled channels and one more change: beyond what noise of few levels bears.

    Paper: T. Qin, X. Gao, J. Zhao, K. Ye, C.-Z. Xu, "Learning the Unlearnable", arXiv:2303.15127, in its cheap form:
    one draw an image, not the worst of five. Costs on clean data in short trainings.
    """
    import torch

    change = _ueraser()
    with _seeded_by(generator):
        return torch.cat([change(part) for part in images.split(16)]).clamp(0, 1), targets


def sharpening_and_low_pass(
    images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Each image sharpened by a random amount, then without its highest frequencies (cosine transform).

    A filter of a class is not to be told any more when all images are filtered anew at every visit. Brings
    convolution back from 23 to 79 %. Paper: D. Kim, P. Sandoval-Segura, arXiv:2411.01742; how much is sharpened and
    cut here is ours.
    """
    import torch
    from torch.nn.functional import avg_pool2d, pad

    amount = 4 * torch.rand(len(images), 1, 1, 1, generator=generator).to(images.device)
    images = images.contiguous()  # matrix products of channels-last images are slow
    sharp = images + amount * (images - avg_pool2d(pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1))
    rows, columns = (_low_pass(size, 0.75).to(images) for size in images.shape[-2:])
    return (rows @ sharp @ columns).clamp(0, 1), targets


def adversarial_training(epsilon: float, num_steps: int = 3) -> Countermeasure:
    """Every batch made as hard as noise of `epsilon` can: a model then cannot rest on what such noise removes.

    Three signed steps up the loss from a random start, against the model as it predicts (evaluation mode). Costs 5 to
    10 points on clean data at 8/255. Breaks error-min (89 % at 4/255), error-max (88), linear-separable (83 at 8/255);
    one-pixel and convolution stay (10, 33). Paper: A. Madry et al., ICLR 2018, arXiv:1706.06083.

    Args:
        epsilon: Largest change of a value, in [0, 1].
        num_steps: How many steps.
    """

    def hardened(
        images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        import torch

        from hf_unlearnable.image.learning.pgd import MAXIMIZE, frozen, pgd, project

        images = images.detach()
        start = epsilon * (2 * torch.rand(images.shape, generator=generator).to(images) - 1)
        noise, _, _ = pgd(
            frozen(model), images, project(start, images, epsilon), targets, epsilon=epsilon,
            step_size=2 * epsilon / num_steps, num_steps=num_steps, direction=MAXIMIZE,
        )  # fmt: skip
        return images + noise, targets

    return Countermeasure(in_training=hardened, cost=1 + num_steps)


def _squares(images: Tensor, side: float, generator: torch.Generator) -> Tensor:
    """Where a square of `side` widths lies in each image, cut off at the border: booleans [n, 1, height, width]."""
    import torch

    n, _, height, width = images.shape
    middle = torch.rand(2, n, 1, generator=generator)
    down = (torch.arange(height) + 0.5 - middle[0] * height).abs() < side * height / 2
    across = (torch.arange(width) + 0.5 - middle[1] * width).abs() < side * width / 2
    return (down[:, None, :, None] & across[:, None, None, :]).to(images.device)


def _mixed(targets: Tensor, other: Tensor, weight: Any, images: Tensor, model: nn.Module) -> Tensor:
    """Probabilities [n, classes] of which `weight` lies on an image's own class and the rest on the other's."""
    import torch

    training = model.training
    with torch.no_grad():
        classes = model.eval()(images[:1]).shape[1]  # in training a batch norm would count this image twice
    model.train(training)
    own = torch.nn.functional.one_hot(targets, classes).to(images.dtype)
    return weight * own + (1 - weight) * own[other]


@contextmanager
def _seeded_by(generator: torch.Generator) -> Iterator[None]:
    """Seeds kornia, which draws from torch's global generator, by ours, and gives that back as it was."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        yield


@lru_cache(maxsize=1)
def _rand_augment() -> Callable[[Tensor], Tensor]:
    require("attack", "kornia")
    from kornia.augmentation.auto import RandAugment

    return RandAugment(n=2, m=10, transformation_matrix_mode="skip")


@lru_cache(maxsize=1)
def _ueraser() -> Callable[[Tensor], Tensor]:
    require("attack", "kornia")
    from kornia.augmentation import RandomChannelShuffle, RandomPlasmaBrightness, RandomPlasmaContrast
    from kornia.augmentation.auto import TrivialAugment
    from torch import nn

    return nn.Sequential(
        RandomPlasmaBrightness(roughness=(0.3, 0.7), intensity=(0.5, 1.0), p=0.5),
        RandomPlasmaContrast(roughness=(0.3, 0.7), p=0.5),
        RandomChannelShuffle(p=0.5),
        TrivialAugment(transformation_matrix_mode="skip"),
    )


def _low_pass(size: int, share: float) -> Tensor:
    """The matrix [size, size] that leaves the lowest `share` of a signal's cosines."""
    import torch

    k, x = torch.arange(size)[:, None], torch.arange(size)[None] + 0.5
    cosines = torch.cos(torch.pi / size * k * x) * (2 / size) ** 0.5
    cosines[0] /= 2**0.5
    kept = cosines[: round(share * size)]
    return kept.T @ kept


# ---------------------------------------------------------------------- by name
def _each(*changes: Callable[[np.ndarray], np.ndarray]) -> Callable[[Rows, Attacker], Rows]:
    """Changes of one image, one after the other, as a countermeasure on rows."""

    def on_rows(rows: Rows, attacker: Attacker) -> Rows:
        images = _levels(rows)
        for change in changes:
            images = [change(image) for image in images]
        return Rows(images, rows.labels)

    return on_rows


def _jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda levels: jpeg(levels, quality)


def _cropped(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return random_resized_crop(images, generator), targets


def _repaired_then(change: Callable[[np.ndarray], np.ndarray]) -> Countermeasure:
    return Countermeasure(lambda rows, attacker: _each(change)(constant_pixel_repair(rows, attacker), attacker))


IMAGE_COUNTERMEASURES: dict[str, Countermeasure] = {
    "jpeg-10": Countermeasure(_each(_jpeg(10))),
    "jpeg-50": Countermeasure(_each(_jpeg(50))),
    "jpeg-90": Countermeasure(_each(_jpeg(90))),
    "grayscale": Countermeasure(_each(grayscale)),
    "bit-depth-2": Countermeasure(_each(reduced_bits)),
    "gaussian-blur": Countermeasure(_each(gaussian_blur)),
    "median-filter": Countermeasure(_each(median_filter)),
    "box-blur": Countermeasure(_each(box_blur)),
    "grain-removal": Countermeasure(_each(without_grain)),
    "orthogonal-projection": Countermeasure(orthogonal_projection),
    "class-mean-subtraction": Countermeasure(class_mean_subtraction),
    "constant-pixel-repair": Countermeasure(constant_pixel_repair),
    "constant-pixel-repair-and-grayscale": _repaired_then(grayscale),
    "constant-pixel-repair-and-jpeg-10": _repaired_then(_jpeg(10)),
    "spectrum-equalisation": Countermeasure(spectrum_equalisation),
    "sharpening-and-low-pass": Countermeasure(in_training=sharpening_and_low_pass, cost=1.3),
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
}
