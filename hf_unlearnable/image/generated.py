"""What images that a model made are worth: what a classifier sees in them, and how they lie among real ones.

Features are those of `small_cnn` trained on the clean test images. They tell one model from another on the same data;
values of other publications, which go by Inception, are on another scale.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_unlearnable.adversary import Rows
from hf_unlearnable.image.codec import rgb_levels

_SHOWN = 8  # images of each class on a sheet
_CLASSES = 10  # classes at most
_NEIGHBOURS = 3
_COMPARED = 2000  # images at most whose features are compared, or whose pixels are at a time
_UPDATES = 300  # of the classifier, at least: the test may be small
_SIDE = 64  # pixels per side at least that an image is shown at


class ImageJudge:
    """A classifier that was trained on clean test rows, and what it says of generated images.

    Args:
        test: Clean rows of two classes or more that no generator was trained on.
    """

    def __init__(self, test: Rows):
        from hf_unlearnable.image.victims.networks import small_cnn_of

        self.test = test
        self.classes = np.unique(np.asarray(test.labels))
        self.network, [(images, _)] = small_cnn_of(test, [test], 0, epochs=max(12, _UPDATES // -(-len(test) // 128)))
        self.size = images.shape[-1]
        self._real = self._features(_some(test.inputs))

    def judged(
        self, made: Sequence[Any], labels: Sequence[int], trained_on: Rows
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """What the images show, and measures of them.

        Args:
            made: m images.
            labels: What each should show.
            trained_on: The rows that the generator was trained on.

        Returns:
            The label that the classifier gives to each image, int [m]; and "recognised", "kid", "fid", "precision",
            "recall", "nearest" (see `measures` and `nearest`) with "sheet", a PNG in base64.
        """
        found = self._labels(made)
        told: dict[str, Any] = {"recognised": float(np.mean(found == np.asarray(labels)))}
        told |= measures(self._features(_some(made)), self._real)
        told["nearest"] = nearest(*(self._pixels(part) for part in (made, trained_on.inputs, self.test.inputs)))
        return found, {**{name: round(value, 4) for name, value in told.items()}, "sheet": sheet(made, labels)}

    def _labels(self, images: Sequence[Any]) -> np.ndarray:
        import torch

        from hf_unlearnable.adversary.loop import device
        from hf_unlearnable.image.victims.training import rgb, seen

        with torch.inference_mode():
            parts = rgb(images, self.size).split(256)
            return self.classes[torch.cat([self.network(seen(part.to(device()))).argmax(1).cpu() for part in parts])]

    def _features(self, images: Sequence[Any]) -> np.ndarray:
        from hf_unlearnable.image.victims.features import features
        from hf_unlearnable.image.victims.training import rgb

        return features(self.network, rgb(images, self.size)).astype(np.float64)

    def _pixels(self, images: Sequence[Any]) -> np.ndarray:
        """uint8 [images, pixels]."""
        from hf_unlearnable.image.victims.training import rgb

        return rgb(images, self.size).reshape(len(images), -1).numpy()


def _some(images: Sequence[Any]) -> Sequence[Any]:
    """At most so many images, spread evenly: measures compare all pairs."""
    return images[:: -(-len(images) // _COMPARED)]


def measures(made: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """How features of generated images lie among those of real ones.

    Args:
        made, real: Float [m, d] and [n, d], at least 4 of each.

    Returns:
        "kid": the squared distance of the two in the space of a cubic kernel, without bias (M. Binkowski et al., ICLR
        2018, arXiv:1801.01401), 0 for the same images on average. "fid": the Frechet distance of two normal
        distributions (M. Heusel et al., NeurIPS 2017, arXiv:1706.08500), which few images make too large. "precision"
        and "recall": the share of the generated images that lie among the real ones, and the other way round, within
        the reach of the third neighbour (T. Kynkaanniemi et al., NeurIPS 2019, arXiv:1904.06991).

    Raises:
        ValueError: There are fewer than 4 of either.
    """
    if min(len(made), len(real)) <= _NEIGHBOURS:
        raise ValueError(
            f"There are {len(made)} generated and {len(real)} real images. Measures take {_NEIGHBOURS + 1} or more."
        )
    return {
        "kid": kid(made, real), "fid": fid(made, real),
        "precision": _within(made, real), "recall": _within(real, made),
    }  # fmt: skip


def kid(made: np.ndarray, real: np.ndarray) -> float:
    """See `measures`."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def own(a: np.ndarray) -> float:  # without the pairs of an image with itself
        values = kernel(a, a)
        return float((values.sum() - np.trace(values)) / (len(a) * (len(a) - 1)))

    return own(made) + own(real) - 2 * float(kernel(made, real).mean())


def fid(made: np.ndarray, real: np.ndarray) -> float:
    """See `measures`."""
    one, two = np.cov(made.T), np.cov(real.T)
    # The trace of the root of a product of two covariances is the sum of the roots of its eigenvalues.
    roots = np.sqrt(np.linalg.eigvals(np.atleast_2d(one @ two)).real.clip(min=0))
    apart = float(np.square(made.mean(axis=0) - real.mean(axis=0)).sum())
    return max(0.0, apart + float(np.trace(np.atleast_2d(one + two))) - 2 * float(roots.sum()))


def _within(asked: np.ndarray, among: np.ndarray) -> float:
    """Share of the points that lie within the reach of the third neighbour of one of the others."""
    own = np.sort(_distances(among, among), axis=1)[:, _NEIGHBOURS]  # the first is itself
    return float((_distances(asked, among) <= own).any(axis=1).mean())


def nearest(made: np.ndarray, trained_on: np.ndarray, real: np.ndarray) -> float:
    """How near generated images are to training images, as a share of how near clean ones of the test are.

    Args:
        made, trained_on, real: uint8 or float [images, pixels].

    Returns:
        The median distance of a generated image to the nearest training image over that of a test image: 1 for images
        as new as the test's, 0 for copies.
    """

    def apart(images: np.ndarray) -> float:
        found = np.full(len(images), np.inf)
        for start in range(0, len(trained_on), _COMPARED):
            part = trained_on[start : start + _COMPARED].astype(np.float64)
            found = np.minimum(found, _distances(images.astype(np.float64), part).min(axis=1))
        return float(np.median(found))

    return apart(made) / max(apart(real), 1e-9)


def _distances(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    squares = np.square(one).sum(axis=1)[:, None] + np.square(two).sum(axis=1) - 2 * one @ two.T
    return np.sqrt(squares.clip(min=0))


def sheet(made: Sequence[Any], labels: Sequence[int]) -> str:
    """The first images of each class in a row, the classes below each other: a PNG in base64."""
    from PIL import Image

    given = np.asarray(labels)
    rows = [np.flatnonzero(given == label)[:_SHOWN] for label in np.unique(given)[:_CLASSES]]
    first = rgb_levels(made[0])
    side = max(first.shape[:2]) * max(1, -(-_SIDE // max(first.shape[:2])))
    picture = Image.new("RGB", (_SHOWN * side, len(rows) * side), "white")
    for down, places in enumerate(rows):
        for across, place in enumerate(places):
            shown = Image.fromarray(rgb_levels(made[place])).resize((side, side), Image.Resampling.NEAREST)
            picture.paste(shown, (across * side, down * side))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
