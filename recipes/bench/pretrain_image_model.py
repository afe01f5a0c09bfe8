# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""A small pretrained image model for the attack on pretrained features, where the Hub's are too large or out of reach.

    python recipes/bench/pretrain_image_model.py --output ../pretrained_0_to_4 --classes 0 1 2 3 4

It learns some classes of a dataset, so that a victim can start from it on the others: a ResNet (He et al., CVPR 2016,
arXiv:1512.03385) of three stages with one block each. Its ImageNet stem halves an image twice before the first block;
the saved processor therefore asks for 64 pixels, and a 32-pixel image loses next to nothing. `AutoImageProcessor` and
`AutoModelForImageClassification` load the folder.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from datasets import disable_progress_bars, load_dataset
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from hf_unlearnable.image.learning.views import crop_and_flip, resize

logger = logging.getLogger("pretrain_image_model")

SIZE = 64  # pixels a side that the model sees
MEAN, STD = [0.49, 0.48, 0.45], [0.25, 0.24, 0.26]  # of CIFAR-10's levels, in [0, 1]


def images_of(path: Path, classes: list[int], rows: int | None, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of some classes of a Parquet file, all of one size.

    Args:
        path: The file, with columns image and label.
        classes: Labels to keep; their order numbers them from 0.
        rows: How many at most, drawn at random; None for all.
        seed: Decides which.

    Returns:
        uint8 [n, 3, height, width] and class indices [n].
    """
    table = load_dataset("parquet", data_files=str(path), split="train")
    kept = np.flatnonzero(np.isin(table["label"][:], classes))
    kept = np.random.default_rng(seed).permutation(kept)[:rows]
    chosen = table.select(kept.tolist())
    levels = np.stack([np.asarray(image.convert("RGB")) for image in chosen["image"]])
    targets = [classes.index(label) for label in chosen["label"]]
    return torch.from_numpy(levels).permute(0, 3, 1, 2), torch.tensor(targets)


def main() -> None:
    """Trains, tests and saves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder of the model")
    parser.add_argument("--data", default="../shared/data/cifar10_jpeg", help="folder of train.parquet, test.parquet")
    parser.add_argument("--classes", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--rows", type=int, help="training images (default: all of these classes)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=0.1, help="peak of the one-cycle schedule")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
    disable_progress_bars()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    train, test = (
        images_of(Path(arguments.data, f"{split}.parquet"), arguments.classes, rows, arguments.seed)
        for split, rows in (("train", arguments.rows), ("test", None))
    )
    torch.manual_seed(arguments.seed)
    random = torch.Generator().manual_seed(arguments.seed)
    config = ResNetConfig(
        embedding_size=32, hidden_sizes=[32, 64, 128], depths=[1, 1, 1], layer_type="basic",
        num_labels=len(arguments.classes),
    )  # fmt: skip
    model = ResNetForImageClassification(config).to(device, memory_format=torch.channels_last).train()
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (MEAN, STD))

    def logits(levels: torch.Tensor, augment: bool) -> torch.Tensor:
        images = levels.to(device) / 255
        images = resize(crop_and_flip(images, random) if augment else images, SIZE)
        return model(pixel_values=((images - mean) / std).contiguous(memory_format=torch.channels_last)).logits

    images, targets = train
    steps = arguments.epochs * -(-len(images) // 128)
    optimizer = torch.optim.SGD(model.parameters(), arguments.learning_rate, 0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.learning_rate, steps, pct_start=0.2)
    for epoch in range(arguments.epochs):
        losses = []
        for rows in torch.randperm(len(images), generator=random).split(128):
            loss = torch.nn.functional.cross_entropy(logits(images[rows], augment=True), targets[rows].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        logger.info("epoch %d of %d: loss %.3f", epoch + 1, arguments.epochs, np.mean(losses))

    model.eval()
    with torch.inference_mode():
        predicted = torch.cat([logits(part, augment=False).argmax(1).cpu() for part in test[0].split(256)])
    model.save_pretrained(arguments.output)
    processor = ViTImageProcessor(size={"height": SIZE, "width": SIZE}, image_mean=MEAN, image_std=STD)
    processor.save_pretrained(arguments.output)
    accuracy = (predicted == test[1]).float().mean().item()
    print(f"{len(images)} images, {arguments.epochs} epochs: {accuracy:.1%} of {len(test[0])} test images")


if __name__ == "__main__":
    main()
