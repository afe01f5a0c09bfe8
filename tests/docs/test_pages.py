"""The pages that are made from the code say what the code is; the pictures are those of the methods."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from docs._make import pages
from hf_unlearnable.registry import METHODS, method_class
from tests import ROOT
from tests.examples import pictures, sample_dataset
from tests.image.models import needed

QUICK = {"max_rounds": 1}


def test_every_method_has_its_page():
    page = pages.methods_page()
    for name in METHODS:
        described = method_class(name).described()
        section = page.split(f"\n## {name} {{ #{name} }}\n")[1].split("\n## ")[0]
        assert described["summary"] in section and described["Breaks"][:40] in section
        assert all(f"| `{one}` |" in section for one in method_class(name)(seed=1).get_params())


def test_every_command_and_option_is_named():
    page = pages.command_line_page()
    for command in ("protect", "restore", "attack", "publish", "verify", "space", "demo", "list"):
        assert f"## {command} {{ #{command} }}" in page
    for option in (
        "--epsilon",
        "--word-source",
        "--dry-run FOLDER",
        "--budget MINUTES",
        "--check-labels",
        "--separator",
    ):
        assert f"`{option}" in page
    assert "(required)" in page and "%(default)s" not in page


@pytest.mark.parametrize("name", METHODS)
def test_the_table_of_methods_is_right_about_new_rows(name):
    cls = method_class(name)
    rows = sample_dataset(cls.modality)
    quick = needed(name) or (QUICK if cls.needs_training else {})
    fitted = cls(seed=7, **quick).fit(rows.select(range(len(rows) - 8)))
    new = rows.select(range(len(rows) - 8, len(rows)))
    if pages.new_rows(cls).startswith("yes"):
        assert new.map(fitted, batched=True).to_dict() != new.to_dict()
        return
    with pytest.raises(ValueError, match="was not there at fit"):
        new.map(fitted, batched=True)
    if "class" in pages.new_rows(cls):
        fitted = cls(seed=7, noise="class", **quick).fit(rows.select(range(len(rows) - 8)))
        assert new.map(fitted, batched=True).to_dict() != new.to_dict()


@pytest.mark.parametrize("name", METHODS)
def test_the_table_of_methods_is_right_about_the_bound(name):
    cls = method_class(name)
    if cls.modality == "audio":
        assert pages.bound(cls) == ("epsilon" if name == "audio-error-min" else "none")  # tests/audio/methods keep it
        return
    if cls.modality == "text":
        notes = sample_dataset("text")
        after = notes.map(cls(seed=7, rate=0.1).fit(notes), batched=True)
        pairs = [(a.split(), b.split()) for a, b in zip(notes["text"], after["text"], strict=True)]
        more = [len(b) - len(a) for a, b in pairs]
        lost = [len(Counter(a) - Counter(b)) for a, b in pairs]
        kept = {"words are inserted, none is lost": min(more) > 0 == max(lost),
                "words are replaced, few are inserted": max(more) == min(more) == 0 < min(lost)}  # fmt: skip
        assert kept[pages.bound(cls)]
        return
    rows = pictures(8, classes=2)
    quick = needed(name) or (QUICK if cls.needs_training else {})
    after = rows.map(cls(seed=7, **quick).fit(rows), batched=True)
    changes = [np.abs(np.asarray(a, int) - np.asarray(b, int)) for a, b in zip(rows["image"], after["image"])]
    assert (max(change.max() for change in changes) <= 8) == (pages.bound(cls) == "epsilon")
    if pages.bound(cls) == "epsilon, but for one pixel":
        assert all((change.max(axis=2) > 8).sum() <= 1 for change in changes)


@pytest.mark.parametrize("name", ["photo", "note"])
def test_a_picture_is_what_the_method_makes(name):
    pytest.importorskip("matplotlib", reason="the font of the pictures")
    from docs._make import pictures as drawn

    path = ROOT / f"docs/assets/{name}.png"
    assert path.stat().st_size < 200_000
    np.testing.assert_array_equal(np.asarray(Image.open(path)), np.asarray(getattr(drawn, name)()))
