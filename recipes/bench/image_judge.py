# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""What protection costs whoever looks at the images: does a model that knows CIFAR-10 still recognise them?

    python recipes/bench/image_judge.py --config recipes/configs/image_attack.yaml --weights model.safetensors

The judge is a ResNet of three stages (16, 32, 64 channels, shortcuts without weights), as published for CIFAR-10, that
was trained on the clean images and plays no part in any attack. Prints its accuracy on each version of the training
rows, the PSNR and the largest change of a level.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
import yaml
from datasets import disable_progress_bars, load_dataset
from drawn import sample
from protection import version
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from hf_unlearnable.image.fidelity import image_fidelity

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what the weights were trained with


class Block(nn.Module):
    """Two convolutions; where the resolution halves, the shortcut is every other pixel, padded with zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        """From [n, inputs, height, width] to [n, outputs, height / stride, width / stride]."""
        shortcut = pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        return relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))) + shortcut)


class Judge(nn.Module):
    """The ResNet whose weights are in a file, as deep as they are."""

    def __init__(self, weights: Path):
        super().__init__()
        state = {name.removeprefix("module."): value for name, value in load_file(weights).items()}
        depth = len({name.split(".")[1] for name in state if name.startswith("layer1.")})
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        for number, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
            blocks = [Block(inputs if i == 0 else outputs, outputs, 1 + (i == 0 and number > 1)) for i in range(depth)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)
        self.load_state_dict(state)
        self.eval()

    @torch.inference_mode()
    def predict(self, levels: np.ndarray) -> np.ndarray:
        """Classes of images, uint8 [n, 32, 32, 3]."""
        found = []
        for part in torch.from_numpy(levels).split(250):
            x = part.permute(0, 3, 1, 2).float() / 255
            x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
            x = relu(self.bn1(self.conv1(x)))
            x = self.layer3(self.layer2(self.layer1(x)))
            found.append(self.linear(x.mean((2, 3))).argmax(1))
        return torch.cat(found).numpy()


def main() -> None:
    """Prints a line a version."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--store", default="cells", help="folder where protected versions are kept")
    arguments = parser.parse_args()
    disable_progress_bars()
    config = yaml.safe_load(Path(arguments.config).read_text(encoding="utf-8"))
    judge = Judge(arguments.weights)
    for name, settings in config["datasets"].items():
        file = str(Path(arguments.data, name, "train.parquet"))
        train = load_dataset("parquet", data_files=file, split="train")
        if "classes" in config:
            train = train.select(np.flatnonzero(np.isin(train["label"][:], config["classes"])))
        rows = sample(train, next(iter(settings["victims"].values()))["rows"])
        print(f"{name}\n| version | recognised, % | PSNR, dB | largest change |\n|---|---|---|---|")
        for key, parameters in config["versions"].items():
            if parameters == "dropped":
                continue
            made = version(key, parameters, rows, rows, Path(arguments.store, "versions"), []).rows
            made = made(0) if callable(made) else made
            right = judge.predict(np.stack([np.asarray(image) for image in made["image"]])) == np.array(made["label"])
            change = "|  |" if made is rows else "| {0.psnr:.1f} | {0.max_change} |".format(image_fidelity(rows, made))
            print(f"| {key} | {100 * right.mean():.1f} {change}", flush=True)


if __name__ == "__main__":
    main()
