"""Photos protected on the command line, and what is read of them."""

import json
from pathlib import Path

from hf_unlearnable.cli import main
from hf_unlearnable.image.codec import decode

FLAT = ["DSC 1.JPG", "beach [2].jpg", "logo.png", "scan.png"]


def protect(method, source, *more, output="protected", key="my.key"):
    return main(["protect", method, str(source), "--output", output, "--key", key, *more])


def change(before, after):
    """Of every level; size, transparency and colour profile are the same."""
    one, two = decode(before), decode(after)
    assert one.levels.shape == two.levels.shape
    assert (one.alpha is None) == (two.alpha is None)
    assert one.alpha is None or (one.alpha == two.alpha).all()
    assert one.icc_profile == two.icc_profile
    return two.levels.astype(int) - one.levels


def strict_json(path):
    """As any other language reads it: without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{path} holds {constant}, which is no JSON")

    return json.loads(Path(path).read_text(), parse_constant=refuse)


def error_of(capsys):
    """The one sentence on standard error."""
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if line.startswith("hf-unlearnable: ")]
    assert len(lines) == 1 and "Traceback" not in text, text
    return lines[0]
