"""The judge of fidelity reads published weights of any depth, and its shortcut has no weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the judge needs torch")

from safetensors.torch import save_file  # noqa: E402

from recipes.bench.image_judge import Block, Judge  # noqa: E402
from tests.examples import levels  # noqa: E402


def test_a_block_that_adds_nothing_is_its_shortcut():
    block = Block(4, 8, 2).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.rand(2, 4, 6, 6)
    out = block(x)
    assert out.shape == (2, 8, 3, 3)
    assert torch.equal(out[:, 2:6], x[:, :, ::2, ::2]) and not out[:, :2].any() and not out[:, 6:].any()


def test_weights_decide_the_depth(tmp_path):
    state = {}
    for name, block in {"layer1": Block(16, 16, 1), "layer2": Block(16, 32, 2), "layer3": Block(32, 64, 2)}.items():
        state |= {f"module.{name}.0.{key}": value for key, value in block.state_dict().items()}
    stem = {"conv1": torch.nn.Conv2d(3, 16, 3, bias=False), "bn1": torch.nn.BatchNorm2d(16)}
    for name, part in {**stem, "linear": torch.nn.Linear(64, 10)}.items():
        state |= {f"module.{name}.{key}": value for key, value in part.state_dict().items()}
    state["module.linear.weight"].zero_()
    state["module.linear.bias"].copy_(torch.arange(10.0))
    save_file(state, tmp_path / "w.safetensors")
    judge = Judge(tmp_path / "w.safetensors")
    assert len(judge.layer1) == len(judge.layer3) == 1
    assert np.array_equal(judge.predict(levels(3, height=32, width=32)), [9, 9, 9])
