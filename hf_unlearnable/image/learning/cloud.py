"""A surrogate and noisy copies of it, that answer in one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class Cloud:
    """Answers of a model and of copies of it whose weights are shaken.

    Copies come in pairs: what is added to every parameter of one is taken from the other. The standard deviation rises
    from pair to pair in equal steps. Every call draws anew.

    Args:
        model: The middle of the cloud. In training mode the means of the copies' batch norms become its own.
        sigma: Standard deviation of the last pair.
        num_pairs: How many pairs.
        generator: On the CPU, so that every device meets the same draws.
    """

    def __init__(self, model: nn.Module, sigma: float, num_pairs: int, generator: torch.Generator):
        import torch

        self.model, self.generator, self.num_pairs = model, generator, num_pairs
        self.levels = sigma * torch.arange(1, num_pairs + 1) / num_pairs
        self.copies = 1 + 2 * num_pairs

    def __call__(self, images: Tensor) -> Tensor:
        """The logits of all copies.

        Args:
            images: [copies * n, channels, height, width], those of one copy after those of another.

        Returns:
            [copies * n, classes], in that order.
        """
        import torch
        from torch.func import functional_call, vmap

        model, training = self.model, self.model.training
        weights = {name: self._shaken(value) for name, value in model.named_parameters()}
        buffers = dict(model.named_buffers())
        if training:  # each copy keeps statistics of its own
            buffers = {name: value.expand(self.copies, *value.shape).clone() for name, value in buffers.items()}
        answer = vmap(
            lambda weights, buffers, part: functional_call(model, (weights, buffers), (part,)),
            in_dims=(0, 0 if training else None, 0), randomness="different",
        )  # fmt: skip
        logits = answer(weights, buffers, images.unflatten(0, (self.copies, -1))).flatten(0, 1)
        if training:
            with torch.no_grad():
                for name, value in model.named_buffers():
                    value.copy_(buffers[name].mean(0) if value.is_floating_point() else buffers[name][0])
        return logits

    def _shaken(self, value: Tensor) -> Tensor:
        """A parameter of all copies: as it is, then in pairs, [copies, ...]."""
        import torch

        drawn = torch.randn(self.num_pairs, *value.shape, generator=self.generator)
        drawn = (drawn * self.levels.view(-1, *(1,) * value.ndim)).to(value.device)
        return value + torch.cat([torch.zeros_like(value)[None], drawn, -drawn])
