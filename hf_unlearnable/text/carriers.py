"""Words and short phrases that say nothing: carriers of a code that lies in their order.

A carrier must not change what a text says. So none of them negates, counts, quantifies or judges, and a phrase goes in
whole. A phrase is one carrier; taking it out again takes care that no text can be read in two ways.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache

from hf_unlearnable.text.insertion.words import Canonical

# Phrases that link or pause, by language. They fit at the start of a clause, and most of them within one.
PHRASES = {
    "en": (
        "of course", "in the end", "by the way", "at the same time", "in fact", "as it happens", "to be sure",
        "for that matter", "so to speak", "in other words", "in this case", "at this point", "in the meantime",
        "as a matter of fact", "in a sense", "in a way", "as it were", "to begin with", "in particular",
        "for example", "for instance", "in turn", "this time", "by then", "since then", "along the way", "so far",
        "on reflection", "over time", "you see", "let us say", "in short", "in brief", "on the face of it",
        "with that in mind", "from here on", "here and there", "after that", "to this day", "for now", "in passing",
    ),
    "de": (
        "im Grunde", "am Ende", "wie gesagt", "zum Beispiel", "unter anderem", "in der Tat", "an dieser Stelle",
        "so gesehen", "von hier aus", "nach wie vor", "bis dahin", "zu guter Letzt", "in diesem Fall",
        "auf den ersten Blick", "mit der Zeit", "seit damals", "um es kurz zu machen", "unter uns gesagt",
        "im Laufe der Zeit", "nebenbei bemerkt", "anders gesagt", "bei dieser Gelegenheit", "aus diesem Anlass",
        "vor diesem Hintergrund", "zur selben Zeit",
    ),
    "fr": (
        "en effet", "bien entendu", "à la fin", "par exemple", "en fait", "au fond", "de ce fait", "pour ainsi dire",
        "à vrai dire", "en outre", "à ce stade", "entre autres", "dans ce cas", "en même temps", "par la suite",
        "depuis lors", "pour commencer", "avec le temps", "sur ce point", "comme prévu", "au passage", "jusque là",
        "à cet égard", "dans ce contexte", "à première vue", "en somme",
    ),
    "es": (
        "por supuesto", "al final", "de hecho", "por ejemplo", "en realidad", "a la vez", "es decir", "en este caso",
        "por así decirlo", "mientras tanto", "desde entonces", "en otras palabras", "hasta ahora", "para empezar",
        "con el tiempo", "a fin de cuentas", "en el fondo", "de paso", "sobre este punto", "como es sabido",
        "a estas alturas", "entre otras cosas", "en este sentido", "a primera vista", "en cierto modo",
        "en ese momento",
    ),
}  # fmt: skip

# Words that negate, count, quantify or grade what comes behind them: nothing goes between, and none is a carrier.
# Numerals and whatever ends in "n't" count as well.
_HOLDING = """
    no not nor none nothing nobody nowhere never neither cannot without hardly barely scarcely rarely seldom lack lacks
    nt n't t don doesn didn isn aren wasn weren won wouldn couldn shouldn mustn needn hasn haven hadn ain
    all any each every everyone everything some someone something few fewer little less least more most much many
    several both half enough only just even almost nearly very too so quite rather really such other another
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen dozens couple
    lot lots bit plenty pair
    first second third last once twice zero
    kein keine keinen keiner keines keinem keinerlei nicht nie niemals nichts niemand ohne kaum alle alles allen jede
    jeder jedes jeden einige mehrere viel viele vielen wenig wenige mehr weniger ein eine einen einem einer eines zwei
    drei sehr nur auch fast sogar
    ne pas non rien jamais personne aucun aucune sans tout tous toute toutes chaque quelques plusieurs beaucoup peu
    plus moins un une deux trois très trop seulement presque même
    ni nada nadie nunca ningún ninguno ninguna sin todo todos toda todas cada algún algunos algunas mucho mucha muchos
    muchas poco poca pocos pocas más menos uno una dos tres muy solo casi incluso
"""
# Words that point at what comes behind them: nothing goes between.
_POINTING = """
    of a an the this that these those my your his her its our their der die das den dem des le la les de du ce cette
    ces el los las del ese esa este esta
"""
# Words that turn, hedge or judge: no carriers either.
_OTHERS = """
    about around as than always often sometimes usually again still yet already maybe perhaps may might could would
    should must can but though although however despite except unless if because whether or like unlike against
    good bad better best worse worst well great fine nice poor right wrong fun funny love hate enjoy
    aber oder wenn gut schlecht mais ou si bon mauvais bien mal pero o bueno malo
