"""Feature shift: contradicting features."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xxhash

from hf_unlearnable._extras import require
from hf_unlearnable._words import spelled
from hf_unlearnable.image.bounded import add_levels
from hf_unlearnable.image.clusters import feature_model
from hf_unlearnable.image.codec import ImageError
from hf_unlearnable.image.learning.base import LearnedNoiseTransform
from hf_unlearnable.image.learning.scale import seen_size
from hf_unlearnable.key import Key
from hf_unlearnable.labelled import class_stream
from hf_unlearnable.learning.noise import check_array, unknown_label
from hf_unlearnable.learning.pgd import frozen, pgd

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hf_unlearnable.image.learning.panel import Panel
    from hf_unlearnable.image.learning.rounds import NoiseLearner

logger = logging.getLogger(__name__)

_PIXELS = 2**19  # in a step, as many as a CPU's caches bear: 10 images of 224 pixels a side


@dataclass(kw_only=True, repr=False, eq=False)
class FeatureShiftTransform(LearnedNoiseTransform):
    """Feature shift: every image gets the features of another class, as pretrained models see them.

    Idea:
        A shortcut is something more to learn, and a model with pretrained features need not take it. Here the noise
        contradicts what such a model sees: the image of a rose looks like a lily to it, under the label "rose". Who
        learns from such features ties them to the wrong labels. Nothing stands out that a filter could look for.

    Ours:
        There is no paper: the method is ours. Its nearest relatives are TAP (see `ErrorMaxTransform`), BAIT (Li et
        al., ICLR 2026, arXiv:2603.04731) and unlearnable clusters (see `UnlearnableClustersTransform`).

        Pretrained models F_m stay as they are. The linear classifier h_m of each is fitted to the features of the
        clean images. A network from scratch is trained on them and joins in. With the next class n(y), in an order
        that the key draws:

            d <- signed steps up   mean over m of  log p_m(n(y) | t(x + d)),   p_m = softmax(h_m(F_m(.)))

        within epsilon. In each step t is JPEG of quality 10 to 90 (4:2:0), half the size and back, a blur, no colour,
        or nothing. Then come a shift and a mirror. Steps have momentum (Y. Dong et al., CVPR 2018,
        arXiv:1710.06081), so that the noise answers many views at once. They get smaller from round to round.

        The classifiers and the network are in the key. So an image that was not there at `fit` gets its noise when it
        is protected, by the same steps.

    Args:
        backbones: Ids or folders of `AutoModelForImageClassification`, one or several. The key knows them by their
            weights.
        surrogate: The network from scratch: "tiny_cnn", "small_cnn", "resnet18", or "none". It sees at most 64 pixels
            per side.
        surrogate_epochs: Passes over the clean images that it is trained for.
        max_rounds: Rounds of `num_steps` steps. A fit that was killed goes on after the last whole round.
        num_steps: Signed steps per round, each of another view.
        step_size: Change of a pixel value per step of the first round, as a share of the range; None for epsilon / 4.
            It falls evenly over the rounds, and is at least one pixel value.
        momentum: Share of the earlier gradients that stays at each step of a round, from 0 (none) to 1.
        image_size: Pixels per side of what the models see together. None for the largest that a backbone asks for.
        noise_batch_size: Images per step; None on a CPU for 64, and for fewer if `image_size` is above 90.

    Secret:
        The seed, the order of the classes, the classifiers, the network and the noise.

    Cost:
        One forward pass per image and backbone to fit the classifiers. Then `max_rounds` x `num_steps` passes forward
        and backward per image and backbone. A new image costs as much, on one core of the CPU.

    Breaks:
        JPEG of quality 10 most. It brings a probe of the backbone from 6 to 43 %, where clean photos give 93. It
        brings that of a held-out model from 23 to 60 (two keys, see docs/results). A victim from scratch that shrinks
        photos learns nearly all the same. What is not in the loop was not measured on pretrained models: those of
        other families, adversarial training, heavier blur, a size below half.

    Prefer:
        Where victims start from pretrained weights. Against victims from scratch alone, `TextureTransform` costs
        nothing.

    Example:
        cloak = FeatureShiftTransform(image_column="img", backbones=["microsoft/resnet-18"]).fit(ds)
    """

    epsilon: float = 16 / 255
    backbones: Sequence[str] = ("microsoft/resnet-18",)
    surrogate: str = "small_cnn"
    surrogate_epochs: int = 30
    max_rounds: int = 2
    num_steps: int = 10
    step_size: float | None = None
    momentum: float = 0.9

    method: ClassVar[str] = "feature-shift"
    method_version: ClassVar[int] = 2  # 2: steps have momentum
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("jpeg-10", "gaussian-blur", "adversarial-training-4")
    open_parameters: ClassVar[tuple[str, ...]] = (*LearnedNoiseTransform.open_parameters, "backbones")
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **LearnedNoiseTransform.choices, "surrogate": ("tiny_cnn", "small_cnn", "resnet18", "none"),
    }  # fmt: skip

    # ------------------------------------------------------------------ fit
    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.surrogate_epochs < 1:
            raise ValueError(f"surrogate_epochs is {self.surrogate_epochs}, but it starts at 1.")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum is {self.momentum}, but it is a share, from 0 to 1.")
        if not self._names and self.surrogate == "none":
            raise ValueError(
                f"There is no model to compute noise on: name at least one with {spelled('backbones')}, or give a "
                f"network from scratch with {spelled('surrogate')}."
            )

    @property
    def _names(self) -> tuple[str, ...]:
        """The backbones; one may be given without a list."""
        return (self.backbones,) if isinstance(self.backbones, str) else tuple(self.backbones)

    def _surrogate_parts(self) -> dict[str, Any]:
        require("attack", "kornia", "sklearn")
        return {"build": self._untrained}

    def _untrained(self, surrogate: str, num_classes: int) -> nn.Module:
        """The panel before its heads and its network from scratch know anything."""
        from hf_unlearnable.image.learning.panel import Panel
        from hf_unlearnable.image.learning.surrogate import image_classifier

        scratch = None if surrogate == "none" else image_classifier(surrogate, num_classes)
        return Panel([feature_model(name) for name in self._names], scratch, num_classes)

    def _learn(self, learner: NoiseLearner) -> None:
        import torch

        from hf_unlearnable.image.learning.views import cosine, crop_and_flip
        from hf_unlearnable.image.learning.weather import weathered

        panel: Any = learner.model
        self._told = {"classes": learner.classes, "size": learner.image_size}
        order = torch.tensor(self._order(), device=learner.device)
        if learner.device.type == "cpu":
            learner.autocast = nullcontext  # there bf16 takes 1.7 times as long, back through depthwise convolutions
            if self.noise_batch_size is None:
                learner.noise_batch_size = min(64, max(1, _PIXELS // learner.image_size**2))
        for name, told in zip(self._names, panel.fit_heads(learner), strict=True):
            logger.info("%s tells %.0f %% of images that its head did not see.", name, 100 * told.accuracy)
            if told.guesses:
                logger.warning(
                    "%s tells the classes of %.0f %% of the images, and the largest class is %.0f %%: it does not "
                    "know this kind of images, and noise that is computed on it protects little. Give other "
                    "backbones.",
                    name, 100 * told.accuracy, 100 * told.guess,
                )  # fmt: skip
        for this in learner.rounds(self.max_rounds, None, "Feature shift", keep_last=True):
            for epoch in range(self.surrogate_epochs if this.number == 0 and panel.scratch is not None else 0):
                cosine(learner, self.learning_rate, epoch / self.surrogate_epochs)
                learner.train(None, view=crop_and_flip)
            learner.update(
                this, max_levels=self.max_levels, step_size=self._step(this.number), num_steps=self.num_steps,
                momentum=self.momentum, view=weathered, targets=lambda _, classes: order[classes], loss=_away,
            )  # fmt: skip
        self._told["weights"] = [feature_model(name).weights for name in self._names]
        held = [value.flatten().cpu() for value in panel.state_dict().values() if value.is_floating_point()]
        self._values, self._panel = torch.cat(held).numpy(), None

    def _order(self) -> list[int]:
        """The class that the images of each class are moved to, both as numbers: one cycle, which the key draws."""
        streams = [class_stream(label, self._resolved_seed()) for label in self._told["classes"]]
        cycle = sorted(range(len(streams)), key=streams.__getitem__)
        return [cycle[(cycle.index(k) + 1) % len(cycle)] for k in range(len(cycle))]

    def _step(self, number: int) -> float:
        """Change of a pixel value per step of a round."""
        first = self.epsilon / 4 if self.step_size is None else self.step_size
        return max(first * (1 - number / self.max_rounds), 1 / 255)

    # ------------------------------------------------------------------ new images
    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        if self._fitted(self._noise).holds(stream):
            return super()._cloak(levels, label, stream)
        classes = self._told["classes"]
        if label not in classes:
            raise ImageError(unknown_label(label, classes))
        return add_levels(levels, self._computed(levels, self._order()[classes.index(label)], stream))

    def _computed(self, levels: np.ndarray, target: int, stream: int) -> np.ndarray:
        """The noise of an image that was not there at `fit`, int8 [height, width, channels]."""
        import torch

        from hf_unlearnable.image.learning.views import resize
        from hf_unlearnable.image.learning.weather import weathered

        panel, size = self._rebuilt(), self._told["size"]
        try:
            seen_size(panel, self.image_size, max(levels.shape[:2]))
        except ValueError as error:
            raise ImageError(f"is new to this key: {str(error).rstrip('.')}") from None
        image = torch.from_numpy(levels.copy()).movedim(2, 0)[None].float() / 255
        generator = torch.Generator().manual_seed(stream % 2**63)

        def seen(images: Tensor) -> Tensor:
            return weathered(resize(images, size), generator).contiguous(memory_format=torch.channels_last)

        noise, wanted = torch.zeros_like(image), torch.tensor([target])
        for number in range(self.max_rounds):
            noise, _, _ = pgd(
                panel, image, noise, wanted, epsilon=self.max_levels / 255, step_size=self._step(number),
                num_steps=self.num_steps, momentum=self.momentum, view=seen, loss=_away,
            )  # fmt: skip
            noise = (noise * 255).round() / 255  # as it is kept between the rounds of `fit`
        return (noise[0] * 255).round().to(torch.int8).movedim(0, 2).numpy()

    def _rebuilt(self) -> Panel:
        """The panel that the key holds, on the CPU."""
        import torch

        if self._panel is None:
            models = [feature_model(name) for name in self._names]
            if [model.weights for model in models] != self._told["weights"]:
                raise ImageError(
                    f"is new to this key, whose noise is computed on other models than {', '.join(self._names)}: give "
                    f"those of fit, in their order, with {spelled('backbones')}"
                )
            panel, place = self._untrained(self.surrogate, len(self._told["classes"])), 0
            for value in panel.state_dict().values():
                if value.is_floating_point():
                    held = np.array(self._values[place : place + value.numel()]).reshape(value.shape)
                    value.copy_(torch.from_numpy(held))
                    place += value.numel()
            self._panel = frozen(panel)
        return self._panel

    # ------------------------------------------------------------------ the key
    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        state, tensors = super()._state()
        if self._values is None:
            return state, tensors
        return {**state, "shift": {**self._told, "digest": self._digest()}}, {**tensors, "panel": self._values}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._told, self._values, self._panel = state.get("shift"), tensors.get("panel"), None
        super()._set_state({}, {name: value for name, value in tensors.items() if name != "panel"})

    def _check_state(self, key: Key) -> None:
        super()._check_state(key)
        if self.max_levels == 0:
            return
        check_array(self._values, "the panel", np.float32, (None,))
        if not isinstance(self._told, dict) or self._told.get("digest") != self._digest():
            raise ValueError("the panel, which new images are protected with, is not the one of fit")

    def _digest(self) -> str:
        """Of all that new images are protected with, and a key holds."""
        told = {name: value for name, value in self._told.items() if name != "digest"}
        return xxhash.xxh3_128(json.dumps(told, sort_keys=True).encode() + self._values.tobytes()).hexdigest()

    _told: Any = field(default=None, init=False)  # the classes, the digests of the backbones, the size
    _values: Any = field(default=None, init=False)  # of the heads and the network from scratch, float32, flat
    _panel: Any = field(default=None, init=False)


def _away(answers: Tensor, targets: Tensor) -> Tensor:
    """How far a batch is from its targets: the sum of what the models' mean log-probabilities lack."""
    return -answers.gather(1, targets[:, None]).sum()
