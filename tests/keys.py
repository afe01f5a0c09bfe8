"""Keys on disk, changed for tests."""

import json
from pathlib import Path

from hf_unlearnable.key import _checksum


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
