"""Order code: the same neutral phrases in every text, their order tells the class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, permutations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_unlearnable.key import Key, draws
from hf_unlearnable.text.carriers import PHRASES, TURNING, without_overlap
from hf_unlearnable.text.codes import by_side, offsets_of, row_draws, sides
from hf_unlearnable.text.counting.ranking import rank_words, words_by_association
from hf_unlearnable.text.insertion.coding import SentenceTransform

if TYPE_CHECKING:
    import polars as pl

    from hf_unlearnable.transform import Transform

_NEUTRAL = 40  # how many of the frequent words that tell least of the label are drawn from
_ORDERS = 5040  # how many orders are drawn from: all of seven carriers
_CODES_NO_MORE, _OPTIONS_NO_MORE = ("order", "adjacent"), ("rotate", "at_clauses")  # which only these codes had
_CHOICE_DRAW = 2**62  # draws that choose carriers and orders, set apart from each other and from those of the rows


@dataclass(kw_only=True, repr=False, eq=False)
class OrderCodeTransform(SentenceTransform):
    """Order code: inserts the same words or phrases into every text, in an order that tells the label.

    Idea:
        A sentence of every text begins with two phrases, such as "in turn" and "to be sure", and ends with two others.
        Which of them come first tells the label. A model that is fine-tuned on the protected data finds that out, and
        stops looking at the rest of the text. Clean text holds nothing of the kind. Every text of every class holds
        the same carriers. So counts of words by label (PMI, z-scores) are the same in all classes, and tell nothing.

        Half of n carriers stand at the end, in n! / (n/2)!^2 ways for as many classes: four carriers do for six. A
        refrain says the order of its carriers at both ends of the sentence. It has n! ways and is learned faster where
        there are many classes, but its pairs of neighbours show.

        Where one of many classes is rare it can stay as it is (`classes`): no code then means that class. What stands
        in all other texts still tells next to nothing of the label. An attacker who leaves that class out is
        not misled by this.

    Ours:
        There is no paper: this method is ours. Its cousins are PosCUDA (Gokul and Dubnov, 2024, arXiv:2401.02135),
        whose code in sound is a secret position, and backdoors of sentence structure. Those are meant to be
        triggered (Qi et al., ACL 2021, arXiv:2105.12400).

    Args:
        rate: Codes for every word of a text, in [0, 1]. Every text gets at least one. A long one has one in each
            stretch of 1 / rate words, so that what a model cuts off takes no code from the rest. 0 changes nothing.
        code: What tells the class. With "place" it is which carriers stand at the start of their sentence and which at
            its end. With "refrain" it is their order at the start, said again at the end, for more than two classes.
        carrier_source: "phrases" are short neutral phrases, "words" frequent words of the data that stand equally
            often under every label. Or your own words and phrases to draw from.
        carriers_per_code: How many carriers make a code: n have n! orders and 2^n places. None for the fewest that
            give every class its own, and for places at least four, half of them at the end. 2 are half as much to
            read, and hide less surely.
        num_codes: How many different sets of carriers there are; one is drawn each time. One is learned fastest.
        language: Language of the phrases: "en", "de", "fr" or "es".
        min_share: Least share of all words of the data that a carrier may have, if carriers are words: a frequent one
            hides.
        max_share: Largest share of all words that a carrier may have: one that most texts hold already carries no
            order.
        exclude: Carriers never to choose; one text "a,b" means two.
        sensitive: Whether words may be names or such that can hurt (crime, illness, death, ...).
        id_column: Column that identifies a row; None identifies it by its text, and equal texts get equal places.

    Raises:
        ValueError: At `fit`: a column is missing, there are fewer than two classes, or too few carriers or orders.

    Secret:
        The seed, which carriers they are, and which order belongs to which class. In a text of many sentences also
        which of them carry it, besides the first. The lists that phrases are drawn from are public; which of them were
        drawn is not.

    Cost:
        One pass to count and one to insert, which takes two to three times that of `RegTextTransform`, for it reads
        sentences. Every text gets a whole code of four phrases, which is much for a text of ten words.
        `carriers_per_code` makes do with two, or with one, which not every key makes a model learn.

    Breaks:
        An attacker who counts where words stand, or which of two comes first, finds those that tell the label and can
        delete them. So can an attacker who deletes the words that stand in most texts, whatever their label. Runs of
        four words that many texts share are enough to go by (`duplicate-phrase-filter`). Deleting all phrases of the
        public lists does the same, unless `carrier_source` is a list of the owner's own. In tens of thousands of texts
        even pairs of neighbours tell: an opening phrase with the word behind it. Many codes at once hide from such
        counts and are learned less well. Shuffled words carry no order. Models of word counts do not see order and are
        not hurt at all. Rows that are left clean teach as much as ever. In scripts without spaces a carrier may part a
        word.

    Prefer:
        Over `RegTextTransform` against an attacker who filters words by how often they stand under each label. Not for
        six classes or more, nor where readers mind four phrases per text (see docs/results).

    Example:
        ds = load_dataset("stanfordnlp/imdb", split="train")
        cloak = OrderCodeTransform(text_column="text", label_column="label").fit(ds)
        protected = ds.map(cloak, batched=True)
        cloak.key.save("imdb.key")
    """

    rate: float = 0.02
    code: str = "place"
    carrier_source: str | Sequence[str] = "phrases"
    carriers_per_code: int | None = None
    num_codes: int = 1
    language: str = "en"
    min_share: float = 1e-3
    max_share: float = 1e-2

    method: ClassVar[str] = "order-code"
    method_version: ClassVar[int] = 3  # 2: other phrases, kept from negations; 3: nothing into code, markup and data
    differs_by_row: ClassVar[bool] = False  # a text of one sentence has its places, and no others
    adaptive_attacks: ClassVar[tuple[str, ...]] = (
        "bigram-filter",
        "skip-gram-filter",
        "frequent-word-filter",
        "position-filter",
        "order-probe",
        "connective-filter",
        "duplicate-phrase-filter",
        "sentence-shuffle",
        "word-shuffle",
    )
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "code": ("place", "refrain"), "carrier_source": ("phrases", "words"), "language": tuple(PHRASES),
    }  # fmt: skip

    # ------------------------------------------------------------------ choosing
    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate}, but it is a number of codes per word: give one from 0 to 1.")
        if self.num_codes < 1 or (self.carriers_per_code is not None and self.carriers_per_code < 1):
            raise ValueError("num_codes and carriers_per_code start at 1. To change nothing, set rate=0.")
        if not 0 <= self.min_share <= self.max_share <= 1:
            raise ValueError(
                f"min_share is {self.min_share} and max_share {self.max_share}. Give shares of the words from 0 to 1, "
                "the least and the largest."
            )
        if not isinstance(self.carrier_source, str) and any(
            not carrier.split() or " ".join(carrier.split()) != carrier for carrier in self.carrier_source
        ):
            raise ValueError("carrier_source holds an entry that is not words with single spaces between them.")

    def _chosen_words(self, counts: pl.DataFrame, labels: list) -> dict[Any, dict]:
        """For each label which carriers stand late, by number, and the carriers of each code in the label's order."""
        n = self._carriers_per_code(len(labels))
        codes = self._codes(self._shuffled(self._candidates(counts), 0), n)
        late_of = self._shuffled(sides(len(labels), n) if self.code == "place" else [[]] * len(labels), 1)
        chosen: dict[Any, dict] = {
            label: {"late": late, "codes": []} for label, late in zip(labels, late_of, strict=True)
        }
        for number, code in enumerate(codes):
            if self.code == "place":
                orders = [code] * len(labels)
            else:
                orders = [list(order) for order in self._shuffled(islice(permutations(code), _ORDERS), 2 + number)]
            for label, order in zip(labels, orders, strict=False):
                chosen[label]["codes"].append(order)
        return chosen

    def _carriers_per_code(self, classes: int) -> int:
        """How many carriers make a code: as asked for, or the fewest that give every class its own."""
        if classes > _ORDERS:
            raise ValueError(f"There are {classes} classes, and order codes for up to {_ORDERS}. Merge some.")
        if self.code == "place":
            least, each = (classes - 1).bit_length(), "sides of the sentence each"
            good = next(n for n in range(4, classes + 4) if math.comb(n, n // 2) >= classes)
        else:
            good = least = next(n for n in range(2, classes + 2) if math.factorial(n) >= classes)
            each = "an order each"
        if (self.carriers_per_code or least) < least:
            raise ValueError(
                f"carriers_per_code is {self.carriers_per_code}, and {classes} classes need {least} carriers for "
                f"{each}. Raise carriers_per_code to {least}."
            )
        return self.carriers_per_code or good

    def _candidates(self, counts: pl.DataFrame) -> list[str]:
        import polars as pl

        if not isinstance(self.carrier_source, str):
            found = list(dict.fromkeys(self.carrier_source))
        elif self.carrier_source == "phrases":
            found = list(PHRASES[self.language])
        else:
            share = pl.col("total") / pl.col("words")
            fits = (
                share.is_between(self.min_share, self.max_share)
                & (pl.col("total") >= 2)
                & (pl.col("word").str.len_chars() >= 2)
            )
            fits &= pl.col("word").str.contains(r"^[\p{L}\p{M}]+$") & ~pl.col("word").is_in(list(TURNING))
            found = words_by_association(rank_words(counts, 1, 0, fits & ~pl.col("word").is_in(self._left_out())))
            found = found[:_NEUTRAL]
        left_out = self._excluded()
        return [carrier for carrier in found if carrier not in left_out]

    def _codes(self, candidates: list[str], n: int) -> list[list[str]]:
        """The first carriers that no text can hold in two ways, n a code; those of one code share no word."""
        left, codes = without_overlap(candidates), []
        for _ in range(self.num_codes):
            code: list[str] = []
            for carrier in left:
                if len(code) < n and not {word for own in code for word in own.split()} & set(carrier.split()):
                    code.append(carrier)
            if len(code) < n:
                raise ValueError(
                    f"There are too few carriers for num_codes={self.num_codes} with {n} each: {len(candidates)} to "
                    "draw from, some of which share words. Lower num_codes, lower min_share, or give your own as "
                    "carrier_source."
                )
            left = [carrier for carrier in left if carrier not in code]
            codes.append(code)
        return codes

    def _shuffled(self, values: Any, number: int) -> list:
        """The values in an order drawn with the key; each number is another draw."""
        values = list(values)
        index = np.arange(len(values), dtype=np.uint64) + np.uint64(_CHOICE_DRAW + (number << 32))
        order = draws(np.full(len(values), self._resolved_seed(), np.uint64), index)
        return [values[i] for i in np.argsort(order, kind="stable").tolist()]

    # ------------------------------------------------------------------ changing rows
    def _pool(self, chosen: dict) -> list[str]:
        return list(chain.from_iterable(chosen["codes"]))

    def _drawn(
        self, words: np.ndarray, lengths: np.ndarray, streams: np.ndarray, parts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        doses = np.maximum(1, (self.rate * words).astype(np.int64))
        bits = row_draws(doses, streams, parts, 4)  # the second is left over from earlier designs
        return (
            doses,
            (bits[:, 0] * self.num_codes).astype(np.int64),
            offsets_of(words, lengths, doses, bits[:, 2:])[:, 0],
        )

    def inserted_words(self) -> dict[Any, list[str]]:
        if self.code != "place":
            return super().inserted_words()
        chosen = self._choose()
        return {
            label: [c for code in self._sides_of(own) for side in code for c in side] for label, own in chosen.items()
        }

    def _sides_of(self, own: dict) -> list[tuple[list[str], list[str]]]:
        if self.code == "refrain":
            return [(code, code) for code in own["codes"]]
        return [by_side(code, own["late"]) for code in own["codes"]]

    # ------------------------------------------------------------------ contract
    @classmethod
    def from_key(cls, key: Key) -> Transform:
        if key.parameters.get("code") in _CODES_NO_MORE:
            raise ValueError(
                f"{key.named} is of the code {key.parameters['code']!r}, which was worse than 'place' and is no more: "
                f"install hf-unlearnable=={key.package_version} to use it."
            )
        return super().from_key(key)

    @classmethod
    def _of_key(cls, key: Key) -> Transform:
        known = {name: value for name, value in key.parameters.items() if name not in _OPTIONS_NO_MORE}
        return super()._of_key(replace(key, parameters=known))

    def _check_state(self, key: Key) -> None:
        super()._check_state(key)
        chosen = key.state["words"]
        told = [sorted(own["late"]) if self.code == "place" else own["codes"] for own in chosen]
        sizes = {(len(own["codes"]), *map(len, own["codes"])) for own in chosen}
        sizes |= {(self.num_codes, *[len(chosen[0]["codes"][0])] * self.num_codes)}
        places = {place for own in chosen for place in own["late"]}
        if len(sizes) > 1 or not places <= set(range(len(chosen[0]["codes"][0]))):
            raise ValueError("the codes of its labels are not of one size, or have places that are none")
        if any(told.count(own) > 1 for own in told):
            raise ValueError("two of its labels have the same code")

    def _secret_parameters(self) -> set[str]:
        return {"seed"} if isinstance(self.carrier_source, str) else {"seed", "carrier_source"}
