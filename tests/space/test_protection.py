"""Texts and images protected in the page: exact, marked, and refused where it cannot be."""

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable import load_transform
from hf_unlearnable.protection import protect
from hf_unlearnable.registry import method_class
from hf_unlearnable.samples import load_notes
from hf_unlearnable.space import protection
from hf_unlearnable.space.limits import RefusedError
from tests.examples import notes
from tests.image.files import file_of
from tests.space.files import opened, photo, rows_of

words = st.text(st.sampled_from("ab<&\"' \n\t漢字é"), max_size=40)


@given(words, words)
def test_the_marked_parts_are_the_text(before, after):
    assert "".join(part for part, _ in protection.highlighted(before, after)) == after


@given(st.lists(st.sampled_from(["a", "bb", "ccc", "漢字漢"]), min_size=1, max_size=30), st.data())
def test_words_that_were_put_in_are_marked_and_only_these(pieces, data):
    places = data.draw(st.sets(st.integers(0, len(pieces)), max_size=10))
    after = " ".join(" ".join(["NEW"] * (i in places) + pieces[i : i + 1]) for i in range(len(pieces) + 1)).strip()
    parts = protection.highlighted(" ".join(pieces), after)
    assert [part for part, new in parts if new] == ["NEW"] * len(places)


def test_words_in_texts_without_spaces_are_marked():
    parts = protection.highlighted("漢字漢字", "漢字 word 漢字")
    assert parts == [("漢字 ", False), ("word", True), (" 漢字", False)]


def test_replaced_words_are_marked():
    assert protection.highlighted("a bb c", "a new c") == [("a ", False), ("new", True), (" c", False)]


def test_a_text_of_500_words_is_protected_and_the_key_takes_it_back(tmp_path):
    pytest.importorskip("gradio")
    from hf_unlearnable.space.typed import protect_one

    text = " ".join(" ".join(load_notes("test")["text"][:30]).split()[:500])
    done = protect_one(text, "garden", "regtext", "Standard")
    after, change = done.after, done.change
    assert change.words == 500 and 48 <= change.added <= 50  # fewer when the text holds the drawn word itself
    assert change.edit_rate == pytest.approx(100 * change.added / 500)
    done.key.save(tmp_path / "key")
    assert load_transform(tmp_path / "key").restore({"text": after, "label": "garden"})["text"] == text
    light, strong = (protect_one(text, "garden", "regtext", name).change.added for name in ("Light", "Strong"))
    assert 23 <= light <= 25 and 96 <= strong <= 100


def test_methods_are_those_of_the_registry_without_the_baseline():
    assert protection.methods("image")[0] == "texture"
    assert "regtext" in protection.methods("text") and "regtext" not in protection.methods("image")
    assert "random-noise" not in protection.methods("image")
    for method in protection.methods("image") + protection.methods("text"):
        assert protection.about(method).endswith(".")
    assert method_class("error-min").needs_training and not method_class("texture").needs_training


@pytest.mark.parametrize("method", protection.methods("text"))
def test_every_text_method_protects_a_table_at_every_strength(method):
    data = notes(120)
    for strength in protection.STRENGTHS:
        cloak = protection.transform(method, strength, seed=1).fit(data)
        done = protect(data, cloak)
        after = done.data["train"]
        assert after[:] == data.map(cloak, batched=True, keep_in_memory=True)[:]
        assert done.fidelity["train"]["text"].changed > 60
    with pytest.raises(RefusedError, match="no strength"):
        protection.transform(method, "Brutal")


def test_columns_of_a_table_are_guessed():
    data = Dataset.from_dict(
        {
            "id": [str(i) for i in range(9)],
            "body": ["a long text " * 3] * 9,
            "score": [0.5] * 9,
            "topic": [0, 1, 2] * 3,
        }
    )
    texts, classes = protection.guessed_columns(data)
    assert texts[0] == "body" and classes[0] == "topic" and "score" not in texts + classes


CLOSED = [method for method in protection.methods("image") if not method_class(method).needs_training]


