"""Each victim learns what can be learned, learns nothing from noise, repeats itself, and leaves no trace."""

import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hf_unlearnable.text.victims import (
    TEXT_VICTIMS,
    causal_lm,
    finetuned_encoder,
    lstm,
    naive_bayes,
    small_llama,
    tfidf_logistic_regression,
)
from hf_unlearnable.text.victims.language_model import _names
from hf_unlearnable.text.victims.training import one_thread

TOPICS = {
    7: "soil seed spade bean slug compost prune hedge bloom weed tulip rake",
    2: "flour oven whisk butter simmer knead onion garlic roast broth dough salt",
    5: "moon comet lens orbit star nebula dew eclipse planet telescope meteor dusk",
}
FILLER = "the a my we it was then again some very old new after before with under over slowly twice nobody".split()


def make_texts(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """n texts of 12 words, 3 of them from the topic; labels are neither sorted nor consecutive."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(list(TOPICS), size=n)
    texts = []
    for label in labels:
        words = [*rng.choice(FILLER, 9), *rng.choice(TOPICS[int(label)].split(), 3)]
        texts.append(" ".join(rng.permutation(words)))
    return texts, labels


TRAIN, TRAIN_LABELS = make_texts(240, seed=0)
TEST, TEST_LABELS = make_texts(300, seed=1)
RANDOM_LABELS = np.random.default_rng(2).choice(list(TOPICS), len(TRAIN))
SHORT = [" ".join(text.split()[: i % 12]) for i, text in enumerate(TEST)]  # 0 to 11 words


def tfidf(*data, **options):
    pytest.importorskip("sklearn", reason="the linear victim needs scikit-learn")
    return tfidf_logistic_regression(*data, **options)


def bayes(*data, **options):
    pytest.importorskip("sklearn", reason="naive Bayes needs scikit-learn")
    return naive_bayes(*data, **options)


def llama(*data, **options):
    pytest.importorskip("transformers", reason="the Llama victim needs transformers")
    return small_llama(*data, vocab_size=512, hidden_size=64, epochs=8, **options)


def recurrent(*data, **options):
    pytest.importorskip("torch", reason="the LSTM needs torch")
    return lstm(*data, hidden_size=64, batch_size=8, learning_rate=1e-2, epochs=10, **options)


def word_tokenizer(folder, **special):
    """Whole words of the task; saved in the folder."""
    transformers = pytest.importorskip("transformers", reason="pretrained victims need transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = [*special.values(), *FILLER, *" ".join(TOPICS.values()).split(), *"Label : A B C".split()]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if "sep_token" in special:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return len(words)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A fine-tuning victim on a tiny BERT with random weights, which needs a larger step than a pretrained one."""
    torch = pytest.importorskip("torch", reason="the encoder victim needs torch")
    transformers = pytest.importorskip("transformers", reason="the encoder victim needs transformers")
    folder = str(tmp_path_factory.mktemp("tiny_bert"))
    words = word_tokenizer(folder, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")
    config = transformers.BertConfig(
        vocab_size=words,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)

    def encoder(*data, **options):
        with one_thread():
            return finetuned_encoder(*data, model=folder, learning_rate=3e-3, epochs=10, **options)

    return encoder


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory):
    """A folder with a tiny Llama of random weights, whose tokenizer knows no letters, no start and no padding."""
    pytest.importorskip("torch", reason="the language model victim needs torch")
    transformers = pytest.importorskip("transformers", reason="the language model victim needs transformers")
    torch = sys.modules["torch"]
    folder = str(tmp_path_factory.mktemp("tiny_llama"))
    config = transformers.LlamaConfig(
        vocab_size=word_tokenizer(folder, unk_token="[UNK]", eos_token="[END]"),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=4,
        max_position_embeddings=64,
        pad_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def language_model(tiny_llama):
    def language_model(*data, **options):
        with one_thread():
            return causal_lm(*data, **{"model": tiny_llama, "lora": False, "epochs": 8, **options})

    return language_model


@pytest.fixture(params=["tfidf", "bayes", "llama", "recurrent", "encoder", "language_model"])
def victim(request):
    return (
        globals()[request.param]
        if request.param in ("tfidf", "bayes", "llama", "recurrent")
        else request.getfixturevalue(request.param)
    )


def test_learns_an_easy_task_and_leaves_the_global_generators_alone(victim):
    def global_state():
        torch = sys.modules.get("torch")
        return random.getstate(), str(np.random.get_state()), torch and torch.get_rng_state().tolist()

    victim(["red", "blue"], [0, 1], ["red"], seed=0)  # some libraries draw from `random` while they are imported
    before = global_state()
    predicted = victim(TRAIN, TRAIN_LABELS, TEST, seed=0)
    assert before == global_state()
    assert predicted.shape == (len(TEST),) and predicted.dtype.kind == "i"
    assert set(predicted) == set(TOPICS), "labels come back as they went in"
    assert (predicted == TEST_LABELS).mean() > 0.9


@cache
def memorised(victim):
    """What a victim of random labels says of short texts, once for several tests."""
    return victim(TRAIN, RANDOM_LABELS, SHORT, seed=0)


def test_is_at_chance_on_random_labels_and_follows_its_seed(victim):
    predicted = memorised(victim)
    test_labels = np.random.default_rng(3).choice(list(TOPICS), len(SHORT))
    assert abs((predicted == test_labels).mean() - 1 / 3) < 0.1  # 3.7 standard errors of 300 guesses
    if victim not in (tfidf, bayes):
        assert (predicted != victim(TRAIN, RANDOM_LABELS, SHORT, seed=1)).any(), "the seed has no effect"


def test_a_prediction_does_not_depend_on_the_company_of_the_text(victim):
    """Padding and sorting by length are only for speed. Models of random labels would give any leak away."""
    among = victim(TRAIN, RANDOM_LABELS, [" ".join(TEST[:5]), *SHORT[::-1]], seed=0)
    # Sums of another length round differently: allow a close call or two.
    assert (memorised(victim) == among[:0:-1]).mean() > 0.99


@pytest.mark.parametrize(
    ("texts", "labels", "test_texts", "message"),
    [
        (["a", "b"], [0], ["c"], "2 training inputs but 1 labels"),
        (["a", "b"], [1, 1], ["c"], "at least two"),
        (["a", "b"], [0, 1], [], "no test inputs"),
        (["a", "b"], ["x", "y"], ["c"], "not integers"),
        (["a", "b"], [0, None], ["c"], "not integers"),
    ],
)
def test_refuses_data_that_no_classifier_can_use(victim, texts, labels, test_texts, message):
    with pytest.raises(ValueError, match=message):
        victim(texts, labels, test_texts, seed=0)


@pytest.mark.parametrize("victim", [tfidf, bayes])
def test_texts_without_words_teach_which_label_is_frequent(victim):
    told = []
    given = ["", "a", "!", ""], [7, 2, 7, 7], ["moon", ""]
    predicted = victim(*given, seed=0, on_epoch=lambda accuracy, answers: told.append((accuracy, answers.tolist())))
    assert predicted.tolist() == [7, 7] and told == [(0.75, [7, 7])]


def test_tells_of_each_epoch_and_repeats_itself(victim):
    """The callback draws, too: neither it nor the extra predictions may move the training."""
    told = []

    def on_epoch(accuracy, predicted):
        if torch := sys.modules.get("torch"):
            torch.rand(1)
        told.append((accuracy, predicted.copy()))
        predicted[:] = -1

    silent = memorised(victim)
    assert (silent == victim(TRAIN, RANDOM_LABELS, SHORT, seed=0, on_epoch=on_epoch)).all()
    assert (told[-1][1] == silent).all()
    assert len(told) == {tfidf: 1, bayes: 1, llama: 8}.get(victim, len(told)) and len(told) in (1, 8, 10)
    accuracies = [accuracy for accuracy, _ in told]
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    if len(told) > 1:
        assert accuracies[0] < 0.5 < accuracies[-1], "random labels of few texts are learned by heart, in time"
        assert (told[0][1] != silent).any(), "the first epoch predicts otherwise than the last"


def test_adapters_learn_too_and_leave_the_model_as_it_was(tiny_llama, language_model):
    pytest.importorskip("peft", reason="LoRA needs peft")
    import hashlib

    weights = Path(tiny_llama, "model.safetensors")
    before = hashlib.sha256(weights.read_bytes()).digest()
    predicted = language_model(TRAIN, TRAIN_LABELS, TEST, seed=0, lora=True, learning_rate=1e-2, epochs=10)
    assert (predicted == TEST_LABELS).mean() > 0.8
    assert hashlib.sha256(weights.read_bytes()).digest() == before


def test_a_long_text_never_pushes_the_question_out(language_model):
    """The first words tell the label; what follows is cut, and only that."""
    long = [f"{text} " + "the " * 100 for text in TRAIN]
    predicted = language_model(long, TRAIN_LABELS, [f"{text} " + "the " * 100 for text in TEST], seed=0, max_length=18)
    assert (predicted == TEST_LABELS).mean() > 0.9
    with pytest.raises(ValueError, match="max_length is 2"):
        language_model(TRAIN, TRAIN_LABELS, TEST, seed=0, max_length=2)


def test_classes_are_named_by_letters_unless_they_have_names():
    assert _names(np.array([2, 5, 7]), None) == ["A", "B", "C"]
    names = _names(np.arange(60), None)
    assert names[25:28] == ["Z", "AA", "AB"] and len(set(names)) == 60
    assert _names(np.array([0, 2]), ["negative", "neutral", "positive"]) == ["negative", "positive"]
    for classes in ([0, 3], [-1, 1], [5, 6]):
        with pytest.raises(ValueError, match="class_names has 3 names, and the labels are"):
            _names(np.array(classes), ["a", "b", "c"])


@pytest.mark.parametrize("name", TEXT_VICTIMS)
def test_missing_extra_names_the_install_line(name, monkeypatch):
    for module in ("sklearn", "torch"):
        monkeypatch.setitem(sys.modules, module, None)  # Python's own way to say "not installed"
    with pytest.raises(ImportError, match=r'(sklearn|torch) not installed.*pip install "hf-unlearnable\[attack\]"'):
        TEXT_VICTIMS[name](["a", "b"], [0, 1], ["c"], seed=0, **({"model": "any"} if name == "causal_lm" else {}))


def test_listing_the_victims_loads_no_framework():
    code = (
        "import sys, hf_unlearnable.text.victims, hf_unlearnable.image.victims\n"
        "assert not {'torch', 'transformers', 'sklearn', 'tokenizers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
