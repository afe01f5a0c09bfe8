"""Survival figures: a projection, a contrast and bytes of real codecs; words and rows of texts."""

import json

import numpy as np
import pytest

for module in ("cv2", "pillow_heif", "pillow_jxl", "matplotlib"):
    pytest.importorskip(module, reason="survival figures need the wear extra")

from hf_unlearnable import _extras  # noqa: E402
from recipes.bench import survival as bench  # noqa: E402
from recipes.bench import tables  # noqa: E402
from recipes.bench import text_survival as texts  # noqa: E402
from tests.examples import pictures  # noqa: E402

GRAY = np.full((32, 32, 3), 120, np.uint8)
BOARD = (GRAY + (np.indices((32, 32)).sum(0) % 2 * 16 - 8)[..., None]).astype(np.uint8)


@pytest.fixture
def wear(monkeypatch):
    def made(change):
        monkeypatch.setitem(bench.IMAGE_WEAR, "made", type("Made", (), {"change": staticmethod(change)}))
        bench.worn_clean.cache_clear()
        return bench.survival("made", [(GRAY, BOARD)])

    return made


@pytest.mark.parametrize(
    ("change", "left", "contrast"),
    [
        (lambda images: images, 1.0, 1.0),
        (lambda images: [np.full_like(image, 7) for image in images], 0.0, 0.0),
        (lambda images: [255 - image for image in images], -1.0, 1.0),
        (lambda images: [(image.astype(int) // 2).astype(np.uint8) for image in images], 0.5, 0.5),
        (lambda images: [image[::2, ::2] for image in images], None, 1.0),
    ],
)
def test_survival_is_the_projection_on_the_change_and_contrast_its_size(wear, change, left, contrast):
    found = wear(change)
    assert found["left"] == left and found["contrast"] == pytest.approx(contrast, abs=1e-4)
    assert "bytes" not in found


def test_nothing_can_survive_where_nothing_changed():
    with pytest.raises(ValueError, match="The protection changed no image"):
        bench.survival("thumbnails", [(GRAY, GRAY)])


def test_a_codec_keeps_more_and_takes_more_bytes_at_higher_quality():
    noisy = (GRAY + np.random.default_rng(0).choice([-8, 8], GRAY.shape)).astype(np.uint8)
    found = [bench.survival(f"jpeg-{quality}-420", [(GRAY, noisy)]) for quality in (50, 90)]
    assert found[0]["left"] < found[1]["left"] < 0.6  # the colour of single pixels is gone at any quality
    assert found[0]["bytes"] < found[1]["bytes"] and found[1]["clean_bytes"] < found[1]["bytes"]


@pytest.fixture
def few(monkeypatch):
    kept = ("jpeg-75-420", "jxl-75", "resize-opencv-area")
    monkeypatch.setattr(bench, "IMAGE_WEAR", {name: bench.IMAGE_WEAR[name] for name in kept})
    monkeypatch.setattr(bench, "KEYS", (0, 1))
    return pictures(8)


def test_cells_are_added_once_and_a_missing_codec_is_named(few, monkeypatch, tmp_path):
    output = tmp_path / "cells.jsonl"
    monkeypatch.setattr(_extras, "find_spec", lambda name: None if name == "pillow_jxl" else name)
    lacking = bench.measure(output, "pictures", few, "texture")
    assert list(lacking) == ["jxl-75"] and "pillow_jxl not installed" in lacking["jxl-75"]
    first = output.read_text("utf-8")
    assert [cell["wear"] for cell in bench.lines_of(output)] == ["jpeg-75-420", "resize-opencv-area"]
    monkeypatch.undo()
    monkeypatch.setattr(bench, "KEYS", (0, 1))
    monkeypatch.setattr(bench, "IMAGE_WEAR", {"jpeg-75-420": None, "jxl-75": bench.IMAGE_WEAR["jxl-75"]})
    assert bench.measure(output, "pictures", few, "texture") == {}
    assert output.read_text("utf-8").startswith(first) and len(bench.lines_of(output)) == 3
    cell = bench.lines_of(output)[-1]
    assert cell["tools"].startswith("pillow ") and "pillow-jxl-plugin" in cell["tools"] and cell["images"] == 8


def test_a_cell_of_an_earlier_version_of_a_method_is_computed_again(few, tmp_path):
    output = tmp_path / "cells.jsonl"
    old = {"data": "pictures", "method": "texture", "method_version": 0, "wear": "jpeg-75-420", "left": 9.0}
    output.write_text(json.dumps(old) + "\n")
    bench.measure(output, "pictures", few, "texture")
    cells = bench.lines_of(output)
    assert sorted(cell["wear"] for cell in cells) == ["jpeg-75-420", "jxl-75", "resize-opencv-area"]
    assert all(abs(cell["left"] or 0) < 2 and cell["method_version"] > 0 for cell in cells)


@pytest.mark.parametrize(
    ("name", "expected"), [("jpeg-75-420", "jpeg-420"), ("webp-50", "webp"), ("jpeg-90-444", "jpeg-444")]
)
def test_qualities_of_a_codec_are_one_line_of_the_plot(name, expected):
    assert bench.family(name) == expected


def test_every_cell_of_the_tables_is_of_a_method_of_today():
    stored = bench.lines_of(bench.OUTPUT)
    assert len(stored) == len(bench.IMAGES) * len(bench.METHODS) * len(bench.IMAGE_WEAR)
    assert all(cell["method_version"] == bench.method_class(cell["method"]).method_version for cell in stored)
    shown = tables.survival("flowers", "left")
    cell = next(
        one for one in stored if (one["data"], one["method"], one["wear"]) == ("flowers", "texture", "webp-75")
    )
    (line,) = [line for line in shown.splitlines() if line.startswith("| webp-75 ")]
    assert f"| {cell['left']:.2f} |" in line and f"{cell['clean_bytes']:.0f} to {cell['bytes']:.0f}" in line


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (list, {"clean": 1.0, "kept": 1.0, "left": 1.0}),
        (lambda rows: [text.replace("plum", "") for text in rows], {"clean": 1.0, "kept": 1.0, "left": 0.5}),
        (lambda rows: [text.upper() for text in rows], {"clean": 1.0, "kept": 1.0, "left": 1.0}),
        (lambda rows: [None if "gist" in text else text for text in rows], {"clean": 1.0, "kept": 0.5, "left": 1.0}),
        (lambda rows: [None] * len(rows), {"clean": 0.0, "kept": 0.0, "left": None}),
    ],
)
def test_what_is_left_of_texts_is_rows_and_words(change, expected):
    clean, protected = ["a good film", "so bad"], ["a gist good film", "so plum bad"]
    assert texts.survival(change, clean, protected) == expected


def test_minhash_takes_a_long_text_with_one_more_word_for_a_copy():
    pytest.importorskip("datatrove")
    pytest.importorskip("spacy")
    letters = "abcdefghijklmnopqrst"
    long, other = (" ".join(f"{start}{one}{two}" for one in letters for two in letters) for start in ("be", "so"))
    found = texts.not_taken_for_copies([long, long, "short"], [f"gist {long}", other, "gist short"])
    assert found == {"clean": None, "kept": 0.5, "left": None}
