"""Every protection by name, one line each. The command line, the Space and the contract tests read this table."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from hf_unlearnable.key import Key
    from hf_unlearnable.transform import Transform

METHODS = {
    "regtext": "hf_unlearnable.text.methods.regtext:RegTextTransform",
    "order-code": "hf_unlearnable.text.methods.order_code:OrderCodeTransform",
    "error-min": "hf_unlearnable.image.methods.error_min:ErrorMinTransform",
    "error-min-one-pixel": "hf_unlearnable.image.methods.error_min_one_pixel:ErrorMinOnePixelTransform",
    "stable-error-min": "hf_unlearnable.image.methods.stable_error_min:StableErrorMinTransform",
    "error-max": "hf_unlearnable.image.methods.error_max:ErrorMaxTransform",
    "texture": "hf_unlearnable.image.methods.texture:TextureTransform",
    "convolution": "hf_unlearnable.image.methods.convolution:ConvolutionTransform",
    "one-pixel": "hf_unlearnable.image.methods.one_pixel:OnePixelTransform",
    "linear-separable": "hf_unlearnable.image.methods.linear_separable:LinearSeparableTransform",
    "linearization": "hf_unlearnable.image.methods.linearization:LinearizationTransform",
    "random-noise": "hf_unlearnable.image.methods.random_noise:RandomNoiseTransform",
}


def method_class(name: str) -> type[Transform]:
    """The class registered under `name`; a ValueError names the methods there are."""
    if name not in METHODS:
        raise ValueError(f"There is no method {name!r}. Methods: {', '.join(METHODS)}.")
    module, _, attribute = METHODS[name].partition(":")
    return getattr(import_module(module), attribute)


def load_transform(key: Key | str | os.PathLike) -> Transform:
    """The fitted transform that a key belongs to, ready to protect new rows the same way or to restore them.

    Args:
        key: A `Key`, or the directory in which one was saved.

    Raises:
        ValueError: The key is of a method, or of a version of it, that this package does not have.
    """
    from hf_unlearnable.key import Key

    if not isinstance(key, Key):
        key = Key.load(key)
    return method_class(key.method).from_key(key)
