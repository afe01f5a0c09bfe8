"""`help()` of a public class or function tells all: every argument, what breaks a method, an example that runs."""

import dataclasses
import inspect
import re
import textwrap

import datasets
import numpy as np
import pytest

import hf_unlearnable
from hf_unlearnable.registry import METHODS
from hf_unlearnable.transform import Transform
from tests.image.models import needed

PUBLIC = {name: getattr(hf_unlearnable, name) for name in hf_unlearnable.__all__ if not name.startswith("_")}
CALLABLE = sorted(name for name, value in PUBLIC.items() if inspect.isfunction(value) or inspect.isclass(value))
QUICK = {"surrogate": "tiny_cnn", "num_steps": 2, "max_rounds": 1, "epochs": 1}
WORDS = {0: "soil seed spade bean compost prune hedge bloom", 1: "flour oven whisk butter simmer knead onion garlic"}


@pytest.fixture
def small(monkeypatch):
    """Stands for every dataset that an example loads: texts and images of two classes, under the usual names."""

    def text(label: int, random: np.random.Generator) -> str:
        return " ".join(
            [*random.choice(WORDS[label].split(), 6), *random.choice("the a my we it was then some".split(), 9)]
        )

    def load(*_, split: str = "train", **__):
        random = np.random.default_rng(0)
        labels = [i % 2 for i in range(40)]
        images = [random.integers(0, 255, (16, 16, 3), np.uint8) for _ in labels]
        features = datasets.Features({
            "text": datasets.Value("string"), "img": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"]),
            "audio": {"array": datasets.Sequence(datasets.Value("float32")), "sampling_rate": datasets.Value("int64")},
        })  # fmt: skip
        sounds = [{"array": random.normal(0, 0.1, 2000), "sampling_rate": 8000} for _ in labels]
        rows = {"text": [text(one, random) for one in labels], "img": images, "label": labels, "audio": sounds}
        return datasets.Dataset.from_dict(rows, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load)
    return load


@pytest.mark.parametrize("name", list(METHODS))
def test_page_of_a_method_tells_every_argument_with_type_and_default(name):
    cls = METHODS[name]
    page = inspect.getdoc(cls)
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        entry = re.search(rf"^    {parameter.name} \((.+?), default (.+?)\): (\S.*)", page, re.MULTILINE)
        assert entry, f"{parameter.name} is not in help({cls.__name__})"
        value = eval(entry[2])
        assert value == parameter.default or abs(value - parameter.default) < 1e-12
        assert page.count(f"\n    {parameter.name} (") == 1


@pytest.mark.parametrize("name", list(METHODS))
def test_page_of_a_method_has_every_section(name):
    told = METHODS[name].described()
    missing = [
        head
        for head in ("summary", "Idea", "Args", "Secret", "Cost", "Breaks", "Prefer", "Example")
        if not told.get(head)
    ]
    assert not missing


@pytest.mark.parametrize("name", list(METHODS))
def test_example_of_a_method_runs_and_its_key_protects(name, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {**PUBLIC, "ds": small(), "load_dataset": small}
    cls = METHODS[name]
    if cls.needs_training:  # a network that is trained in seconds
        known = inspect.signature(cls.__init__).parameters
        quick = {name: x for name, x in QUICK.items() if name in known and x in cls.choices.get(name, [x])}
        quick |= needed(name)
        space[cls.__name__] = lambda **given: cls(**{**given, **quick})
    exec(cls.described()["Example"], space)
    cloak = space["cloak"]
    assert cloak.method == name
    column = {"text": "text", "image": "img", "audio": "audio"}[cloak.modality]
    before, after = small(), small().map(cloak, batched=True)
    assert any(before[i][column] != after[i][column] for i in range(len(before)))


def test_arguments_of_a_base_are_told_by_a_class_without_a_docstring_of_its_own():
    @dataclasses.dataclass(kw_only=True, repr=False, eq=False)
    class Own(METHODS["texture"]):
        """Coarser grain.

        Args:
            period: Pixels, twice the usual.
            softness: How soft.
        """

        softness: float = 0.5

    page = inspect.getdoc(Own)
    assert page.startswith(
        "Coarser grain.\n\nArgs:\n    period (int | None, default None): Pixels, twice the usual.\n"
    )
    assert "\n    softness (float, default 0.5): How soft.\n    epsilon (float, default 8/255): Largest change" in page
    assert Own.described()["Breaks"] == METHODS["texture"].described()["Breaks"]


@pytest.mark.parametrize("name", CALLABLE)
def test_public_class_or_function_describes_its_parameters(name):
    value = PUBLIC[name]
    page = inspect.getdoc(value)
    assert page, f"{name} has no docstring"
    if inspect.isclass(value) and issubclass(value, (Transform, Exception)):
        return  # above; an error takes a message
    section = re.search(r"^Args:\n((?:(?: .*)?\n)*(?: .+)?)", page, re.MULTILINE)
    told = textwrap.dedent(section[1]) if section else ""
    parameters = [p for p in inspect.signature(value).parameters if p not in ("self", "args", "kwargs")]
    missing = [p for p in parameters if not re.search(rf"^(?:\w+, )*{p}(?:, \w+)*: ", told, re.MULTILINE)]
    assert not missing
