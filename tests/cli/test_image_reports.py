"""The report of protecting images."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.photos import FLAT, change, error_of, protect, strict_json
from tests.examples import levels
from tests.folders import contents, files, names


def test_report(here):
    before = contents("photos")
    assert protect("random-noise", "photos", "--report", "report") == 0
    assert files("report") == ["contact-sheet.png", "fidelity.json", "full-size.png"]
    fidelity = strict_json("report/fidelity.json")
    assert set(fidelity) == {"images", "changed", "max_change", "mean_change", "psnr", "ssim", "metadata", "reserved"}
    assert fidelity["reserved"] == 0  # none of the photos forbids anything
    assert (fidelity["images"], fidelity["changed"], fidelity["max_change"]) == (4, 4, 8)
    assert fidelity["metadata"] == {"EXIF": 1, "GPS": 1, "comment": 1}
    changes = [change(before[name], Path("protected", name).with_suffix(".png").read_bytes()) for name in FLAT]
    assert fidelity["mean_change"] == pytest.approx(np.mean([np.abs(one).mean() for one in changes]))
    ratios = [10 * np.log10(255**2 / (one**2).mean()) for one in changes]
    assert fidelity["psnr"] == pytest.approx(np.mean(ratios))
    with Image.open("report/contact-sheet.png") as sheet:
        assert sheet.size == (480, 18 + 4 * (18 + 160))  # a line of titles, and one above each image
        pixels = np.asarray(sheet).astype(int)
    scan = slice(570, 703)  # 24 to 20 pixels, 160 wide
    assert 128 - 64 <= pixels[scan, 320:].min() < 128 < pixels[scan, 320:].max() <= 128 + 64
    assert (pixels[710:] == 255).all()


def test_report_when_nothing_changed(here):
    assert protect("random-noise", "photos", "--fraction", "0", "--report", "report") == 0
    assert contents("protected") == contents("photos")
    fidelity = strict_json("report/fidelity.json")
    assert (fidelity["images"], fidelity["changed"], fidelity["max_change"]) == (4, 0, 0)
    with Image.open("report/contact-sheet.png") as sheet:
        column = np.asarray(sheet)[36:166, 320:450]
    assert (column == 128).all()


def test_report_of_a_tiny_picture(here):
    os.mkdir("tiny")
    Image.fromarray(levels(1, height=1, width=1)[0]).save("tiny/dot.png")
    assert protect("random-noise", "tiny", "--seed", "1", "--report", "report") == 0
    assert strict_json("report/fidelity.json")["images"] == 1


def test_a_report_within_the_output_is_refused_before_the_work(here, capsys):
    before = names(here)
    assert protect("random-noise", "photos", "--report", "protected/report") == 1
    assert "report" in error_of(capsys)
    assert names(here) == before, "nothing is left behind"
