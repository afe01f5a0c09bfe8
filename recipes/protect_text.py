# /// script
# dependencies = ["hf-unlearnable", "pyyaml"]
# ///
"""Protects the splits of a text dataset with one key.

    python recipes/protect_text.py --config recipes/configs/imdb_regtext.yaml
    python recipes/protect_text.py --config recipes/configs/imdb_regtext.yaml --dataset_name my.csv --output mine

The words are learned from the first split and put into all of them. Every option may stand in the YAML file, and the
command line overrides it. What comes out: `<output>/<split>.parquet` for each split, ready for `load_dataset`, and the
key apart from it.
"""

from __future__ import annotations

import argparse
import logging

import options

from hf_unlearnable.data import load_rows
from hf_unlearnable.protection import protect, with_key

logger = logging.getLogger("protect_text")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Options from the command line, on top of those of the YAML file."""
    parser = options.new_parser(__doc__ or "", "regtext")
    parser.add_argument(
        "--splits", nargs="+", default=["train"], help="splits to protect; the first one is learned from"
    )
    parser.add_argument("--output", help="new folder for the protected splits")
    parser.add_argument("--key", help="where the owner's key goes (default: <output>.key)")
    parser.add_argument("--num_proc", type=int)
    return options.parse(parser, argv)


def main(argv: list[str] | None = None) -> None:
    """Fits on the first split, protects all of them and saves the key."""
    arguments = parse(argv)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    splits = {
        name: load_rows(arguments.dataset_name, config=arguments.dataset_config, split=name)
        for name in arguments.splits
    }
    cloak = with_key(arguments.method, arguments.parameters, arguments.key)
    done = protect(splits, cloak, arguments.output, key=arguments.key, num_proc=arguments.num_proc)
    for name, rows in done.rows.items():
        logger.info("%s: %d of %d rows protected. %s.", name, done.changed[name], rows, done.told(name))
    logger.info("Data: %s   key: %s (keep it private)", arguments.output, arguments.key)


if __name__ == "__main__":
    options.run(main)
