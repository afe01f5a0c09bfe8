"""Victims as records: how they are called, what they say of themselves, and what becomes of plain functions."""

import inspect
import os
import pickle
import pydoc
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from hf_unlearnable import registry
from hf_unlearnable.adversary import Training, Victim, victim
from hf_unlearnable.audit.store import digest
from hf_unlearnable.image.victims import IMAGE_VICTIMS, ImageTraining, linear_probe, small_cnn
from hf_unlearnable.text.victims import TEXT_VICTIMS, TextTraining, causal_lm, naive_bayes, small_llama
from tests import ROOT

VICTIMS = {**TEXT_VICTIMS, **IMAGE_VICTIMS}
HOOKS = ("on_epoch", "in_training")
IMAGE = {"augment": True, "image_size": None, "bf16": False}
CONTRASTIVE = {
    "epochs": 10, "batch_size": 256, "learning_rate": 1e-3, "image_size": None, "bf16": False, "network": "small_cnn",
    "evaluation": "linear", "C": 0.1,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SoundTraining(Training):
    sampling_rate: int = 16_000


TOLD = []


@victim("sound", SoundTraining, epochs=3, sampling_rate=8_000, hooks=("on_epoch",))
def listener(train_sounds, train_labels, test_sounds, training, *, width=64, gain: float = 1.0):
    """Hears.

    Args:
        width: of what it hears with.
    """
    TOLD.append((training, width, gain))
    if training.on_epoch is not None:
        training.on_epoch(1.0, np.array([train_labels[0]]))
    return np.full(len(test_sounds), train_labels[0])


@victim(None)
def needy(train_inputs, train_labels, test_inputs, training, *, model, vocabulary):
    TOLD.append((model, vocabulary))
    return np.zeros(len(test_inputs), int)


def plain(train_inputs, train_labels, test_inputs, seed, C=1.0, on_epoch=None):
    TOLD.append((seed, C, on_epoch))
    return np.full(len(test_inputs), train_labels[-1])


class Plain:
    def __call__(self, *data, seed, in_training=None, width=2):
        TOLD.append((seed, in_training, width))
        return np.zeros(len(data[2]), int)

    def method(self, train_inputs, train_labels, test_inputs, *, seed):
        return np.full(len(test_inputs), seed)


@pytest.fixture(autouse=True)
def told():
    TOLD.clear()
    return TOLD


# ---------------------------------------------------------------------- calls
def test_settings_of_a_call_reach_the_training_and_the_function(told):
    heard = []
    predicted = listener([1], [7], [2, 3], seed=5, sampling_rate=44_100, width=2, on_epoch=lambda *e: heard.append(e))
    assert predicted.tolist() == [7, 7] and len(heard) == 1
    ((training, width, gain),) = told
    assert isinstance(training, SoundTraining) and (width, gain) == (2, 1.0)
    assert (training.seed, training.epochs, training.sampling_rate) == (5, 3, 44_100)
    listener([1], [7], [2])
    assert told[1] == (SoundTraining(epochs=3, sampling_rate=8_000), 64, 1.0)  # a call leaves the defaults alone


def test_partials_and_configured_victims_are_called_alike(told):
    partial(listener, epochs=8, width=3)([1], [0], [2], seed=1)
    listener.configured(epochs=8, width=3)([1], [0], [2], seed=1)
    listener.configured(epochs=9, width=4).configured(width=3)([1], [0], [2], seed=1, epochs=8)
    assert told[0] == told[1] == told[2] == (SoundTraining(seed=1, epochs=8, sampling_rate=8_000), 3, 1.0)


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        (listener, "epoch"), (listener, "in_training"), (listener, "batch_size"), (small_cnn, "max_length"),
        (naive_bayes, "epochs"), (small_llama, "in_training"), (linear_probe, "on_epoch"), (causal_lm, "augment"),
        (Victim.of(plain), "epochs"),
    ],
)  # fmt: skip
def test_an_unknown_setting_is_refused_with_those_there_are(model, setting):
    settings = ", ".join(name for name, p in inspect.signature(model).parameters.items() if p.kind is p.KEYWORD_ONLY)
    with pytest.raises(TypeError) as error:
        model(["a", "b"], [0, 1], ["c"], **{setting: 1})
    assert str(error.value) == f"{model.name} has no setting {setting!r}. Its settings: {settings}."
    with pytest.raises(TypeError, match=f"no setting '{setting}'"):
        model.configured(**{setting: 1})


