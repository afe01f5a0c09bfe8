"""What a surrogate's last layer reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hf_unlearnable.learning.pgd import frozen

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hf_unlearnable.image.learning.rounds import NoiseLearner


def headless(model: nn.Module) -> nn.Module:
    """A frozen copy of a model without its last linear layer: from images to the features that this layer reads.

    Raises:
        ValueError: The model has no linear layer.
    """
    from torch import nn

    copy = frozen(model)
    linear = [name for name, module in copy.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError("The surrogate has no linear layer, whose input would be its features. Give another one.")
    copy.set_submodule(linear[-1], nn.Identity())
    return copy


def features_of(learner: NoiseLearner, model: nn.Module) -> Tensor:
    """The features of every image of this process with its noise, [images, features], by a `headless` model."""
    import torch

    batches = learner.batches()
    with torch.no_grad():
        found = torch.cat([model(learner.seen(rows)[0]) for rows in batches])
    return torch.empty_like(found).index_copy_(0, torch.cat(batches).to(found.device), found)
