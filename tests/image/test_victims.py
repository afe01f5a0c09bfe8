"""Image victims learn what can be learned, tell how it went, take a hook, repeat themselves, and leave no trace."""

import random

import numpy as np
import pytest
from PIL import Image

from hf_unlearnable.image.victims import (
    IMAGE_VICTIMS,
    linear_probe,
    pretrained_image_model,
    resnet18,
    simclr_probe,
    small_cnn,
)

torch = pytest.importorskip("torch", reason="image victims need torch")


def stripes(n: int, seed: int, size: int = 16) -> tuple[list, list[int]]:
    """Fine stripes across (class 3), down (8) or both (5), anywhere, in any two colours."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for i in range(n):
        label = (3, 8, 5)[i % 3]
        down, across = np.indices((size, size)) + rng.integers(0, 4, 2)[:, None, None]
        dark = {3: down % 4 < 2, 8: across % 4 < 2, 5: (down % 4 < 2) ^ (across % 4 < 2)}[label]
        colours = rng.integers(0, 256, (2, 3))
        levels = np.where(dark[:, :, None], colours[0], colours[1]) + rng.normal(0, 8, (size, size, 3))
        images.append(levels.clip(0, 255).astype(np.uint8))
        labels.append(label)
    return images, labels


TRAIN, LABELS = stripes(240, seed=0)
TEST, TEST_LABELS = stripes(150, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny ResNet that knows stripes of other colours, whose processor asks for 32 pixels."""
    transformers = pytest.importorskip("transformers", reason="pretrained image victims need transformers")
    path = str(tmp_path_factory.mktemp("tiny_resnet"))
    config = transformers.ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic", num_labels=3
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.ResNetForImageClassification(config)
        images, labels = stripes(192, seed=2)
        seen = torch.tensor(np.stack(images)).permute(0, 3, 1, 2) / 255 * 3 - 1.5
        seen, targets = (
            torch.nn.functional.interpolate(seen, (32, 32)),
            torch.tensor([(3, 5, 8).index(x) for x in labels]),
        )
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(8):
            for rows in torch.randperm(192).split(32):
                loss = torch.nn.functional.cross_entropy(model(seen[rows]).logits, targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        model.save_pretrained(path)
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size, image_mean=[0.4, 0.5, 0.6], image_std=[0.3, 0.3, 0.4]).save_pretrained(
        path
    )
    return path


@pytest.fixture(params=["small_cnn", "pretrained", "probe", "simclr"])
def victim(request, folder):
    return {
        "small_cnn": lambda *data, seed: small_cnn(*data, seed=seed, epochs=8, batch_size=32),
        "pretrained": lambda *data, seed: pretrained_image_model(
            *data, seed=seed, model=folder, epochs=8, batch_size=32, learning_rate=0.1
        ),
        "probe": lambda *data, seed: linear_probe(*data, seed=seed, model=folder),
        "simclr": lambda *data, seed: simclr_probe(*data, seed=seed, epochs=12, batch_size=60),
    }[request.param]


def accuracy(predicted, wanted=TEST_LABELS) -> float:
    return float((np.asarray(predicted) == np.asarray(wanted)).mean())


def test_learns_an_easy_task_repeats_itself_and_leaves_the_generators_alone(victim):
    victim(TRAIN[:6], LABELS[:6], TEST[:2], seed=0)  # some libraries draw while they are imported
    before = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    predicted = victim(TRAIN, LABELS, TEST, seed=0)
    assert before == (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist())
    assert predicted.shape == (150,) and predicted.dtype.kind == "i" and set(predicted) == {3, 5, 8}
    assert accuracy(predicted) > 0.9
    torch.rand(1)  # what the caller draws in between must not matter
    assert (victim(TRAIN, LABELS, TEST, seed=0) == predicted).all()


