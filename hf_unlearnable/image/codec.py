"""From a stored image to its levels and back, without losing one: what a protection reads and what it writes.

`datasets` encodes an opened JPEG as a JPEG again when it passes through `map`, and the noise is mostly gone. So images
are taken as they are stored, decoded here, and written as PNG (or lossless WebP) of exactly the levels that were
computed. Turned the right way up by their EXIF orientation, they keep transparency and what decides how they look:
the ICC profile, and the PNG chunks cICP, gAMA, cHRM and sRGB. These chunks also hold what the EXIF of a JPEG, or the
nclx of an AVIF or HEIC, says of its colour space. What the XMP of a file forbids of data mining is kept too, alone in
a new packet (`reservation`). Everything else that a file may tell (GPS, camera, thumbnails, its name) is left out. An
opened image that goes back to `map` keeps the profile only, as Pillow does.

WebP holds an ICC profile only. A picture whose chunks name other colours than sRGB is stored as PNG all the same.

A protected WebP stays lossless until a later `map` opens it: `datasets` stores an opened WebP as a lossy one. Before
such a `map`, `dataset.cast_column("image", Image(decode=False))` keeps it.
"""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.image.colour import AVIF, HEIF, PNG, brands, colour_chunks
from hf_unlearnable.image.reservation import packet, reservation, reserves_only

if TYPE_CHECKING:
    from PIL.Image import Image

ENCODINGS = ("png", "png-fast", "webp")
_LARGE = 3_000_000  # values of an image, from which "png-fast" is written with run-length coding alone


# Modes whose pixels are what they are, and those that turn into one of them without losing a level.
_EXACT = {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "1": "L", "P": "RGB", "PA": "RGBA"}
_REFUSED = {
    "CMYK": "is CMYK, which PNG does not hold and no conversion keeps: convert it to RGB with its profile first",
    "I;16": "has 16 bits a channel: scale it to 8 bits first, in the way that suits your data",
    "I": "has more than 8 bits a channel: scale it to 8 bits first, in the way that suits your data",
    "F": "holds floating-point values: scale it to 8 bits first, in the way that suits your data",
}


# What puts an image of each EXIF orientation right; PIL.Image.Transpose by number. `ImageOps.exif_transpose` writes
# the whole EXIF anew, which fails where a camera gave a tag the wrong type.
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}


class ImageError(ValueError):
    """An image that cannot be protected exactly; the message says why and what to do."""


@dataclass(frozen=True)
class Picture:
    """A decoded image: the levels that may carry noise, and what is kept beside them.

    Args:
        levels: uint8 [height, width, channels], with 1 (gray) or 3 (RGB) channels.
        alpha: Transparency, uint8 [height, width], or None.
        icc_profile: The colour profile, or None.
        metadata: Names of what the file tells beyond the picture: it is left out when the picture is written.
        colour_chunks: What else decides how the levels are shown: names and contents of PNG chunks, such as gAMA.
        reservation: What its XMP forbids of data mining, such as "DMI-PROHIBITED"; None for nothing.
    """

    levels: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    metadata: tuple[str, ...] = ()
    colour_chunks: tuple[tuple[bytes, bytes], ...] = ()
    reservation: str | None = None

    @property
    def content(self) -> bytes:
        """What identifies the picture: its size and every level."""
        alpha = b"" if self.alpha is None else b"alpha" + self.alpha.tobytes()
        return repr(self.levels.shape).encode() + np.ascontiguousarray(self.levels).tobytes() + alpha


def decode(value: Any) -> Picture:
    """Opens an image as a dataset stores or hands it over.

    Args:
        value: `{"bytes", "path"}`, the bytes of a file, an opened PIL image, or an array, uint8 [height, width] or
            [height, width, channels]. Of a 16-bit colour image that comes opened Pillow has kept 8 bits already. HEIC
            takes pillow-heif. Of AVIF and HEIC with 10 or 12 bits the decoders give 8; `metadata` says so.

    Raises:
        ImageError: No image, a broken one, an animation, or one whose levels cannot be kept (CMYK, 16 bits, ...).
    """
    if isinstance(value, np.ndarray):
        return _from_array(value)
    require("image", "PIL")
    from PIL import Image, UnidentifiedImageError, features

    if value is None:
        raise ImageError("is empty: leave such rows out with mask_column")
    data = None if isinstance(value, Image.Image) else _data(value)
    if brands(data) & HEIF and find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    try:
        if data is None:
            return _from_pil(value)
        with Image.open(io.BytesIO(data)) as image:
            if data[:8] == PNG and data[24] == 16:
                raise ImageError(_REFUSED["I;16"])  # Pillow would drop half of the bits and not say so
            return _from_pil(image, data)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"has more pixels than Pillow's limit against decompression bombs: {error}") from None
    except UnidentifiedImageError:
        if b"<svg" in (data or b"")[:1000].lower():
            raise ImageError("is an SVG, a drawing without pixels: render it to PNG first") from None
        if brands(data) & HEIF and not find_spec("pillow_heif"):
            raise ImageError('is HEIC, which pillow-heif reads: pip install "hf-unlearnable[heif]"') from None
        if brands(data) & AVIF and not features.check("avif"):
            raise ImageError('is AVIF, which Pillow reads from 11.3 on: pip install "pillow>=11.3"') from None
        raise ImageError("does not open (no known format): the file is broken, or no image") from None
    except Exception as error:  # Pillow raises almost anything over broken files: struct.error, KeyError, ...
        raise ImageError(f"does not open ({error}): the file is broken, or no image") from None


