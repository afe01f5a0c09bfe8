"""Xet for the tests' Hub: the content-addressed store that the released `hf_xet` wheel can simulate in a folder.

The client, given `local://<folder>` as the address of the store, writes into the folder with the code with which it
talks to the real one, and leaves shards, each of which lists files by their Xet hashes and their sha256. The Hub finds
a file by its sha256 there and lets `hf_xet` put it together again. This address is no documented feature of `hf_xet`.
"""

import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ENTRY_BYTES = 48
TOKEN_SECONDS = 3600
HAS_VERIFICATION = 1 << 31
HAS_SHA256 = 1 << 30


def check_simulation() -> None:
    """Skips the test where the installed `hf_xet` has no simulated store."""
    library = pytest.importorskip("hf_xet")
    binaries = Path(library.__file__).parent.glob("hf_xet*.so")
    if not any(b"local://" in binary.read_bytes() for binary in binaries):
        pytest.skip("this hf_xet cannot simulate its store in a folder (no local:// address)")


def access(store: Path) -> tuple[dict, dict[str, str]]:
    """Where the store is and how to enter it: as JSON for `hf_xet`, as headers for `huggingface_hub`."""
    url, token, expiry = f"local://{store}", "test", int(time.time()) + TOKEN_SECONDS
    headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(expiry)}
    return {"casUrl": url, "accessToken": token, "exp": expiry}, headers


def fetch(store: Path, sha256: str, target: Path) -> None:
    """Writes the file with this sha256 to `target`, if it was uploaded.

    It reads a copy of the store: the index may be open once only, and the client has it open.
    """
    from hf_xet import XetFileInfo, XetSession

    found = [
        file for shard in store.rglob("*.mdb") for file in files_of_shard(shard.read_bytes()) if file[0] == sha256
    ]
    if not found:
        return
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(store, copy, dirs_exist_ok=True)
        where, _ = access(Path(copy))
        with XetSession().new_file_download_group(
            endpoint=where["casUrl"], token=where["accessToken"], token_expiry_unix_secs=where["exp"]
        ) as group:
            group.start_download_file(XetFileInfo(*found[0][1:]), str(target))


def files_of_shard(shard: bytes) -> Iterator[tuple[str, str, int]]:
    """(sha256, Xet hash, bytes) of each file in the file section of a shard.

    After a header come, for each file, 48-byte entries: the file's hash with flags and the number of its segments,
    the segments, as many entries for verification if flagged, and one with the sha256 if flagged. A hash of ones ends it.
    """
    at = ENTRY_BYTES
    while at + ENTRY_BYTES <= len(shard) and shard[at : at + 32] != b"\xff" * 32:
        xet_hash = hexadecimal(shard[at : at + 32])
        flags, segments = struct.unpack_from("<II", shard, at + 32)
        at += ENTRY_BYTES
        size = sum(struct.unpack_from("<I", shard, at + i * ENTRY_BYTES + 36)[0] for i in range(segments))
        at += ENTRY_BYTES * segments * (2 if flags & HAS_VERIFICATION else 1)
        if flags & HAS_SHA256:
            yield hexadecimal(shard[at : at + 32]), xet_hash, size
            at += ENTRY_BYTES


def hexadecimal(digest: bytes) -> str:
    """How Xet writes a hash: four little-endian words."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", digest))
