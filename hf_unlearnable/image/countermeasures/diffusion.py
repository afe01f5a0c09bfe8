"""Images that a diffusion model draws anew: covered with noise, which covers a protection too, and uncovered."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from hf_unlearnable.adversary import Attacker, Countermeasure, Rows
from hf_unlearnable.image.countermeasures.pixels import levels_of

_START = 0.2  # of the way to pure noise: a standard deviation of 39 levels
_DRAWN = 100  # steps of the whole way, of which that share is walked
_UPDATES = 400  # of the model, however few the images are


def purification(clean: float | None = None) -> Countermeasure:
    """Every image covered with noise of 39 pixel values, and uncovered by a small diffusion model.

    The model (`hf_unlearnable.image.ddpm`) knows no labels. Trained on the published images it learns a protection
    that all of them share, and draws it anew. Trained on a few clean ones it cannot. It sees at most 64 pixels per
    side, so photos lose what is finer.

    Papers: W. Nie et al., "Diffusion Models for Adversarial Purification" (DiffPure), ICML 2022, arXiv:2205.07460; H.
    M. Dolatabadi, S. Erfani, C. Leckie, "The Devil's Advocate" (AVATAR), arXiv:2303.08500. Both take a large model
    that was trained on many clean images; with one the protections come back to 88 % and more on CIFAR-10.

    Args:
        clean: Clean images of the attacker's own to train the model on instead, as a share of the published ones.
    """

    def on_rows(rows: Rows, attacker: Attacker) -> Rows:
        from hf_unlearnable.image.ddpm import small, trained_ddpm
        from hf_unlearnable.image.victims import ddpm
        from hf_unlearnable.image.victims.ddpm import unet_side
        from hf_unlearnable.image.victims.training import ImageTraining, rgb

        images = levels_of(rows)
        if not images:
            return rows
        size = unet_side(images)
        known = images
        if clean is not None:
            own = cast(Rows, attacker.clean)
            count = max(1, round(clean * (attacker.published or len(rows))))
            known = [own.inputs[i] for i in np.random.default_rng(attacker.seed).permutation(len(own))[:count]]
        usual: Any = ddpm.training
        batches = -(-len(known) // usual.batch_size)
        training = ImageTraining(
            seed=attacker.seed, epochs=-(-_UPDATES // batches), batch_size=usual.batch_size,
            learning_rate=usual.learning_rate, augment=False,
        )  # fmt: skip
        diffusion, build = small(size, None)
        purified = trained_ddpm(
            (diffusion, build), rgb(known, size), None, training,
            lambda unet: diffusion.purified(unet, rgb(images, size), None, _START, _DRAWN, attacker.seed),
        )  # fmt: skip
        return Rows([_resized(one, image.shape) for one, image in zip(purified, images, strict=True)], rows.labels)

    return Countermeasure(on_rows, needs=() if clean is None else ("clean",), cost=8)


def _resized(levels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An image at another size: uint8 [height, width, 3]."""
    from PIL import Image

    if levels.shape == shape:
        return levels
    return np.asarray(Image.fromarray(levels).resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
