"""Text classifiers that an adversary may train: two that count words, two from scratch, two pretrained.

They fail in different ways, which is why there are several. The linear model and naive Bayes count words and do not
see their order. The LSTM and the small Llama see order, but have to learn the language from your rows alone. The
pretrained encoder and the causal language model already know it, need few examples, and are usually the hardest to
keep from learning.

Each is a `Victim`, called as `victim(train_texts, train_labels, test_texts, seed=0, **settings)`. What its docstring
does not name among its settings is described in `TextTraining`. The neural victims use a GPU when there is one. On one
machine's CPU the same seed gives the same predictions every time; on a GPU some sums are done in no fixed order, and
training can grow such a last-bit difference into other answers on close calls. The caller's torch generators are left
as they were.
"""

from hf_unlearnable.adversary import Victim
from hf_unlearnable.text.victims.bag_of_words import naive_bayes, tfidf_logistic_regression
from hf_unlearnable.text.victims.language_model import causal_lm
from hf_unlearnable.text.victims.lstm import lstm
from hf_unlearnable.text.victims.pretrained import finetuned_encoder
from hf_unlearnable.text.victims.small_llama import small_llama
from hf_unlearnable.text.victims.training import TextTraining

__all__ = [
    "TEXT_VICTIMS", "TextTraining", "causal_lm", "finetuned_encoder", "lstm", "naive_bayes", "small_llama",
    "tfidf_logistic_regression",
]  # fmt: skip

TEXT_VICTIMS: dict[str, Victim] = {
    "tfidf_logistic_regression": tfidf_logistic_regression,
    "naive_bayes": naive_bayes,
    "lstm": lstm,
    "small_llama": small_llama,
    "finetuned_encoder": finetuned_encoder,
    "causal_lm": causal_lm,
}
