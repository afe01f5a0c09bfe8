# /// script
# dependencies = ["hf-unlearnable", "pyyaml"]
# ///
"""Protects the splits of a text data set with one key.

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

from hf_unlearnable.data import load_rows, whole_or_nothing
from hf_unlearnable.registry import method_class

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
    cloak = method_class(arguments.method)(**arguments.parameters).fit(splits[arguments.splits[0]])
    with whole_or_nothing(arguments.output) as scratch:
        scratch.mkdir()
        for name, rows in splits.items():
            protected = rows.map(cloak, batched=True, num_proc=arguments.num_proc, desc=f"Protecting {name}")
            protected.to_parquet(str(scratch / f"{name}.parquet"))
            logger.info("%s: %d rows protected with %r", name, len(rows), cloak)
        cloak.key.save(arguments.key)
    logger.info("Data: %s   key: %s (keep it private)", arguments.output, arguments.key)


if __name__ == "__main__":
    main()
