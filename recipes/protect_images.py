# /// script
# dependencies = ["hf-unlearnable[image]", "pyyaml"]
# ///
"""Protects one split of an image dataset, on one GPU, several, several machines, or a CPU.

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
import logging
from pathlib import Path
from typing import Any

import options
from accelerate import Accelerator

from hf_unlearnable.data import load_rows
from hf_unlearnable.protection import protect, with_key

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


def as_number(value: Any) -> Any:
    """A fraction like 8/255, which YAML reads as text, as the number that it is."""
    above, slash, below = value.partition("/") if isinstance(value, str) else ("", "", "")
    return float(above) / float(below) if slash and above.strip().isdigit() else value


def main(argv: list[str] | None = None) -> None:
    """Learns the noise, protects this process's rows, checks and writes them."""
    arguments = parse(argv)
    accelerator = Accelerator()
    logging.basicConfig(format="%(message)s", level=logging.INFO if accelerator.is_main_process else logging.WARNING)
    with accelerator.main_process_first():
        dataset = load_rows(arguments.dataset_name, config=arguments.dataset_config, split=arguments.split)
    parameters = {name: as_number(value) for name, value in arguments.parameters.items()}
    done = protect(
        {arguments.split: dataset}, with_key(arguments.method, parameters, arguments.key), arguments.output,
        key=arguments.key, report=f"{arguments.output}.report", accelerator=accelerator,
        checkpoint_dir=arguments.checkpoint_dir,
    )  # fmt: skip
    logger.info(
        "%s\nWritten to %s, the key to %s: keep it, and keep it private.", done.told(arguments.split),
        arguments.output, arguments.key,
    )  # fmt: skip
    accelerator.end_training()


if __name__ == "__main__":
    options.run(main)
