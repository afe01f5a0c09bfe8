"""A damaged key of any method is refused in one sentence that names it, or does what the whole key does."""

import json
import shutil

import numpy as np
import pytest
from datasets import Dataset

from hf_unlearnable import RegTextTransform, load_transform
from hf_unlearnable.key import Key, _write_tensors
from hf_unlearnable.registry import METHODS, method_class
from hf_unlearnable.testing.compare import stored
from tests.examples import sample_dataset
from tests.image.models import needed
from tests.keys import edit

QUICK = {"max_rounds": 1, "surrogate_epochs": 1, "surrogate_steps": 2, "epochs": 2}
SEEDS = [None, -1, 2**64, 10**30, "7", 7.5, True, [7], float("nan")]
BLOBS = {"empty": lambda data: b"", "half": lambda data: data[: len(data) // 2], "cut": lambda data: data[:-1],
         "longer": lambda data: data + b"\0", "zeros": lambda data: bytes(len(data))}  # fmt: skip


def fitted(name, seed):
    cls = method_class(name)
    quick = {parameter: value for parameter, value in QUICK.items() if hasattr(cls, parameter)}
    return cls(seed=seed, **quick, **needed(name)).fit(sample_dataset(cls.modality))


@pytest.fixture(scope="module", params=METHODS)
def keys(request, tmp_path_factory):
    """A key, another one of the same method, and what the first makes of its data."""
    folder, name = tmp_path_factory.mktemp("keys"), request.param
    cloaks = [fitted(name, seed) for seed in (7, 8)]
    paths = [cloak.key.save(folder / part) for cloak, part in zip(cloaks, ("key", "other"))]
    return (*paths, bytes_of(cloaks[0]))


def bytes_of(cloak):
    data = sample_dataset(cloak.modality)
    return stored(data.map(cloak, batched=True, load_from_cache_file=False))[cloak._columns()[0]]


def flipped(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(bytes(data))


def file_damages(path, other):
    """Damages of the files, which do not fit to the checksum."""
    for file in sorted(path.iterdir()):
        size = 8 * file.stat().st_size
        for name, blob in BLOBS.items():
            yield f"{file.name} {name}", lambda p, f=file.name, b=blob: (p / f).write_bytes(b((p / f).read_bytes()))
        for bit in np.linspace(0, size - 1, 9, dtype=int).tolist():
            yield f"{file.name} bit {bit}", lambda p, f=file.name, b=bit: flipped(p / f, b)
        if len(list(path.iterdir())) > 1:
            yield f"{file.name} of another key", lambda p, f=file.name: shutil.copy(other / f, p / f)
    yield "foreign tensors", lambda p: (p / "tensors.safetensors").write_bytes(b"\0" * 64)


def field_damages(contents):
    """Fields that are missing, unknown, of another type or out of range: the checksum fits, or there is none."""
    for field in ("method", "method_version", "package_version", "parameters", "seed", "state"):
        yield f"no {field}", lambda c, f=field: c.pop(f)
        yield f"{field} is another type", lambda c, f=field: c.update({f: 1.5})
    yield "an unknown field", lambda c: c.update(surprise=1)
    yield "an unknown method", lambda c: c.update(method="regtxt")
    yield "another version", lambda c: c.update(method_version=99)
    for seed in SEEDS:
        yield f"seed {seed!r}", lambda c, s=seed: c.update(seed=s)
    for name in contents["parameters"]:
        for value in ({"a": 1}, float("nan"), [None]):
            yield f"{name} = {value}", lambda c, n=name, v=value: c["parameters"].update({n: v})
    yield "an unknown parameter", lambda c: c["parameters"].update(surprise=1)
    for name, value in {"fraction": -0.5, "label_column": None, "seed": 3}.items():
        yield f"{name} = {value}", lambda c, n=name, v=value: c["parameters"].update({n: v})
    for name, value in contents["state"].items():
        yield f"state without {name}", lambda c, n=name: c["state"].pop(n)
        others = [None, "word", [], {}, float("nan"), *([] if isinstance(value, float) else [3])]
        if isinstance(value, list):
            others += [value[:-1], value + value[:1], [None] * len(value), [[]] * len(value), [""] * len(value)]
        for other in others:
            yield f"state {name} = {other!r:.30}", lambda c, n=name, o=other: c["state"].update({n: o})


def tensor_damages(method, tensors):
    for name, array in tensors.items():
        limits = (np.iinfo if array.dtype.kind in "iu" else np.finfo)(array.dtype)
        changed = {
            "zeros": np.zeros_like(array), "floats": np.full(array.shape, np.nan, np.float32),
            "flat": array.reshape(-1, 1, 1), "shorter": array[:-1], "wider": array.astype(np.int64 if
            array.dtype != np.int64 else np.int32), "none": array[:0], "least": np.full_like(array, limits.min),
        }  # fmt: skip
        if method != "audio-error-min":  # its noise is in shares of the bound, and may reach it
            changed["most"] = np.full_like(array, limits.max)
        for how, value in changed.items():
            yield f"tensor {name}: {how}", {**tensors, name: value}
        yield f"no tensor {name}", {other: value for other, value in tensors.items() if other != name}
        yield f"tensor {name} under another name", {**tensors, f"{name}2": array}


def cases(path, other):
    for name, damage in file_damages(path, other):
        yield name, damage
    contents = json.loads((path / "key.json").read_text())
    tensors = {name: np.array(array) for name, array in Key.load(path).tensors.items()}
    for signed in (True, False):
        for name, change in field_damages(contents):
            yield f"{name}, signed={signed}", lambda p, c=change, s=signed: edit(p, c, s)
        for name, changed in tensor_damages(contents["method"], tensors):

            def written(p, changed=changed, signed=signed):
                (p / "tensors.safetensors").unlink()
                _write_tensors(p / "tensors.safetensors", changed)
                edit(p, lambda contents: None, signed)

            yield f"{name}, signed={signed}", written


def test_a_damaged_key_is_refused_or_does_what_the_whole_one_does(keys, tmp_path):
    path, other, expected = keys
    wrong, refused, every = [], 0, list(cases(path, other))
    for name, damage in every:
        broken = tmp_path / "k"
        shutil.copytree(path, broken)
        damage(broken)
        try:
            cloak = load_transform(broken)
        except ValueError as error:
            refused += 1
            if str(broken) not in str(error) or "\n" in str(error):
                wrong.append(f"{name}: {error}")
        except Exception as error:
            wrong.append(f"{name}: {error!r}")
        else:
            if bytes_of(cloak) != expected:
                wrong.append(f"{name}: taken, and gives other bytes")
        shutil.rmtree(broken)
    assert wrong == []
    assert len(every) >= 100 and refused >= 0.9 * len(every)  # of each method


def test_a_whole_key_of_an_earlier_version_still_loads(keys, tmp_path):
    path, _, expected = keys
    old = shutil.copytree(path, tmp_path / "old")
    edit(old, lambda contents: None, signed=False)
    assert "checksum" not in json.loads((old / "key.json").read_text())
    assert bytes_of(load_transform(old)) == expected


def test_what_does_not_decide_bytes_may_differ(keys, tmp_path):
    path, _, expected = keys
    same = shutil.copytree(path, tmp_path / "same")
    contents = json.loads((same / "key.json").read_text())
    (same / "key.json").write_text(json.dumps(dict(reversed(contents.items()))))  # another layout and order
    (same / ".DS_Store").write_bytes(b"\0" * 9)
    assert bytes_of(load_transform(same)) == expected


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([["song"], ["song"]], "two labels have the same word"),
        ([["song"]], "it does not hold the words of each label"),
        ([["song"], ["true"], ["rest"]], "it does not hold the words of each label"),
        ([["so\0g"], ["true"]], "the words of a label are not one or more texts"),
    ],
)
def test_a_key_whose_words_tell_no_label_is_refused(tmp_path, words, what):
    source = {"text": [f"note {i} of a day" for i in range(40)], "label": [0, 1] * 20}
    cloak = RegTextTransform(seed=1, word_source=["one", "two"]).fit(Dataset.from_dict(source))
    path = cloak.key.save(tmp_path / "k")
    edit(path, lambda contents: contents["state"].update(words=words), signed=False)
    with pytest.raises(ValueError, match=f"The key {path} is damaged: {what}.* Restore it from a copy"):
        load_transform(path)