def test_pil_images_arrays_and_gray_ones_are_seen_alike(victim):
    gray = [Image.fromarray(one).convert("L") for one in TRAIN[:60]]
    as_rgb = [np.asarray(one.convert("RGB")) for one in gray]
    assert (victim(gray, LABELS[:60], TEST, seed=0) == victim(as_rgb, LABELS[:60], TEST, seed=0)).all()


@pytest.mark.parametrize(
    ("images", "labels", "tests", "message"),
    [
        (TRAIN[:2], [0], TEST[:1], "2 training inputs but 1 labels"),
        (TRAIN[:2], [1, 1], TEST[:1], "at least two"),
        (TRAIN[:2], [0, 1], [], "no test inputs"),
        ([], [], TEST[:1], "0 class"),
    ],
)
def test_refuses_data_that_no_classifier_can_use(victim, images, labels, tests, message):
    with pytest.raises(ValueError, match=message):
        victim(images, np.array(labels, int), tests, seed=0)


@pytest.fixture(params=["small_cnn", "pretrained"])
def trained(request, folder):
    """A victim that trains on batches, with its hooks."""

    def pretrained(*data, **options):
        return pretrained_image_model(*data, model=folder, learning_rate=0.1, **options)

    run = small_cnn if request.param == "small_cnn" else pretrained
    return lambda **hooks: run(TRAIN, LABELS, TEST, seed=0, epochs=5, batch_size=32, **hooks)


def test_on_epoch_tells_and_changes_nothing(trained):
    told = []
    predicted = trained(on_epoch=lambda correct, labels: told.append((correct, labels)))
    assert (predicted == trained()).all()
    assert len(told) == 5 and (told[-1][1] == predicted).all()
    correct = [share for share, _ in told]
    assert all(0 <= share <= 1 and round(share * 240, 6) % 1 == 0 for share in correct)  # of all 240 images, once
    assert correct[0] < 0.9 < correct[-1] and accuracy(told[0][1]) < accuracy(told[-1][1])


def test_in_training_sees_every_batch_and_decides_what_is_learned(trained):
    seen = []

    def watch(images, targets, model, generator):
        assert images.shape[1:] == (3, 16, 16) and images.min() >= 0 and images.max() <= 1
        assert model.training and model(images[:2]).shape == (2, 3) and isinstance(generator, torch.Generator)
        seen.append(targets)
        return images, targets

    def blank(images, targets, model, generator):
        return torch.full_like(images, 0.5), targets

    def as_probabilities(images, targets, model, generator):
        return images, torch.nn.functional.one_hot(targets, 3).float()

    def swapped(images, targets, model, generator):
        return images, torch.nn.functional.one_hot((targets + 1) % 3, 3).float()

    trained(in_training=watch)
    assert [len(batch) for batch in seen] == ([32] * 7 + [16]) * 5
    assert torch.bincount(torch.cat(seen)).tolist() == [400] * 3
    assert accuracy(trained(in_training=blank)) < 0.75  # of three classes, by chance
    assert accuracy(trained(in_training=as_probabilities)) > 0.85
    told = []
    wrong = trained(in_training=swapped, on_epoch=lambda correct, _: told.append(correct))
    assert accuracy(wrong, [{3: 5, 5: 8, 8: 3}[label] for label in TEST_LABELS]) > 0.85
    assert told[-1] > 0.85, "the training accuracy is that on the targets that the hook gave"


def test_an_identity_hook_changes_nothing():
    plain = small_cnn(TRAIN, LABELS, TEST, seed=1, epochs=2)
    hooked = small_cnn(
        TRAIN, LABELS, TEST, seed=1, epochs=2, in_training=lambda images, targets, *_: (images, targets)
    )
    assert (plain == hooked).all()


