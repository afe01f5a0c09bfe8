"""Protect a dataset so that models trained on it learn less, attack it to measure how much less, publish it.

Names are imported on first use: `import hf_unlearnable` loads neither torch, transformers nor polars.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hf_unlearnable._version import __version__

if TYPE_CHECKING:
    from hf_unlearnable.audio.methods.convolution import AudioConvolutionTransform
    from hf_unlearnable.audio.methods.equalizer import EqualizerTransform
    from hf_unlearnable.audio.methods.error_min import AudioErrorMinTransform
    from hf_unlearnable.audio.methods.noise import AudioNoiseTransform
    from hf_unlearnable.audio.methods.position import PositionConvolutionTransform
    from hf_unlearnable.audit import report
    from hf_unlearnable.audit.certificate import certified_learnability
    from hf_unlearnable.audit.recovery import recovered_accuracy
    from hf_unlearnable.audit.run import attack
    from hf_unlearnable.audit.sharpness import sharpness_aware_learnability, unlearnable_distance
    from hf_unlearnable.bayes import bayes_error
    from hf_unlearnable.image.methods.augmented_error_max import AugmentedErrorMaxTransform
    from hf_unlearnable.image.methods.augmented_error_min import AugmentedErrorMinTransform
    from hf_unlearnable.image.methods.bayes_error import BayesErrorTransform
    from hf_unlearnable.image.methods.convolution import ConvolutionTransform
    from hf_unlearnable.image.methods.denoising_error import DenoisingErrorTransform
    from hf_unlearnable.image.methods.error_max import ErrorMaxTransform
    from hf_unlearnable.image.methods.error_min import ErrorMinTransform
    from hf_unlearnable.image.methods.error_min_one_pixel import ErrorMinOnePixelTransform
    from hf_unlearnable.image.methods.feature_shift import FeatureShiftTransform
    from hf_unlearnable.image.methods.linear_separable import LinearSeparableTransform
    from hf_unlearnable.image.methods.linearization import LinearizationTransform
    from hf_unlearnable.image.methods.one_pixel import OnePixelTransform
    from hf_unlearnable.image.methods.provable_error_min import ProvableErrorMinTransform
    from hf_unlearnable.image.methods.random_noise import RandomNoiseTransform
    from hf_unlearnable.image.methods.stable_error_min import StableErrorMinTransform
    from hf_unlearnable.image.methods.texture import TextureTransform
    from hf_unlearnable.image.methods.unlearnable_clusters import UnlearnableClustersTransform
    from hf_unlearnable.key import Key
    from hf_unlearnable.registry import load_transform
    from hf_unlearnable.text.methods.error_min_text import ErrorMinTextTransform
    from hf_unlearnable.text.methods.order_code import OrderCodeTransform
    from hf_unlearnable.text.methods.regtext import RegTextTransform
    from hf_unlearnable.text.methods.word_balance import WordBalanceTransform
    from hf_unlearnable.transform import NotFittedError, Transform

_HOME = {
    "AudioConvolutionTransform": "hf_unlearnable.audio.methods.convolution",
    "AudioErrorMinTransform": "hf_unlearnable.audio.methods.error_min",
    "AudioNoiseTransform": "hf_unlearnable.audio.methods.noise",
    "AugmentedErrorMaxTransform": "hf_unlearnable.image.methods.augmented_error_max",
    "AugmentedErrorMinTransform": "hf_unlearnable.image.methods.augmented_error_min",
    "BayesErrorTransform": "hf_unlearnable.image.methods.bayes_error",
    "ConvolutionTransform": "hf_unlearnable.image.methods.convolution",
    "DenoisingErrorTransform": "hf_unlearnable.image.methods.denoising_error",
    "EqualizerTransform": "hf_unlearnable.audio.methods.equalizer",
    "ErrorMaxTransform": "hf_unlearnable.image.methods.error_max",
    "ErrorMinOnePixelTransform": "hf_unlearnable.image.methods.error_min_one_pixel",
    "ErrorMinTextTransform": "hf_unlearnable.text.methods.error_min_text",
    "ErrorMinTransform": "hf_unlearnable.image.methods.error_min",
    "FeatureShiftTransform": "hf_unlearnable.image.methods.feature_shift",
    "Key": "hf_unlearnable.key",
    "LinearSeparableTransform": "hf_unlearnable.image.methods.linear_separable",
    "LinearizationTransform": "hf_unlearnable.image.methods.linearization",
    "NotFittedError": "hf_unlearnable.transform",
    "OnePixelTransform": "hf_unlearnable.image.methods.one_pixel",
    "OrderCodeTransform": "hf_unlearnable.text.methods.order_code",
    "PositionConvolutionTransform": "hf_unlearnable.audio.methods.position",
    "ProvableErrorMinTransform": "hf_unlearnable.image.methods.provable_error_min",
    "RandomNoiseTransform": "hf_unlearnable.image.methods.random_noise",
    "RegTextTransform": "hf_unlearnable.text.methods.regtext",
    "StableErrorMinTransform": "hf_unlearnable.image.methods.stable_error_min",
    "TextureTransform": "hf_unlearnable.image.methods.texture",
    "Transform": "hf_unlearnable.transform",
    "UnlearnableClustersTransform": "hf_unlearnable.image.methods.unlearnable_clusters",
    "WordBalanceTransform": "hf_unlearnable.text.methods.word_balance",
    "attack": "hf_unlearnable.audit.run",
    "bayes_error": "hf_unlearnable.bayes",
    "certified_learnability": "hf_unlearnable.audit.certificate",
    "load_transform": "hf_unlearnable.registry",
    "protect": "hf_unlearnable.protection",
    "push_protected": "hf_unlearnable.publish",
    "recovered_accuracy": "hf_unlearnable.audit.recovery",
    "register": "hf_unlearnable.registry",
    "report": "hf_unlearnable.audit.report",
    "restore": "hf_unlearnable.protection",
    "sharpness_aware_learnability": "hf_unlearnable.audit.sharpness",
    "unlearnable_distance": "hf_unlearnable.audit.sharpness",
    "verify": "hf_unlearnable.ownership",
}

__all__ = [
    "AudioConvolutionTransform",
    "AudioErrorMinTransform",
    "AudioNoiseTransform",
    "AugmentedErrorMaxTransform",
    "AugmentedErrorMinTransform",
    "BayesErrorTransform",
    "ConvolutionTransform",
    "DenoisingErrorTransform",
    "EqualizerTransform",
    "ErrorMaxTransform",
    "ErrorMinOnePixelTransform",
    "ErrorMinTextTransform",
    "ErrorMinTransform",
    "FeatureShiftTransform",
    "Key",
    "LinearSeparableTransform",
    "LinearizationTransform",
    "NotFittedError",
    "OnePixelTransform",
    "OrderCodeTransform",
    "PositionConvolutionTransform",
    "ProvableErrorMinTransform",
    "RandomNoiseTransform",
    "RegTextTransform",
    "StableErrorMinTransform",
    "TextureTransform",
    "Transform",
    "UnlearnableClustersTransform",
    "WordBalanceTransform",
    "__version__",
    "attack",
    "bayes_error",
    "certified_learnability",
    "load_transform",
    "protect",
    "push_protected",
    "recovered_accuracy",
    "register",
    "report",
    "restore",
    "sharpness_aware_learnability",
    "unlearnable_distance",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hf_unlearnable' has no attribute {name!r}")
    found = import_module(_HOME[name])
    return found if name == "report" else getattr(found, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
