"""Unlearnable clusters (UC)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable._mapped import on_disk
from hf_unlearnable.image.learning.cluster_noise import ClusterNoiseLearner, Pool
from hf_unlearnable.image.learning.computed import ComputedNoiseTransform
from hf_unlearnable.image.learning.noise import ClassNoise, SampleNoise
from hf_unlearnable.key import row_stream
from hf_unlearnable.labelled import class_stream
from hf_unlearnable.learning.checkpoint import Checkpoint, shared_seed
from hf_unlearnable.learning.precision import mixed_precision
from hf_unlearnable.learning.processes import part_of, processes


@dataclass(kw_only=True, repr=False, eq=False)
class UnlearnableClustersTransform(ComputedNoiseTransform):
    """Unlearnable clusters (UC): needs no labels, and moves what a pretrained model sees of each cluster to the next.

    Idea:
        Labels are somebody's choice, and another person may choose others. Images that a pretrained model finds alike
        mostly share a label, whatever the labels are. So images are put into clusters by their features. One noise per
        cluster makes them look, to that model, like images of the next cluster. A victim that learns from such
        features ties them to the wrong labels.

    Paper:
        J. Zhang, X. Ma, Q. Yi, J. Sang, Y. Jiang, Y. Wang, C. Xu, "Unlearnable Clusters: Towards Label-Agnostic
        Unlearnable Examples", CVPR 2023, arXiv:2301.01217.

        With features F, centres c_k of k-means, and the noise d_k of cluster k

            d_k = argmin  mean over images x of  distance(F(t(x + d_k)), c_(k+1)),   |d_k| <= epsilon

        over random crops and flips t. In the paper d_k is what a generator makes of a fixed random image.

    Ours:
        The noise itself takes signed gradient steps, without a generator, on the members of its own cluster. The
        published code trains each generator on all images, which costs as many times more as there are clusters. The
        noise is a small tile that repeats, so that every image shows it many times and crops do not matter. The
        distance is the cosine between features, both less the mean of all centres. The paper takes the
        Kullback-Leibler divergence of their softmax.

        `UnlearnableClustersTransform.paper()` is the published way: generators, that divergence, all images. Its
        noise is epsilon times what the network makes, where the published code clips to epsilon: so every gradient
        counts.

    Args:
        cluster_model: Id or folder of an `AutoModelForImageClassification`, whose features make the clusters and are
            moved. A new image is put into a cluster by the same model.
        generator: Whether a network of 6 residual blocks makes the noise, trained by Adam to the paper's divergence.
        tile: Pixels per side after which the noise repeats, at the model's size; None for noise as large as the image.
            A generator's always is.
        num_epochs: Times that an image is seen, unless `max_steps` ends it before.
        max_steps: Largest number of steps per cluster; None for no bound.
        batch_size: Images per step, all processes together.
        step_size: Change of a pixel value in the first step, as a share of the range; it falls to 0. None for a third
            of epsilon. Of a generator, Adam's learning rate; None for 1e-4.
        members_only: Whether the noise of a cluster is computed on its own images; False is the published way, on all
            images.
        parallel: What several processes share. With "clusters" each takes some of them, and the bytes are those of one
            process. With "batches" each takes a part of every batch, for more processes than clusters.

    Secret:
        The seed, the centres, the clusters of the images and their noise.

    Cost:
        One forward pass per image to make the clusters. Then at most `max_steps * batch_size` forward and backward
        passes per cluster. One forward pass per new image.

    Breaks:
        What removes fine patterns: JPEG of low quality, a blur, a much smaller size. A victim that sees other features
        than the model's, such as a network that starts from nothing, is misled less (see docs/results). An attacker
        who finds the clusters averages over each and takes the noise off.

    Prefer:
        Where there are no labels, or where other labels may come. With labels and victims that start from nothing,
        prefer `TextureTransform`.

    Example:
        ds = load_dataset("uoft-cs/cifar10", split="train").remove_columns("label")
        cloak = UnlearnableClustersTransform(image_column="img", cluster_model="microsoft/resnet-18").fit(ds)
        protected = ds.map(cloak, batched=True, batch_size=64)
    """

    epsilon: float = 16 / 255
    cluster_model: str = "microsoft/resnet-18"
    generator: bool = False
    tile: int | None = 32
    num_epochs: int = 4
    max_steps: int | None = 20
    batch_size: int = 8
    step_size: float | None = None
    members_only: bool = True
    parallel: str = "clusters"

    method: ClassVar[str] = "unlearnable-clusters"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("jpeg-10", "spectrum-peak-removal", "class-mean-subtraction")
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **ComputedNoiseTransform.choices, "parallel": ("clusters", "batches"),
    }  # fmt: skip

    @classmethod
    def paper(cls, **changes: Any) -> UnlearnableClustersTransform:
        """The published way: a generator per cluster, 50 passes over all images in batches of 256, ResNet-50."""
        paper: dict[str, Any] = {
            "cluster_model": "microsoft/resnet-50", "generator": True, "members_only": False, "num_epochs": 50,
            "max_steps": None, "batch_size": 256, "tile": None,
        }  # fmt: skip
        return cls(**{**paper, **changes})

    @property
    def _per_class(self) -> bool:
        return True

    def fit(
        self, dataset: Any, *, accelerator: Any = None, checkpoint_dir: str | os.PathLike | None = None
    ) -> UnlearnableClustersTransform:
        """Finds the clusters and computes their noise.

        Args:
            dataset: A `Dataset` or `IterableDataset`. Under `accelerate launch` each process computes features of its
                part of it, and reads all of it.
            accelerator: An `accelerate.Accelerator`, whose mixed precision is used for the noise. None for bf16 where
                the device computes in it.
            checkpoint_dir: Folder to save the noise of every cluster in and to resume a killed fit from. It holds what
                the key holds: keep it private, and remove it afterwards. Several processes need one that all of them
                see.

        Raises:
            ValueError: A column is missing, an image cannot be protected, fewer images differ than there are clusters
                or processes, or the checkpoint is of another fit.
            OSError: There is no such model.
        """
        require("image", "torch", "accelerate", "PIL")
        self._check_parameters()
        self._noise = self._clusters = None
        if self.max_levels == 0:
            self._noise = SampleNoise.empty()
            return self
        if checkpoint_dir is None and processes().num_processes > 1:
            raise ValueError("Several processes need checkpoint_dir, a folder that all of them see.")
        self._seed = shared_seed(self.seed, checkpoint_dir)
        self._find_clusters(part_of(dataset))
        with tempfile.TemporaryDirectory(prefix="hf-unlearnable-fit-") as scratch:
            noise = self._computed(dataset, Path(scratch, "images"), accelerator, checkpoint_dir)
        self._noise = ClassNoise(list(range(self.num_clusters)), on_disk(noise))
        return self

    def _computed(self, dataset: Any, path: Path, accelerator: Any, checkpoint_dir: Any) -> np.ndarray:
        """The noise of all clusters, int8 [clusters, side, side, 3]."""
        import torch
        from accelerate.utils import gather_object
        from datasets.utils import tqdm

        all_of_them, model = processes(), self._feature_model
        on_device = deepcopy(model.model)
        rank, world = all_of_them.process_index, all_of_them.num_processes
        shared = self.parallel == "batches"
        mine = list(range(self.num_clusters)) if shared else list(range(rank, self.num_clusters, world))
        largest = max(max(picture.levels.shape[:2]) for _, picture, _, _ in self._opened_rows(dataset))
        side = min(model.size, largest)  # no finer than any image shows it
        wanted = set(mine) if self.members_only else set(range(self.num_clusters))
        pool = Pool.of_rows(((one, k) for one, k in self._members(dataset) if k in wanted), side, path)
        usual = 1e-4 if self.generator else self.epsilon / 3
        learner = ClusterNoiseLearner(
            pool=pool, model=on_device.to(all_of_them.device, memory_format=torch.channels_last), size=model.size,
            centres=self._clusters.centres, max_levels=self.max_levels, tile=min(self.tile or side, side),
            batch_size=self.batch_size, num_epochs=self.num_epochs, max_steps=self.max_steps,
            generator=self.generator, step_size=usual if self.step_size is None else self.step_size,
            shared=shared and world > 1,
            autocast=mixed_precision(all_of_them.device) if accelerator is None else accelerator.autocast,
        )  # fmt: skip
        parameters = {**self.get_params(), "seed": None, "cluster_model": None}
        identity = [self.method, self.method_version, world, parameters]
        content = (self._clusters.ids, self._clusters.members)
        checkpoint = None if checkpoint_dir is None else Checkpoint(Path(checkpoint_dir), identity, content)
        found = checkpoint.load() if checkpoint is not None else None
        noise = torch.zeros(len(mine), side, side, 3, dtype=torch.int8) if found is None else found[1]["noise"]
        rounds = range(0 if found is None else found[0], -(-self.num_clusters // (1 if shared else world)))
        for number in tqdm(rounds, "Unlearnable clusters", disable=None if all_of_them.is_main_process else True):
            if number < len(mine):
                own = pool.clusters == mine[number] if self.members_only else pool.clusters >= 0
                seed = class_stream(mine[number], self._resolved_seed())
                noise[number] = torch.from_numpy(learner.noise(mine[number], np.flatnonzero(own), seed))
            if checkpoint is not None:
                checkpoint.save(number + 1, {"noise": noise}, {})
        parts = gather_object([list(zip(mine, noise.numpy(), strict=True))])
        every = dict(part for held in parts for part in held)
        return np.stack([every[cluster] for cluster in range(self.num_clusters)])

    def _members(self, dataset: Any) -> Iterator[tuple[np.ndarray, int]]:
        """Levels and cluster of every image, each different one once."""
        seen = set()
        for _, picture, _, identity in self._opened_rows(dataset):
            stream = row_stream(identity, self._resolved_seed())
            if stream not in seen:
                seen.add(stream)
                yield picture.levels, self._clusters.known(stream)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for name in ("tile", "num_epochs", "max_steps", "batch_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but it starts at 1.")
