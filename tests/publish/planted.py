"""Leaks of every kind, planted beside protected texts and protected images; `recipes/bench/leaks.py` counts them too."""

import base64
import bz2
import gzip
import io
import json
import lzma
import zipfile
import zlib
from urllib.parse import quote, quote_plus

import datasets
import numpy as np
from datasets import Dataset
from PIL import Image, features

from tests.image.files import file_of

ROW = 5  # the one that holds what is planted


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes/1.dat", data)
    return file.getvalue()


def coded(data: bytes) -> dict:
    """The ways in which a cell can hold these bytes."""
    return {
        "base64": base64.b64encode(data).decode(), "base64 in a sentence": f"see {base64.b64encode(data).decode()} there",
        "base64 of URLs": base64.urlsafe_b64encode(data).decode().rstrip("="), "base64 in lines": base64.encodebytes(data).decode(),
        "hexadecimal": data.hex(), "hexadecimal with spaces": data.hex(" ").upper(), "zip": zipped(data), "gzip": gzip.compress(data),
        "zlib": zlib.compress(data), "bzip2": bz2.compress(data), "xz": lzma.compress(data),
        "gzip in base64": base64.b64encode(gzip.compress(data)).decode(), "zip in gzip": gzip.compress(zipped(data)),
    }  # fmt: skip


def seeds(seed: int) -> dict:
    big, little = seed.to_bytes(8, "big"), seed.to_bytes(8, "little")
    return {
        "decimal": f"with {seed}", "hexadecimal": f"{seed:x}", "0x": hex(seed), "commas": f"{seed:,}", "points": f"{seed:,}".replace(",", "."),
        "spaces": f"{seed:,}".replace(",", " "), "underscores": f"{seed:_}", "pairs of digits": " ".join(f"{seed:x}"[i : i + 2] for i in range(0, 16, 2)),
        "colons": big.hex(":"), "little-endian": little.hex(), "little-endian, upper case": little.hex(" ").upper(),
        "bytes in C": ", ".join(f"0x{byte:02x}" for byte in little), "bytes in Python": "".join(f"\\x{byte:02x}" for byte in big),
        "octal": oct(seed), "binary": bin(seed), "negative": str(seed - 2**64) if seed >= 2**63 else str(seed),
        "base64": base64.b64encode(big).decode(), "base64, little-endian": base64.b64encode(little).decode(),
        "base64 of digits": base64.b64encode(str(seed).encode()).decode(), "base64 of a sentence": base64.b64encode(f"the seed is {seed}".encode()).decode(),
        "base32": base64.b32encode(big).decode(), "raw": b"\x93NUM" + big + b"\0\1", "raw, little-endian": little,
        "UTF-16": f"seed {seed}".encode("utf-16"), "gzip": gzip.compress(f"seed: {seed}".encode()), "URL": quote(f"seed is: {seed}"),
        "markup": f"<b>{str(seed)[:7]}</b>{str(seed)[7:]}", "a list of bytes": list(little), "JSON": json.dumps({"s": [seed]}),
    }  # fmt: skip


def word_lists(words: list) -> dict:
    listed = ", ".join(words)
    return {
        "list": words, "upper case": listed.upper(), "title case": listed.title(), "JSON": json.dumps(words),
        "base64": base64.b64encode(listed.encode()).decode(), "hexadecimal": listed.encode().hex(), "UTF-16": listed.encode("utf-16-le"),
        "URL": quote(listed), "gzip": gzip.compress(listed.encode()), "zip": zipped(listed.encode()),
        "markup": "".join(f"<li class='a b'>{word}</li>" for word in words), "entities": "".join(f"&quot;{word}&quot;&#44;" for word in words),
    }  # fmt: skip


def texts(text: str) -> dict:
    markup = " ".join(f"<b class='x'>{word}</b>" if i % 2 else word for i, word in enumerate(text.split()))
    return {
        "as it is": text, "upper case": text.upper(), "URL": quote(text), "URL of a form": quote_plus(text), "UTF-16": text.encode("utf-16"),
        "UTF-16 without a mark": text.encode("utf-16-le"), "UTF-16, big-endian": text.encode("utf-16-be"), "UTF-8": text.upper().encode(),
        "markup": markup, "line breaks of HTML": text.replace(" ", "<br/>"), "non-breaking spaces": text.replace(" ", "&nbsp;"),
        "letters of JSON": "".join(f"\\u{ord(letter):04x}" if i % 3 == 0 else letter for i, letter in enumerate(text)), **coded(text.encode()),
    }  # fmt: skip


