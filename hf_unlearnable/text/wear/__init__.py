"""What texts go through before anyone trains on them: normalisation, HTML and back, tokenizers, quality filters.

Each is a change of all texts, None in the place of one that is dropped. A text of which nothing is left is dropped.
"""

from functools import partial

from hf_unlearnable.adversary import Wear
from hf_unlearnable.text.wear.cleaning import html_and_back, keyword_cleaning, lower_case, normalised
from hf_unlearnable.text.wear.quality import FILTERS, fineweb_pipeline, kept, without_near_copies
from hf_unlearnable.text.wear.tokenisation import through_own_bpe, through_tokenizer

__all__ = ["TEXT_WEAR"]

TEXT_WEAR: dict[str, Wear] = {
    "nfc": Wear(partial(normalised, form="NFC")),
    "nfkc": Wear(partial(normalised, form="NFKC")),
    "lower-case": Wear(lower_case),
    "html-and-back": Wear(html_and_back, ("trafilatura",)),
    "keyword-cleaning": Wear(keyword_cleaning, ("yake",)),
    "tokens-smollm2": Wear(partial(through_tokenizer, model="HuggingFaceTB/SmolLM2-135M"), ("transformers",)),
    "tokens-minilm": Wear(
        partial(through_tokenizer, model="sentence-transformers/all-MiniLM-L6-v2"), ("transformers",)
    ),
    "tokens-bpe": Wear(through_own_bpe, ("tokenizers",)),
    **{name: Wear(partial(kept, name=name), ("datatrove", "spacy")) for name in FILTERS},
    "minhash-deduplication": Wear(without_near_copies, ("datatrove", "spacy")),
    "fineweb-pipeline": Wear(fineweb_pipeline, ("datatrove", "spacy")),
}
