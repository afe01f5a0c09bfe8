"""Clusters of images that a pretrained model finds alike: what a protection goes by where there are no labels."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from hf_unlearnable._extras import require
from hf_unlearnable._words import spelled
from hf_unlearnable.image.codec import ImageError

_FITTED_ON = 20_000  # images whose features k-means sees
_NEAR = 1e-3  # relative difference of two distances below which rounding might decide


class FeatureModel:
    """A pretrained image classifier without its last layer, on the CPU.

    It sees one image at a time: in a batch, features are rounded in another way.

    Args:
        name: Id or folder of an `AutoModelForImageClassification`, with its processor.

    Raises:
        ImportError: torch or transformers is not installed.
        OSError: There is no such model, or it has no weights.
    """

    def __init__(self, name: str):
        require("attack", "torch", "transformers", "sklearn")
        from hf_unlearnable.image.learning.features import headless
        from hf_unlearnable.image.learning.surrogate import model_size, pretrained

        self.name, self.size = name, model_size(name)
        self.model = headless(pretrained(name))
        hashed = xxhash.xxh3_128(str(self.size).encode())
        for layer, value in self.model.state_dict().items():
            hashed.update(f"{layer} {tuple(value.shape)}".encode())
            hashed.update(value.contiguous().numpy().tobytes())
        self.weights = hashed.hexdigest()

    @cached_property
    def _exact(self) -> Any:
        from copy import deepcopy

        return deepcopy(self.model).double()

    def seen(self, levels: np.ndarray) -> Any:
        """What the model sees of an image: float tensor [1, 3, size, size] in [0, 1].

        Args:
            levels: uint8 [height, width, channels].
        """
        import torch

        from hf_unlearnable.image.learning.views import resize

        return resize(torch.from_numpy(np.array(levels)).movedim(2, 0)[None].float() / 255, self.size)

    def features(self, levels: np.ndarray, exact: bool = False) -> np.ndarray:
        """Features of an image, float [number of features].

        Args:
            levels: uint8 [height, width, channels].
            exact: Whether they are computed in double precision, at ten times the cost.

        Raises:
            ImageError: They are not finite.
        """
        import torch

        image = self.seen(levels)
        with torch.inference_mode():
            found = (self._exact(image.double()) if exact else self.model(image)).flatten().numpy()
        if not np.isfinite(found).all():
            raise ImageError(f"has features by {self.name} that are no finite numbers: give another model")
        return found


def feature_model(name: str) -> FeatureModel:
    """The model of an id or a folder, loaded once for as long as the files of the folder stay as they are."""
    return _loaded(name, tuple(sorted((path.name, path.stat().st_mtime_ns) for path in Path(name).glob("*"))))


@lru_cache(maxsize=4)
def _loaded(name: str, files: tuple[tuple[str, int], ...]) -> FeatureModel:
    del files  # what else the model depends on
    return FeatureModel(name)


@dataclass(frozen=True, eq=False)
class Clusters:
    """Centres of clusters, and the cluster of each image that they were found on.

    Args:
        weights: Digest of the model's weights.
        centres: float32 [clusters, features].
        ids: Random streams of the images, uint64 [n], ascending.
        members: The cluster of each, int32 [n].
    """

    weights: str
    centres: np.ndarray
    ids: np.ndarray
    members: np.ndarray

    @classmethod
    def of_rows(
        cls,
        rows: Iterable[tuple[str, int, np.ndarray]],
        model: FeatureModel,
        count: int,
        seed: int,
        shared: bool = False,
    ) -> Clusters:
        """Clusters by k-means on the features.

        Args:
            rows: Name, random stream and levels of each image.
            model: What computes the features.
            count: How many clusters.
            seed: Of k-means.
            shared: Whether other processes have rows of their own, and all get the same clusters.

        Raises:
            ValueError: Fewer images differ than there are clusters.
        """
        ids: list[int] = []
        with tempfile.TemporaryFile() as file:
            for row, stream, levels in rows:
                ids.append(stream)
                try:
                    file.write(model.features(levels).tobytes())
                except ImageError as error:
                    raise ValueError(f"{row}: the image {error}.") from None
            file.flush()
            if not ids:
                raise ValueError("No image is left to put into clusters.")
            features = np.memmap(file, np.float32, "r").reshape(len(ids), -1)
        held = np.array(ids, np.uint64), features
        return cls(model.weights, *_clustered(gathered(*held) if shared else held, count, seed, shared))

    def of(self, stream: int, levels: np.ndarray, model: FeatureModel) -> int:
        """The cluster of an image: what was found at `fit`, and the nearest centre for a new image.

        Args:
            stream: The image's random stream.
            levels: uint8 [height, width, channels].
            model: What computed the features at `fit`.

        Raises:
            ImageError: The model is another one.
        """
        known = self.known(stream)
        if known is not None:
            return known
        if model.weights != self.weights:
            raise ImageError(
                f"is new to this key, whose clusters are told by another model than the one that {model.name} holds "
                f"now: give the model of fit with {spelled('cluster_model')}"
            )
        near = self._distances(model.features(levels))
        first, second = np.partition(near, 1)[:2]
        if second - first <= _NEAR * first:  # so that rounding, which differs by machine, never decides
            near = self._distances(model.features(levels, exact=True))
        return int(near.argmin())

    def known(self, stream: int) -> int | None:
        """The cluster of an image of `fit`; None for a new one."""
        i = int(np.searchsorted(self.ids, np.uint64(stream)))
        return int(self.members[i]) if i < len(self.ids) and self.ids[i] == stream else None

    def _distances(self, features: np.ndarray) -> np.ndarray:
        return np.sqrt(((self.centres - features.astype(np.float64)) ** 2).sum(axis=1))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a key holds of it: JSON values and arrays."""
        tensors = {"cluster_centres": self.centres, "cluster_ids": self.ids, "cluster_members": self.members}
        return {"cluster_weights": self.weights}, tensors

    @classmethod
    def taken(cls, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> Clusters | None:
        """The clusters that a key holds, which are taken out of its state and arrays; None where it holds none."""
        if "cluster_weights" not in state:
            return None
        names = ("cluster_centres", "cluster_ids", "cluster_members")
        return cls(state.pop("cluster_weights"), *(tensors.pop(name) for name in names))

    def check(self) -> None:
        """Raises a ValueError for what no `fit` gives."""
        from hf_unlearnable.learning.noise import check_array

        check_array(self.centres, "cluster_centres", np.float32, (None, None))
        check_array(self.ids, "cluster_ids", np.uint64, (None,))
        check_array(self.members, "cluster_members", np.int32, (len(self.ids),))
        if not isinstance(self.weights, str) or not np.isfinite(self.centres).all():
            raise ValueError("the centres of its clusters are no finite numbers")
        each = np.array_equal(np.unique(self.members), np.arange(len(self.centres)))
        if not each or len(self.centres) < 2 or not (self.ids[1:] > self.ids[:-1]).all():
            raise ValueError("its images and their clusters do not belong together")


def gathered(ids: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What all processes hold, one after the other."""
    from accelerate.utils import gather_object

    parts = gather_object([(ids, np.array(features))])
    return np.concatenate([part for part, _ in parts]), np.concatenate([part for _, part in parts])


def _clustered(
    held: tuple[np.ndarray, np.ndarray], count: int, seed: int, shared: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, ascending ids and their clusters, by k-means in one process, whatever order the rows come in."""
    from hf_unlearnable.learning.processes import processes

    ids, first = np.unique(held[0], return_index=True)
    features = held[1][first]
    if len(ids) < count:
        raise _too_many(count, len(ids))
    found: list[Any] = [None]
    if not shared or processes().is_main_process:
        found = [_centres(features, count, seed)]
    if shared:
        from accelerate.utils import broadcast_object_list

        broadcast_object_list(found)
    centres = found[0]
    norms = (centres.astype(np.float64) ** 2).sum(axis=1)
    members = np.concatenate([
        (norms - 2 * part.astype(np.float64) @ centres.T).argmin(axis=1)
        for part in np.array_split(features, -(-len(ids) // 1000))
    ])  # fmt: skip
    if len(np.unique(members)) < count:
        raise _too_many(count, len(np.unique(members)))
    return centres, ids, members.astype(np.int32)


def _too_many(count: int, different: int) -> ValueError:
    if different < 2:
        return ValueError("All images are the same one: there is nothing that clusters could tell apart.")
    return ValueError(
        f"{spelled('num_clusters')} is {count}, but only {different} images differ: give 2 to {different}."
    )


def _centres(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The centres of k-means, float32 [count, features]."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    step = -(-len(features) // _FITTED_ON)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of equal images, which are counted afterwards
        fitted = KMeans(count, n_init=4, random_state=seed % 2**32).fit(features[::step])
    return fitted.cluster_centers_.astype(np.float32)