def test_a_victim_without_what_it_needs_says_so(told):
    assert needy.needs == ("model", "vocabulary") and causal_lm.needs == ("model",)
    half = needy.configured(model="m")
    assert half.needs == ("vocabulary",) and half.settings == {"model": "m"}
    with pytest.raises(TypeError, match="needy has no default for model and vocabulary: give model="):
        needy([], [], [])
    with pytest.raises(TypeError, match="needy has no default for vocabulary: give vocabulary="):
        half([], [], [])
    assert half([1], [0], [2, 3], vocabulary=9).tolist() == [0, 0] and told == [("m", 9)]


def test_fields_that_a_training_lacks_are_refused_where_the_victim_is_written():
    with pytest.raises(TypeError, match="max_length"):
        victim("sound", SoundTraining, max_length=3)(lambda *data: None)
    with pytest.raises(TypeError, match="<lambda> takes on_epochs, which SoundTraining does not have"):
        victim("sound", SoundTraining, hooks=("on_epochs",))(lambda a, b, c, training: None)
    with pytest.raises(TypeError, match="listener takes sampling_rate, which Training does not have"):
        replace(listener, training=Training(epochs=3), takes=("seed", "sampling_rate"))
    with pytest.raises(ValueError, match="duplicate parameter name: 'epochs'"):
        victim("sound", epochs=3)(lambda a, b, c, training, *, epochs: None)


# ---------------------------------------------------------------------- what a victim says of itself
def test_the_signature_shows_every_setting_with_its_default():
    shown = inspect.signature(listener)
    assert [(p.name, p.default) for p in shown.parameters.values() if p.kind is p.KEYWORD_ONLY] == [
        ("seed", 0), ("epochs", 3), ("sampling_rate", 8_000), ("on_epoch", None), ("width", 64), ("gain", 1.0),
    ]  # fmt: skip
    assert list(shown.parameters)[:3] == ["train_sounds", "train_labels", "test_sounds"]
    assert shown.parameters["sampling_rate"].annotation == "int" or shown.parameters["sampling_rate"].annotation is int
    changed = inspect.signature(listener.configured(epochs=1, gain=2.0)).parameters
    assert (changed["epochs"].default, changed["gain"].default, changed["width"].default) == (1, 2.0, 64)


def test_names_and_help_are_those_of_the_function():
    assert listener.name == listener.__name__ == "listener" and listener.__module__ == __name__
    assert repr(listener) == "listener(seed=0, epochs=3, sampling_rate=8000, on_epoch=None, width=64, gain=1.0)"
    page = pydoc.render_doc(listener, renderer=pydoc.plaintext)
    assert "Hears." in page and "width: of what it hears with." in page
    assert "SoundTraining describes those that are not named above." in " ".join(page.split())
    assert repr(listener) in " ".join(listener.__doc__.split())
    assert replace(listener, modality=None).__doc__ == listener.__doc__
    assert Victim.__doc__.startswith("A model that an adversary may train")


@pytest.mark.parametrize("name", VICTIMS)
def test_a_built_in_victim_is_a_record_under_its_own_name(name):
    model = VICTIMS[name]
    assert isinstance(model, Victim) and model.name == name
    assert model.modality == ("text" if name in TEXT_VICTIMS else "image")
    assert model.takes[0] == "seed" and model.needs == (("model",) if name in ("causal_lm", "finetuned_ddpm") else ())
    assert not {"seed", *HOOKS} & set(model.settings)
    assert all(one in model.__doc__ for one in (*model.settings, *model.needs))


