"""The bytes that every method gives are those that it gave before: data protected with an old key must come out alike.

A digest may change only together with the method's `method_version`. Write them anew with

    python -m tests.contract.test_golden
"""

import hashlib
import json
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hf_unlearnable import load_transform
from hf_unlearnable.registry import METHODS, method_class
from hf_unlearnable.testing.compare import stored
from tests.examples import notes, pictures, recordings
from tests.image.models import needed

FILE = Path(__file__).with_name("golden.json")
CASES = {
    "regtext": {
        "defaults": {},
        "paper": {"rate": 0.1, "max_tokens": 10, "tokens_per_class": 10, "word_source": "regtext"},
        "replace": {"mode": "replace", "rate": 0.2},
        "begin": {"position": "begin", "tokens_per_class": 3},
        "half": {"fraction": 0.5, "classes": [0, 2]},
    },
    "order-code": {
        "defaults": {},
        "words": {"carrier_source": "words", "code": "refrain", "rate": 0.1, "min_share": 1e-4, "max_share": 1.0},
        "refrain": {"code": "refrain", "rate": 0.05},
    },
    "error-min-text": {"defaults": {}, "per text": {"words_per_class": None}, "half": {"fraction": 0.5, "classes": [0, 2]}},
    "error-min": {"defaults": {}, "class": {"noise": "class", "epsilon": 4 / 255}},
    "augmented-error-min": {"defaults": {"max_rounds": 2}, "class": {"noise": "class", "max_rounds": 2}},
    "augmented-error-max": {
        name: {"targeted": name == "defaults", "surrogate_epochs": 2, "max_rounds": 1, "num_steps": 4}
        for name in ("defaults", "untargeted")
    },
    "feature-shift": {
        "defaults": {"num_steps": 2, "surrogate_epochs": 2, "image_size": 52},
        "no surrogate": {"num_steps": 2, "surrogate": "none"},
    },
    "denoising-error": {"defaults": {"max_rounds": 2}, "UDP, raised": {"max_rounds": 2, "direction": "raise", "timesteps": "uniform"}},
    "random-noise": {"defaults": {}, "class": {"noise": "class"}, "half": {"fraction": 0.5, "classes": [1]}},
    "texture": {"defaults": {}, "webp": {"encoding": "webp"}, "weak": {"epsilon": 2 / 255}},
    "convolution": {"defaults": {}, "strong": {"blur": 0.5, "kernel_size": 5}},
    "one-pixel": {"defaults": {}, "three": {"pixels": 3}},
    "equalizer": {"defaults": {}, "short turns": {"dwell": 0.03}, "half": {"fraction": 0.5, "classes": [0, 2]}},
    "audio-error-min": {"defaults": {"max_rounds": 2}, "class": {"noise": "class", "max_rounds": 2}},
    "audio-noise": {"defaults": {}, "half": {"fraction": 0.5, "classes": [1]}},
}  # fmt: skip


@cache
def samples(modality):
    if modality == "text":
        return {"notes": notes(60)}
    if modality == "audio":
        return {"words": recordings(40), "stereo": recordings(8, seed=1, rate=22_050, channels=2)}
    return {
        "small": pictures(40),
        "gray": pictures(24, seed=1, height=9, width=14, channels=1),
        "photos": pictures(8, seed=2, height=230, width=260),
    }


def digest(values):
    hashed = hashlib.sha256()
    for value in values:
        part = repr(value).encode()
        hashed.update(len(part).to_bytes(8, "little") + part)
    return hashed.hexdigest()[:32]


def state(key):
    tensors = {
        name: (str(t.dtype), t.shape, hashlib.sha256(t.tobytes()).hexdigest()) for name, t in key.tensors.items()
    }
    return json.dumps([key.method, key.method_version, key.seed, key.state, tensors], sort_keys=True, default=str)


def computed(name, chosen=None):
    """Digests of a method: of what it writes and of its key, for each case and each sample, or the chosen one."""
    cls, found = method_class(name), {"method_version": method_class(name).method_version}
    for case, parameters in CASES.get(name, {"defaults": {}}).items():
        for sample, dataset in samples(cls.modality).items():
            if (sample == "photos" and case != "defaults") or chosen not in (None, sample):
                continue
            cloak = cls(seed=7, **needed(name), **parameters).fit(dataset)
            protected = dataset.map(cloak, batched=True, load_from_cache_file=False)
            (column,) = cloak._columns()
            found[f"{case}, {sample}"] = [digest(stored(protected)[column]), digest([state(cloak.key)])]
            again = dataset.map(load_transform(cloak.key), batched=True, load_from_cache_file=False)
            assert digest(stored(again)[column]) == found[f"{case}, {sample}"][0]
    return found


def arithmetic():
    """A digest of what this machine makes of a short training: learned noise is the same on machines that agree."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU(), torch.nn.Flatten(),
            torch.nn.Linear(16 * 144, 4),
        ).to(memory_format=torch.channels_last)  # fmt: skip
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        images, labels = torch.rand(64, 3, 12, 12), torch.arange(64) % 4
        for _ in range(20):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
    weights = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
    products = np.random.default_rng(0).normal(size=(200, 300))
    return hashlib.sha256(weights + (products @ products.T).tobytes()).hexdigest()[:32]


@contextmanager
def two_threads():
    """Sums are rounded by the number of threads that share them, so that it is always the same one here."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2):
            yield
    finally:
        torch.set_num_threads(before)


def learns(name):
    return method_class(name).needs_training or name == "linearization"


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        pytest.param(name, sample, marks=[pytest.mark.slow] * (sample == "photos" and learns(name)))
        for name in METHODS
        for sample in samples(method_class(name).modality)
    ],
)
@two_threads()
def test_bytes_are_those_of_before(name, sample):
    known = json.loads(FILE.read_text())
    of_method = dict(known["methods"][name])
    made_with = of_method.pop("arithmetic", known["arithmetic"])  # of a method that was added on another machine
    if learns(name) and made_with != arithmetic():
        pytest.skip("learned noise follows the rounding of the machine, and this one rounds in another way")
    of_sample = {key: value for key, value in of_method.items() if key.endswith(f", {sample}")}
    assert of_sample
    assert computed(name, sample) == {"method_version": of_method["method_version"], **of_sample}


if __name__ == "__main__":
    with two_threads():
        known = {"arithmetic": arithmetic(), "methods": {name: computed(name) for name in METHODS}}
    FILE.write_text(json.dumps(known, indent=1) + "\n")
