# /// script
# dependencies = ["hf-unlearnable[attack,diffusion,image]"]
# ///
"""What diffusion models learn from protected images, and what they do to protections.

    python recipes/bench/diffusion.py --data ../shared/data

Study "generator": a victim trains on a version of the images and makes one of each test label's class. A classifier
that was trained on the clean test images looks at them (`hf_unlearnable.image.generated`). The victim is `ddpm`; told
no class ("unconditional"); or `finetuned_ddpm`, all weights or LoRA, which starts from a model of the digits 5 to 9
and goes on with protected images of 0 to 4. Study "purification": `small_cnn` trains on protected images after a
countermeasure. Digits are those of scikit-learn, enlarged to 16 pixels; CIFAR-10 is two classes (airplane, automobile)
of `cifar10_jpeg`. Every cell is a line of `diffusion.jsonl`; those that are there are not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Image, disable_progress_bars, load_dataset

from hf_unlearnable._files import write_file
from hf_unlearnable.adversary import Attacker, Rows, Victim
from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES
from hf_unlearnable.image.ddpm import Diffusion, trained_ddpm
from hf_unlearnable.image.generated import ImageJudge
from hf_unlearnable.image.victims import ImageTraining, ddpm, finetuned_ddpm, small_cnn
from hf_unlearnable.image.victims.training import rgb
from hf_unlearnable.registry import method_class

OUTPUT = Path(__file__).with_suffix(".jsonl")
TRAIN, TEST = {"digits": 1297, "digits 0 to 4": 650, "cifar10_jpeg": 2000}, {"digits 0 to 4": 250}
EPOCHS = {"digits": 30, "cifar10_jpeg": 16}
VICTIMS: dict[str, dict[str, Any]] = {
    "unconditional": {"conditional": False}, "fine-tuned": {},
    "fine-tuned, LoRA": {"lora_rank": 8, "learning_rate": 3e-3},
}  # fmt: skip
EUDP = {"timesteps": "noise-weighted"}
UDP = {"timesteps": "uniform"}
VERSIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random-noise", {}),
    "EUDP, raised": ("denoising-error", {"direction": "raise", **EUDP}),
    "EUDP, lowered": ("denoising-error", {"direction": "lower", **EUDP}),
    "UDP, raised": ("denoising-error", {"direction": "raise", **UDP}),
    "UDP, lowered": ("denoising-error", {"direction": "lower", **UDP}),
    "UDP, lowered, 10 rounds": ("denoising-error", {"direction": "lower", **UDP, "max_rounds": 10}),
    "EUDP, lowered, 10 rounds": ("denoising-error", {"direction": "lower", **EUDP, "max_rounds": 10}),
    "EUDP, lowered, 3 steps": ("denoising-error", {"direction": "lower", **EUDP, "num_steps": 3}),
    "texture": ("texture", {}),
    "error-min": ("error-min", {}),
    "error-min, 16/255": ("error-min", {"epsilon": 16 / 255, "surrogate_steps": 3}),
    "convolution": ("convolution", {}),
}
COUNTERMEASURES = ("none", "jpeg-10", "diffusion-purification", "diffusion-purification-clean-5%")


def planned() -> Iterator[dict[str, Any]]:
    """All cells, what matters most first."""

    def generator(version: str, levels: int, seed: int, data: str = "digits", **victim: str) -> dict[str, Any]:
        return {"study": "generator", "data": data, "version": version, "levels": levels, "seed": seed, **victim}

    versions = (("clean", 0), ("random", 16), ("EUDP, lowered", 16))
    first = ("EUDP, lowered", "random")
    yield generator("clean", 0, 0)
    yield from (generator(name, 16, 0) for name in (*first, "EUDP, raised"))
    yield generator("EUDP, lowered", 16, 1)
    for tried in COUNTERMEASURES:
        for version in ("texture", "error-min, 16/255", "convolution", "clean", "error-min"):
            yield {"study": "purification", "data": "digits", "version": version, "countermeasure": tried, "seed": 0}
    yield generator("clean", 0, 1)
    yield generator("random", 16, 1)
    yield generator("UDP, lowered", 16, 0)
    yield generator("EUDP, lowered", 8, 0)
    yield generator("EUDP, lowered, 10 rounds", 16, 0)
    yield generator("UDP, raised", 16, 0)
    yield generator("clean", 0, 2)
    yield from (generator(name, 16, 2) for name in first)
    yield from (generator(name, 8, 0) for name in ("random", "UDP, lowered", "EUDP, raised"))
    yield generator("EUDP, lowered, 3 steps", 16, 0)
    yield from (generator("UDP, lowered", 16, seed) for seed in (1, 2))
    yield generator("UDP, lowered, 10 rounds", 16, 0)
    for victim in ("fine-tuned", "fine-tuned, LoRA"):
        yield from (generator(name, levels, 0, "digits 0 to 4", victim=victim) for name, levels in versions)
    yield from (generator(name, levels, 0, victim="unconditional") for name, levels in versions)
    yield generator("clean", 0, 0, "cifar10_jpeg")
    yield from (generator(name, 16, 0, "cifar10_jpeg") for name in ("random", "UDP, lowered"))


def main() -> None:
    """Computes the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--output", default=OUTPUT, type=Path, help="default: diffusion.jsonl beside this script")
    arguments = parser.parse_args()
    disable_progress_bars()
    pretrained = Pretrained(arguments.data)
    judges: dict[str, ImageJudge] = {}
    for cell in planned():
        asked = {"victim": None, **cell}
        if any(asked == {name: one.get(name) for name in asked} for one in lines_of(arguments.output)):
            continue
        train, test = loaded(cell["data"], arguments.data)
        start = time.process_time()
        rows, cell["fit_seconds"] = version_of(cell, train)
        if cell["study"] == "generator":
            if cell["data"] not in judges:
                judges[cell["data"]] = ImageJudge(rows_of(test))
            labels = test["label"][:]
            model = victim_of(cell, pretrained)
            made = model(rows.inputs, rows.labels, labels, seed=cell["seed"])
            _, told = judges[cell["data"]].judged(made, labels, rows)
            sheet(arguments.output, cell, told.pop("sheet"))
            cell |= told
        else:
            cell["accuracy"] = purified(cell, rows, train, test)
        cell |= {"rows": len(train), "test_rows": len(test), "cpu_seconds": round(time.process_time() - start, 1)}
        lines = [*lines_of(arguments.output), cell]
        write_file(arguments.output, "".join(json.dumps(one) + "\n" for one in lines))
        print(cell, flush=True)


