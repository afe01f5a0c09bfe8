# /// script
# dependencies = ["hf-unlearnable[image]"]
# ///
"""Error-minimising noise: our loop against the way the published code works, at equal passes, in one run.

    python recipes/bench/error_min_speed.py                    # embedded random images of CIFAR's size
    python recipes/bench/error_min_speed.py --rows 2048 --surrogate tiny_cnn

One round of the published schedule (10 steps of the surrogate, 20 of the noise) over the same images with the same
surrogate, on one core. The published code's way, in our words: every image is opened and turned into a tensor by
itself, the noise of a batch is put together image by image through numpy, every step of the noise makes an optimizer,
batches hold 512 images, and the stop check is a pass of its own. Then what is not the network: putting together the
batches of one pass. Medians of several repetitions; ratios only, since machines differ. The
published way computes in full precision; ours takes bf16 for the noise where the CPU has it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from hf_unlearnable.image.codec import Picture
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.image.learning.surrogate import image_classifier
from hf_unlearnable.learning.round import Round

EPSILON, STEP, BATCH = 8 / 255, 0.8 / 255, 512


class Reference:
    """The published code's way: one image at a time."""

    def __init__(self, levels: np.ndarray, labels: np.ndarray, surrogate: str):
        self.levels, self.labels = levels, labels
        self.noise = torch.zeros(len(levels), 3, 32, 32)
        torch.manual_seed(0)
        self.model = image_classifier(surrogate, 10).to(memory_format=torch.contiguous_format)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)

    def batches(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Opened image by image, as a torchvision dataset with `ToTensor` does."""
        for start in range(0, len(self.levels), BATCH):
            images = []
            for one in self.levels[start : start + BATCH]:
                opened = Image.fromarray(one)
                tensor = torch.from_numpy(np.array(opened, np.uint8, copy=True)).view(32, 32, 3)
                images.append(tensor.permute(2, 0, 1).contiguous().float().div(255))
            yield torch.stack(images), torch.tensor(self.labels[start : start + BATCH]), start

    def gathered(self, start: int, count: int) -> Tensor:
        """The noise of a batch, each image's patched into a mask of its own."""
        parts = []
        for i in range(start, start + count):
            mask = np.zeros((3, 32, 32), np.float32)
            mask[:, 0:32, 0:32] = self.noise[i].cpu().numpy()
            parts.append(torch.from_numpy(mask))
        return torch.stack(parts)

    def round(self) -> None:
        """Ten steps of the surrogate, twenty of the noise on every image, and the stop check."""
        self.model.train().requires_grad_(True)
        steps = 0
        while steps < 10:
            for images, labels, start in self.batches():
                if steps == 10:
                    break
                loss = nn.functional.cross_entropy(self.model(images + self.gathered(start, len(images))), labels)
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
                self.optimizer.step()
                steps += 1
        self.model.eval().requires_grad_(False)
        for images, labels, start in self.batches():
            moved = (images + self.gathered(start, len(images))).clamp(0, 1)
            for _ in range(20):
                moved = moved.detach().requires_grad_()
                torch.optim.SGD([moved], lr=1e-3).zero_grad()
                self.model.zero_grad()
                nn.functional.cross_entropy(self.model(moved), labels).backward()
                assert moved.grad is not None
                eta = (moved.detach() - STEP * moved.grad.sign() - images).clamp(-EPSILON, EPSILON)
                moved = (images + eta).clamp(0, 1)
            for i, one in enumerate(eta):
                self.noise[start + i] = one
        for images, _, start in self.batches():
            self.model(images + self.gathered(start, len(images))).argmax(1)

    def assemble(self) -> None:
        """The batches of one pass, without the network."""
        for images, _, start in self.batches():
            images + self.gathered(start, len(images))


class Ours:
    """The same round by `NoiseLearner`."""

    def __init__(self, levels: np.ndarray, labels: np.ndarray, surrogate: str):
        rows = ((Picture(one), int(label), one.tobytes()) for one, label in zip(levels, labels, strict=True))
        self.learner = NoiseLearner(
            rows, seed=0, per_class=False, surrogate=surrogate, image_size=None, batch_size=BATCH,
            noise_batch_size=None, learning_rate=0.1, accelerator=None, checkpoint_dir=None, identity=None,
        )  # fmt: skip

    def round(self) -> None:
        """Ten steps of the surrogate, twenty of the noise on every image; the stop check comes with the last step."""
        self.learner.train(10)
        self.learner.update(Round(0), max_levels=8, step_size=STEP, num_steps=20)

    def assemble(self) -> None:
        """The batches of one pass, without the network."""
        for rows in self.learner.batches():
            self.learner._inputs(rows) + self.learner._noise_of(rows)


def seconds(call: Callable[[], None], repeats: int) -> float:
    """The median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measures both and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--surrogate", default="small_cnn")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", help="append a JSON line here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    levels = random.integers(0, 256, (arguments.rows, 32, 32, 3)).astype(np.uint8)
    labels = random.integers(0, 10, arguments.rows)
    reference, ours = (cls(levels, labels, arguments.surrogate) for cls in (Reference, Ours))
    found = {"rows": arguments.rows, "surrogate": arguments.surrogate, "repeats": arguments.repeats}
    for name in ("round", "assemble"):
        slow, fast = (seconds(getattr(one, name), arguments.repeats) for one in (reference, ours))
        found[name] = round(slow / fast, 2)
        print(f"{name}: {slow:.3f} s against {fast:.3f} s, {slow / fast:.1f} times faster")
    if arguments.output:
        with Path(arguments.output).open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