TOKENS = {
    "Hugging Face": "hf_" + "aB3x" * 9, "GitHub": "ghp_" + "aB3x" * 9, "GitLab": "glpat-" + "aB3x" * 5, "AWS": "AKIA" + "Q7ZK" * 4, "OpenAI": "sk-" + "aB3x" * 12,
    "Anthropic": "sk-ant-api03-" + "aB3x" * 23 + "AA", "Google": "AIza" + "aB3x" * 8 + "aB3", "Slack": "xoxb-123456789012-" + "aB3x" * 6,
    "Stripe": "sk_live_" + "aB3x" * 6, "SendGrid": "SG." + "aB3x" * 5 + "ab." + "aB3x" * 10 + "aB3", "npm": "npm_" + "aB3x" * 9, "PyPI": "pypi-AgEIcHlwaS5vcmc" + "aB3x" * 13,
    "DigitalOcean": "dop_v1_" + "ab34" * 16, "Databricks": "dapi" + "ab34" * 8, "Shopify": "shpat_" + "ab34" * 8, "Twilio": "SK" + "ab34" * 8,
    "Docker": "dckr_pat_" + "aB3x" * 7, "Linear": "lin_api_" + "aB3x" * 10, "Postman": "PMAK-" + "ab34" * 6 + "-" + "ab34" * 8 + "ab", "Groq": "gsk_" + "aB3x" * 13,
    "NVIDIA": "nvapi-" + "aB3x" * 16, "Replicate": "r8_" + "aB3x" * 9 + "a", "Grafana": "glsa_" + "aB3x" * 8 + "_ab34ab34", "Telegram": "123456789:AA" + "aB3x" * 8 + "a",
    "Azure": "AccountKey=" + "aB3x" * 21 + "aB==", "Notion": "ntn_" + "aB3x" * 11, "Supabase": "sbp_" + "ab34" * 10, "a web token": "eyJ" + "hbGc" * 4 + ".eyJ" + "zdWI" * 4 + "." + "aB3x" * 8,
    "a private key": "-----BEGIN EC PRIVATE KEY-----", "a webhook": "https://hooks.slack.com/services/T00000000/B00000000/" + "aB3x" * 6,
    "a password": "postgresql://admin:hunter2-s3cret@db.example.org/x", "age": "AGE-SECRET-KEY-1" + "QPZRY9X8" * 7 + "GF",
}  # fmt: skip
HOMES = {
    "Linux": "/home/jwang/data/{}.txt", "macOS": "/Users/m.rossi/Desktop/{}.txt", "Windows": "C:\\Users\\Ola Nordmann\\{}.txt", "Windows in JSON": '{{"p": "D:\\\\Users\\\\ola\\\\{}.txt"}}',
    "an address": "file:///home/jwang/{}.txt", "old Windows": "C:\\Documents and Settings\\ola\\{}.txt",
}  # fmt: skip


# ---------------------------------------------------------------------- images
def images(image: Image.Image) -> dict:
    """The ways in which a cell can hold this image."""
    image = image.convert("RGB")
    gray16 = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    formats = {
        "JPEG": file_of(image, "JPEG", quality=80), "JPEG 2000": file_of(image, "JPEG2000"), "PPM": file_of(image, "PPM"), "BMP": file_of(image, "BMP"), "GIF": file_of(image, "GIF"),
        "TIFF": file_of(image, "TIFF"), "WebP": file_of(image, "WEBP"), "TGA": file_of(image, "TGA"), "ICO": file_of(image, "ICO"), "PCX": file_of(image, "PCX"), "SGI": file_of(image, "SGI"),
        "CMYK": file_of(image.convert("CMYK"), "JPEG", quality=90), "16 bits": file_of(gray16, "PNG"), "QOI": file_of(image, "QOI"), "DDS": file_of(image, "DDS"),
    }  # fmt: skip
    if features.check("avif"):  # Pillow before 11.3 has none
        formats["AVIF"] = file_of(image, "AVIF")
    formats = {f"Image column, {name}": ("image", data) for name, data in formats.items()}
    bare = {name: ("cell", data) for name, data in coded(file_of(image, "PNG")).items()}
    turned = {
        f"turned {name}": ("image", file_of(image.transpose(turn), "JPEG", quality=85))
        for name, turn in {"left-right": 0, "top-bottom": 1, "90": 2, "180": 3, "270": 4, "transposed": 5}.items()
    }
    levels = np.asarray(image)
    arrays = {
        "Array3D": ("array", levels), "Array3D, channels first": ("array", levels.transpose(2, 0, 1)),
        "Array2D": ("array", np.asarray(image.convert("L"))), "lists": ("cell", levels.tolist()), "floats": ("cell", (levels / 255).tolist()),
        "Array3D, mirrored": ("array", levels[:, ::-1]),
    }  # fmt: skip
    return {**formats, **bare, **turned, **arrays}


