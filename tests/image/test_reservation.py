"""What an owner's XMP forbids of data mining passes through a protection, alone; `opt_out` writes it."""

import io

import pytest
from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageFeature
from PIL import Image, PngImagePlugin

from hf_unlearnable.image.codec import decode, encode
from hf_unlearnable.image.fidelity import image_fidelity
from hf_unlearnable.image.metadata import told
from hf_unlearnable.image.methods.texture import TextureTransform
from hf_unlearnable.image.reservation import OPT_OUT, PROHIBITIONS, packet, reservation, reserves_only
from tests.image.files import chunks, file_of, noise, opened

URL = "http://ns.useplus.org/ldf/vocab/"


def xmp(properties="", attributes="", tool="Image::ExifTool 13.10"):
    """A packet as programs write it."""
    return (
        f"<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='{tool}'>"
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about='' "
        f"xmlns:plus='http://ns.useplus.org/ldf/xmp/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/' {attributes}>"
        f"{properties}</rdf:Description></rdf:RDF></x:xmpmeta>{' ' * 50}<?xpacket end='w'?>"
    ).encode()


def mining(value):
    return f"<plus:DataMining>{value}</plus:DataMining>"


CREATOR = "<dc:creator>Alice Kowalska</dc:creator>"


@pytest.mark.parametrize("code", PROHIBITIONS)
def test_every_prohibition_is_read_from_its_own_packet(code):
    assert reservation(packet(code)) == code
    assert reserves_only(packet(code))


@pytest.mark.parametrize(
    ("given", "code", "only"),
    [
        (xmp(mining(URL + "DMI-PROHIBITED")), "DMI-PROHIBITED", True),
        (xmp(mining("DMI-PROHIBITED-GENAIMLTRAINING")), "DMI-PROHIBITED-GENAIMLTRAINING", True),
        (xmp(attributes=f"plus:DataMining='{URL}{OPT_OUT}'"), OPT_OUT, True),
        (xmp(f"<plus:DataMining rdf:resource='{URL}DMI-PROHIBITED'/>"), "DMI-PROHIBITED", True),
        (xmp(mining(f"\n  {URL}DMI-PROHIBITED\n")).decode(), "DMI-PROHIBITED", True),
        (xmp(mining(URL + "DMI-PROHIBITED") + CREATOR), "DMI-PROHIBITED", False),
        (xmp(mining(URL + "DMI-PROHIBITED"), "dc:source='Alice'"), "DMI-PROHIBITED", False),
        (xmp(mining(URL + "DMI-PROHIBITED")).replace(b"about=''", b"about='alice'"), "DMI-PROHIBITED", False),
        (xmp(f"<plus:DataMining rdf:resource='{URL}DMI-PROHIBITED'>Alice</plus:DataMining>"), "DMI-PROHIBITED", False),
        (xmp(mining(URL + "DMI-PROHIBITED")).replace(b"<rdf:RDF", b"<rdf:RDF id='Alice'"), "DMI-PROHIBITED", False),
        (xmp("Alice" + mining(URL + "DMI-PROHIBITED")), "DMI-PROHIBITED", False),
        (xmp(mining(URL + "DMI-ALLOWED")), None, False),
        (xmp(mining(URL + "DMI-UNSPECIFIED")), None, False),
        (xmp(mining("DMI-PROHIBITED, says Alice")), None, False),
        (xmp(mining(URL + "DMI-PROHIBITED") + mining(URL + "DMI-ALLOWED")), None, False),
        (xmp(mining("DMI-PROHIBITED").replace("plus", "dc")), None, False),
        (xmp("<!-- Alice -->" + mining("DMI-PROHIBITED")), None, False),
        (b"<!DOCTYPE a [<!ENTITY b 'DMI-PROHIBITED'>]>" + xmp(mining("&b;")), None, False),
        (xmp(mining("DMI-PROHIBITED"))[:-80], None, False),
        (b"", None, False),
        (b"\xff\xfe\0", None, False),
    ],
)  # fmt: skip
def test_what_a_packet_forbids(given, code, only):
    assert (reservation(given), reserves_only(given)) == (code, only)


def png_with(packet, **options):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode(), **options)
    return file_of(noise(8, 8, 3), pnginfo=info)


FORBIDS = xmp(mining(URL + "DMI-PROHIBITED") + CREATOR)


def files(packet):
    image = noise(8, 8, 3)
    return {
        "JPEG": file_of(image, "JPEG", xmp=packet), "WebP": file_of(image, "WEBP", xmp=packet),
        "AVIF": file_of(image, "AVIF", xmp=packet), "TIFF": file_of(image, "TIFF", tiffinfo={700: packet}),
        "PNG": png_with(packet), "PNG, packed": png_with(packet, zip=True),
    }  # fmt: skip