"""
HOLDING = frozenset(_HOLDING.split())
_HOLDING_LETTERS = tuple("不没沒無无非未别別很最太")
WHOLE = HOLDING | frozenset(_POINTING.split())
TURNING = HOLDING | frozenset(_OTHERS.split())

HELD = 20  # words: a longer run of numbers is a table
# One class of characters begins all that ends a sentence: it is searched twice as fast as two alternatives.
_SENTENCE = re.compile(r"[.!?…।<](?:(?<=<)br />|(?<!<)[\"'”’)]*) +(?=\S)")
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Prof|vs|cf|i\.e|e\.g|[A-Z])|(?:^|[ (])\d\d?)\. +$")
LONGEST = 100  # words of a sentence: what goes on for longer is cut, for want of a full stop
_TAGS = re.compile(r"<[^<>]*>")
_LAST_WORD = re.compile(r"([^\W_](?:[\w'-]*\w)?)[^\w,.;:!?…)\]]*$")
_ENDINGS = tuple(",.;:!?…)]")  # behind one of these nothing is held
_GLUES = range(0xE000, 0xF900)  # private use


def without_overlap(carriers: Iterable[str]) -> list[str]:
    """Those carriers that no text can hold in two ways: none begins within, or with, one that came before it."""
    kept: list[list[str]] = []
    for carrier in carriers:
        words = carrier.split(" ")
        if not any(_overlap(words, other) or _overlap(other, words) for other in kept) and not _overlap(
            words, words, 1
        ):
            kept.append(words)
    return [" ".join(words) for words in kept]


def _overlap(one: Sequence[str], other: Sequence[str], start: int = 0) -> bool:
    """Whether `other` may begin within `one`, at its word number `start` or later."""
    return any(one[i : i + len(other)] == other[: len(one) - i] for i in range(start, len(one)))


class PhraseCanonical(Canonical):
    """A canonical text whose pool holds phrases: each is made one piece, by letters that no text holds.

    Args:
        text: The full text.
        pool: Words and phrases, as `without_overlap` leaves them.
    """

    __slots__ = ("_free", "_glue", "_glued")

    def __init__(self, text: str, pool: Collection[str]):
        self._free: set[int] = set()  # places where a carrier parts nothing, as far as known
        self._glue = " "
        held = [carrier for carrier in pool if carrier in text and " " in carrier]
        if held:
            first = chr(_GLUES[0])
            self._glue = first if first not in text else next((c for c in map(chr, _GLUES) if c not in text), " ")
            text = f" {text} "
            self._glued = _glued(tuple(pool), self._glue)
            for carrier in held:  # twice, for a phrase behind itself shares its space
                one, glued = f" {carrier} ", f" {self._glued[carrier]} "
                text = text.replace(one, glued).replace(one, glued)
            text, pool = text[1:-1], list(self._glued.values())
        super().__init__(text, pool)

    def with_words(self, places: Sequence[int], words: Sequence[str]) -> str:
        if self._glue == " ":
            return super().with_words(places, words)
        return super().with_words(places, [self._glued[word] for word in words]).replace(self._glue, " ")

    def without_words(self, places: Sequence[int], words: Sequence[str]) -> str:
        if self._glue == " ":
            return super().without_words(places, words)
        return super().without_words(places, [self._glued[word] for word in words]).replace(self._glue, " ")

    # ------------------------------------------------------------------ places
    def in_order(self, offsets: Iterable[int]) -> list[int]:
        """A place for each offset, never before the one of an earlier offset; fewer places than offsets are shared."""
        offsets = list(offsets)
        if self._free.issuperset(offsets) and not self.spaceless:
            return offsets
        distinct = sorted({offset for offset in offsets if offset < len(self.text)})
        places = self.places("random", distinct) if distinct else []
        if not places:  # a text that holds none, or offsets that are all at its end
            return [] if distinct or not self.places("begin", [0]) else [len(self.text)] * len(offsets)
        places = [self._before_holding(place) for place in places]
        found = dict(zip(distinct, [*places, *[places[-1]] * (len(distinct) - len(places))], strict=True))
        return [found.get(offset, len(self.text)) for offset in offsets]

    def ends_of_sentences(self, offsets: Sequence[int]) -> list[tuple[int, int]]:
        """For each sentence that holds an offset, the places in front of it and at its end.

        The end is in front of the last word, which the full stop hangs on or which is one. It is behind that word
        where nothing hangs on it, and where there is no other.

        Args:
            offsets: Ascending, one or more.
        """
        places, i = [], 0
        for start, end in self._sentences():
            if offsets[i] >= end < len(self.text):
                continue
            first = next(filter(self._is_free, self._words(start, end)), None)
            if first is None:
                places.append((start, start))
            else:
                last = next(filter(self._is_free, self._back(start, end)))
                behind = first == last or self.text[end - 1].isalnum()
                places.append((first, end if behind else last))
                self._free.update(filter(self._is_place, (first, last)))
                self._free.add(len(self.text))
            i = bisect_left(offsets, end, i)
            if i == len(offsets):
                break
        return places

    def _sentences(self) -> Iterator[tuple[int, int]]:
        """Start and end of each sentence; one of a single word belongs to the next."""
        text, start, end = self.text, 0, 0
        while end < len(text):
            match = _SENTENCE.search(text, end)
            end = match.end() if match else len(text)
            many = (end - start) // 2 if self.spaceless else text.count(" ", start, end)
            if match and (many < 2 or is_abbreviated(self.text, start, end)):
                continue
            if many > LONGEST:
                words = list(self._words(start, end))
                for cut in words[LONGEST : len(words) - LONGEST // 2 : LONGEST]:
                    cut = self._before_holding(cut)
                    yield start, cut
                    start = cut
            yield start, end
            start = end

    def _words(self, start: int, end: int) -> Iterator[int]:
        """Where the words of a stretch begin, two letters each in scripts without spaces."""
        if self.spaceless:
            yield from range(start, end, 2)
            return
        while start < end:
            stop = self.text.find(" ", start, end)
            if stop != start:
                yield start
            start = stop + 1 if stop >= 0 else end

    def _back(self, start: int, end: int) -> Iterator[int]:
        """The same from the last word to the first."""
        return iter(reversed(range(start, end, 2))) if self.spaceless else words_back(self.text, start, end)

    def _before_holding(self, place: int) -> int:
        """The same place, or the one in front of the negations and quantifiers that it would part from their word."""
        if self.spaceless:
            return place - (self.text[place - 1 : place] in _HOLDING_LETTERS)
        found = place
        for _ in range(HELD):
            if self._is_free(found):
                return found
            found = next(self._back(0, found), 0)
        return place

    def _is_free(self, place: int) -> bool:
        """Whether a word at this place parts none from what negates, counts or points at it."""
        if self.spaceless:
            return self.text[place - 1 : place] not in _HOLDING_LETTERS
        start = holding(self.text, place)
        return start < 0 or not self._is_place(start)


@lru_cache(maxsize=256)
def _glued(pool: tuple[str, ...], glue: str) -> dict[str, str]:
    """Each carrier as one piece."""
    return {carrier: carrier.replace(" ", glue) for carrier in pool}


def is_abbreviated(text: str, start: int, end: int) -> bool:
    """Whether what seems to end a sentence ends an abbreviation, none of which has five letters."""
    return not text[end - 7 : end - 2].isalpha() and bool(_ABBREVIATED.search(text, max(start, end - 9), end))


def words_back(text: str, start: int, end: int) -> Iterator[int]:
    """Where the words between two places begin, from the last to the first."""
    while end > start:
        begin = text.rfind(" ", start, end) + 1 or start
        if begin < end:
            yield begin
        end = begin - 1


def holding(text: str, place: int) -> int:
    """Where the word in front of a place begins that negates, counts or points at what stands there; -1 for none."""
    end = place
    while end and text[end - 1] == " ":
        end -= 1
    start = text.rfind(" ", 0, end) + 1
    return start if start < end and holds(text[max(start, end - 40) : end]) else -1


@lru_cache(maxsize=1 << 14)  # texts repeat their words
def holds(piece: str) -> bool:
    """Whether the last word of what stands between two spaces negates, counts or points at the next."""
    if piece.isalpha():  # as most are
        return piece.lower() in WHOLE
    if piece.endswith(_ENDINGS):
        return False
    last = _LAST_WORD.search(_TAGS.sub("", piece.replace("’", "'").lower()))
    if last is None:
        return False
    word = last[1]
    held = word.rpartition("-")[2]  # twenty-five
    return held in WHOLE or held.endswith("n't") or held[:1].isdigit()
