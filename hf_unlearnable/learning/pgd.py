"""The one gradient loop: signed steps on the input of a frozen model (PGD; Madry et al., ICLR 2018, arXiv:1706.06083).

Down the loss it makes noise that leaves a model nothing to learn, up the loss it makes adversarial noise. With x an
image in [0, 1], d its noise, t a random view of the image and s the direction:

    g = grad_d  mean over draws of loss(model(t(x + d)), y)
    d = d + s * step_size * sign(g)
    d = clip(d, -epsilon, epsilon)        # the L-infinity ball
    d = clip(x + d, 0, 1) - x             # and still an image

With momentum m (Y. Dong et al., CVPR 2018, arXiv:1710.06081) the sign is that of a sum over the steps so far, to which
each gradient adds by its direction alone: a = m a + g / mean |g|.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

MINIMIZE, MAXIMIZE = -1, 1
_TINY = 1e-30  # a gradient of nothing adds nothing


def pgd(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    noise: Tensor,
    labels: Tensor,
    *,
    epsilon: float | Tensor,
    step_size: float | Tensor,
    num_steps: int,
    direction: int = MINIMIZE,
    view: Callable[[Tensor], Tensor] = lambda x: x,
    num_draws: int = 1,
    momentum: float = 0.0,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    autocast: Callable[[], Any] = nullcontext,
    span: tuple[float, float] = (0.0, 1.0),
) -> tuple[Tensor, Tensor, Tensor]:
    """Signed gradient steps on a batch of one size.

    Args:
        model: From what `view` returns to logits [n, classes], with frozen parameters: only the input's gradient is
            computed.
        images: Float [n, channels, height, width] in [0, 1], or any inputs [n, ...] in `span`.
        noise: Where to start, the same shape.
        labels: Class indices [n], or probabilities [n, classes]; what `loss` takes, where one is given.
        epsilon: Largest change of a value, in [0, 1]; of each input as a tensor [n, 1, ...].
        step_size: Change of a value in one step, likewise.
        num_steps: How many steps.
        direction: MINIMIZE or MAXIMIZE the loss.
        view: What the model sees of an image: a resize, a random augmentation. Differentiable.
        num_draws: Views a step whose gradients are averaged, in one batch.
        momentum: Share of the earlier gradients that stays at each step, from 0 to 1.
        loss: From what the model answers and `labels` to the sum over the batch; None for the cross-entropy.
        autocast: Context in which the model runs.
        span: Least and largest value of an input.

    Returns:
        The noise, its mean loss and its number of correct answers, both as the last step met them, before it moved.
    """
    import torch
    from torch.nn.functional import cross_entropy

    targets = labels.repeat(num_draws, *(1,) * (labels.ndim - 1))
    wanted = targets if targets.ndim == 1 else targets.argmax(1)
    mean_loss = correct = torch.zeros((), device=images.device)
    carried: Any = 0.0
    for _ in range(num_steps):
        noise = noise.detach().requires_grad_()
        with autocast():
            logits = model(view((images + noise).repeat(num_draws, *(1,) * (noise.ndim - 1))))
        total = (loss or partial(cross_entropy, reduction="sum"))(logits.float(), targets)
        (gradient,) = torch.autograd.grad(total, noise)
        with torch.no_grad():
            mean_loss, correct = total / len(targets), (logits.argmax(1) == wanted).sum() / num_draws
            if momentum:
                size = gradient.abs().mean(tuple(range(1, gradient.ndim)), keepdim=True)
                gradient = carried = momentum * carried + gradient / size.clamp_min(_TINY)
            noise = project(noise + direction * step_size * gradient.sign(), images, epsilon, span)
    return noise.detach(), mean_loss.detach(), correct


def project(noise: Tensor, images: Tensor, epsilon: float | Tensor, span: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """The nearest noise within `epsilon` that leaves `images + noise` in `span`."""
    bound: Any = epsilon
    within = noise.clamp(-bound, bound)
    return (images + within).clamp(*span) - images


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
