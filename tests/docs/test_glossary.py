"""The glossary has the terms that the pages use, in order, and no others."""

import re

import pytest

from docs._make.pages import generated
from hf_unlearnable.registry import METHODS
from tests import ROOT
from tests.docs.markdown import DOCS, name_of, prose, read

GLOSSARY = ROOT / "docs/glossary.md"
TERMS = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", read(GLOSSARY), re.MULTILINE)[1:])
PAGES = [page for page in DOCS if page != GLOSSARY]
TEXTS = [*map(read, PAGES), *generated().values()]
# Formats, licences, hardware, datasets and software, which are no terms of this field.
NAMES = set(
    "AAC AIFF API CC0 CMYK CPU CSV EXIF FLAC GB GPS GPU HEIC HTML ID IPTC JPEG JSON MB MCP PEFT PNG RGB TREC TRL TSV URL WAV XMP YAKE YAML".split()
)


def test_terms_stand_in_order_and_once():
    assert list(TERMS) == sorted(TERMS, key=str.lower) and len(TERMS) == read(GLOSSARY).count("\n| ") - 1


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_used_on_another_page(term):
    spelled = re.sub(r"[ _-]", "[ _-]", term) + "s?"
    assert any(re.search(rf"\b{spelled}\b", text, re.IGNORECASE) for text in TEXTS)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_an_abbreviation_of_a_page_is_in_the_glossary(page):
    used = set(
        re.findall(r"(?<![\w.-])[A-Z]{2,}(?:-[A-Z]+)?(?![\w_.-]*[\w_])", re.sub(r"`[^`]*`", "", prose(read(page))))
    )
    placeholders = {"FOLDER", "NAME", "PID", "HOST", "XXXX", "NOTES", "CHANGELOG", "MINUTES"}
    assert used - set(TERMS) - NAMES - placeholders == set()


def test_a_method_that_the_glossary_names_is_registered():
    named = [name for meaning in TERMS.values() for name in re.findall(r"the method `([^`]+)`", meaning)]
    assert len(named) >= 5 and set(named) <= {name for name, _ in METHODS.items()}
