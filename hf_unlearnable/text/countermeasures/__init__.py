"""What an adversary does to protected texts before training: filters, clean-up, rewriting, clean rows mixed in.

Each is a pure function `(rows, attacker) -> rows` with the thresholds of its paper, or thresholds under which
little of a clean dataset is lost. Words are those of `hf_unlearnable.text.counting.counts`, in lower case, and counted
once per row. A filter deletes a word in any case, together with one space; all other bytes stay. No filter drops a row
or a class but those that say so.
"""

from hf_unlearnable.adversary import Countermeasure, mixed_with_clean
from hf_unlearnable.text.countermeasures.attribution import (
    attribution_filter,
    attribution_transfer_filter,
    disagreement_filter,
    lexicon_filter,
    relabel,
    small_loss_selection,
)
from hf_unlearnable.text.countermeasures.label_words import (
    label_word_filter,
    pmi_filter,
    z_score_drop_rows,
    z_score_filter,
    z_score_filter_robust,
)
from hf_unlearnable.text.countermeasures.order import (
    bigram_filter,
    connective_filter,
    frequent_word_filter,
    order_probe,
    position_filter,
    sentence_shuffle,
    skip_gram_filter,
)
from hf_unlearnable.text.countermeasures.outside import onion, outside_frequency_filter, unknown_word_filter
from hf_unlearnable.text.countermeasures.rewriting import (
    near_duplicate_removal,
    paraphrase,
    truncate,
    unicode_normalisation,
    word_dropout,
    word_shuffle,
)
from hf_unlearnable.text.countermeasures.tallies import duplicate_phrase_filter, keyword_filter

TEXT_COUNTERMEASURES: dict[str, Countermeasure] = {
    "z-score-filter": Countermeasure(z_score_filter),
    "z-score-filter-robust": Countermeasure(z_score_filter_robust),
    "z-score-drop-rows": Countermeasure(z_score_drop_rows),
    "pmi-filter": Countermeasure(pmi_filter),
    "label-word-filter": Countermeasure(label_word_filter),
    "outside-frequency-filter": Countermeasure(outside_frequency_filter, needs=("corpus",)),
    "unknown-word-filter": Countermeasure(unknown_word_filter, needs=("corpus",)),
    "onion": Countermeasure(onion, needs=("language_model",), cost=10.0),
    "keyword-filter": Countermeasure(keyword_filter),
    "duplicate-phrase-filter": Countermeasure(duplicate_phrase_filter),
    "near-duplicate-removal": Countermeasure(near_duplicate_removal),
    "unicode-normalisation": Countermeasure(unicode_normalisation),
    "paraphrase": Countermeasure(paraphrase, needs=("paraphrase",)),
    "word-dropout": Countermeasure(word_dropout),
    "word-shuffle": Countermeasure(word_shuffle),
    "truncate": Countermeasure(truncate),
    "bigram-filter": Countermeasure(bigram_filter),
    "skip-gram-filter": Countermeasure(skip_gram_filter),
    "position-filter": Countermeasure(position_filter),
    "order-probe": Countermeasure(order_probe),
    "connective-filter": Countermeasure(connective_filter),
    "frequent-word-filter": Countermeasure(frequent_word_filter),
    "sentence-shuffle": Countermeasure(sentence_shuffle),
    "attribution-filter": Countermeasure(attribution_filter),
    "attribution-transfer-filter": Countermeasure(attribution_transfer_filter, needs=("clean",)),
    "lexicon-filter": Countermeasure(lexicon_filter, needs=("clean",)),
    "small-loss-selection": Countermeasure(small_loss_selection),
    "disagreement-filter": Countermeasure(disagreement_filter, needs=("label",)),
    "relabel": Countermeasure(relabel, needs=("label",)),
    "clean-1%": mixed_with_clean(0.01),
    "clean-5%": mixed_with_clean(0.05),
    "clean-20%": mixed_with_clean(0.20),
}
