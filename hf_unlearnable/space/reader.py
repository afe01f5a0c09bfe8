"""The process that opens what strangers hand in: `python -m hf_unlearnable.space.reader TASK OUTPUT`, see `reading`.

Its arguments come as JSON on the standard input; its answer goes to the standard output, a table to the file OUTPUT.
What a decoder takes is for the file to say: a page of a Parquet file, a tile of a TIFF or a member of an archive may
unpack to gigabytes, whatever its header claims. Here memory and time are bounded by the operating system, and a
decoder that crashes ends this process alone.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from .limits import (
    MAX_UNPACKED,
    MEGABYTE,
    TABLES,
    RefusedError,
    opened_zip,
    read_images,
    read_member,
    read_table,
    shown,
)
from .recordings import read_recordings

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from hf_unlearnable.transform import Transform

# Of this process, what torch takes where a key needs it included.
MEMORY = int(os.environ.get("HF_UNLEARNABLE_READER_MEMORY", 700)) * MEGABYTE
SECONDS = 30  # of computing
EXPECTED = (ValueError, TypeError, OSError, ImportError, ArithmeticError, RuntimeError)


def main() -> None:
    """Carries out a task of `TASKS`, and prints `{"found": ...}` or `{"refused": ...}`."""
    task, output = sys.argv[1:]
    arguments = json.load(sys.stdin)
    _bound()
    try:
        found, table = TASKS[task](**arguments)
        if table is not None:
            _write(table, output)
        answer = {"found": found}
    except MemoryError:
        answer = {"refused": too_much(arguments)}
    except EXPECTED as error:
        answer = {"refused": " ".join(str(error).split()) or type(error).__name__}
    print(json.dumps(answer))  # noqa: T201


def too_much(arguments: dict[str, Any]) -> str:
    """The refusal of files that take more memory or time than there is."""
    paths = [path for value in arguments.values() for path in (value if isinstance(value, list) else [value])]
    names = [shown(Path(path).name) for path in paths if path and Path(path).is_file()]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"{', '.join(names[:3])}{more}: opening this takes more than the {MEMORY // MEGABYTE} MB of memory or "
        f"{SECONDS} seconds that this page has for it, or stops its reader. Make it smaller, or use the command line."
    )


def _bound() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits: there the page is its owner's own
        return
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def _write(table: pa.Table, output: str) -> None:
    import pyarrow as pa

    with pa.OSFile(output, "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


# ---------------------------------------------------------------------- tasks
def _table(path: str) -> tuple[None, pa.Table]:
    return None, read_table(path)


def _images(paths: list[str], label: str) -> tuple[None, pa.Table]:
    import pyarrow as pa

    return None, pa.Table.from_pylist(read_images(paths, label))


def _recordings(paths: list[str], label: str) -> tuple[None, pa.Table]:
    import pyarrow as pa

    return None, pa.Table.from_pylist(read_recordings(paths, label))


def _verify(key: str, paths: list[str], column: str | None) -> tuple[str, None]:
    from hf_unlearnable.ownership import verify

    with tempfile.TemporaryDirectory(dir=os.environ.get("HF_UNLEARNABLE_SPACE")) as folder:
        cloak = _transform(key, folder)
        return str(verify(cloak, _suspect(paths, cloak.modality), column=column)), None


def _restore(key: str, path: str) -> tuple[list[str], pa.Table]:
    from hf_unlearnable.protection import restore

    with tempfile.TemporaryDirectory(dir=os.environ.get("HF_UNLEARNABLE_SPACE")) as folder:
        cloak = _transform(key, folder)
        done = restore(_suspect([path], cloak.modality), cloak)
        return done.columns, done.data["train"].data.table


TASKS: dict[str, Callable[..., tuple[Any, pa.Table | None]]] = {
    "table": _table, "images": _images, "recordings": _recordings, "verify": _verify, "restore": _restore,
}  # fmt: skip


def _suspect(paths: list[str], kind: str) -> Dataset:
    """The rows of a table, or files and archives of them of the kind of data that the key is for."""
    from datasets import Dataset

    from .protection import file_dataset

    if Path(paths[0]).suffix.lower() in TABLES:
        if len(paths) > 1:
            raise RefusedError("Give one table, or files.")
        return Dataset(read_table(paths[0]))
    return file_dataset(read_recordings(paths, "") if kind == "audio" else read_images(paths, ""), kind)


def _transform(path: str, folder: str) -> Transform:
    """The transform of a key's zip archive, unpacked into a folder."""
    from hf_unlearnable.registry import load_transform

    name = shown(Path(path).name)
    if Path(path).suffix.lower() != ".zip":
        raise RefusedError(f"{name} is no key of this page: give the zip archive that you downloaded with the data.")
    target = Path(folder, "key")
    target.mkdir()
    with opened_zip(Path(path)) as archive:
        for member in archive.infolist():
            part = PurePosixPath(member.filename).name
            if part not in ("key.json", "tensors.safetensors"):
                continue
            if (target / part).exists():
                raise RefusedError(f"{name} holds several keys. Give one.")
            (target / part).write_bytes(read_member(Path(path), archive, member, MAX_UNPACKED))
    if not (target / "key.json").is_file():
        raise RefusedError(f"{name} holds no key: there is no key.json in it.")
    try:
        return load_transform(target)
    except ValueError as error:
        raise RefusedError(str(error).replace(str(target), name)) from None


if __name__ == "__main__":
    main()
