"""What a folder holds."""

from pathlib import Path


def names(folder) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def files(folder) -> list[str]:
    """Paths of all files, below the folder."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def contents(folder) -> dict[str, bytes]:
    return {name: Path(folder, name).read_bytes() for name in files(folder)}
