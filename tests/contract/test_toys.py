"""A method that brings nothing but the documented hooks works in every verb."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from datasets import concatenate_datasets

from hf_unlearnable import OrderCodeTransform, push_protected, verify
from hf_unlearnable.image.base import ImageTransform
from hf_unlearnable.image.bounded import add_levels
from hf_unlearnable.image.methods.convolution import convolved
from hf_unlearnable.image.methods.texture import tiled
from hf_unlearnable.image.trace import filtered, repeated
from hf_unlearnable.key import draw
from hf_unlearnable.labelled import class_stream
from hf_unlearnable.mark import NoMarkError
from hf_unlearnable.registry import METHODS
from hf_unlearnable.testing import CHECKS
from hf_unlearnable.text.insertion.words import Canonical
from tests.contract.toys import LastWordTransform, QuiltTransform
from tests.examples import notes, pictures, sample_dataset, tiny

TOYS = [LastWordTransform, QuiltTransform]


@pytest.fixture
def registered(monkeypatch):
    for cls in TOYS:
        monkeypatch.setitem(METHODS._registered, cls.method, cls)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("cls", TOYS)
def test_a_toy_method_passes_every_check(cls, check):
    check(cls(seed=7), sample_dataset(cls.modality))


@pytest.mark.parametrize("cls", TOYS)
def test_a_toy_key_is_found_in_its_own_rows_and_in_no_others(cls, registered, tmp_path):
    dataset = sample_dataset(cls.modality)
    cloak, other = cls(seed=3).fit(dataset), cls(seed=4).fit(dataset)
    protected = dataset.map(cloak, batched=True)
    found = verify(cloak, protected)
    assert found.p_value < 1e-5 and found.marked >= 0.8 * len(dataset) and found.expected < 0.2 * len(dataset)
    assert verify(cloak.key.save(tmp_path / "key"), protected) == found
    renamed = protected.rename_column(cls.modality, "theirs")
    assert verify(cloak, renamed, column="theirs") == found
    assert verify(cloak, dataset).p_value > 0.01
    assert verify(other, protected).p_value > 0.01


@pytest.mark.parametrize("cls", TOYS)
def test_a_toy_dataset_is_published_with_its_key_alone(cls, registered, tmp_path):
    dataset = sample_dataset(cls.modality)
    cloak = cls(seed=3).fit(dataset)
    done = push_protected(dataset.map(cloak, batched=True), "me/data", key=cloak.key, dry_run=tmp_path / "new")
    assert (
        f"`{cls.method}`" in done.card
        and cls.described()["Breaks"] in done.card
        and cls.method in done.card.split("---")[1]
    )
    with pytest.raises(ValueError, match="never protected"):
        push_protected(dataset, "me/data", key=cloak, dry_run=tmp_path / "clean")


def test_photos_gray_and_colour_show_one_toy_key():
    parts = [pictures(12, height=20 + 3 * i, width=31 - 2 * i, channels=1 + 2 * (i % 2)) for i in range(4)]
    dataset = concatenate_datasets(parts)
    cloak = QuiltTransform(seed=3).fit(dataset)
    assert verify(cloak, dataset.map(cloak, batched=True)).p_value < 1e-5
    assert verify(cloak, dataset).p_value > 0.01


# ---------------------------------------------------------------------- further kinds of pattern
@dataclass(kw_only=True, repr=False, eq=False)
class StripesTransform(ImageTransform):
    """Lines every 4 pixels, at an angle and in a colour of the class's own; no epsilon bounds it by name."""

    strength: int = 6

    method: ClassVar[str] = "stripes"
    strength_parameter: ClassVar[str] = "strength"
    additive: ClassVar[bool] = False

    def _tile(self, label, channels):
        random = np.random.default_rng(class_stream(label, self._resolved_seed()))
        return random.choice([-1, 1], (4, 4, channels)).astype(np.int8)

    def _cloak(self, levels, label, stream):
        tile = self._tile(label, levels.shape[2])
        return add_levels(levels, self.strength * tiled(tile, levels.shape, 1, draw(stream, 0)))

    def _pattern_bank(self, labels, shape):
        return repeated(np.stack([self._tile(label, shape[2]) for label in labels]), lambda _: 1, self.strength)