def metadata(image: Image.Image) -> dict:
    """Files of a strange image that tell something: kind of finding and contents."""
    from PIL.PngImagePlugin import PngInfo

    def exif(tag, value, within=None):
        data = Image.Exif()
        data[0x0131] = "a program"
        (data if within is None else data.get_ifd(within))[tag] = value
        return data

    def png(name, text, compressed=False):
        info = PngInfo()
        info.add_text(name, text, zip=compressed)
        return file_of(image, "PNG", pnginfo=info)

    def xmp(inner):
        return f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF>{inner}</rdf:RDF></x:xmpmeta>".encode()

    def iptc(field, value):
        block = bytes([0x1C, 2, field]) + len(value).to_bytes(2, "big") + value
        block += b"\0" * (len(block) % 2)
        irb = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(block).to_bytes(4, "big") + block
        data = file_of(image, "JPEG")
        return data[:2] + b"\xff\xed" + (len(irb) + 2).to_bytes(2, "big") + irb + data[2:]

    def tiff_gps():
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        fields = ImageFileDirectory_v2()
        fields.tagtype[34853] = 4
        fields[34853] = {1: "N"}
        return file_of(image, "TIFF", tiffinfo=fields)

    place = xmp("<exif:GPSLatitude>52,13N</exif:GPSLatitude>")
    return {
        "EXIF, GPS": ("gps", file_of(image, "JPEG", exif=exif(1, "N", 0x8825))), "XMP in JPEG, GPS": ("gps", file_of(image, "JPEG", xmp=place)),
        "XMP in WebP, GPS": ("gps", file_of(image, "WEBP", xmp=place)), "XMP in JPEG 2000, GPS": ("gps", file_of(image, "JPEG2000") + place),
        "IPTC, city": ("gps", iptc(90, b"Warszawa")), "PNG text, GPS": ("gps", png("exif:GPSLatitude", "52/1, 13/1")), "TIFF, GPS": ("gps", tiff_gps()),
        "XMP, city": ("gps", file_of(image, "JPEG", xmp=xmp("<photoshop:City>Oslo</photoshop:City>"))),
        "EXIF, artist": ("camera", file_of(image, "PNG", exif=exif(315, "Alice Kowalska"))), "EXIF, owner": ("camera", file_of(image, "JPEG", exif=exif(0xA430, "A. K.", 0x8769))),
        "EXIF, Windows author": ("camera", file_of(image, "JPEG", exif=exif(0x9C9D, "Alice".encode("utf-16-le")))), "IPTC, by-line": ("camera", iptc(80, b"Alice Kowalska")),
        "XMP, creator": ("camera", file_of(image, "JPEG", xmp=xmp("<dc:creator>Alice Kowalska</dc:creator>"))), "TIFF, artist": ("camera", file_of(image, "TIFF", tiffinfo={315: "Alice Kowalska"})),
        "TIFF, host": ("camera", file_of(image, "TIFF", tiffinfo={316: "alice-laptop"})), "TIFF, description": ("comment", file_of(image, "TIFF", tiffinfo={270: "Alice at the lake"})),
        "JPEG comment": ("comment", file_of(image, "JPEG", comment=b"Photo by Alice Kowalska")), "GIF comment": ("comment", file_of(image, "GIF", comment=b"Photo by Alice")),
        "PNG text": ("comment", png("Author", "Alice Kowalska")), "PNG compressed text": ("comment", png("Description", "Alice at the lake", True)),
        "EXIF, user comment": ("comment", file_of(image, "JPEG", exif=exif(0x9286, b"Alice at the lake", 0x8769))),
        "a token in a PNG text": ("token", png("Comment", TOKENS["Hugging Face"], True)),
    }  # fmt: skip


def harmless(image: Image.Image) -> dict:
    """Files whose metadata tells of nobody."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Software", "matplotlib 3.9")
    info.add_text("date:create", "2024-01-01T00:00:00")
    return {
        "JPEG": file_of(image, "JPEG"), "gd": file_of(image, "JPEG", comment=b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v80), quality = 90\n"), "PNG": file_of(image, "PNG", pnginfo=info),
        "TIFF": file_of(image, "TIFF"), "GIF": file_of(image, "GIF"), "tifffile": file_of(image, "TIFF", tiffinfo={270: '{"shape": [20, 24, 3]}'}), "JPEG 2000": file_of(image, "JPEG2000"),
    }  # fmt: skip


# ---------------------------------------------------------------------- planting
def beside(protected: Dataset, value, kind: str = "cell") -> Dataset:
    """The dataset with a column in which one row holds the value."""
    rows = [None] * len(protected)
    if kind == "array":
        feature = {2: datasets.Array2D, 3: datasets.Array3D}[value.ndim](value.shape, "uint8")
        rows = [np.random.default_rng(i).integers(0, 255, value.shape, np.uint8) for i in range(len(protected))]
        rows[ROW] = value
        column = Dataset.from_dict({"extra": rows}, datasets.Features({"extra": feature}))
    else:
        rows[ROW] = {"bytes": value, "path": None} if kind == "image" else value
        features = datasets.Features({"extra": datasets.Image(decode=False)}) if kind == "image" else None
        column = Dataset.from_dict({"extra": rows}, features)
        if kind == "image":
            column = column.cast_column("extra", datasets.Image())
    return datasets.concatenate_datasets([protected, column], axis=1)
