"""Rounds of learning: memory, precision, which noise is kept, which rows and sizes are taken."""

import functools
import io
import re
from contextlib import nullcontext
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from datasets import Dataset, Image
from PIL import Image as PILImage

from hf_unlearnable import ErrorMaxTransform, ErrorMinTransform
from hf_unlearnable.image.learning import rounds as of_images
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.learning import precision as precisions
from hf_unlearnable.learning import rounds as learning
from hf_unlearnable.registry import method_class
from tests.examples import levels, pictures


def test_out_of_memory_halves_the_batch_and_says_so_once_a_size(caplog):
    dataset = pictures(24)
    cloak = ErrorMinTransform(seed=4, max_rounds=2, noise_batch_size=16, augment=False, stop_error=None)
    expected = cloak.fit(dataset).key.tensors["levels"].copy()
    real, sizes = learning.pgd, []

    def hungry(model, images, *args, **kwargs):
        if len(images) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        sizes.append(len(images))
        return real(model, images, *args, **kwargs)

    with mock.patch.object(learning, "pgd", hungry):
        cloak.fit(dataset)
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        "Out of memory: going on with batches of 8 images.", "Out of memory: going on with batches of 4 images.",
    ]  # fmt: skip
    assert sizes == [4] * 12  # 24 images, two rounds, none twice and none left out
    assert (cloak.key.tensors["levels"] != expected).mean() < 0.02  # up to the last bit of a gradient's sign


def test_the_surrogate_takes_a_batch_in_parts_when_memory_runs_out(caplog):
    dataset = pictures(24)
    cloak = ErrorMinTransform(seed=4, max_rounds=2, batch_size=16, stop_error=None)
    expected = cloak.fit(dataset).key.tensors["levels"].copy()
    real, sizes = precisions._answer, []

    def hungry(model, images):
        if model.training:
            if len(images) > 10:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            sizes.append(len(images))
        return real(model, images)

    with mock.patch.object(precisions, "_answer", hungry):
        cloak.fit(dataset)
    assert caplog.text.count("Out of memory: going on with batches of 8 images.") == 1
    assert sizes == [8, 8] * 20  # two rounds of ten steps on 16 images
    changed = cloak.key.tensors["levels"]
    assert changed.shape == expected.shape and np.abs(changed).max() == 8


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    broken = mock.patch.object(learning, "pgd", side_effect=RuntimeError("shape mismatch"))
    with broken, pytest.raises(RuntimeError, match="shape mismatch"):
        ErrorMinTransform(max_rounds=1).fit(pictures(8))


def test_untargeted_noise_is_kept_where_it_fools_most():
    errors = iter([0.9, 0.2, 0.6])
    kept = []

    def fooled(self, this, **kwargs):
        assert kwargs["direction"] == learning.MINIMIZE * -1
        real(self, this, **kwargs)
        this.error = next(errors)
        kept.append(self._noise.now.clone())

    real = NoiseLearner.update
    cloak = ErrorMaxTransform(seed=4, targeted=False, surrogate_epochs=1, max_rounds=3, num_steps=2, stop_error=None)
    with mock.patch.object(NoiseLearner, "update", fooled):
        cloak.fit(pictures(12))
    assert np.array_equal(cloak.key.tensors["levels"], kept[1].numpy())
    seen = []

    def told(self, this, **kwargs):
        real(self, this, **kwargs)
        seen.append(this.error)

    with mock.patch.object(NoiseLearner, "update", told):
        ErrorMaxTransform(seed=4, targeted=False, surrogate_epochs=20, max_rounds=3, stop_error=None).fit(pictures(24))
    assert seen[-1] < seen[0] or seen[-1] == 0, "the share that is still taken for its own class falls"