def _data(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, dict) or not {"bytes", "path"} & set(value):
        raise ImageError(f"is {type(value).__name__}, not an image: cast the column with datasets.Image() first")
    from hf_unlearnable.data.values import stored_bytes

    try:
        data = stored_bytes({"bytes": value.get("bytes"), "path": value.get("path")})
    except OSError as error:
        raise ImageError(f"cannot be read ({error})") from None
    if data is None:
        raise ImageError("is empty: leave such rows out with mask_column")
    return data


def _from_array(levels: np.ndarray) -> Picture:
    given = levels
    levels = levels[:, :, None] if levels.ndim == 2 else levels
    if levels.dtype != np.uint8 or levels.ndim != 3 or not 1 <= levels.shape[2] <= 4 or not levels.size:
        raise ImageError(
            f"is an array of {given.dtype} {list(given.shape)}: give uint8 [height, width, channels] with 1 to 4 of "
            "them"
        )
    colours = 1 if levels.shape[2] < 3 else 3
    return Picture(levels[:, :, :colours], levels[:, :, colours] if levels.shape[2] > colours else None)


def _from_pil(image: Image, data: bytes = b"") -> Picture:
    if image.format in ("EPS", "WMF"):  # to load it Pillow would start Ghostscript, another program, on the file
        raise ImageError(f"is {image.format}, a drawing without pixels: render it to PNG first")
    # The further pictures of a camera's MPO or HEIC are previews or shots of their own, no animation.
    if getattr(image, "is_animated", False) and image.format not in ("MPO", "HEIF"):
        raise ImageError(f"is an animated {image.format}, {image.n_frames} frames: save the frames apart first")  # type: ignore[attr-defined]
    bits = image.tag_v2.get(258, 8) if image.format == "TIFF" else 8  # type: ignore[attr-defined]
    if image.mode in _REFUSED or image.mode.startswith("I;16"):
        raise ImageError(_REFUSED.get(image.mode, _REFUSED["I;16"]))
    if image.mode not in _EXACT or np.max(bits) > 8:
        raise ImageError(f"has the mode {image.mode} with {np.max(bits)} bits: convert it to RGB with 8 bits first")
    if image.format == "PPM" and any(isinstance(t.args, tuple) and t.args[-1] > 255 for t in image.tile):  # type: ignore[attr-defined]
        raise ImageError(_REFUSED["I;16"])
    metadata, icc_profile = _metadata(image, data), image.info.get("icc_profile")
    chunks = colour_chunks(image, data)
    mode = _EXACT[image.mode]
    if image.info.get("transparency") is not None or (image.palette and image.palette.mode == "RGBA"):
        mode = "LA" if mode in ("L", "LA") else "RGBA"
    image.load()  # a TIFF is turned by that
    turn = _TURNS.get(image.getexif().get(0x0112, 1))
    pixels = image if image.mode == mode else image.convert(mode)
    levels = np.asarray(pixels if turn is None else pixels.transpose(turn))  # type: ignore[arg-type]
    picture = _from_array(levels)
    return Picture(picture.levels, picture.alpha, icc_profile, metadata, chunks, reservation(_xmp(image)))


def _xmp(image: Image) -> str | bytes:
    """The XMP packet of an opened image, empty for none."""
    return image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""


# Tags of a TIFF that say how its pixels are stored.
_STRUCTURE = {
    254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 296, 317, 320, 322,
    323, 324, 325, 338, 339, 347, 529, 530, 531, 532, 34675,
}  # fmt: skip


# How a store of C2PA manifests begins, in a file of any format: the JUMBF description box with its type.
_C2PA = b"jumdc2pa\0\x11\0\x10"


