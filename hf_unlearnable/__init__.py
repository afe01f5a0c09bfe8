"""Protect a dataset so that models trained on it do not learn from it, prove it by attacking it, publish it.

Names are imported on first use: `import hf_unlearnable` loads neither torch, transformers nor polars.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hf_unlearnable._version import __version__

if TYPE_CHECKING:
    from hf_unlearnable.key import Key
    from hf_unlearnable.registry import load_transform
    from hf_unlearnable.text.regtext import RegTextTransform
    from hf_unlearnable.transform import NotFittedError, Transform

_HOME = {
    "Key": "hf_unlearnable.key",
    "NotFittedError": "hf_unlearnable.transform",
    "RegTextTransform": "hf_unlearnable.text.regtext",
    "Transform": "hf_unlearnable.transform",
    "load_transform": "hf_unlearnable.registry",
}

__all__ = ["Key", "NotFittedError", "RegTextTransform", "Transform", "__version__", "load_transform"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hf_unlearnable' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