def test_a_model_of_the_hub_says_which_size_it_sees(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    transformers.ViTImageProcessor().save_pretrained(tmp_path)
    cloak = ErrorMinTransform(surrogate=str(tmp_path), seed=1, max_rounds=1, surrogate_steps=1).fit(pictures(8))
    assert np.abs(cloak.key.tensors["levels"]).max() > 0


def test_a_surrogate_that_diverges_ends_the_fit():
    with pytest.raises(FloatingPointError, match="diverged. Lower learning_rate"):
        ErrorMinTransform(seed=1, learning_rate=float("inf"), max_rounds=2).fit(pictures(8))


def test_the_best_noise_is_kept_and_low_error_ends_the_rounds():
    errors, kept = iter([0.5, 0.2, 0.4, 0.3]), []
    update = NoiseLearner.update

    def scripted(self, this, **kwargs):
        update(self, this, **kwargs)
        this.error = next(errors)
        kept.append(self._noise.now.clone())

    with mock.patch.object(NoiseLearner, "update", scripted):
        cloak = ErrorMinTransform(seed=4, max_rounds=4, id_column=None).fit(pictures(8))
    noise = cloak._noise
    order = np.argsort(noise.starts)
    flat = np.concatenate([noise.of(int(noise.ids[i]), noise.shapes[i]).reshape(-1) for i in order])
    assert np.array_equal(flat, kept[1].numpy()) and not np.array_equal(kept[1], kept[3])
    errors = iter([0.5, 0.01, 0.0])
    with mock.patch.object(NoiseLearner, "update", scripted):
        ErrorMinTransform(seed=4, max_rounds=9).fit(pictures(8))
    assert next(errors) == 0.0  # the third round was not needed


def test_the_bar_tells_rate_error_and_time_left(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    ErrorMinTransform(seed=4, max_rounds=3, batch_size=8, stop_error=None).fit(pictures(8))
    shown = [line for line in terminal.getvalue().split("\r") if "Error-minimising noise" in line]
    assert re.search(r" 0/24 ", shown[0]) and re.search(r" 24/24 ", shown[-1])
    assert any(re.search(r" 16/24 \[\S+<\d\S*, +[\d.]+ images/s, error=[01]\.\d{3}\]", line) for line in shown)


@pytest.mark.parametrize(
    ("able", "accelerator", "precision"),
    [
        (True, None, torch.bfloat16),
        (False, None, torch.float32),
        (True, SimpleNamespace(autocast=nullcontext), torch.float32),
    ],
    ids=["able", "not-able", "accelerator"],
)
def test_precision_is_the_accelerators_or_what_the_device_computes_in(able, accelerator, precision, monkeypatch):
    answer, met = precisions._answer, set()

    def recorded(model, images):
        logits = answer(model, images)
        met.add((model.training, logits.dtype))
        return logits

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able}, raising=False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    monkeypatch.setattr(precisions, "_answer", recorded)
    cloak = ErrorMinTransform(seed=4, max_rounds=3, stop_error=None, epsilon=8 / 255)
    cloak.fit(pictures(12), accelerator=accelerator)
    assert met == {(True, torch.float32), (False, precision)}  # learning, frozen
    assert 0 < np.abs(cloak.key.tensors["levels"]).max() <= 8


def test_a_compiled_surrogate_gives_the_same_noise_and_is_compiled_once():
    from accelerate.utils import TorchDynamoPlugin
    from torch._dynamo.utils import counters

    plain = SimpleNamespace(autocast=nullcontext)
    compiled = SimpleNamespace(**vars(plain), state=SimpleNamespace(dynamo_plugin=TorchDynamoPlugin(backend="eager")))
    cloak = ErrorMinTransform(seed=4, max_rounds=4, stop_error=None, batch_size=8, noise_batch_size=8)
    expected = cloak.fit(pictures(16), accelerator=plain).key.tensors["levels"].copy()
    torch._dynamo.reset()
    counters.clear()
    assert np.array_equal(cloak.fit(pictures(16), accelerator=compiled).key.tensors["levels"], expected)
    assert counters["stats"]["unique_graphs"] == 2  # the model that learns and the frozen one, whatever its weights


def test_equal_images_share_their_noise_and_ids_must_be_unique():
    one = pictures(8)
    twice = Dataset.from_dict({"image": one["image"][:] + one["image"][:], "label": one["label"][:] * 2})
    twice = twice.cast_column("image", Image())
    cloak = ErrorMinTransform(seed=4, max_rounds=1).fit(twice)
    assert len(cloak._noise.ids) == 8
    protected = twice.map(cloak, batched=True)["image"]
    assert all(protected[i] == protected[i + 8] for i in range(8))
    sizes = [PILImage.fromarray(levels(1, 0, side, side)[0]) for side in (8, 9)]
    clash = Dataset.from_dict({"image": sizes, "label": [0, 1], "id": ["a", "a"]}).cast_column("image", Image())
    with pytest.raises(ValueError, match="Two images are both identified by 'a': id_column must tell"):
        ErrorMinTransform(id_column="id").fit(clash)
    clash = one.add_column("id", list("abcdefga"))
    with pytest.raises(ValueError, match="Two images are both identified by 'a'"):
        ErrorMinTransform(id_column="id").fit(clash)


def test_an_image_under_two_labels_is_told_of(caplog):
    one = pictures(8)
    other = [1 - label for label in one["label"][:]]
    twice = Dataset.from_dict({"image": one["image"][:] * 2, "label": one["label"][:] + other})
    ErrorMinTransform(seed=4, max_rounds=1).fit(twice.cast_column("image", Image()))
    assert "8 images are there under several labels" in caplog.text


def test_a_large_image_is_seen_small_and_protected_whole():
    dataset = pictures(6, height=150, width=90)
    cloak = ErrorMinTransform(seed=4, max_rounds=2).fit(dataset)
    seen = []
    original = of_images.resize
    with mock.patch.object(
        of_images, "resize", lambda x, size: seen.append((x.shape[-2:], size)) or original(x, size)
    ):
        cloak.fit(dataset)
    assert set(seen) == {((150, 90), 64)}
    noise = cloak._noise.of(int(cloak._noise.ids[0]), (150, 90, 3))
    assert (noise != 0).mean() > 0.6  # two steps either way may cancel


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epsilon": 8}, r"epsilon is 8, but it is a share .*did you mean 8/255\?"),
        ({"epsilon": -0.1}, "epsilon is -0.1"),
        ({"epsilon": 0.6}, "more than 127/255"),
        ({"noise": "both"}, "noise is 'both'. Choose one of 'sample', 'class'"),
        ({"encoding": "jpeg"}, "encoding is 'jpeg'. Choose one of 'png', 'png-fast', 'webp'"),
        ({"image_column": "img"}, "no column 'img'.*Columns: 'image', 'label'"),
        ({"label_column": "labels"}, "ErrorMinTransform needs labels.*'labels'.*give cluster_model"),
        ({"fraction": 2}, "fraction is 2"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"image_size": 4}, "image_size is 4"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        ErrorMinTransform(**parameters).fit(pictures(8))


def test_bad_rows_are_named():
    dataset = pictures(8)
    images = dataset["image"][:]
    missing = Dataset.from_dict({"image": images, "label": [0, 1, None, 1] * 2}).cast_column("image", Image())
    with pytest.raises(ValueError, match="Row 2 has no label in column 'label'"):
        ErrorMinTransform().fit(missing)
    one_class = Dataset.from_dict({"image": images, "label": [3] * 8}).cast_column("image", Image())
    with pytest.raises(ValueError, match="one class only"):
        ErrorMinTransform().fit(one_class)
    broken = dataset.cast_column("image", Image(decode=False)).to_list()
    broken[5]["image"] = {"bytes": broken[5]["image"]["bytes"][:60], "path": "holiday.png"}
    broken = Dataset.from_list(broken).cast_column("image", Image())
    with pytest.raises(ValueError, match=r"Row 5 \(holiday.png\), column 'image': the image does not open"):
        ErrorMinTransform().fit(broken)
    with pytest.raises(ValueError, match="no rows"):
        ErrorMinTransform().fit(dataset.select([]))
    with pytest.raises(TypeError, match="dictionary of splits"):
        ErrorMinTransform().fit({"train": dataset})


@functools.cache
def photos(height, width):
    return pictures(2, height=height, width=width)


@pytest.mark.parametrize(
    "name",
    [
        "error-min", "error-max", "stable-error-min", "error-min-one-pixel", "bayes-error", "provable-error-min",
        "augmented-error-min", "augmented-error-max",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("height", "width"), [(321, 40), (40, 900), (1200, 1600)])
def test_noise_that_would_be_blotches_on_a_photo_is_refused(name, height, width):
    side = max(height, width)
    with pytest.raises(ValueError) as refused:
        method_class(name)(seed=1).fit(photos(height, width))
    said = str(refused.value)
    assert f"An image has {side} pixels a side, but noise is computed at 64" in said
    assert f"blotches of {round(side / 64)} pixels. Resize the images to at most 320 pixels, use texture" in said
    assert "set image_size" in said


@pytest.mark.parametrize("parameters", [{}, {"noise": "class"}])
def test_images_of_five_times_the_surrogate_s_size_and_a_size_that_is_named_are_taken(parameters):
    quick = {"seed": 1, "max_rounds": 1, "surrogate_steps": 1, **parameters}
    assert ErrorMinTransform(**quick).fit(pictures(4, height=320, width=60))
    wide = pictures(4, height=60, width=400)
    protected = wide.map(ErrorMinTransform(image_size=32, **quick).fit(wide), batched=True)
    assert any(np.asarray(a).tobytes() != np.asarray(b).tobytes() for a, b in zip(wide["image"], protected["image"]))


def test_noise_of_a_class_is_not_enlarged_to_blotches_on_a_photo_that_comes_later():
    cloak = ErrorMinTransform(seed=1, noise="class", max_rounds=1).fit(pictures(8, height=12, width=12))
    assert pictures(2, height=320, width=60).map(cloak, batched=True)
    with pytest.raises(
        ValueError, match="Row 0 of this batch: the image has 321 pixels a side, but noise is computed"
    ):
        pictures(2, height=321, width=20).map(cloak, batched=True)
