"""A test that is itself protected is refused or told, with the key and without; what cannot be told is."""

import numpy as np
import pytest
from datasets import concatenate_datasets

from hf_unlearnable import (
    ConvolutionTransform,
    OnePixelTransform,
    RandomNoiseTransform,
    RegTextTransform,
    TextureTransform,
)
from hf_unlearnable.audit.held_out import check_unprotected, looks_protected
from hf_unlearnable.audit.run import Effort, attack
from hf_unlearnable.image.traits import told_apart, traits
from hf_unlearnable.modality import Grid
from hf_unlearnable.samples import load_notes
from tests.examples import levels, pictures

pytest.importorskip("sklearn", reason="attacks need the attack extra")

IMAGES = [TextureTransform, RandomNoiseTransform, ConvolutionTransform, OnePixelTransform]


def by(cloak, rows):
    return rows.map(cloak, batched=True)


@pytest.fixture(scope="module")
def notes():
    train, test = load_notes("train"), load_notes("test")
    cloak = RegTextTransform(seed=5).fit(train)
    return train, by(cloak, train), test, cloak


@pytest.fixture(scope="module")
def photos():
    return pictures(240, height=24, width=24), pictures(120, seed=1, height=24, width=24)


# ---------------------------------------------------------------------- what is certain
@pytest.mark.parametrize("share", [0.51, 0.8, 1.0])
def test_protected_training_rows_as_a_test_are_refused(notes, share):
    clean, protected, test, _ = notes
    count = round(100 * share)
    mixed = concatenate_datasets([protected.select(range(count)), test.select(range(100 - count))])
    with pytest.raises(
        ValueError, match=f"The test is protected: {count} of 100 test rows show the same as protected"
    ):
        check_unprotected(clean, protected, mixed, "text")


@pytest.mark.parametrize("count", [1, 10, 50])
def test_a_few_protected_training_rows_in_the_test_are_told(notes, count):
    clean, protected, test, _ = notes
    mixed = concatenate_datasets([test.select(range(100 - count)), protected.select(range(count))])
    (said,) = check_unprotected(clean, protected, mixed, "text")
    assert said == f"{count} of 100 test rows show the same as protected training rows. Leave them out."


def test_rows_that_the_protection_left_alone_are_no_protected_ones(notes):
    clean, _, _, _ = notes
    half = concatenate_datasets([clean.select(range(400)), notes[1].select(range(400, len(clean)))])
    assert check_unprotected(clean, half, clean.select(range(300)), "text") == []


@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_rows_that_carry_the_mark_of_the_key_are_refused_or_told(notes, share):
    clean, protected, test, cloak = notes
    count = round(100 * share)
    mixed = concatenate_datasets([by(cloak, test.select(range(count))), test.select(range(count, 100))])
    if share > 0.5:
        with pytest.raises(ValueError, match=f"The test is protected: {count} of 100 test rows carry the key's mark"):
            check_unprotected(clean, protected, mixed, "text", cloak)
    else:
        assert check_unprotected(clean, protected, mixed, "text", cloak) == [
            f"{count} of 100 test rows carry the key's mark. Leave them out."
        ]
    assert check_unprotected(clean, protected, mixed, "text") == []  # nothing is certain without it


def test_a_clean_test_and_a_key_without_a_mark_say_nothing(notes, photos, caplog):
    clean, protected, test, cloak = notes
    assert check_unprotected(clean, protected, test, "text", cloak) == []
    train, held_out = photos
    noise = RandomNoiseTransform(seed=1).fit(train)
    assert check_unprotected(train, by(noise, train), held_out, "image", noise) == []
    assert "The key does not tell whether the test is protected" in caplog.text


# ---------------------------------------------------------------------- what looks like it
@pytest.mark.parametrize("method", IMAGES)
def test_images_look_protected_with_any_key_and_clean_ones_do_not(photos, method):
    train, test = photos
    protected = by(method(seed=1).fit(train), train)
    for seed in (1, 2):
        assert looks_protected(train, protected, by(method(seed=seed).fit(train), test), "image")[1]
    said, alike = looks_protected(train, protected, test, "image")
    assert not alike and " % (clean training rows " in said


def test_texts_look_protected_with_the_same_words_only(notes):
    clean, protected, test, cloak = notes
    assert looks_protected(clean, protected, by(cloak, test), "text")[1]
    assert not looks_protected(clean, protected, test, "text")[1]
    assert not looks_protected(clean, protected, by(RegTextTransform(seed=6).fit(clean), test), "text")[1]


def test_too_few_protected_rows_are_not_judged(photos):
    train, test = photos
    few = concatenate_datasets(
        [by(TextureTransform(seed=1).fit(train), train).select(range(30)), train.select(range(30, 240))]
    )
    assert looks_protected(train, few, test, "image") == ("not judged: 30 protected rows are too few", False)


def test_rows_that_nothing_tells_apart_do_not_warn(photos):
    train, test = photos
    shifted = train.map(lambda row, i: {"image": train[i - 1]["image"]}, with_indices=True)
    assert not looks_protected(train, shifted, by(TextureTransform(seed=1).fit(train), test), "image")[1]


def test_an_attack_on_a_protected_test_warns_the_reader(photos):
    train, test = photos
    cloak = TextureTransform(seed=3).fit(train)
    effort = Effort(60, 20, 1, Grid({"small_cnn": {"epochs": 1}}, ()))
    pytest.importorskip("torch", reason="attacks need the attack extra")
    other = by(TextureTransform(seed=9).fit(train), test)
    found = attack(train, by(cloak, train), other, effort=effort, key=cloak)
    (said,) = found.warnings
    assert said.startswith("The test looks protected, or differs from the training rows in another way: ")
    assert found.protocol["test rows taken for protected ones"] in said and found.protocol["method"] == "texture"
    assert str(cloak.key.seed) not in repr(found.protocol)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 3), (300, 280)])
@pytest.mark.parametrize("channels", [1, 3])
def test_traits_of_any_size_are_finite(shape, channels):
    image = levels(1, height=shape[0], width=shape[1], channels=channels)[0]
    assert traits(image).shape == (12,) and np.isfinite(traits(image)).all()


def test_images_that_differ_in_roughness_are_told_apart():
    smooth = [np.full((16, 16, 3), i, np.uint8) for i in range(40, 80)]
    random = np.random.default_rng(0)
    rough = [np.clip(one + random.integers(-8, 9, one.shape), 0, 255).astype(np.uint8) for one in smooth]
    assert told_apart(smooth[:20], rough[:20], [*smooth[20:], *rough[20:]]).tolist() == [False] * 20 + [True] * 20