@pytest.mark.parametrize("format", files(FORBIDS))
@pytest.mark.parametrize("encoding", ["png", "png-fast", "webp"])
def test_a_prohibition_is_carried_on_and_nothing_beside_it(format, encoding):
    picture = decode(files(FORBIDS)[format])
    assert picture.reservation == "DMI-PROHIBITED"
    assert set(picture.metadata) - {"EXIF"} == {"XMP"}  # a TIFF keeps its packet among its tags
    data = encode(picture, encoding)
    again = opened(data).info
    assert (again.get("xmp") or again["XML:com.adobe.xmp"].encode()) == packet("DMI-PROHIBITED")
    assert b"Alice" not in data and b"ExifTool" not in data
    assert decode(data).reservation == "DMI-PROHIBITED" and decode(data).metadata == ()
    assert told(data) == []
    assert told(files(FORBIDS)[format]) == [("camera", "An image holds XMP metadata.")]


def test_a_png_is_well_formed_with_a_prohibition():
    data = encode(decode(png_with(FORBIDS)))
    assert chunks(data) == ["IHDR", "iTXt", "IDAT", "IEND"]
    with Image.open(io.BytesIO(data)) as image:
        image.load()  # checks the sum of each chunk
        assert image.text == {"XML:com.adobe.xmp": packet("DMI-PROHIBITED").decode()}


@pytest.mark.parametrize("value", ["DMI-ALLOWED", "DMI-UNSPECIFIED"])
def test_what_forbids_nothing_is_left_out(value):
    data = encode(decode(files(xmp(mining(URL + value)))["JPEG"]))
    assert chunks(data) == ["IHDR", "IDAT", "IEND"]


def rows(*data):
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["a", "b"])})
    files = [{"bytes": one, "path": None} for one in data]
    return Dataset.from_dict({"image": files, "label": [i % 2 for i in range(len(data))]}, features)


def protected(dataset, **options):
    """The protected files, and what fidelity says of them."""
    made = dataset.map(TextureTransform(seed=1, **options).fit(dataset), batched=True)
    stored = made.cast_column("image", ImageFeature(decode=False))["image"]
    return [one["bytes"] for one in stored], image_fidelity(dataset, made)


MIXED = [
    file_of(noise(12, 12, 3, seed=1), "JPEG"),
    file_of(noise(12, 12, 3, seed=2), "JPEG", xmp=FORBIDS),
    file_of(noise(12, 12, 3, seed=3), "JPEG", xmp=xmp(mining("DMI-PROHIBITED-GENAIMLTRAINING"))),
    file_of(noise(12, 12, 3, seed=4), "JPEG", xmp=xmp(mining("DMI-ALLOWED"))),
]


@pytest.mark.parametrize(
    ("options", "said", "reserved"),
    [
        ({}, [None, "DMI-PROHIBITED", "DMI-PROHIBITED-GENAIMLTRAINING", None], 2),
        ({"opt_out": True}, [OPT_OUT, "DMI-PROHIBITED", OPT_OUT, OPT_OUT], 4),
        ({"opt_out": True, "encoding": "webp"}, [OPT_OUT, "DMI-PROHIBITED", OPT_OUT, OPT_OUT], 4),
        ({"opt_out": True, "classes": [1]}, [None, "DMI-PROHIBITED", "DMI-PROHIBITED-GENAIMLTRAINING", OPT_OUT], 2),
    ],
)
def test_what_protected_files_forbid(options, said, reserved):
    data, fidelity = protected(rows(*MIXED), **options)
    assert [decode(one).reservation for one in data] == said
    assert fidelity.reserved == reserved
    assert f"; {reserved} files forbid data mining in the XMP (plus:DataMining)" in str(fidelity)


def test_opt_out_changes_no_pixel():
    with_it, without = protected(rows(*MIXED), opt_out=True)[0], protected(rows(*MIXED))[0]
    assert [decode(one).content for one in with_it] == [decode(one).content for one in without]


def test_opt_out_at_strength_0_changes_nothing():
    dataset = rows(*MIXED)
    made = dataset.map(TextureTransform(seed=1, epsilon=0, opt_out=True).fit(dataset), batched=True)
    assert [one["bytes"] for one in made.cast_column("image", ImageFeature(decode=False))["image"]] == MIXED


def test_opt_out_of_opened_images_is_refused():
    dataset = rows(*MIXED)
    cloak = TextureTransform(seed=1, opt_out=True).fit(dataset)
    for values in ([opened(MIXED[0])], [noise(12, 12, 3)]):
        with pytest.raises(ValueError, match=r"Row 0 of this batch.*comes opened.*cast the column with Image\(decode"):
            cloak({"image": values, "label": [0]})


@pytest.mark.parametrize("label", ["c2pa.training-mining", "cawg.training-mining", "c2pa.actions"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_content_credentials_on_mining_are_named_and_left_out(label, format):
    box = b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3c2pa\0" + label.encode()
    data = file_of(noise(8, 8, 3), format)
    if format == "JPEG":
        data = data[:2] + b"\xff\xeb" + (len(box) + 10).to_bytes(2, "big") + b"JP\0\1\0\0\0\1" + box + data[2:]
    elif format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add(b"caBX", box)
        data = file_of(noise(8, 8, 3), pnginfo=info)
    else:
        body = data[8:] + b"C2PA" + len(box).to_bytes(4, "little") + box + b"\0" * (len(box) % 2)
        data = b"RIFF" + len(body).to_bytes(4, "little") + body
    named = "content credentials" + (" on training and mining" if "mining" in label else "")
    assert decode(data).metadata == (named,)
    assert b"c2pa" not in encode(decode(data))