@pytest.mark.parametrize("method", CLOSED)
def test_one_unlabelled_image_is_protected_in_closed_form(method):
    pytest.importorskip("gradio")
    from hf_unlearnable.space.image import protect_images

    image = photo()
    original, protected, change, _ = protect_images(rows_of(image), method, "Standard")
    after = opened(protected[0]["image"]["bytes"])
    difference = np.abs(after.astype(int) - image)
    assert difference.max() == change.max_change > 0
    assert len(original) == len(protected) == 1 and after.shape == image.shape
    if method == "texture":
        assert change.max_change == 8 and change.psnr > 29


def test_strength_is_the_bound():
    pytest.importorskip("gradio")
    from hf_unlearnable.space.image import protect_images

    bounds = [protect_images(rows_of(photo()), "texture", name)[2].max_change for name in protection.STRENGTHS]
    assert bounds == [8, 4, 16]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_gray_and_transparent_images_keep_what_they_are(mode):
    from PIL import Image

    pytest.importorskip("gradio")
    from hf_unlearnable.space.image import protect_images

    given = np.asarray(Image.fromarray(photo()).convert(mode)).copy()
    if mode != "L":
        given[:20, :, -1] = 7
    after = opened(protect_images(rows_of(given), "texture", "Standard")[1][0]["image"]["bytes"])
    assert after.shape == given.shape and (after != given).any()
    if mode != "L":
        assert (after[..., -1] == given[..., -1]).all()


def test_a_method_that_learns_needs_classes_and_small_images():
    pytest.importorskip("gradio")
    from hf_unlearnable.space.image import protect_images

    with pytest.raises(RefusedError, match="folder"):
        protect_images(rows_of(photo(), photo(1)), "error-min", "Standard")
    large = [np.zeros((2000, 2000), np.uint8)] * 2
    rows = rows_of(large[0], label="a") + rows_of(large[1], label="b")
    with pytest.raises(RefusedError, match="6 megapixels in all"):
        protect_images(rows, "error-min", "Standard")
    small = [photo(seed, 16, 16) for seed in range(20)]
    rows = [row for i, one in enumerate(small) for row in rows_of(one, label="ab"[i % 2])]
    _, protected, change, _ = protect_images(rows, "error-min", "Standard")
    assert 0 < change.max_change <= 8 and len(protected) == 20


def test_a_method_that_learns_without_labels_takes_images_of_one_class():
    pytest.importorskip("gradio")
    from hf_unlearnable.space.image import protect_images

    rows = rows_of(*(photo(seed, 16, 16) for seed in range(4)))
    original, protected, change, _ = protect_images(rows, "denoising-error", "Standard")
    assert 0 < change.max_change <= 8 and len(protected) == len(original) == 4, "no image of another class came in"


@pytest.mark.parametrize("times", [2, pytest.param(4, marks=pytest.mark.slow)])  # 3 and 12 megapixels
def test_a_photo_larger_than_its_preview_is_protected(times):
    pytest.importorskip("gradio")
    from hf_unlearnable.space.image import protect_images

    random = np.random.default_rng(0)
    large = photo(0, 750, 1000).repeat(times, 0).repeat(times, 1)
    large = np.clip(large + random.integers(-6, 7, large.shape), 0, 255).astype(np.uint8)
    rows = [{"name": "a.png", "label": "mine", "bytes": file_of(large)}]
    _, protected, change, _ = protect_images(rows, "texture", "Standard")
    shown = protection.previews(rows[0]["bytes"], protected[0]["image"]["bytes"])
    assert len(shown) == 3 and max(opened(shown[0]).shape) <= 1400
    assert change.max_change == 8
    assert np.abs(opened(protected[0]["image"]["bytes"]).astype(int) - large).max() == 8


def test_previews_are_small_and_the_difference_is_red():
    before = np.full((3000, 2000, 3), 128, np.uint8)
    after = before.copy()
    after[1500:, :] += 8
    shown = [opened(data) for data in protection.previews(file_of(before), file_of(after))]
    assert max(shown[0].shape) <= 1400 and shown[0].shape == shown[1].shape
    assert (shown[2][0, 0] == 255).all() and tuple(shown[2][-1, -1]) == (179, 38, 30)
