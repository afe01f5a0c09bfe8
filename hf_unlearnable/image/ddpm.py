"""A denoising diffusion model (DDPM): how images are covered with noise, and a UNet of diffusers that uncovers them.

With an image x0 in [-1, 1], noise e ~ N(0, 1) and the share a_t of the image that step t of 1,000 leaves:

    x_t = sqrt(a_t) x0 + sqrt(1 - a_t) e          what the UNet sees
    loss = mean of (UNet(x_t, t) - wanted)^2      wanted: e, x0, or the velocity sqrt(a_t) e - sqrt(1 - a_t) x0

Papers: J. Ho, A. Jain, P. Abbeel, NeurIPS 2020, arXiv:2006.11239. Images are drawn in few steps and without further
noise (DDIM: J. Song, C. Meng, S. Ermon, ICLR 2021, arXiv:2010.02502).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary.loop import device, trained
from hf_unlearnable.image.victims.training import ImageTraining, seen, shuffled

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_WIDTHS = (16, 32)
_PATCH = 2  # pixels per side that are one place of the UNet: a quarter of the time
_AT_ONCE = 256  # images that are drawn together


@dataclass(frozen=True)
class Diffusion:
    """The process that covers images, around a UNet that uncovers them.

    Args:
        scheduler: A `DDPMScheduler`: how much of the image each step leaves, and what the UNet answers.
        patch: Pixels per side that are folded into the channels of one place.
        classes: Whether the UNet is told the class.
    """

    scheduler: Any
    patch: int = 1
    classes: bool = True

    def loss(self, unet: nn.Module, images: Tensor, targets: Tensor | None, generator: torch.Generator) -> Tensor:
        """The mean squared error of the UNet on images that are covered at random.

        Args:
            unet: In training.
            images: Float [n, channels, size, size] in [0, 1].
            targets: Class indices [n]; None where `classes` is not set.
            generator: On the CPU.

        Raises:
            FloatingPointError: It is no number.
        """
        import torch

        x = self._folded(2 * images - 1)
        steps = torch.randint(0, self.scheduler.config.num_train_timesteps, (len(x),), generator=generator)
        steps, noise = steps.to(x.device), torch.randn(x.shape, generator=generator).to(x.device)
        wanted = {"epsilon": lambda: noise, "sample": lambda: x,
                  "v_prediction": lambda: self.scheduler.get_velocity(x, noise, steps)}  # fmt: skip
        answer = self._answer(unet, self.scheduler.add_noise(x, noise, steps), steps, targets)
        error = (answer - wanted[self.scheduler.config.prediction_type]()).square().mean()
        if not math.isfinite(error.item()):
            raise FloatingPointError(f"The loss is {error.item()}: the diffusion model diverged. Lower learning_rate.")
        return error

    def drawn(
        self, unet: nn.Module, targets: np.ndarray | None, shape: tuple[int, int, int, int], steps: int, seed: int
    ) -> np.ndarray:
        """New images out of nothing but noise.

        Args:
            unet: Trained; it is put into evaluation mode.
            targets: Class indices [n]; None where `classes` is not set.
            shape: n, channels, size, size.
            steps: How many the process takes.
            seed: Of the noise.

        Returns:
            uint8 [n, size, size, channels].
        """
        import torch

        noise = self._folded(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
        return self._uncovered(unet, noise, targets, self._timesteps(steps))

    def purified(
        self, unet: nn.Module, images: Tensor, targets: np.ndarray | None, start: float, steps: int, seed: int
    ) -> np.ndarray:
        """Images that are covered up to a step, and uncovered from there.

        Args:
            unet, targets, seed: As for `drawn`.
            images: uint8 [n, size, size, channels].
            start: Where on the way to pure noise to turn, from 0 to 1.
            steps: Of the whole way; the share `start` of them is walked.

        Returns:
            uint8, of the images' shape.
        """
        import torch

        timesteps = self._timesteps(steps)
        timesteps = timesteps[timesteps < start * self.scheduler.config.num_train_timesteps]
        if not len(timesteps):
            return images.numpy()
        x = self._folded(2 * seen(images) - 1)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        covered = self.scheduler.add_noise(x, noise, timesteps[:1].expand(len(x)))
        return self._uncovered(unet, covered, targets, timesteps)

    def _timesteps(self, steps: int) -> Tensor:
        """Steps of the process from the noisiest on, spread evenly, int64."""
        import torch

        last = self.scheduler.config.num_train_timesteps - 1
        return torch.linspace(last, 0, min(steps, last + 1)).round().long()

    def _uncovered(self, unet: nn.Module, x: Tensor, targets: np.ndarray | None, timesteps: Tensor) -> np.ndarray:
        import torch

        kept = self.scheduler.alphas_cumprod.double()
        parts = []
        unet.eval()
        with torch.inference_mode():
            for rows in torch.arange(len(x)).split(_AT_ONCE):
                part = x[rows].to(device())
                told = None if targets is None else torch.as_tensor(targets)[rows].to(device())
                for step, after in zip(timesteps, [*timesteps[1:], None], strict=True):
                    each = step.expand(len(part)).to(device())
                    image, noise = self._parted(self._answer(unet, part, each, told), part, float(kept[step]))
                    left = 1.0 if after is None else float(kept[after])
                    part = left**0.5 * image + (1 - left) ** 0.5 * noise
                parts.append(self._levels(part))
        return np.concatenate(parts)

    def _parted(self, answer: Tensor, x: Tensor, left: float) -> tuple[Tensor, Tensor]:
        """The image and the noise that the UNet's answer says x is made of."""
        image, noise = answer, answer
        kind = self.scheduler.config.prediction_type
        if kind == "epsilon":
            image = (x - (1 - left) ** 0.5 * noise) / max(left, 1e-8) ** 0.5
        elif kind == "v_prediction":
            image = left**0.5 * x - (1 - left) ** 0.5 * answer
        image = image.clamp(-1, 1)
        return image, (x - left**0.5 * image) / max(1 - left, 1e-8) ** 0.5

    def _answer(self, unet: nn.Module, x: Tensor, steps: Tensor, targets: Tensor | None) -> Tensor:
        return unet(x, steps, class_labels=targets).sample if self.classes else unet(x, steps).sample

    def _folded(self, x: Tensor) -> Tensor:
        from torch.nn.functional import pixel_unshuffle

        return pixel_unshuffle(x, self.patch)

    def _levels(self, x: Tensor) -> np.ndarray:
        from torch.nn.functional import pixel_shuffle

        levels = (pixel_shuffle(x, self.patch) + 1) * 127.5
        return levels.clamp(0, 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def small(size: int, num_classes: int | None) -> tuple[Diffusion, Callable[[], nn.Module]]:
    """A small UNet that knows nothing, 160,000 weights, and its process.

    Args:
        size: Pixels per side of the images.
        num_classes: How many classes it is told; None for none.

    Raises:
        ImportError: diffusers is not installed.
        ValueError: Images of this size cannot be halved as often as the UNet does.
    """
    require("diffusion", "diffusers")
    from diffusers import DDPMScheduler

    check_size(size, _PATCH * 2 ** (len(_WIDTHS) - 1))
    config: dict[str, Any] = {
        "sample_size": size // _PATCH, "in_channels": 3 * _PATCH**2, "out_channels": 3 * _PATCH**2,
        "layers_per_block": 1, "block_out_channels": _WIDTHS, "norm_num_groups": 8, "add_attention": False,
        "down_block_types": ["DownBlock2D"] * len(_WIDTHS), "up_block_types": ["UpBlock2D"] * len(_WIDTHS),
        "num_class_embeds": num_classes,
    }  # fmt: skip
    scheduler = DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2", prediction_type="sample")
    return Diffusion(scheduler, _PATCH, num_classes is not None), partial(_unet, config)


def _unet(config: dict[str, Any]) -> Any:
    from diffusers import UNet2DModel

    return UNet2DModel(**config)


def pretrained(folder: str | os.PathLike, size: int, num_classes: int | None) -> tuple[Diffusion, Any]:
    """The UNet and the process of a pipeline, such as a `DDPMPipeline`; its classes, if it has some, are not kept.

    Args:
        folder: Id on the Hub or folder of a pipeline of a `UNet2DModel` and a scheduler.
        size, num_classes: As for `small`.

    Raises:
        ImportError: diffusers is not installed.
        OSError: It holds no such UNet, or no scheduler.
        ValueError: As for `small`.
    """
    require("diffusion", "diffusers")
    from diffusers import DDPMScheduler, UNet2DModel

    unet = _part(UNet2DModel, folder, "unet")
    scheduler = _part(DDPMScheduler, folder, "scheduler")
    check_size(size, 2 ** (len(unet.config.block_out_channels) - 1))
    if unet.config.in_channels != 3 or unet.config.out_channels != 3:
        raise OSError(f"{folder} holds a UNet of {unet.config.in_channels} channels, not of RGB images: give another.")

    def build() -> nn.Module:
        fresh: Any = UNet2DModel.from_config(
            {**unet.config, "num_class_embeds": num_classes, "class_embed_type": None}
        )
        weights = {name: value for name, value in unet.state_dict().items() if not name.startswith("class_embedding")}
        fresh.load_state_dict(weights, strict=False)
        return fresh

    return Diffusion(scheduler, classes=num_classes is not None), build


def adapted(build: Callable[[], nn.Module], rank: int) -> Callable[[], nn.Module]:
    """Builds a UNet whose weights stay as they are: LoRA in every convolution and linear layer learns in their place.

    The embedding of the classes, which is new, learns whole.

    Args:
        build: Of `pretrained`.
        rank: Of the added matrices, 1 or more.

    Raises:
        ImportError: peft is not installed.
        ValueError: There is no such rank.
    """
    require("diffusion", "peft")
    if rank < 1:
        raise ValueError(f"lora_rank is {rank}, but it starts at 1. None fine-tunes all weights.")

    def built() -> nn.Module:
        from peft import LoraConfig, get_peft_model
        from torch import nn

        unet: Any = build()
        layers = [name for name, layer in unet.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
        new = ["class_embedding"] if unet.config.num_class_embeds else None
        return get_peft_model(
            unet, LoraConfig(r=rank, lora_alpha=rank, target_modules=layers, modules_to_save=new)
        )  # fmt: skip

    return built


def own_size(folder: str | os.PathLike) -> int:
    """Pixels per side of the images that the UNet of a pipeline was trained on; raises as `pretrained`."""
    require("diffusion", "diffusers")
    from diffusers import UNet2DModel

    size = _part(UNet2DModel, folder, "unet").config.sample_size
    if not isinstance(size, int):
        raise OSError(f"The UNet of {folder} names no size of its images: set image_size.")
    return size


def _part(kind: Any, folder: str | os.PathLike, name: str) -> Any:
    """A part of a pipeline; an `OSError` says what is missing."""
    try:
        return kind.from_pretrained(str(folder), subfolder=name)
    except (OSError, ValueError) as error:
        where = "" if Path(folder).is_dir() else ", or the Hub cannot be reached"
        raise OSError(
            f"{folder} holds no {name} that can be loaded{where}: give the id or folder of a whole pipeline of an "
            "unconditional UNet2DModel, as DDPMPipeline.save_pretrained writes it."
        ) from error


def check_size(size: int, multiple: int) -> None:
    """Raises a ValueError for images of a size that a UNet cannot halve as often as it does."""
    if size % multiple or size < multiple:
        raise ValueError(
            f"The images have {size} pixels per side, and the UNet halves them until {multiple} pixels are one: set "
            f"image_size to a multiple of {multiple}, such as {max(1, math.ceil(size / multiple)) * multiple}."
        )


def trained_ddpm(
    made: tuple[Diffusion, Callable[[], nn.Module]], images: Tensor, targets: np.ndarray | None,
    training: ImageTraining, then: Callable[[nn.Module], Any],
) -> Any:  # fmt: skip
    """What `then` makes of the UNet after its training.

    Args:
        made: Of `small` or `pretrained`.
        images: uint8 [n, size, size, 3], at least one.
        targets: Class indices [n]; None where the UNet is told no class.
        training: How to train, with Adam: the learning rate rises for a tenth of the steps and then falls to nothing.
        then: From the UNet.

    Raises:
        FloatingPointError: The training diverged.
    """
    import torch

    from hf_unlearnable.image.learning.views import crop_and_flip

    diffusion, build = made
    images = images.to(device())
    labels = None if targets is None else torch.as_tensor(targets, device=device())

    def scored(unet: nn.Module, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        batch = seen(images[rows.to(images.device)])
        batch = crop_and_flip(batch, generator) if training.augment else batch
        own = None if labels is None else labels[rows.to(labels.device)]
        return diffusion.loss(unet, batch, own, generator), rows

    return trained(
        build, training, len(images), batches=shuffled(len(images), training.batch_size), scored=scored,
        loss=lambda error, _: error,
        optimizer=partial(torch.optim.Adam, lr=training.learning_rate),
        schedule=lambda optimizer, steps: torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_rate, steps)),
        predicted=then, largest_norm=1.0,
    )  # fmt: skip


def _rate(steps: int, step: int) -> float:
    """The learning rate at a step, as a share of its peak."""
    warm = max(1, steps // 10)
    return min((step + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * max(0, step - warm) / max(1, steps - warm)))
