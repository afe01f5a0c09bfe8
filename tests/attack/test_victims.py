"""Each victim learns what can be learned, learns nothing from noise, repeats itself, and leaves no trace."""

import random
import subprocess
import sys

import numpy as np
import pytest

from hf_unlearnable.attack.victims import TEXT_VICTIMS, finetuned_encoder, small_llama, tfidf_logistic_regression
from hf_unlearnable.attack.victims.text import _one_thread

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


def tfidf(*data, seed):
    pytest.importorskip("sklearn", reason="the linear victim needs scikit-learn")
    return tfidf_logistic_regression(*data, seed=seed)


def llama(*data, seed):
    pytest.importorskip("transformers", reason="the Llama victim needs transformers")
    return small_llama(*data, seed=seed, vocab_size=512, hidden_size=64, epochs=8)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A fine-tuning victim on a tiny BERT with random weights, which needs a larger step than a pretrained one."""
    pytest.importorskip("torch", reason="the encoder victim needs torch")
    transformers = pytest.importorskip("transformers", reason="the encoder victim needs transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = str(tmp_path_factory.mktemp("tiny_bert"))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *FILLER, *" ".join(TOPICS.values()).split()]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    transformers.BertModel(config).save_pretrained(folder)

    def encoder(*data, seed):
        with _one_thread():
            return finetuned_encoder(*data, seed=seed, model=folder, learning_rate=3e-3, epochs=10)

    return encoder


@pytest.fixture(params=["tfidf", "llama", "encoder"])
def victim(request):
    return request.getfixturevalue("encoder") if request.param == "encoder" else globals()[request.param]


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


def test_is_at_chance_on_random_labels_and_repeats_itself(victim):
    predicted = []
    for seed in (0, 0, 1):
        predicted.append(victim(TRAIN, RANDOM_LABELS, TEST, seed=seed))
        if torch := sys.modules.get("torch"):
            torch.rand(1)  # what the caller draws in between must not matter
    first, again, other = predicted
    test_labels = np.random.default_rng(3).choice(list(TOPICS), len(TEST))
    assert abs((first == test_labels).mean() - 1 / 3) < 0.1  # 3.7 standard errors of 300 guesses
    assert (first == again).all()
    if victim is not tfidf:
        assert (first != other).any(), "the seed has no effect"


def test_a_prediction_does_not_depend_on_the_company_of_the_text(victim):
    """Padding and sorting by length are only for speed. Models of random labels would give any leak away."""
    texts = [" ".join(text.split()[: i % 12]) for i, text in enumerate(TEST)]  # 0 to 11 words
    long = " ".join(TEST[:5])
    alone = victim(TRAIN, RANDOM_LABELS, texts, seed=0)
    among = victim(TRAIN, RANDOM_LABELS, [long, *texts[::-1]], seed=0)
    assert (alone == among[:0:-1]).mean() > 0.99  # sums of another length round differently: allow a close call or two


@pytest.mark.parametrize(
    ("texts", "labels", "test_texts", "message"),
    [
        (["a", "b"], [0], ["c"], "2 train_texts but 1 train_labels"),
        (["a", "b"], [1, 1], ["c"], "at least two"),
        (["a", "b"], [0, 1], [], "test_texts is empty"),
        (["a", "b"], ["x", "y"], ["c"], "must be integers"),
        (["a", "b"], [0, None], ["c"], "must be integers"),
    ],
)
def test_refuses_data_that_no_classifier_can_use(victim, texts, labels, test_texts, message):
    with pytest.raises(ValueError, match=message):
        victim(texts, labels, test_texts, seed=0)


@pytest.mark.parametrize("name", TEXT_VICTIMS)
def test_missing_extra_names_the_install_line(name, monkeypatch):
    for module in ("sklearn", "torch"):
        monkeypatch.setitem(sys.modules, module, None)  # Python's own way to say "not installed"
    with pytest.raises(ImportError, match=r'(sklearn|torch) not installed.*pip install "hf-unlearnable\[attack\]"'):
        TEXT_VICTIMS[name](["a", "b"], [0, 1], ["c"], seed=0)


def test_listing_the_victims_loads_no_framework():
    code = (
        "import sys, hf_unlearnable.attack.victims\n"
        "assert not {'torch', 'transformers', 'sklearn', 'tokenizers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
