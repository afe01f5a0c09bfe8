"""The one gradient loop: signed steps on the input of a frozen model (PGD; Madry et al., ICLR 2018, arXiv:1706.06083).

Down the loss it makes noise that leaves a model nothing to learn, up the loss it makes adversarial noise. With x an
image in [0, 1], d its noise, t a random view of the image and s the direction:

    g = grad_d  mean over draws of loss(model(t(x + d)), y)
    d = d + s * step_size * sign(g)
    d = clip(d, -epsilon, epsilon)        # the L-infinity ball
    d = clip(x + d, 0, 1) - x             # and still an image
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

MINIMIZE, MAXIMIZE = -1, 1


def pgd(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    noise: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    step_size: float,
    num_steps: int,
    direction: int = MINIMIZE,
    view: Callable[[Tensor], Tensor] = lambda x: x,
    num_draws: int = 1,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    autocast: Callable[[], Any] = nullcontext,
) -> tuple[Tensor, Tensor, Tensor]:
    """Signed gradient steps on a batch of one size.

    Args:
        model: From what `view` returns to logits [n, classes], with frozen parameters: only the input's gradient is
            computed.
        images: Float [n, channels, height, width] in [0, 1].
        noise: Where to start, the same shape.
        labels: Class indices [n], or probabilities [n, classes]; what `loss` takes, where one is given.
        epsilon: Largest change of a value, in [0, 1].
        step_size: Change of a value in one step, in [0, 1].
        num_steps: How many steps.
        direction: MINIMIZE or MAXIMIZE the loss.
        view: What the model sees of an image: a resize, a random augmentation. Differentiable.
        num_draws: Views a step whose gradients are averaged, in one batch.
        loss: From what the model answers and `labels` to the sum over the batch; None for the cross-entropy.
        autocast: Context in which the model runs.

    Returns:
        The noise, its mean loss and its number of correct answers, both as the last step met them, before it moved.
    """
    import torch
    from torch.nn.functional import cross_entropy

    targets = labels.repeat(num_draws, *(1,) * (labels.ndim - 1))
    wanted = targets if targets.ndim == 1 else targets.argmax(1)
    mean_loss = correct = torch.zeros((), device=images.device)
    for _ in range(num_steps):
        noise = noise.detach().requires_grad_()
        with autocast():
            logits = model(view((images + noise).repeat(num_draws, 1, 1, 1)))
        total = (loss or partial(cross_entropy, reduction="sum"))(logits.float(), targets)
        (gradient,) = torch.autograd.grad(total, noise)
        with torch.no_grad():
            mean_loss, correct = total / len(targets), (logits.argmax(1) == wanted).sum() / num_draws
            noise = project(noise + direction * step_size * gradient.sign(), images, epsilon)
    return noise.detach(), mean_loss.detach(), correct


def project(noise: Tensor, images: Tensor, epsilon: float) -> Tensor:
    """The nearest noise within `epsilon` that leaves `images + noise` in [0, 1]."""
    return (images + noise.clamp(-epsilon, epsilon)).clamp(0, 1) - images


def frozen(model: nn.Module) -> nn.Module:
    """A copy of the model to compute input gradients on: it predicts, and its weights have no gradients.

    A batch norm that follows its convolution in an `nn.Sequential` becomes part of it, which changes rounding only and
    saves half of the time that is not the convolutions'.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    copy = deepcopy(model).eval()
    for layers in [module for module in copy.modules() if isinstance(module, nn.Sequential)]:
        for i, (layer, after) in enumerate(pairwise(layers)):
            if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d) and after.track_running_stats:
                layers[i], layers[i + 1] = fuse_conv_bn_eval(layer, after), nn.Identity()
    return copy.requires_grad_(False)


def crop_and_flip(images: Tensor, generator: torch.Generator, padding: int | None = None) -> Tensor:
    """Each image shifted by up to `padding` pixels (an eighth of its width unless told) and half of them mirrored.

    Differentiable. The draws come from a generator on the CPU, so that every device meets the same ones.
    """
    import torch
    from torch.nn.functional import pad

    n, _, height, width = images.shape
    padding = width // 8 if padding is None else padding
    down, right = (torch.randint(0, 2 * padding + 1, (n, 1), generator=generator) for _ in range(2))
    mirrored = torch.rand(n, 1, generator=generator) < 0.5
    rows, columns = down + torch.arange(height), right + torch.arange(width)
    columns = torch.where(mirrored, columns.flip(1), columns)
    each = torch.arange(n)[:, None, None].to(images.device)
    rows, columns = rows[:, :, None].to(images.device), columns[:, None, :].to(images.device)
    return pad(images, (padding,) * 4)[each, :, rows, columns].movedim(3, 1)


def resize(images: Tensor, size: int) -> Tensor:
    """Images as a surrogate of `size` by `size` pixels in three channels sees them. Differentiable."""
    from torch.nn.functional import interpolate

    if images.shape[-2:] != (size, size):
        images = interpolate(images, (size, size), mode="bilinear", antialias=True)
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
