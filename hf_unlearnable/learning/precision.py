"""In which precision a surrogate answers, and whether it is compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import torch
    from torch import Tensor, nn


def mixed_precision(device: torch.device) -> Callable[[], AbstractContextManager]:
    """Mixed precision in bf16 where the device has instructions for it: of a gradient, only the signs are needed."""
    import torch

    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        tell: Callable[[], dict] = getattr(torch.cpu, "get_capabilities", dict)  # older torch cannot tell
        able = tell().get("avx512_bf16", False)
    return partial(torch.autocast, device.type, torch.bfloat16, enabled=able)


def compiled(accelerator: Any) -> Callable[[nn.Module, Tensor], Tensor]:
    """A model's answer to its input, compiled where `accelerate launch --dynamo_backend` asks for it."""
    import torch

    plugin = getattr(getattr(accelerator, "state", None), "dynamo_plugin", None)
    if plugin is None or plugin.backend.value == "NO":
        return _answer
    return torch.compile(_answer, **plugin.to_kwargs())


def _answer(model: nn.Module, images: Tensor) -> Tensor:
    return model(images)
