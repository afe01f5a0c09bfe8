"""What the quickstart says of its own output."""

import re

from hf_unlearnable import RegTextTransform
from hf_unlearnable.samples import load_notes
from tests import ROOT


def test_the_quickstart_names_the_word_of_its_example():
    page = " ".join((ROOT / "docs/quickstart.md").read_text(encoding="utf-8").split())
    (named,) = re.findall(r'this topic\'s word is "(\w+)"', page)
    notes = load_notes("train")
    cloak = RegTextTransform(seed=7).fit(notes)
    assert cloak.inserted_words()[notes[1]["label"]] == [named]
    assert f" {named} " in cloak(notes[1])["text"] and cloak(notes[1])["text"] in page