def test_defaults_of_the_built_in_victims():
    """A change of one is a change of every number that was measured with it."""
    assert {name: model.settings for name, model in VICTIMS.items()} == {
        "tfidf_logistic_regression": {"C": 10.0, "ngram_range": (1, 2)},
        "naive_bayes": {},
        "lstm": {
            "epochs": 5, "batch_size": 32, "learning_rate": 3e-3, "max_length": 128, "vocab_size": 20_000,
            "hidden_size": 128,
        },
        "small_llama": {
            "epochs": 12, "batch_size": 16, "learning_rate": 3e-3, "max_length": 128, "vocab_size": 4096,
            "hidden_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4,
        },
        "finetuned_encoder": {
            "epochs": 2, "batch_size": 32, "learning_rate": 1e-4, "max_length": 64,
            "model": "sentence-transformers/all-MiniLM-L6-v2",
        },
        "causal_lm": {
            "epochs": 3, "batch_size": 16, "max_length": 128, "lora": True, "rank": 16, "learning_rate": None,
            "class_names": None, "instruction": "Classify the text. Answer with one of: {labels}.",
            "prompt_style": None, "max_rows": None,
        },
        **{
            name: {"epochs": epochs, "batch_size": 128, "learning_rate": rate, **IMAGE}
            for name, epochs, rate in (
                ("small_cnn", 12, 0.1), ("small_cnn_long", 60, 0.1), ("resnet18", 60, 0.1), ("small_vgg", 30, 0.05),
                ("small_resnet", 30, 0.1), ("small_densenet", 30, 0.1), ("small_vit", 30, 0.001),
            )
        },
        "pretrained_image_model": {
            "epochs": 8, "batch_size": 64, "learning_rate": 0.02, **IMAGE,
            "model": "microsoft/resnet-18",
        },
        "linear_probe": {"image_size": None, "model": "microsoft/resnet-18", "C": 0.1},
        "simclr_probe": {**CONTRASTIVE, "temperature": 0.5},
        "supcon_probe": {**CONTRASTIVE, "temperature": 0.1},
        "moco_probe": {**CONTRASTIVE, "temperature": 0.2, "momentum": 0.99, "queue": 1024},
        "simsiam_probe": CONTRASTIVE,
        "ddpm": {
            "epochs": 40, "batch_size": 64, "learning_rate": 3e-3, "augment": False, "image_size": None, "steps": 50,
            "conditional": True,
        },
        "finetuned_ddpm": {
            "epochs": 20, "batch_size": 32, "learning_rate": 3e-4, "augment": False, "image_size": None, "steps": 50,
            "conditional": True, "lora_rank": None,
        },
    }  # fmt: skip
    hooks = {name: tuple(hook for hook in HOOKS if hook in model.takes) for name, model in VICTIMS.items()}
    assert hooks == {
        **dict.fromkeys(TEXT_VICTIMS, ("on_epoch",)), **dict.fromkeys(IMAGE_VICTIMS, HOOKS), "linear_probe": (),
        **dict.fromkeys(
            ("simclr_probe", "supcon_probe", "moco_probe", "simsiam_probe", "ddpm", "finetuned_ddpm"), ()
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", [TextTraining, ImageTraining, SoundTraining])
def test_a_training_of_a_modality_adds_fields_to_those_of_all(kind):
    assert kind(seed=3, epochs=2).seed == 3 and set(vars(Training())) < set(vars(kind()))
    with pytest.raises(TypeError):
        kind(3)  # by name only, so that a field more moves no other


# ---------------------------------------------------------------------- plain functions
def test_a_plain_function_becomes_a_victim(told):
    made = Victim.of(plain)
    assert (made.name, made.takes, made.settings, made.needs) == ("plain", ("seed", "on_epoch"), {"C": 1.0}, ())
    assert made([1], [4], [2, 3], seed=2, C=5).tolist() == [4, 4]
    hook = print
    made([1], [4], [2], on_epoch=hook)
    assert told == [(2, 5, None), (0, 1.0, hook)]
    assert Victim.of(listener) is listener


@pytest.mark.parametrize(
    ("function", "name", "takes", "settings"),
    [
        (partial(plain, C=3.0), "plain", ("seed", "on_epoch"), {"C": 3.0}),
        (Plain(), "Plain", ("seed", "in_training"), {"width": 2}),
        (Plain().method, "method", ("seed",), {}),
        (lambda *data, **options: plain(*data, **options), "<lambda>", ("seed", *HOOKS), {}),
        (lambda texts, labels, tests, *, seed, depth: labels, "<lambda>", ("seed",), {}),
        (partial(listener, epochs=8, width=1), "listener", ("seed", "epochs", "sampling_rate", "on_epoch"),
         {"epochs": 8, "sampling_rate": 8_000, "width": 1, "gain": 1.0}),
        (partial(partial(listener, gain=3), gain=2.0), "listener", ("seed", "epochs", "sampling_rate", "on_epoch"),
         {"epochs": 3, "sampling_rate": 8_000, "width": 64, "gain": 2.0}),
    ],
)  # fmt: skip
def test_whatever_is_called_like_a_victim_becomes_one(function, name, takes, settings):
    made = Victim.of(function)
    assert (made.name, made.takes, made.settings) == (name, takes, settings)
    assert made.needs == (("depth",) if "depth" in inspect.signature(function).parameters else ())


def test_a_wrapped_function_answers_as_the_function_does(told):
    data = [1, 2], [3, 4], [5]
    assert Victim.of(partial(plain, C=3.0))(*data, seed=1).tolist() == partial(plain, C=3.0)(*data, seed=1).tolist()
    assert Victim.of(Plain())(*data, in_training=max, width=5).tolist() == [0]
    assert Victim.of(Plain().method)(*data, seed=6).tolist() == [6]
    Victim.of(lambda *data, **options: TOLD.append(options))(*data, on_epoch=max)
    assert told == [(1, 3.0, None), (1, 3.0, None), (0, max, 5), {"seed": 0, "on_epoch": max}]


# ---------------------------------------------------------------------- pickles, digests, the registry
def test_pickled_victims_are_called_as_before(told):
    for model in (listener, listener.configured(epochs=1, width=2), Victim.of(plain), partial(listener, epochs=1)):
        again = pickle.loads(pickle.dumps(model))
        assert repr(again) == repr(model) and again([1], [6], [2, 3]).tolist() == [6, 6]
        assert told[-1] == (model([1], [6], [2, 3]), told[-1])[1]
        assert digest(again) == digest(model)


def test_digests_tell_functions_and_settings_apart_and_nothing_else():
    apart = [
        listener, needy, Victim.of(plain), listener.configured(epochs=4), listener.configured(width=65),
        listener.configured(seed=1), Victim.of(partial(plain, C=2)), Victim.of(Plain()), Victim.of(Plain().method),
        replace(listener, training=SoundTraining(epochs=3)), small_cnn, small_llama,
    ]  # fmt: skip
    assert len({digest(model) for model in apart}) == len(apart)
    alike = [
        small_cnn,
        small_cnn.configured(epochs=12),
        Victim.of(partial(small_cnn, epochs=12)),
        pickle.loads(pickle.dumps(small_cnn)),
    ]
    assert len({digest(model) for model in alike}) == 1
    assert digest(Victim.of(Plain())) == digest(Victim.of(Plain())), "two objects, one class"


_DIGESTS = """
from tests.adversary.test_victims import *
class Bare:
    def __init__(self, value):
        self.value = value
one = lambda texts, labels, tests, *, seed: labels
for model in (*VICTIMS.values(), listener, Victim.of(plain), Victim.of(Plain()), Victim.of(Plain().method), Victim.of(one),
              Victim.of(partial(plain, C=2)), partial(small_cnn, epochs=3), listener.configured(on_epoch=print),
              listener.configured(width=Bare(1)), listener.configured(width=Bare(2)), listener.configured(width=object()),
              listener.configured(width=frozenset("abcdefgh")), listener.configured(width={"a", "b", "c"}),
              listener.configured(width={"b": 1, "a": {"z", "y"}}), needy.configured(model="folder", vocabulary=[None, 1.5])):
    print(digest(model))
"""


def test_digests_are_those_of_another_process():
    said = []
    for seed in ("1", "2"):  # of the hashes of strings, which decide the order of a set
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = [sys.executable, "-c", _DIGESTS]
        said.append(subprocess.run(run, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert said[0] == said[1]
    digests = said[0].split()
    assert len(set(digests)) == len(digests) == 36


def test_a_registered_victim_bears_its_functions_name(monkeypatch):
    monkeypatch.setattr(registry.VICTIMS, "_registered", {})
    assert registry.register(listener) is listener and registry.VICTIMS["listener"] is listener
    registry.register(Victim.of(plain), name="mine")
    with pytest.raises(ValueError, match="There is a victim 'mine' already"):
        registry.register(needy, name="mine")
    assert registry._of(registry.VICTIMS, "sound") == {"listener": listener, "mine": registry.VICTIMS["mine"]}
    assert list(registry._of(registry.VICTIMS, "text")) == ["mine"]
    with pytest.raises(TypeError, match="Victim"):
        registry.register(plain)
