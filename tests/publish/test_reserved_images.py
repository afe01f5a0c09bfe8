"""Pictures that forbid data mining in their XMP are published with it, and the card says so."""

import pytest
from datasets import Image

from hf_unlearnable import TextureTransform, push_protected
from hf_unlearnable.image.metadata import told
from hf_unlearnable.image.reservation import OPT_OUT, packet
from hf_unlearnable.publish.leaks import scan
from tests.examples import pictures
from tests.image.files import file_of, noise
from tests.publish.staged import known, stage


@pytest.fixture(scope="module")
def reserved():
    clean = pictures(12)
    cloak = TextureTransform(seed=2**62 + 7, opt_out=True).fit(clean)
    return clean, clean.map(cloak, batched=True), cloak


@pytest.mark.parametrize("mode", ["original", "key", "both", "none"])
def test_the_leak_scan_passes_them(tmp_path, reserved, mode):
    original, protected, cloak = reserved
    stored = [one["bytes"] for one in protected.cast_column("image", Image(decode=False))["image"]]
    assert all(packet(OPT_OUT) in one for one in stored)
    folder = stage(tmp_path / "x", train=protected)
    assert scan(folder, protected_columns=["image"], **known(mode, original, cloak)) == []


def test_the_card_says_so(tmp_path, reserved):
    clean, protected, cloak = reserved
    push_protected(protected, "tester/notes", key=cloak, original=clean, dry_run=tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "opt_out=True" in card
    assert "12 files forbid data mining in the XMP (plus:DataMining)" in card


def test_a_packet_with_a_name_beside_it_is_still_found():
    named = packet(OPT_OUT).replace(
        b"</rdf:Description>", b"<dc:creator xmlns:dc='http://purl.org/dc/'>Al</dc:creator></rdf:Description>"
    )
    assert told(file_of(noise(8, 8, 3), "JPEG", xmp=named)) == [("camera", "An image holds XMP metadata.")]
    assert told(file_of(noise(8, 8, 3), "JPEG", xmp=packet(OPT_OUT))) == []
