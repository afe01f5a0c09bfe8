# /// script
# dependencies = ["hf-unlearnable[attack,diffusion,image]"]
# ///
"""The fine-tuning attack on images: what does an image generator learn from the protected pictures?

    accelerate launch recipes/finetune_diffusion.py --config recipes/configs/finetune_diffusion.yaml
    python recipes/finetune_diffusion.py --config ... --clean mine/ --protected cloaked/ --instance_prompt "a sks dog"

A Stable Diffusion pipeline gets a LoRA adapter on the attention of its UNet, as DreamBooth with LoRA trains one: once
on the clean pictures and once on the protected ones, from the same first weights and with the same draws. Each time it
draws pictures of the same prompts from the same noise. `<output_dir>/samples.png` shows both side by side, and
`results.json` tells the loss of either and, with `feature_model`, how its pictures lie among the clean ones (kid, fid,
precision, recall, see `hf_unlearnable.image.generated`). The adapters stand beside them.

Without a GPU it tells after one step how long all would take, and stops; `--cpu true` lets it go on.

Paper. DreamBooth: N. Ruiz et al., CVPR 2023, arXiv:2208.12242. LoRA: E. Hu et al., ICLR 2022, arXiv:2106.09685.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from datasets import Dataset
from diffusers import DDPMScheduler, StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from options import run
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image
from torch.nn.functional import mse_loss
from trl import TrlParser

from hf_unlearnable.data import load_rows
from hf_unlearnable.image.codec import rgb_levels
from hf_unlearnable.rows import require_columns

logger = logging.getLogger("finetune_diffusion")

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


@dataclass
class Arguments:
    """What is trained on what.

    Args:
        model_name_or_path: Id or folder of a Stable Diffusion pipeline.
        clean: Original pictures: a folder, a file or a Hub id.
        protected: The same, protected.
        image_column: Column of pictures.
        prompt_column: Column of prompts; None for `instance_prompt` in all rows.
        instance_prompt: What every picture shows, in words.
        versions: Which of clean and protected to train on.
        resolution: Pixels per side that the pipeline works at.
        rank: Of the LoRA adapter.
        learning_rate: Of AdamW, constant.
        max_train_steps: Updates.
        train_batch_size: Pictures per update and process.
        num_images: Pictures that are drawn after each training.
        num_inference_steps: Of a picture.
        guidance_scale: How closely a picture follows its prompt.
        feature_model: Id or folder of an `AutoModelForImageClassification` for the measures; None for none.
        seed: Of all draws.
        cpu: Whether to go on without a GPU, whatever time it takes.
        output_dir: Where everything is written.
    """

    model_name_or_path: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    clean: str | None = None
    protected: str | None = None
    image_column: str = "image"
    prompt_column: str | None = None
    instance_prompt: str | None = None
    versions: list[str] = field(default_factory=lambda: ["clean", "protected"])
    resolution: int = 512
    rank: int = 4
    learning_rate: float = 1e-4
    max_train_steps: int = 400
    train_batch_size: int = 1
    num_images: int = 16
    num_inference_steps: int = 50
    guidance_scale: float = 7.5
    feature_model: str | None = None
    seed: int = 0
    cpu: bool = False
    output_dir: str = "runs/finetune_diffusion"


def load_pipeline(name: str) -> Any:
    """The pipeline, with its UNet, text encoder and autoencoder as they are.

    Raises:
        OSError: It is none, or lacks a part.
    """
    missing = [part for part in PARTS if Path(name).is_dir() and not Path(name, part).is_dir()]
    if missing:
        raise OSError(
            f"{name} holds no {' and no '.join(missing)}: give the folder of a whole Stable Diffusion pipeline."
        )
    try:
        pipeline = StableDiffusionPipeline.from_pretrained(name, safety_checker=None)
    except (OSError, ValueError, TypeError) as error:
        raise OSError(f"{name} holds no Stable Diffusion pipeline that can be loaded: {error}") from error
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        part.requires_grad_(False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def pictures(arguments: Arguments, version: str) -> tuple[list[Image.Image], list[str]]:
    """The pictures of a version at the size of the pipeline, and their prompts.

    Raises:
        ValueError: A column or the prompt is missing, or there is no picture.
    """
    source = getattr(arguments, version, None)
    if source is None:
        raise ValueError(f"There are no {version} pictures: give --{version}, or leave {version} out of --versions.")
    rows: Dataset = load_rows(source, need_labels=False)
    columns = [arguments.image_column, *([arguments.prompt_column] if arguments.prompt_column else [])]
    require_columns(rows.column_names, columns)
    if arguments.prompt_column is None and not arguments.instance_prompt:
        raise ValueError("There is no prompt: give --prompt_column, or --instance_prompt for all pictures.")
    if not len(rows):
        raise ValueError(f"{source} holds no picture.")
    prompts = rows[arguments.prompt_column][:] if arguments.prompt_column else [arguments.instance_prompt] * len(rows)
    if empty := [i for i, prompt in enumerate(prompts) if not prompt]:
        raise ValueError(f"Row {empty[0]} has no prompt in column {arguments.prompt_column!r}.")
    return [fitted(image, arguments.resolution) for image in rows[arguments.image_column]], [str(x) for x in prompts]


def fitted(image: Any, size: int) -> Image.Image:
    """The middle of a picture, as a square of this size in RGB."""
    from PIL import ImageOps

    return ImageOps.fit(Image.fromarray(rgb_levels(image)), (size, size), Image.Resampling.BICUBIC)


def train(
    arguments: Arguments, pipeline: Any, accelerator: Accelerator, images: Any, prompts: list[str]
) -> list[float]:
    """Trains a new adapter of the pipeline's UNet, and returns the loss of each update.

    Raises:
        FloatingPointError: The loss is no number.
        ValueError: There is no GPU, and nobody said to go on without one.
    """
    device = accelerator.device
    half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(accelerator.mixed_precision, torch.float32)
    pipeline.to(device, half)
    pipeline.unet.add_adapter(
        LoraConfig(r=arguments.rank, lora_alpha=arguments.rank, target_modules=["to_k", "to_q", "to_v", "to_out.0"])
    )
    learned = [weight for weight in pipeline.unet.parameters() if weight.requires_grad]
    for weight in learned:
        weight.data = weight.float()
    noising = DDPMScheduler.from_config(pipeline.scheduler.config)
    unet, optimizer = accelerator.prepare(pipeline.unet, torch.optim.AdamW(learned, arguments.learning_rate))
    unet.train()
    losses: list[float] = []
    start = time.perf_counter()
    for rows in batches(len(images), arguments, accelerator):
        levels = torch.from_numpy(np.stack([np.asarray(images[i]) for i in rows])).permute(0, 3, 1, 2)
        with torch.no_grad():
            tokens = pipeline.tokenizer(
                [prompts[i] for i in rows], padding="max_length", truncation=True, return_tensors="pt",
                max_length=pipeline.tokenizer.model_max_length,
            )  # fmt: skip
            told = pipeline.text_encoder(tokens.input_ids.to(device))[0]
            latents = pipeline.vae.encode((levels.to(device, half) / 127.5) - 1).latent_dist.sample()
            latents = latents * pipeline.vae.config.scaling_factor
        noise = torch.randn_like(latents)
        steps = torch.randint(0, noising.config.num_train_timesteps, (len(rows),), device=device)
        with accelerator.autocast():
            answer = unet(noising.add_noise(latents, noise, steps), steps, told).sample
        velocity = noising.config.prediction_type == "v_prediction"
        loss = mse_loss(answer.float(), (noising.get_velocity(latents, noise, steps) if velocity else noise).float())
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"The loss is {loss.item()} after {len(losses)} updates. Lower --learning_rate.")
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == 1 and device.type == "cpu" and not arguments.cpu:
            raise ValueError(no_gpu(arguments, time.perf_counter() - start))
    pipeline.unet = accelerator.unwrap_model(unet)
    return losses


def batches(count: int, arguments: Arguments, accelerator: Accelerator) -> Iterator[list[int]]:
    """The row numbers of every update of this process: each row once before any comes again."""
    order: list[int] = []
    generator = np.random.default_rng([arguments.seed, accelerator.process_index])
    for _ in range(arguments.max_train_steps):
        while len(order) < arguments.train_batch_size:
            order += generator.permutation(count).tolist()
        yield order[: arguments.train_batch_size]
        order = order[arguments.train_batch_size :]


def no_gpu(arguments: Arguments, step: float) -> str:
    """What to say where there is no GPU, from the seconds that one update took.

    A picture is taken for a third of an update per step, and twice that with guidance.
    """
    trained = step * arguments.max_train_steps
    drawn = step / arguments.train_batch_size * arguments.num_images * arguments.num_inference_steps * 2 / 3
    minutes = math.ceil((trained + drawn) * len(arguments.versions) / 60)
    took = f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"
    return f"There is no GPU. On this CPU it would take about {took}. Give --cpu true to go on all the same."


def drawn(arguments: Arguments, pipeline: Any, prompts: list[str]) -> list[Image.Image]:
    """Pictures of the prompts in turn, each from noise of its own that is the same for every version."""
    pipeline.unet.eval()
    made = []
    for i in range(arguments.num_images):
        generator = torch.Generator().manual_seed(arguments.seed + i)
        made += pipeline(
            prompts[i % len(prompts)], num_inference_steps=arguments.num_inference_steps, generator=generator,
            guidance_scale=arguments.guidance_scale, height=arguments.resolution, width=arguments.resolution,
        ).images  # fmt: skip
    return made


def measured(arguments: Arguments, made: list[Image.Image], clean: list[Image.Image]) -> dict[str, float]:
    """Measures of drawn pictures beside the clean ones, where a model of features is given."""
    if arguments.feature_model is None:
        return {}
    from hf_unlearnable.image.generated import measures
    from hf_unlearnable.image.learning.surrogate import image_classifier
    from hf_unlearnable.image.victims.features import features
    from hf_unlearnable.image.victims.training import rgb

    model = image_classifier(arguments.feature_model, 2)
    size = getattr(model, "image_size", None) or 224
    both = [features(model, rgb(part, size)).astype(np.float64) for part in (made, clean)]
    return {name: round(value, 4) for name, value in measures(*both).items()}


def sheet(columns: list[list[Image.Image]], side: int = 256) -> Image.Image:
    """Pictures below each other, one column for each version."""
    whole = Image.new("RGB", (side * len(columns), side * max(map(len, columns))), "white")
    for across, column in enumerate(columns):
        for down, picture in enumerate(column):
            whole.paste(picture.resize((side, side)), (across * side, down * side))
    return whole


def main(arguments: Arguments) -> None:
    """Trains on every version, draws, and writes the results.

    Args:
        arguments: What is trained on what.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
    accelerator = Accelerator()
    output = Path(arguments.output_dir)
    data = {version: pictures(arguments, version) for version in dict.fromkeys(["clean", *arguments.versions])}
    results: dict[str, Any] = {"settings": asdict(arguments), "device": str(accelerator.device)}
    shown = []
    for version in arguments.versions:
        set_seed(arguments.seed)
        pipeline = load_pipeline(arguments.model_name_or_path)
        losses = train(arguments, pipeline, accelerator, *data[version])
        accelerator.wait_for_everyone()
        if not accelerator.is_main_process:
            continue
        adapter = convert_state_dict_to_diffusers(get_peft_model_state_dict(pipeline.unet))
        StableDiffusionPipeline.save_lora_weights(output / version, unet_lora_layers=adapter)
        made = drawn(arguments, pipeline, data[version][1])
        for i, picture in enumerate(made):
            picture.save(output / version / f"{i}.png")
        last = losses[-max(1, len(losses) // 10) :]
        results[version] = {"loss": round(float(np.mean(last)), 5), **measured(arguments, made, data["clean"][0])}
        shown.append(made)
        logger.info("%s: %s", version, results[version])
    if accelerator.is_main_process:
        sheet(shown).save(output / "samples.png")
        (output / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        logger.info("Written to %s", output)
    accelerator.end_training()


def parse(argv: list[str] | None = None) -> Arguments:
    """The options of the YAML file and the command line.

    Args:
        argv: Of the command line; None for the process's own.
    """
    parser: Any = TrlParser(Arguments)
    return parser.parse_args_and_config(argv)[0]


if __name__ == "__main__":
    run(lambda: main(parse()))