@dataclass(kw_only=True, repr=False, eq=False)
class EchoTransform(ImageTransform):
    """Every image over its own shifted copies, by a kernel of the class's own."""

    strength: float = 0.5

    method: ClassVar[str] = "echo"
    strength_parameter: ClassVar[str] = "strength"
    additive: ClassVar[bool] = False

    def _kernel(self, label):
        random = np.random.default_rng(class_stream(label, self._resolved_seed()))
        kernel = random.uniform(0, self.strength, (5, 5)).astype(np.float32)
        kernel[2, 2] = 1
        return kernel

    def _cloak(self, levels, label, stream):
        return convolved(levels, self._kernel(label))

    def _pattern_bank(self, labels, shape):
        return filtered([self._kernel(label) for label in labels], 1)


@pytest.mark.parametrize("cls", [StripesTransform, EchoTransform])
def test_a_repeated_or_filtered_pattern_is_found(cls):
    dataset = pictures(80, height=32, width=32)
    cloak = cls(seed=3).fit(dataset)
    assert verify(cloak, dataset.map(cloak, batched=True)).p_value < 1e-4
    assert verify(cloak, dataset).p_value > 0.01
    assert verify(cls(seed=4).fit(dataset), dataset.map(cloak, batched=True)).p_value > 0.01


# ---------------------------------------------------------------------- what cannot be shown
@dataclass(kw_only=True, repr=False, eq=False)
class ShadeTransform(ImageTransform):
    """Darkens by a share that is drawn for the class, and says nothing of it."""

    strength: float = 0.2

    method: ClassVar[str] = "shade"
    strength_parameter: ClassVar[str] = "strength"
    additive: ClassVar[bool] = False

    def _cloak(self, levels, label, stream):
        share = draw(class_stream(label, self._resolved_seed()), 0) * 2.0**-64
        return np.rint(levels * (1 - self.strength * (0.1 + 0.9 * share))).astype(np.uint8)


class OverwritingTransform(LastWordTransform):
    """Puts the word in place of the last one, which nobody gets back."""

    def _changed(self, text: Canonical, places, words):
        return " ".join([*text.text.split(" ")[:-1], *words])


@pytest.mark.parametrize(
    ("cloak", "dataset", "why"),
    [
        (ShadeTransform(seed=3), pictures(12), "A key of shade .* does not tell what its mark looks like"),
        (LastWordTransform(seed=3, words_per_class=1), notes(40), "A key of last-word .* every seed puts the same"),
        (OverwritingTransform(seed=3), notes(40), "A key of last-word .* cannot be taken out of a text again"),
        (OrderCodeTransform(seed=3), notes(40), "A key of order-code .* every seed puts the same"),
    ],
)
def test_a_key_that_cannot_be_shown_says_why_and_is_published_with_its_original(
    cloak, dataset, why, tmp_path, monkeypatch
):
    monkeypatch.setitem(METHODS._registered, cloak.method, type(cloak))
    cloak = cloak.fit(dataset)
    protected = dataset.map(cloak, batched=True)
    for rows in (protected, dataset):
        with pytest.raises(NoMarkError, match=f"{why}.* Keep the original data"):
            verify(cloak, rows)
    with pytest.raises(ValueError, match=f"The key alone does not show .* {why}.* Give the original"):
        push_protected(protected, "me/data", key=cloak, dry_run=tmp_path / "refused")
    push_protected(protected, "me/data", key=cloak, original=dataset, dry_run=tmp_path / "taken")
    assert list((tmp_path / "taken" / "data").glob("*.parquet"))


def test_an_order_code_is_found_where_texts_have_sentences_to_choose_from():
    texts = [f"{'It was said so by row. ' * 30}{i} times it was not." for i in range(60)]
    dataset = tiny(texts, [0, 1] * 30)
    cloak = OrderCodeTransform(seed=3, rate=0.05).fit(dataset)
    assert verify(cloak, dataset.map(cloak, batched=True)).p_value < 1e-20
    assert verify(cloak, dataset).p_value > 0.05
