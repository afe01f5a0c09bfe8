"""Writing files for keeps: whole or not at all, whatever ends the run.

What is written goes into a scratch folder beside its place, reaches the disk and takes its name at last. The scratch
folder's name tells the place and the process, `.NAME.PID@HOST.XXXX`: the next run that writes to the place removes
those of processes that were killed.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

# What a folder that cannot be synced says: not all file systems can, and then there is nothing to wait for.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)

_SCRATCH = re.compile(r"\..+\.\d{1,7}@[\w-]+\.\w+")


@contextmanager
def whole_or_nothing(output: str | os.PathLike, *, replace: bool = False) -> Iterator[Path]:
    """A scratch path beside `output` that takes its name when the block ends without an error.

    Args:
        output: A file or folder.
        replace: Whether a file that is there is replaced, at once.

    Raises:
        FileExistsError: `output` is there already, and is not to be replaced.
    """
    with all_or_nothing(output, replace=replace) as (scratch,):
        yield scratch


@contextmanager
def all_or_nothing(*outputs: str | os.PathLike, replace: bool = False) -> Iterator[list[Path]]:
    """As `whole_or_nothing`, for several outputs: they take their names one right after the other, or none does.

    Only a process that is killed between two of these names leaves some of them: those that stand first.
    """
    places = [Path(output) for output in outputs]
    for place in places:
        remove_left(place.parent, place.name)
        _check_free(place, replace)
    folders: list[Path] = []
    try:
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            folders.append(scratch_folder(place.parent, place.name))
        scratch = [folder / place.name for folder, place in zip(folders, places, strict=True)]
        yield scratch
        _sync_all(*(path for path, place in zip(scratch, places, strict=True) if not _within_scratch(place)))
        _take_names(scratch, places, replace)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def write_file(path: str | os.PathLike, contents: str | bytes) -> None:
    """Writes a file, or replaces it, whole or not at all; a text in UTF-8."""
    with whole_or_nothing(path, replace=True) as scratch:
        scratch.write_bytes(contents.encode() if isinstance(contents, str) else contents)


@contextmanager
def files_into(folder: str | os.PathLike) -> Iterator[Path]:
    """A scratch folder whose files go into `folder`, which may hold others, when the block ends without an error."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = scratch_folder(folder, "new")
    try:
        yield scratch
        _sync_all(scratch)
        files = sorted(scratch.iterdir())
        _take_names(files, [folder / file.name for file in files], replace=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def scratch_folder(parent: Path, name: str) -> Path:
    """A new folder that only this user may read, after those that killed processes left for the same name are gone."""
    remove_left(parent, name)
    return Path(tempfile.mkdtemp(dir=parent, prefix=f".{_short(name)}.{os.getpid()}@{_host()}."))


def remove_left(parent: Path, name: str | None = None) -> None:
    """Removes the scratch folders that killed processes of this machine left for a name, or with None for any."""
    named = ".+" if name is None else re.escape(_short(name))
    left = re.compile(rf"\.{named}\.(\d{{1,7}})@{re.escape(_host())}\.\w+")
    for path in parent.iterdir() if parent.is_dir() else ():
        found = left.fullmatch(path.name)
        if found and not _alive(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)


def remove_all_left(parent: Path) -> None:
    """Removes all scratch folders, also those of other machines: for a place where nothing is written any more."""
    for path in parent.iterdir():
        if _SCRATCH.fullmatch(path.name) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _short(name: str) -> str:
    """So much of a name that a scratch's has at most the 255 bytes that a file system takes."""
    return os.fsencode(name)[:120].decode(errors="ignore")


def _host() -> str:
    return re.sub(r"[^\w-]", "-", socket.gethostname())[:40]


def _alive(pid: int) -> bool:
    """Whether a process of this machine runs; where that cannot be asked, it is taken to."""
    if os.name != "posix":  # there, signal 0 is no question
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def _check_free(place: Path, replace: bool) -> None:
    if not replace and os.path.lexists(place):
        raise FileExistsError(f"{place} exists. Give another name, or move it away.")


def _take_names(scratch: list[Path], places: list[Path], replace: bool) -> None:
    named: list[tuple[Path, Path]] = []
    try:
        for path, place in zip(scratch, places, strict=True):
            _check_free(place, replace)  # again: the work may have taken hours
            path.replace(place)
            named.append((path, place))
        for parent in {place.parent for place in places}:
            if not _within_scratch(parent):
                _sync_folder(parent)
    except OSError:
        if not replace:
            for path, place in reversed(named):
                place.replace(path)
        raise


def _within_scratch(path: Path) -> bool:
    """Whether a path lies in another scratch folder, all of which is synced at its end."""
    return any(_SCRATCH.fullmatch(part) for part in path.absolute().parts)


def _sync_all(*paths: Path) -> None:
    """Waits until files, or all that is in folders, are on the disk: many at once take little longer than one."""
    files, folders = [path for path in paths if not path.is_dir()], []
    for root, _, names in (entry for path in paths for entry in os.walk(path)):
        folders.append(Path(root))
        files += [Path(root, name) for name in names]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_sync_file, files))
        list(pool.map(_sync_folder, folders))


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    if os.name != "posix":  # folders do not open there
        return
    try:
        _sync_file(path)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
