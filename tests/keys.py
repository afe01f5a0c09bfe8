"""Keys of tests: what they draw, and keys on disk, changed."""

import json
import random
from pathlib import Path
from types import SimpleNamespace

from hf_unlearnable import key
from hf_unlearnable.key import _checksum


def draw_from(name: str) -> None:
    """From here on, this process draws seeds of keys from a generator that starts with `name`."""
    key.secrets = SimpleNamespace(randbits=random.Random(name).getrandbits)


def edit(path: Path, change, signed: bool = True) -> None:
    """Changes what `key.json` says.

    Args:
        path: The key's folder.
        change: Takes the fields and changes them in place.
        signed: Whether the checksum fits again, as by somebody who knows how it is made; else the key becomes one of
            an earlier version, without a checksum.
    """
    contents = json.loads((path / "key.json").read_text(encoding="utf-8"))
    contents.pop("checksum", None)
    contents["format"] = 2 if signed else 1
    change(contents)
    if signed:
        contents["checksum"] = _checksum(contents, path)
    (path / "key.json").write_text(json.dumps(contents), encoding="utf-8")
