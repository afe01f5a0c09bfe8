"""Whether an image is a copy of another, and what its file tells beside it."""

from __future__ import annotations

import io
import struct

import numpy as np

from hf_unlearnable.copies import Copies, standing_out
from hf_unlearnable.image.colour import PNG, chunks
from hf_unlearnable.image.fidelity import lossy_format
from hf_unlearnable.image.metadata import notes, told

_ALIKE = 0.88  # correlation of two images that show the same; a JPEG of low quality has no more
_BROKEN = (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, EOFError, struct.error, AssertionError)


class ImageCopies(Copies):
    """Compares images by their colours at 24 x 24 pixels; `metadata` tells of cameras, people and places."""

    # A TIFF's own fields stand behind no mark, nor do comments in a GIF and in a JPEG.
    marks = (
        r"Exif\x00|eXIf|EXIF|[xX][mM][pP]meta|rdf:RDF|ns\.adobe\.com/xap|tEXt|zTXt|iTXt|8BIM|^II[*+]\x00|^MM\x00[*+]"
        r"|^\xff\xd8(?s:.)*?\xff\xfe|^GIF8(?s:.)*?\x21\xfe"
    )

    def knows(self, data: bytes) -> bool:
        if data[:4] in (b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*") or data[:3] == b"\xff\xd8\xff":
            return True
        return data[8:12] == b"WEBP" or data[4:8] == b"ftyp" or _begins_like_an_image(data[:16])

    def lossy(self, data: bytes) -> bool:
        return data[:3] == b"\xff\xd8\xff"

    def loses(self, data: bytes) -> str:
        return lossy_format(data) or ""

    def compressed(self, data: bytes) -> list[tuple[int, int]]:
        """The pixels of a PNG; none of a file whose chunks do not follow each other up to the last one."""
        if data[:8] != PNG:
            return []
        every = list(chunks(data))
        whole = bool(every) and every[-1][0] == b"IEND"
        return [(start, stop) for name, start, stop in every if name == b"IDAT"] if whole else []

    def told(self, data: bytes) -> list[tuple[str, str]]:
        return told(data)

    def notes(self, data: bytes) -> list[str]:
        return list(notes(data))

    def smaller(self, data: bytes) -> bytes | None:
        """The thumbnail in its EXIF."""
        from PIL import ExifTags, Image

        rest = self.besides(data)
        if b"Exif" not in rest[:65536] and b"eXIf" not in rest and b"EXIF" not in rest:
            return None
        try:
            with Image.open(io.BytesIO(data)) as image:
                small = image.getexif().get_ifd(ExifTags.IFD.IFD1)
                raw = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
                found = raw[small.get(0x0201, 0) :][: small.get(0x0202, 0)]
        except _BROKEN:
            return None
        return found if self.knows(found) else None

    def likeness(self, one: bytes, two: bytes) -> float:
        """The largest correlation of their pixel values at 24 x 24 pixels.

        The second one is taken whole or with up to a sixth cut off, as it is, mirrored and turned by quarters; the
        first one in gray where the second one is gray.
        """
        first, second = _levels(one), _levels(two)
        if first is None or second is None or np.array_equal(first, second):
            return 0.0
        gray = bool((second == second[:, :, :1]).all())
        whole = _shrunk(_gray(first) if gray else first, 24)
        best = 0.0
        for side in range(24, 19, -1):
            part = _shrunk(second, side)
            part = part - part.mean()
            if part.std() < 2:  # a blank image is like any other
                continue
            windows = np.lib.stride_tricks.sliding_window_view(whole, (side, side), (0, 1)).reshape(
                -1, 3 * side * side
            )
            spread = np.maximum(windows.std(1) * np.sqrt(windows.shape[1]), 1e-6)
            turned = [np.rot90(each, turns) for each in (part, part[:, ::-1]) for turns in range(4)]
            views = np.stack([each.transpose(2, 0, 1).ravel() for each in turned])
            products = windows @ views.T / spread[:, None] / max(float(np.linalg.norm(part)), 1e-6)
            best = max(best, float(products.max()))
            if best > 0.97:
                break
        return best

    def stand_out(self, likeness: np.ndarray) -> np.ndarray:
        return standing_out(likeness, _ALIKE)


def _begins_like_an_image(head: bytes) -> bool:
    """Whether one of Pillow's formats, those that have a beginning of their own, accepts these first 16 bytes."""
    from PIL import Image

    Image.init()
    if len(head) < 16:
        return False
    return any(accepts is not None and accepts(head) is True for _, accepts in Image.OPEN.values())


def _levels(data: bytes) -> np.ndarray | None:
    """The pixels of an image of any format and depth, the first frame's, uint8 [height, width, 3]; None if none opens.

    An image that cannot be protected can be a copy all the same.
    """
    from PIL import Image

    from hf_unlearnable.image.codec import ImageError, decode

    try:
        levels = decode(data).levels
    except ImageError:
        try:
            with Image.open(io.BytesIO(data)) as image:
                if image.mode in ("I", "F") or image.mode.startswith("I;16"):
                    values = np.asarray(image, np.float64)
                    levels = (values * (255 / max(float(values.max()), 1.0))).astype(np.uint8)[:, :, None]
                else:
                    levels = np.asarray(image.convert("RGB"))
        except (*_BROKEN, Image.DecompressionBombError):
            return None
    return np.broadcast_to(levels, (*levels.shape[:2], 3))


def _gray(levels: np.ndarray) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(levels)).convert("L").convert("RGB"))


def _shrunk(levels: np.ndarray, side: int) -> np.ndarray:
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(levels)).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32)
