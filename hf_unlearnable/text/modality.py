"""Texts, as the rest of the product sees them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hf_unlearnable.modality import Grid, Modality

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.adversary import Countermeasure, Victim, Wear
    from hf_unlearnable.text.fidelity import TextFidelity
    from hf_unlearnable.transform import Transform


class TextModality(Modality):
    """Strings; chat messages can be protected too, but not trained on by the victims here."""

    name = "text"
    plural = "texts"
    column = "text"
    cast = "datasets.Value('string')"
    batch_size = 1000
    task = "text-classification"
    prices: ClassVar[Mapping[str, tuple[str, bool]]] = {
        "edit_rate": ("edits per 100 words", False), "words_added": ("words added per 100", False),
    }  # fmt: skip
    grids: ClassVar[Mapping[str, Grid]] = {
        "quick": Grid(
            {"tfidf_logistic_regression": {}, "small_llama": {"epochs": 4, "max_length": 64}},
            ("label-word-filter", "z-score-filter-robust", "clean-20%", "word-shuffle"),
            ("nfkc", "lower-case", "html-and-back", "tokens-bpe"),
        ),
        "laptop": Grid(
            {
                "tfidf_logistic_regression": {}, "naive_bayes": {}, "small_llama": {"epochs": 6, "max_length": 96},
                "finetuned_encoder": {}, "causal_lm": {"max_rows": 320, "epochs": 2},
            }
        ),
        "full": Grid(
            {
                "tfidf_logistic_regression": {}, "naive_bayes": {},
                "small_llama": {"hidden_size": 256, "num_hidden_layers": 4, "max_length": 256},
                "finetuned_encoder": {"max_length": 256, "epochs": 3}, "causal_lm": {},
            }
        ),
    }  # fmt: skip
    watched: ClassVar[Grid] = Grid({"small_llama": {"epochs": 5}}, ("label-word-filter",))

    @property
    def victims(self) -> Mapping[str, Victim]:
        from hf_unlearnable.text.victims import TEXT_VICTIMS

        return TEXT_VICTIMS

    @property
    def countermeasures(self) -> Mapping[str, Countermeasure]:
        from hf_unlearnable.text.countermeasures import TEXT_COUNTERMEASURES

        return TEXT_COUNTERMEASURES

    @property
    def wear(self) -> Mapping[str, Wear]:
        from hf_unlearnable.text.wear import TEXT_WEAR

        return TEXT_WEAR

    def accepts(self, feature: Any) -> bool:
        inner = getattr(feature, "feature", None)
        return self.trains_on(feature) or (
            inner is not None and (self.trains_on(inner) or (isinstance(inner, dict) and "content" in inner))
        )

    def trains_on(self, feature: Any) -> bool:
        return getattr(feature, "dtype", None) in ("string", "large_string") and not hasattr(feature, "feature")

    def content(self, value: Any) -> bytes:
        return value.encode() if isinstance(value, str) else repr(value or "").encode()

    def same(self, before: Any, after: Any) -> bool:
        return before == after

    def read(self, dataset: Dataset, column: str) -> list[str]:
        return ["" if text is None else text for text in dataset[column][:]]

    def suspicious_labels(self, dataset: Dataset, column: str, label_column: str) -> list[int]:
        from hf_unlearnable.text.labels import suspicious_labels

        return suspicious_labels(dataset, column, label_column)

    def random_dose(self, clean: Dataset, protected: Dataset, column: str, seed: int) -> Dataset:
        from hf_unlearnable.text.dose import random_changes

        clean, protected = clean.with_format(None), protected.with_format(None)
        return self._beside(clean, column, *random_changes(clean, protected, column, seed))

    def fidelity(self, original: Any, protected: Any, column: str, transform: Transform | None = None) -> TextFidelity:
        from hf_unlearnable.text.fidelity import text_fidelity

        return text_fidelity(original, protected, column)

    def require_exact(self, dataset: Any, column: str) -> None:
        """A string is stored as it is."""

    def card_example(self, transform: Transform) -> tuple[str, Any]:
        from hf_unlearnable.text.example import example

        return example(transform), None

    def write_fidelity(self, folder: Path, original: Any, protected: Any, column: str) -> None:
        """The texts stand beside it."""

    def example(self, original: Dataset, protected: Dataset, column: str, row: int) -> list[str]:
        from hf_unlearnable.text.fidelity import excerpts

        before, after = excerpts(original[row][column], protected[row][column])
        return [f"Row {row} before: {before}", f"Row {row} after:  {after}"]


TEXT = TextModality()
