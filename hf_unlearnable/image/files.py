"""Folders of pictures."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

from hf_unlearnable.data.file_folders import FileKind, holds_files, read_files, without_labels, write_files

HEIC = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})
# Files that are pictures to their owner, readable here or not; what is not readable is named.
_READABLE = """
    .apng .avif .avifs .bmp .bw .cur .dcx .dds .dib .eps .gif .icb .icns .ico .im .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg
    .jpf .jpg .jpx .pbm .pcd .pcx .pgm .png .pnm .ppm .ps .psd .qoi .ras .rgb .rgba .sgi .tga .tif .tiff .vda .vst
    .webp .xbm .xpm
"""
_RAW = ".3fr .arw .cr2 .cr3 .dng .jxl .nef .orf .raf .rw2 .srw"
PICTURES = HEIC.union(_READABLE.split(), _RAW.split())


def _feature(**options: Any) -> Any:
    from datasets import Image

    return Image(**options)


def _refused(path: Path, deep: bool) -> str | None:
    if "::" in str(path):
        return "has '::' in its name, which `datasets` takes for an archive: rename it"
    if path.suffix.lower() in HEIC and not _reads_heic():
        return "is HEIC: install pillow-heif, or convert it to PNG or JPEG"
    if deep:
        from hf_unlearnable.image.codec import ImageError, decode

        try:
            decode({"bytes": path.read_bytes(), "path": str(path)})
        except ImageError as error:
            return str(error)
        except OSError as error:
            return f"cannot be read ({error.strerror})"
    return None


def _reads_heic() -> bool:
    return importlib.util.find_spec("pillow_heif") is not None


def _ending(data: bytes) -> str:
    return ".webp" if data[8:12] == b"WEBP" else ".png"


KIND = FileKind("picture", "pictures", "image", PICTURES, _feature, _refused, _ending)
holds_images = partial(holds_files, KIND)
read_pictures = partial(read_files, KIND)
without_image_labels = partial(without_labels, KIND)
write_images = partial(write_files, KIND)
