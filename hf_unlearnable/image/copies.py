"""Whether an image is a copy of another, and what its file tells beside it."""

from __future__ import annotations

import io

import numpy as np

from hf_unlearnable.modality import Copies

_ALIKE = 0.88  # correlation of two images that show the same; a JPEG of low quality has no more

# Maker, model, artist, owner, serial numbers, what only the camera's maker can read.
_CAMERA = {271, 272, 315, 0xA430, 0xA431, 0xA433, 0xA434, 0xA435, 0x927C}


class ImageCopies(Copies):
    """Compares images by their colours at 24 x 24 pixels; EXIF and XMP tell of cameras and places."""

    # A TIFF's own fields stand behind no mark.
    marks = r"Exif\x00|eXIf|EXIF|xmpmeta|ns\.adobe\.com/xap|^II\*\x00|^MM\x00\*"
    base64 = r"(?:iVBORw0KGgo|/9j/|R0lGOD|UklGR|Qk[A-Za-z0-9+/]{6}AAAAA)[A-Za-z0-9+/]{40}"

    def knows(self, data: bytes) -> bool:
        return (
            data[:4] in (b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*") or data[:3] == b"\xff\xd8\xff" or data[:2] == b"BM"
            or data[8:12] == b"WEBP"
        )  # fmt: skip

    def lossy(self, data: bytes) -> bool:
        return data[:3] == b"\xff\xd8\xff"

    def told(self, data: bytes) -> list[tuple[str, str]]:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(data)) as image:
                exif = image.getexif()
                fields = set(exif) | set(exif.get_ifd(0x8769))
                place = bool(exif.get_ifd(0x8825))
                xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or 700 in fields
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, KeyError, TypeError):
            return []
        found = [("gps", "An image tells where it was taken.")] if place else []
        if fields & _CAMERA:
            found.append(("camera", "An image tells its camera or its owner."))
        elif xmp:
            found.append(("camera", "An image holds XMP metadata."))
        return found

    def smaller(self, data: bytes) -> bytes | None:
        """The thumbnail in its EXIF."""
        from PIL import ExifTags, Image, UnidentifiedImageError

        if b"Exif" not in data[:65536] and b"eXIf" not in data and b"EXIF" not in data:
            return None
        try:
            with Image.open(io.BytesIO(data)) as image:
                small = image.getexif().get_ifd(ExifTags.IFD.IFD1)
                raw = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
                found = raw[small.get(0x0201, 0) :][: small.get(0x0202, 0)]
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, KeyError, TypeError):
            return None
        return found if self.knows(found) else None

    def likeness(self, one: bytes, two: bytes) -> float:
        """The largest correlation of their pixel values at 24 x 24 pixels, whole or with up to a sixth cut off."""
        from hf_unlearnable.image.codec import ImageError, decode

        try:
            first, second = decode(one), decode(two)
        except ImageError:
            return 0.0
        if first.content == second.content:
            return 0.0
        whole = _shrunk(first.levels, 24)
        best = 0.0
        for side in range(24, 19, -1):
            part = _shrunk(second.levels, side)
            part = part - part.mean()
            windows = np.lib.stride_tricks.sliding_window_view(whole, (side, side), (0, 1)).reshape(
                -1, 3 * side * side
            )
            spread = np.maximum(windows.std(1) * np.sqrt(windows.shape[1]), 1e-6)
            products = windows @ part.transpose(2, 0, 1).ravel() / spread / max(float(np.linalg.norm(part)), 1e-6)
            if part.std() >= 2:  # a blank image is like any other
                best = max(best, float(products.max()))
            if best > 0.97:
                break
        return best

    def stand_out(self, likeness: np.ndarray) -> np.ndarray:
        # By Fisher's transformation correlations are about normal, and a quarter of the rows lies two thirds of a
        # standard deviation above the middle.
        alike = likeness >= _ALIKE
        if alike.mean() >= 0.25:
            return alike
        scores = np.arctanh(np.minimum(likeness, 0.9999))
        middle, upper = np.quantile(scores, [0.5, 0.75])
        return alike & (scores > middle + 6 * (upper - middle))


def _shrunk(levels: np.ndarray, side: int) -> np.ndarray:
    from PIL import Image

    colours = np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))
    small = Image.fromarray(colours).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32)
