# /// script
# dependencies = ["hf-unlearnable[image]", "pyyaml"]
# ///
"""Protects one split of an image data set, on one GPU, several, several machines, or a CPU.

    accelerate launch recipes/protect_images.py --config recipes/configs/cifar10_error_min.yaml
    accelerate launch --multi_gpu --num_processes 8 --mixed_precision bf16 recipes/protect_images.py --config ...
    ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2 recipes/protect_images.py --config ...   # two CPU processes
    python recipes/protect_images.py --config recipes/configs/cifar10_texture.yaml               # closed form

Every option may stand in the YAML file, and the command line overrides it. Each process computes the noise of its part
of the rows, protects it, opens what it wrote again and checks the bound. Out come `<output>/<split>-*.parquet`, ready
for `load_dataset`, and beside it `<output>.report/` (fidelity-*.json, contact-sheet.png) and the key. A run that was
killed goes on after its last whole round when it is started again. (`accelerate launch --cpu --num_processes 2` starts
one process only; torchrun as above starts two.)
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import options
from accelerate import Accelerator
from datasets.distributed import split_dataset_by_node

from hf_unlearnable import load_transform
from hf_unlearnable.data import load_rows, write_rows
from hf_unlearnable.image.fidelity import contact_sheet, image_fidelity
from hf_unlearnable.image.learning.rounds import LearnedNoiseTransform
from hf_unlearnable.registry import method_class

logger = logging.getLogger("protect_images")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Options from the command line, on top of those of the YAML file."""
    parser = options.new_parser(__doc__ or "", "error-min")
    parser.add_argument("--split", default="train")
    parser.add_argument("--output", help="new folder for the protected split")
    parser.add_argument("--key", help="the owner's key, written if new (default: <output>.key)")
    parser.add_argument("--checkpoint_dir", help="seen by all processes, removed at the end (default: <output>.fit)")
    arguments = options.parse(parser, argv)
    arguments.checkpoint_dir = Path(arguments.checkpoint_dir or f"{arguments.output}.fit")
    return arguments


def fitted(arguments: argparse.Namespace, dataset: Any, accelerator: Accelerator) -> Any:
    """The transform of the key, which is learned first if it is not there."""
    if not arguments.key.exists():
        parameters = {name: as_number(value) for name, value in arguments.parameters.items()}
        cloak: Any = method_class(arguments.method)(**parameters)
        if isinstance(cloak, LearnedNoiseTransform):
            cloak.fit(dataset, accelerator=accelerator, checkpoint_dir=arguments.checkpoint_dir)
        elif accelerator.is_main_process:
            cloak.fit(dataset)
        if accelerator.is_main_process:
            cloak.key.save(arguments.key)
    accelerator.wait_for_everyone()
    cloak = load_transform(arguments.key)
    of_key = cloak.get_params()
    other = [name for name, value in arguments.parameters.items() if of_key.get(name) != as_number(value)]
    if cloak.method != arguments.method or other:
        raise ValueError(
            f"The key {arguments.key} is there already, of {cloak.method}, and differs in "
            f"{', '.join(other) or 'the method'}. Give another key, or the parameters that it was made with."
        )
    return cloak


def as_number(value: Any) -> Any:
    """A fraction like 8/255, which YAML reads as text, as the number that it is."""
    above, slash, below = value.partition("/") if isinstance(value, str) else ("", "", "")
    return float(above) / float(below) if slash and above.strip().isdigit() else value


def main(argv: list[str] | None = None) -> None:
    """Learns the noise, protects this process's rows, checks and writes them."""
    arguments = parse(argv)
    accelerator = Accelerator()
    rank, world = accelerator.process_index, accelerator.num_processes
    logging.basicConfig(format="%(message)s", level=logging.INFO if rank == 0 else logging.WARNING)
    output, partial = Path(arguments.output), Path(f"{arguments.output}.partial")
    report = Path(f"{arguments.output}.report")
    if any(path.absolute().is_relative_to(output.absolute()) for path in (arguments.key, arguments.checkpoint_dir)):
        raise ValueError("The key or checkpoint_dir is within the output. Give it a place of its own.")
    if output.exists():
        raise FileExistsError(f"{output} exists. Give another output, or move it away.")
    with accelerator.main_process_first():
        dataset = load_rows(arguments.dataset_name, config=arguments.dataset_config, split=arguments.split)
    cloak = fitted(arguments, dataset, accelerator)

    if rank == 0:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        report.mkdir(exist_ok=True)
    accelerator.wait_for_everyone()
    mine = split_dataset_by_node(dataset, rank, world)
    protected = mine.map(cloak, batched=True, batch_size=64, writer_batch_size=64, load_from_cache_file=False)
    file = partial / f"{arguments.split}-{rank:05d}-of-{world:05d}.parquet"
    write_rows(protected, file)
    bound = cloak.max_levels if cloak.additive else None
    fidelity = image_fidelity(mine, load_rows(file), cloak.image_column, bound)
    Path(report, f"fidelity-{rank:05d}.json").write_text(json.dumps(asdict(fidelity), indent=1) + "\n")
    accelerator.wait_for_everyone()
    if rank == 0:
        contact_sheet(mine, protected, cloak.image_column).save(report / "contact-sheet.png")
        partial.rename(output)
        shutil.rmtree(arguments.checkpoint_dir, ignore_errors=True)
        logger.info("%s\nWritten to %s, the key to %s: keep it, and keep it private.", fidelity, output, arguments.key)
    accelerator.end_training()


if __name__ == "__main__":
    main()
