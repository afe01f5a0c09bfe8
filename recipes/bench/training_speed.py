# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""Training the small CNN: what would make it faster, against today's in one run, and what the hardware forbids.

    python recipes/bench/training_speed.py
    python recipes/bench/training_speed.py --batch 128 --repeats 40 --output recipes/bench/training_speed.jsonl

A step is that of the victim: a batch of random images of CIFAR's size, cropped and mirrored, forward, backward, the
norm of the gradient, SGD. Every way takes its turn in each repetition; processor time of one core, medians. The ways:

- `contiguous`: channels first in memory, as PyTorch does when nothing is said; today's has them last.
- `bf16`: the victim's setting of that name.
- `fused`: SGD in one kernel.
- `no augmentation`: what batches that are cropped once and kept would save.
- `several`: three victims that see the same batches, by `vmap` over their weights, per victim.

Beside the ways stand what decoding an image as JPEG takes, once per training, and the roofline: the convolutions'
additions and multiplications of an image by the rate of a matrix product of that shape, in float32 and in bf16.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from hf_unlearnable.image.learning.surrogate import image_classifier
from hf_unlearnable.image.learning.views import crop_and_flip
from hf_unlearnable.image.victims.training import rgb, seen
from hf_unlearnable.learning.precision import mixed_precision

CLASSES, SIDE, VICTIMS = 5, 32, 3
PASSES = 3  # a forward pass, and the gradients of inputs and of weights, each as many multiplications


class Step:
    """A network and its optimizer, and one step of both.

    Args:
        batch: Images per step.
        layout: Of images and weights in memory.
        bf16: Whether the network answers in bf16.
        fused: Whether SGD is one kernel.
        augment: Whether images are cropped and mirrored.
    """

    def __init__(
        self, batch: int, layout: torch.memory_format = torch.channels_last, *, bf16: bool = False,
        fused: bool = False, augment: bool = True,
    ):  # fmt: skip
        torch.manual_seed(0)
        self.generator, self.layout, self.augment = torch.Generator().manual_seed(0), layout, augment
        self.levels = torch.randint(0, 256, (batch, SIDE, SIDE, 3), dtype=torch.uint8)
        self.labels = torch.randint(0, CLASSES, (batch,))
        self.model = image_classifier("small_cnn", CLASSES).to(memory_format=layout).train()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, fused=fused or None
        )
        self.precision: Callable[..., Any] = (
            mixed_precision(torch.device("cpu")) if bf16 else partial(torch.autocast, "cpu", enabled=False)
        )

    def images(self) -> Tensor:
        """The batch as the network meets it."""
        images = seen(self.levels)
        if self.augment:
            images = crop_and_flip(images, self.generator)
        return images.contiguous(memory_format=self.layout)

    def __call__(self) -> None:
        images = self.images()
        with self.precision():
            scores = self.model(images)
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(scores.float(), self.labels).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()


class Several(Step):
    """The gradients of `VICTIMS` networks on one batch, as one computation, without their optimizers."""

    def __init__(self, batch: int):
        super().__init__(batch)
        networks = [image_classifier("small_cnn", CLASSES).train() for _ in range(VICTIMS)]
        self.weights, self.buffers = stack_module_state(networks)
        bare = deepcopy(networks[0]).to("meta")

        def loss(weights: dict, buffers: dict, images: Tensor) -> Tensor:
            return nn.functional.cross_entropy(functional_call(bare, (weights, buffers), (images,)), self.labels)

        self.gradients = vmap(grad(loss), in_dims=(0, 0, None))

    def __call__(self) -> None:
        self.gradients(self.weights, self.buffers, self.images())


def seconds(call: Callable[[], Any]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def convolutions(model: nn.Module) -> int:
    """Floating-point operations that the convolutions of a network take to train on one image."""
    counted: list[int] = []

    def count(layer: Any, _: Any, output: Tensor) -> None:
        counted.append(2 * layer.weight.numel() * output.shape[2] * output.shape[3])

    hooks = [layer.register_forward_hook(count) for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    with torch.inference_mode():
        model(torch.zeros(1, 3, SIDE, SIDE))
    for hook in hooks:
        hook.remove()
    return PASSES * sum(counted) - counted[0]  # nobody asks for the gradient of the image


def rate(dtype: torch.dtype, repeats: int) -> float:
    """Floating-point operations per second of a matrix product that has the shape of the network's largest layers."""
    rows, inner, columns = 2048, 576, 128
    one, other = torch.rand(rows, inner).to(dtype), torch.rand(inner, columns).to(dtype)
    return 2 * rows * inner * columns / min(seconds(lambda: one @ other) for _ in range(max(3, repeats)))


def decoding(count: int) -> float:
    """Seconds to open a JPEG of this size."""
    files = []
    for levels in np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8):
        file = io.BytesIO()
        Image.fromarray(levels).save(file, "JPEG")
        files.append(file)
    return seconds(lambda: rgb([Image.open(file) for file in files], SIDE)) / count


def measured(batch: int, repeats: int) -> dict[str, Any]:
    """What each way takes per image and victim, in milliseconds, and how many times as fast as today it is."""
    ways: dict[str, Step] = {
        "today": Step(batch), "contiguous": Step(batch, torch.contiguous_format), "bf16": Step(batch, bf16=True),
        "fused": Step(batch, fused=True), "no augmentation": Step(batch, augment=False), "several": Several(batch),
    }  # fmt: skip
    took: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(repeats):
        for name, way in ways.items():
            took[name].append(seconds(way) / batch / (VICTIMS if isinstance(way, Several) else 1))
    middle = {name: statistics.median(times) for name, times in took.items()}
    work = convolutions(ways["today"].model)
    floors = {
        str(dtype).removeprefix("torch."): work / rate(dtype, repeats) for dtype in (torch.float32, torch.bfloat16)
    }
    return {
        "batch": batch, "repeats": repeats,
        "milliseconds": {name: round(1e3 * one, 3) for name, one in middle.items()},
        "times_as_fast": {name: round(middle["today"] / one, 2) for name, one in middle.items()},
        "decoding": round(1e3 * decoding(200), 3),
        "roofline": {name: round(1e3 * floor, 3) for name, floor in floors.items()},
    }  # fmt: skip


def main() -> None:
    """Measures all ways and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--output", help="append a JSON line here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measured(arguments.batch, arguments.repeats)
    print(json.dumps(found, indent=1))
    if arguments.output:
        with Path(arguments.output).open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