def _metadata(image: Image, data: bytes) -> tuple[str, ...]:
    """Names of what the file tells beyond the picture, or beyond 8 bits."""
    from PIL import ExifTags

    exif = image.getexif()
    found = ["EXIF"] if set(exif) - (_STRUCTURE if image.format == "TIFF" else {0x0112}) else []
    found += [name for name, tag in (("GPS", 0x8825), ("thumbnail", 0x0201)) if tag in exif]
    if image.format != "TIFF" and exif.get_ifd(ExifTags.IFD.IFD1):
        found.append("thumbnail")
    found += ["XMP"] if _xmp(image) and not reserves_only(_xmp(image)) else []
    known = {"photoshop": "Photoshop data", "comment": "comment"}
    found += [name for entry, name in known.items() if image.info.get(entry)]
    found += ["text"] if set(getattr(image, "text", None) or {}) - {"XML:com.adobe.xmp"} else []
    parts = (*getattr(image, "applist", ()), *getattr(image, "private_chunks", ()))  # of a JPEG, of a PNG
    boxes = [content for name, content, *_ in parts if name == b"caBX" or (name == "APP11" and b"c2pa" in content)]
    if boxes or _C2PA in data:
        mining = any(re.search(rb"(?:c2pa|cawg)\.training-mining", box) for box in (*boxes, data))
        found.append("content credentials on training and mining" if mining else "content credentials")
    further = image.format == "MPO" or (image.format == "HEIF" and getattr(image, "n_frames", 1) > 1)
    found += ["further pictures"] if further else []
    found += ["bits beyond 8"] if _bits(data) > 8 else []
    return tuple(dict.fromkeys(found))


def _bits(data: bytes) -> int:
    """Bits per channel of an AVIF or HEIC, 8 of everything else: the first entry of its `pixi` property."""
    place = data.find(b"pixi", 0, 65536) if brands(data) & (HEIF | AVIF) else -1
    return data[place + 9] if 0 <= place < len(data) - 9 else 8


def open_picture(picture: Picture) -> Image:
    """The picture as a PIL image that has no format, so that `datasets` stores it as PNG.

    Of what decides how it is shown, Pillow takes the ICC profile along; `encode` keeps the rest too.
    """
    require("image", "PIL")
    from PIL import Image

    alpha = () if picture.alpha is None else (picture.alpha,)
    array = np.dstack([picture.levels, *alpha]) if alpha else picture.levels
    image = Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array))
    if picture.icc_profile:
        image.info["icc_profile"] = picture.icc_profile
    return image


def encode(picture: Picture, encoding: str = "png") -> bytes:
    """The picture as the bytes of a file that holds exactly its levels, its transparency and how it is shown.

    Args:
        picture: What to write.
        encoding: "png"; "png-fast", the same pixel values, which takes a third of the time and some more bytes for
            images of more than 3,000,000 values; "webp" for lossless WebP. What WebP does not hold is PNG all the
            same: gray, and a colour space that only PNG chunks name.
    """
    file = io.BytesIO()
    # WebP has no gray, and drops a transparency that hides nothing.
    opaque = picture.alpha is not None and picture.alpha.min() == 255
    named = {name for name, _ in picture.colour_chunks}
    shown_as_srgb = not named or (b"sRGB" in named and b"cICP" not in named)
    if encoding == "webp" and picture.levels.shape[2] == 3 and not opaque and shown_as_srgb:
        if max(picture.levels.shape[:2]) > 16383:
            raise ImageError("is larger than 16383 pixels, the most that WebP holds: use encoding='png'")
        xmp = packet(picture.reservation) if picture.reservation else b""
        options = {"icc_profile": picture.icc_profile or b"", "xmp": xmp}
        open_picture(picture).save(file, format="WEBP", lossless=True, exact=True, **options)
        return file.getvalue()
    image = open_picture(picture)
    quickly: dict[str, Any] = {}
    if encoding == "png-fast" and image.width * image.height * len(image.getbands()) > _LARGE:
        quickly = {"compress_level": 1, "compress_type": zlib.Z_RLE}
    image.save(file, format="PNG", **quickly)
    data, header = file.getvalue(), len(PNG) + 25
    chunks = picture.colour_chunks
    if picture.reservation:
        chunks = (*chunks, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet(picture.reservation)))
    return data[:header] + b"".join(_chunk(*chunk) for chunk in chunks) + data[header:]


def _chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def like(value: Any, picture: Picture, encoding: str) -> Any:
    """`picture` as the kind of value that `value` is, ready to go back to where that came from."""
    if isinstance(value, dict):
        return {"bytes": encode(picture, encoding), "path": None}
    if isinstance(value, bytes):
        return encode(picture, encoding)
    if isinstance(value, np.ndarray):
        alpha = [] if picture.alpha is None else [picture.alpha]
        levels = np.dstack([picture.levels, *alpha])
        return levels[:, :, 0] if value.ndim == 2 else levels
    return open_picture(picture)


def rgb_levels(image: Any) -> np.ndarray:
    """An image as victims take it, a PIL image or an array, as uint8 [height, width, 3]."""
    require("image", "PIL")
    from PIL import Image

    if not isinstance(image, Image.Image):
        levels = np.asarray(image)
        image = Image.fromarray(levels[:, :, 0] if levels.shape[2:] == (1,) else levels)
    return np.asarray(image.convert("RGB"))
