# /// script
# dependencies = ["hf-unlearnable", "datatrove"]
# ///
"""Protects texts inside a datatrove pipeline: the tasks count, one key is made, the tasks protect.

    python recipes/datatrove_protect.py --input in --output out --key my.key --tasks 20 --workers 2

Put `CountWords` and `Protect` between your own readers and writers, and give them to a `SlurmPipelineExecutor` or a
`RayPipelineExecutor` as they are: every row gets the bytes that `map` gives it. Without a pipeline of your own,
`hf-unlearnable protect` does the same on Parquet files and keeps their names. datatrove leaves rows without text out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from hf_unlearnable import RegTextTransform, load_transform

BATCH = 1000  # documents that are changed at once


class CountWords(PipelineStep):
    """Counts the words of a task's documents by their label, for the key.

    Args:
        folder: Where the counts go, one file per task. They tell of the clean texts: keep it private.
        label: Name of the label in a document's metadata.
        parameters: Arguments of `RegTextTransform`; the seed has to be the same for all tasks.
    """

    name, type = "count words", "unlearnable"

    def __init__(self, folder: str, label: str = "label", **parameters: Any):
        super().__init__()
        self.folder, self.label, self.parameters = folder, label, parameters

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Hands the documents on as they are."""
        from datasets import Dataset

        counted, rows = RegTextTransform(**self.parameters), iter(data)
        while documents := list(islice(rows, BATCH)):
            labels = [document.metadata[self.label] for document in documents]
            texts = [document.text for document in documents]
            counted.partial_fit(Dataset.from_dict({"text": texts, "label": labels}))
            yield from documents
        if counted._counts is not None:
            Path(self.folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            counted.counts.save(Path(self.folder, f"{rank:05d}.parquet"))


class Protect(PipelineStep):
    """Protects a task's documents.

    Args:
        key: Folder of the key.
        label: Name of the label in a document's metadata.
    """

    name, type = "protect", "unlearnable"

    def __init__(self, key: str, label: str = "label"):
        super().__init__()
        self.key, self.label = key, label

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Hands the documents on with their words."""
        cloak, rows = load_transform(self.key), iter(data)
        while documents := list(islice(rows, BATCH)):
            labels = [document.metadata[self.label] for document in documents]
            made = cloak({"text": [document.text for document in documents], "label": labels})
            for document, document.text in zip(documents, made["text"], strict=True):
                yield document


def save_key(folder: str, key: str, **parameters: Any) -> None:
    """Adds the counts of all tasks and saves the key.

    Args:
        folder: That of `CountWords`.
        key: A new folder.
        parameters: As for `CountWords`.
    """
    from hf_unlearnable.text.counting.counts import WordCounts

    cloak = RegTextTransform(**parameters)
    for path in sorted(Path(folder).glob("*.parquet")):
        cloak.merge(WordCounts.load(path))
    cloak.key.save(key)


def flat(step: Any, document: Any) -> dict[str, Any]:
    """A document as the row that it was read from."""
    return {"text": document.text, "label": document.metadata["label"]}


def main(argv: list[str] | None = None) -> None:
    """Counts, makes the key and protects, with an executor of this machine."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    from hf_unlearnable.key import new_seed

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, help="folder of Parquet files with `text` and `label`")
    parser.add_argument("--output", required=True, help="new folder")
    parser.add_argument("--key", required=True, help="new folder of the key; its counts stay beside it, as private")
    parser.add_argument("--tasks", type=int, default=2, help="shares of the files")
    parser.add_argument("--workers", type=int, default=1, help="how many tasks run at once")
    arguments = parser.parse_args(argv)
    counts, parameters = f"{arguments.key}.counts", {"seed": new_seed()}
    share = {"tasks": arguments.tasks, "workers": arguments.workers}
    writer = ParquetWriter(arguments.output, output_filename="train-${rank}.parquet", adapter=flat)
    first = [ParquetReader(arguments.input), CountWords(counts, **parameters)]
    LocalPipelineExecutor(first, logging_dir=f"{arguments.output}.logs/count", **share).run()
    save_key(counts, arguments.key, **parameters)
    second = [ParquetReader(arguments.input), Protect(arguments.key), writer]
    LocalPipelineExecutor(second, logging_dir=f"{arguments.output}.logs/protect", **share).run()


if __name__ == "__main__":
    main()
