"""Four families of classifiers at 32 pixels, small enough for a CPU: does noise of one surrogate reach the others?

Each takes images [n, 3, height, width] in [0, 1] and gives logits [n, num_classes].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def small_vgg(num_classes: int, width: int = 16) -> nn.Module:
    """Pairs of 3x3 convolutions between maxima, then two linear layers (VGG, arXiv:1409.1556; 89,000 weights).

    Args:
        num_classes: How many classes.
        width: Channels of the first pair; each further pair has twice as many.
    """
    from torch import nn

    layers: list[nn.Module] = []
    inputs = 3
    for outputs in (width, 2 * width, 4 * width):
        for _ in range(2):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    head = [nn.Linear(4 * inputs, 4 * width), nn.ReLU(), nn.Linear(4 * width, num_classes)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), *head)


def small_resnet(num_classes: int, width: int = 16) -> nn.Module:
    """The ResNet of 8 layers for CIFAR-10: three stages of one block (arXiv:1512.03385; 78,000 weights).

    Args:
        num_classes: How many classes.
        width: Channels of the first stage; each further stage has twice as many.
    """
    from hf_unlearnable.image.learning.surrogate import residual_network

    return residual_network(num_classes, ((width, 1), (2 * width, 2), (4 * width, 2)), blocks=1)


def small_densenet(num_classes: int, growth: int = 8, layers: int = 4) -> nn.Module:
    """Three blocks in which every layer sees all earlier ones (DenseNet, arXiv:1608.06993; 35,000 weights).

    Args:
        num_classes: How many classes.
        growth: Channels that each layer adds.
        layers: Of a block.
    """
    import torch
    from torch import nn

    class Dense(nn.Module):
        def __init__(self, inputs: int):
            super().__init__()
            convolution = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)
            self.added = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), convolution)

        def forward(self, x):
            return torch.cat([x, self.added(x)], 1)

    parts: list[nn.Module] = [nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False)]
    channels = 2 * growth
    for block in range(3):
        parts += [Dense(channels + growth * layer) for layer in range(layers)]
        channels += growth * layers
        parts += [nn.BatchNorm2d(channels), nn.ReLU()]
        if block < 2:
            parts += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


def small_vit(num_classes: int, width: int = 64, depth: int = 4, patch: int = 4) -> nn.Module:
    """A vision transformer on patches of 4 pixels, with sine positions (arXiv:2010.11929; 138,000 weights).

    Args:
        num_classes: How many classes.
        width: Of a patch's vector.
        depth: Layers.
        patch: Pixels a side.
    """
    import torch
    from torch import nn

    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Conv2d(3, width, patch, stride=patch)

        def forward(self, x):
            found = self.embed(x)
            return found.flatten(2).transpose(1, 2) + positions(*found.shape[2:], width).to(found)

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(1)

    def positions(rows: int, columns: int, size: int) -> torch.Tensor:
        rates = torch.exp(torch.arange(size // 4) * (-9.2 / (size // 4 - 1)))  # wavelengths up to 10,000 patches
        waves = [torch.arange(count)[:, None] * rates for count in (rows, columns)]
        down, across = (torch.cat([wave.sin(), wave.cos()], 1) for wave in waves)
        both = [down[:, None].expand(-1, columns, -1), across[None].expand(rows, -1, -1)]
        return torch.cat(both, -1).flatten(0, 1)

    layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)
    return nn.Sequential(Patches(), encoder, Mean(), nn.Linear(width, num_classes))