@pytest.mark.parametrize("able", [True, False])
def test_bf16_is_as_accurate_and_changes_nothing_where_the_processor_lacks_it(monkeypatch, able):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able}, raising=False)
    answered, told = [], []

    def watch(images, targets, model, generator):
        answered.append(model(images[:2]).dtype)
        return images, targets

    usual = small_cnn(TRAIN, LABELS, TEST, seed=0, epochs=6, batch_size=32, in_training=watch)
    assert set(answered) == {torch.float32}
    answered.clear()
    half = small_cnn(TRAIN, LABELS, TEST, seed=0, epochs=6, batch_size=32, bf16=True, in_training=watch,
                     on_epoch=lambda correct, _: told.append(correct))  # fmt: skip
    assert set(answered) == {torch.bfloat16 if able else torch.float32}
    assert accuracy(half) > 0.9 and told[-1] > 0.9
    assert able or (half == usual).all()


@pytest.mark.parametrize("name", ["small_vgg", "small_resnet", "small_densenet", "small_vit"])
def test_a_network_of_every_family_learns_colours_and_tells_every_epoch(name):
    rng = np.random.default_rng(0)
    labels = [int(label) for label in rng.integers(0, 3, 90)]
    images = [(rng.integers(0, 160, (16, 16, 3)) + 95 * (np.arange(3) == label)).astype(np.uint8) for label in labels]
    told = []
    predicted = IMAGE_VICTIMS[name](
        images[:60], labels[:60], images[60:], seed=0, epochs=6, batch_size=10,
        on_epoch=lambda *result: told.append(result), in_training=lambda images, targets, *_: (images, targets),
    )  # fmt: skip
    assert (predicted == labels[60:]).mean() > 0.8 and len(told) == 6 and (told[-1][1] == predicted).all()


def test_resnet18_takes_the_hooks_too():
    told = []
    predicted = resnet18(
        TRAIN[:8], LABELS[:8], TEST[:4], seed=0, epochs=1, image_size=8,
        on_epoch=lambda *result: told.append(result), in_training=lambda images, targets, *_: (images, targets),
    )  # fmt: skip
    assert len(told) == 1 and (told[0][1] == predicted).all()


def test_a_pretrained_model_keeps_its_body_and_forgets_its_head(folder):
    from transformers import AutoModelForImageClassification

    from hf_unlearnable.image.victims.pretrained import _fresh

    saved = AutoModelForImageClassification.from_pretrained(folder).state_dict()
    fresh = {name.removeprefix("model.model."): value for name, value in _fresh(folder, 3).state_dict().items()}
    for name, value in saved.items():
        assert torch.equal(fresh[name], value) != (name == "classifier.1.weight") or name == "classifier.1.bias"


def test_a_pretrained_model_sees_the_size_and_levels_of_its_processor(folder):
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    from hf_unlearnable.image.victims.pretrained import _fresh, model_size

    assert model_size(folder) == 32
    image = TEST[0].repeat(2, axis=0).repeat(2, axis=1)  # 32 pixels: nothing to resize
    fresh = _fresh(folder, 3).eval()
    reference = AutoModelForImageClassification.from_pretrained(folder).eval()
    inputs = AutoImageProcessor.from_pretrained(folder)(Image.fromarray(image), return_tensors="pt")
    with torch.inference_mode():
        ours = fresh.model.model.resnet(
            ((torch.tensor(image).permute(2, 0, 1) / 255 - fresh.model.mean) / fresh.model.std)[None]
        )
        theirs = reference.resnet(**inputs)
        assert torch.allclose(ours.pooler_output, theirs.pooler_output, atol=1e-4)
        assert fresh(torch.rand(2, 3, 16, 16)).shape == (2, 3)


def test_the_size_of_a_processor_that_crops_or_names_the_shorter_edge(tmp_path):
    transformers = pytest.importorskip("transformers")
    from hf_unlearnable.image.victims.pretrained import model_size

    transformers.ConvNextImageProcessor(size={"shortest_edge": 288}).save_pretrained(tmp_path / "edge")
    transformers.CLIPImageProcessor(
        size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}
    ).save_pretrained(tmp_path / "crop")
    assert model_size(str(tmp_path / "edge")) == 288
    assert model_size(str(tmp_path / "crop")) == 224
