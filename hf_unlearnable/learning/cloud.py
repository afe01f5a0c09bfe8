"""A surrogate and noisy copies of it, that answer one batch."""

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
        in_turn: Whether the copies answer one after the other, and not by `vmap`; None for a model on the CPU, whose
            grouped convolutions take four times as long.
    """

    def __init__(
        self, model: nn.Module, sigma: float, num_pairs: int, generator: torch.Generator, in_turn: bool | None = None
    ):
        import torch

        self.model, self.generator, self.num_pairs = model, generator, num_pairs
        self.in_turn = next(model.parameters()).device.type == "cpu" if in_turn is None else in_turn
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

        def answer(state: dict[str, Tensor], part: Tensor) -> Tensor:
            return functional_call(self.model, state, (part,))

        state = {name: self._shaken(value) for name, value in self.model.named_parameters()}
        # Each copy keeps statistics of its own.
        state |= {name: value.repeat(self.copies, *(1,) * value.ndim) for name, value in self.model.named_buffers()}
        parts = images.unflatten(0, (self.copies, -1))
        if self.in_turn:
            each = ({name: value[i] for name, value in state.items()} for i in range(self.copies))
            logits = torch.stack([answer(one, part) for one, part in zip(each, parts, strict=True)])
        else:
            logits = vmap(answer, randomness="different")(state, parts)
        if self.model.training:
            for name, value in self.model.named_buffers():
                value.copy_(state[name].mean(0) if value.is_floating_point() else state[name][0])
        return logits.flatten(0, 1)

    def _shaken(self, value: Tensor) -> Tensor:
        """A parameter of all copies: as it is, then in pairs, [copies, ...]."""
        import torch

        drawn = torch.randn(self.num_pairs, *value.shape, generator=self.generator)
        drawn = (drawn * self.levels.view(-1, *(1,) * value.ndim)).to(value.device)
        return value + torch.cat([torch.zeros_like(value)[None], drawn, -drawn])