class Pretrained:
    """A pipeline that knows the digits 5 to 9, trained when it is first asked for."""

    def __init__(self, data: str):
        self.data = data

    @cached_property
    def folder(self) -> str:
        """Where it is."""
        import torch
        from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

        unet = UNet2DModel(
            sample_size=16, layers_per_block=1, block_out_channels=(32, 64), norm_num_groups=8, add_attention=False,
            down_block_types=["DownBlock2D"] * 2, up_block_types=["UpBlock2D"] * 2,
        )  # fmt: skip
        scheduler = DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2", prediction_type="sample")
        images = rgb(rows_of(loaded("digits 5 to 9", self.data)[0]).inputs, 16)
        torch.manual_seed(0)
        training = ImageTraining(epochs=40, batch_size=64, learning_rate=3e-3, augment=False)
        made = Diffusion(scheduler, classes=False), lambda: unet
        where = tempfile.mkdtemp()
        pipeline = trained_ddpm(made, images, None, training, lambda unet: DDPMPipeline(unet, scheduler))
        pipeline.save_pretrained(where)
        return where


def victim_of(cell: dict[str, Any], pretrained: Pretrained) -> Victim:
    """The victim of a cell."""
    name = cell.get("victim", "")
    if name.startswith("fine-tuned"):
        return finetuned_ddpm.configured(model=pretrained.folder, **VICTIMS[name])
    return ddpm.configured(epochs=EPOCHS[cell["data"]], **VICTIMS.get(name, {}))


def loaded(data: str, folder: str) -> tuple[Dataset, Dataset]:
    """Training and test rows."""
    if data.startswith("digits"):
        from PIL import Image as Picture
        from sklearn.datasets import load_digits

        found = load_digits()
        if " to " in data:
            low, high = (int(word) for word in data.split() if word.isdecimal())
            kept = (found.target >= low) & (found.target <= high)
            found.images, found.target = found.images[kept], found.target[kept]
        pictures = [Picture.fromarray((image * 15.9375).astype(np.uint8)) for image in found.images]
        pictures = [picture.resize((16, 16), Picture.Resampling.BILINEAR) for picture in pictures]
        every = Dataset.from_dict({"image": pictures, "label": found.target}).cast_column("image", Image())
    else:
        every = load_dataset("parquet", data_files=str(Path(folder, data, "train.parquet")), split="train")
        every = every.select([i for i, label in enumerate(every["label"]) if label in (0, 1)])
    order = np.random.default_rng(0).permutation(len(every))
    test = TEST.get(data, 500)
    count = min(TRAIN.get(data, len(order)), len(order) - test)
    return every.select(order[:count]), every.select(order[count : count + test])


def version_of(cell: dict[str, Any], train: Dataset) -> tuple[Rows, float]:
    """The training rows as they are published, and the CPU seconds that the noise took."""
    if cell["version"] == "clean":
        return rows_of(train), 0.0
    name, settings = VERSIONS[cell["version"]]
    levels = {"epsilon": cell["levels"] / 255} if "levels" in cell else {}
    start = time.process_time()
    cloak = method_class(name)(seed=cell["seed"], **settings, **levels).fit(train)
    took = time.process_time() - start
    return rows_of(train.map(cloak, batched=True, batch_size=64)), round(took, 1)


def rows_of(dataset: Dataset) -> Rows:
    """Images and labels of a dataset."""
    return Rows([np.asarray(image.convert("RGB")) for image in dataset["image"]], dataset["label"][:])


def purified(cell: dict[str, Any], rows: Rows, train: Dataset, test: Dataset) -> float:
    """The accuracy of `small_cnn` on the last half of the test; the attacker has the first half."""
    half = len(test) // 2
    own, asked = rows_of(test.select(range(half))), rows_of(test.select(range(half, len(test))))
    if cell["countermeasure"] != "none":
        attacker = Attacker(seed=cell["seed"], clean=own, published=len(train))
        change: Any = IMAGE_COUNTERMEASURES[cell["countermeasure"]].on_rows
        rows = change(rows, attacker)
    found = small_cnn(rows.inputs, rows.labels, asked.inputs, seed=cell["seed"])
    return round(float(np.mean(found == np.asarray(asked.labels))), 4)


def sheet(output: Path, cell: dict[str, Any], png: str) -> None:
    """Writes what the generator of a cell made beside the output, in a folder that is not kept with the numbers."""
    import base64

    folder = output.with_suffix("")
    folder.mkdir(exist_ok=True)
    name = "-".join(
        str(cell[part]) for part in ("data", "version", "levels", "seed", "victim") if part in cell
    ).replace(", ", "_")
    (folder / f"{name.replace(' ', '')}.png").write_bytes(base64.b64decode(png))


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


if __name__ == "__main__":
    main()
