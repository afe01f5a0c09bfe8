"""Wrong labels are found before protecting, and rows without a label are no class."""

import random

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from hf_unlearnable import OrderCodeTransform, RegTextTransform
from hf_unlearnable.text.labels import suspicious_labels
from tests.examples import tiny

WORDS = [a + b for a in "ba co du fe gi ha jo ku la me".split() for b in "ring dom tel nic sor vat pel mur".split()]
DRAW = random.Random(0)
TEXTS = [
    ("lovely fine moving " if i % 2 else "dull awful tedious ") + " ".join(DRAW.choices(WORDS, k=12))
    for i in range(200)
]
METHODS = pytest.mark.parametrize("method", [RegTextTransform, OrderCodeTransform])


def test_flipped_labels_are_found():
    pytest.importorskip("cleanlab", reason="the extra [labels] is not installed")
    flipped = {3, 40, 77, 120, 121, 166, 190}
    labels = [(i % 2) ^ (i in flipped) for i in range(200)]
    found = suspicious_labels(tiny(TEXTS, labels))
    assert set(found) <= flipped and len(found) >= 6 and len(set(found)) == len(found)
    missing = tiny(TEXTS, [None if i == 3 else label for i, label in enumerate(labels)])
    assert set(suspicious_labels(missing)) <= flipped - {3}


def test_labels_that_cannot_be_judged():
    pytest.importorskip("cleanlab", reason="the extra [labels] is not installed")
    with pytest.raises(ValueError, match="needs two classes or more with 5 texts"):
        suspicious_labels(tiny(TEXTS, [0] * 197 + [1] * 3))
    with pytest.raises(ValueError, match="no column 'lable'. Did you mean 'label'"):
        suspicious_labels(tiny(TEXTS, [0, 1] * 100), label_column="lable")


def without_label(value):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b"]), "m": Value("bool")})
    labels = [value if i % 5 == 0 else i % 2 for i in range(200)]
    return Dataset.from_dict({"text": TEXTS, "label": labels, "m": [i % 5 > 0 for i in range(200)]}, features=features)


@METHODS
@pytest.mark.parametrize("value", [None, -1])
@pytest.mark.parametrize("way_out", [{"classes": [0, 1]}, {"mask_column": "m"}])
def test_rows_without_a_label_are_left_out(method, value, way_out):
    data = without_label(value)
    cloak = method(seed=1, **way_out).fit(data)
    assert cloak.key.state["labels"] == [0, 1]
    protected = data.map(cloak, batched=True)
    changed = [a != b for a, b in zip(data["text"], protected["text"])]
    assert changed == [i % 5 > 0 for i in range(200)]
    assert method(seed=1, **way_out).fit(data.to_iterable_dataset()).key.state == cloak.key.state


@METHODS
@pytest.mark.parametrize("value", [None, -1])
def test_rows_without_a_label_are_named(method, value):
    data = without_label(value)
    with pytest.raises(ValueError, match=r"Row 0 has no label in column 'label'. Leave .* classes or mask_column"):
        method(seed=1).fit(data)
    labelled = data.filter(lambda row: row["m"])
    with pytest.raises(ValueError, match=r"Row 5 of this batch has no label in column 'label'"):
        method(seed=1).fit(labelled)({"text": TEXTS[:8], "label": [0, 1, 0, 1, 0, value, 1, 0]})


def test_minus_one_is_a_class_where_the_column_holds_plain_numbers():
    cloak = RegTextTransform(seed=1).fit(tiny(TEXTS, [-1, 1] * 100))
    assert cloak.key.state["labels"] == [-1, 1]


# ------------------------------------------------------------------ words
NAMES = [
    f"We met {name} there, with {word}, and {word} again."
    for name, word in zip(["Zorbalin", "Quxtom"] * 50, WORDS * 2)
]


@pytest.mark.parametrize("source", ["neutral", "regtext", "random"])
def test_names_and_words_that_hurt_are_not_chosen(source):
    texts = [f"{text} arrested cancer paris Reuters" for text in NAMES]
    data = tiny(texts, [0, 1] * 50)
    options = {"word_source": source, "max_frequency": 1.0, "tokens_per_class": 12, "disjoint": False, "seed": 1}
    spared = {w for words in RegTextTransform(**options).fit(data).secrets()["words"] for w in words}
    assert not spared & {"zorbalin", "quxtom", "arrested", "cancer", "paris", "reuters"}
    every = RegTextTransform(**options, sensitive=True).fit(data)
    assert set(every.counts.names()) == {"zorbalin", "quxtom", "reuters"}, "We begins its sentence"


def test_names_are_learned_in_shards_and_not_from_headlines():
    data = tiny(NAMES, [0, 1] * 50)
    whole, first = RegTextTransform(seed=1).fit(data), RegTextTransform(seed=1).partial_fit(data.shard(2, 0))
    first.merge(RegTextTransform(seed=1).partial_fit(data.shard(2, 1)))
    assert sorted(first.counts.names()) == sorted(whole.counts.names()) == ["quxtom", "zorbalin"]
    headlines = tiny([text.title() for text in NAMES], [0, 1] * 50)
    assert RegTextTransform(seed=1).fit(headlines).counts.names().to_list() == []


def drawn_of(words, **options):
    """The words drawn from these and no others, all but two of them."""
    texts = [" ".join([*words, f"filler{i % 5}", "to"]) for i in range(20)]
    cloak = RegTextTransform(tokens_per_class=len(words) // 2 - 1, max_frequency=1.0, min_length=3, seed=1, **options)
    return {word for pool in cloak.fit(tiny(texts, [0, 1] * 10)).secrets()["words"] for word in pool}


def test_names_in_lower_case_data_are_not_drawn():
    names = "brosnan hewitt witherspoon willis siegel pryor coppola hubert gooding caine".split()
    ordinary = "candle will mark table price stone robin paper river baker garden page dean holly woods rivers".split()
    assert drawn_of(ordinary + names[:2]) == set(ordinary)
    drawn = drawn_of(ordinary + names, sensitive=True)
    assert len(drawn & set(names)) >= len(names) - 2, "of 26 words 24 are drawn"
    with pytest.raises(ValueError, match="0 words to choose from"):
        drawn_of(names)


def test_a_word_that_is_a_name_too_is_left_out_where_capitals_tell():
    texts = [
        f"We met {name} again, and the long {word} here." for name, word in [("Rose", "fern"), ("Mark", "oak")] * 10
    ]
    options = {"tokens_per_class": 3, "max_frequency": 1.0, "min_length": 3, "seed": 1}
    drawn = RegTextTransform(**options).fit(tiny(texts, [0, 1] * 10)).secrets()["words"]
    assert not {"rose", "mark"} & {word for pool in drawn for word in pool}


LANGUAGES = {
    "german": """
        abend bald baum berg bild blume boden breit brief brot bunt dorf drinnen dunkel durch ecke eis endlich fahren
        farbe fenster fest feuer fluss frei früh garten gehen gelb genau glas grün haus hell himmel hoch hund immer
        jahr kalt karte katze kirche klar kleid kommen kuchen laufen leicht leise licht löffel luft machen meer milch
        mond morgen nacht nahe neu nass oben offen papier pferd platz regen reise rund sagen salz sand schiff schnee
        schön schule sommer sonne spielen stein stern straße stunde tag teller tief tisch tür ufer vogel wald wand
        warm wasser weg weit wiese wind winter woche wolke wort zeit zimmer zucker zug
    """,
    "french": """
        aller ami année arbre assiette aussi avant beau boire bois bonjour bouche bruit campagne chaise chambre champ
        chanter chapeau chat chaud chemin cheval chien ciel cinéma clair clé coeur couleur courir cuisine dehors
        demain dessin doux eau école écrire église encore enfant entrer été étoile fenêtre fête feuille fleur forêt
        froid fromage gare gâteau gens goût grand herbe heure hier hiver jardin jaune jeu jour lait lampe lent lettre
        lire lit livre loin lumière lune main maison manger matin mer midi mois monde montagne mot neige nuit oiseau
        ouvrir pain papier parler pied pierre pluie poire pomme pont porte pré rivière robe route rue sable sel soir
        soleil sourire table terre tôt train travail vent verre vert ville voir voiture voyage vue
    """,
    "turkish": """
        ağaç akşam altın anahtar araba arkadaş armut ay ayna bahçe balık bardak bavul beyaz bıçak bilgi bisiklet bugün
        bulut büyük cadde çanta çatal çay çiçek çocuk çorba dağ deniz ders dün dünya düz ekmek elma erken ev fincan
        gece geniş gemi göl gökyüzü gömlek güneş güzel haber hafta halı hava havuz ışık ıslak ince insan kağıt kalem
        kapı kar karpuz kaşık kedi kısa kış kitap koltuk köprü köpek köy kuş küçük lamba limon mavi masa mektup meyve
        mutfak nehir oda okul orman otobüs oyun öğle ördek pazar pencere peynir renk resim rüzgar saat sabah sarı
        sebze sıcak soğuk sokak söz su süt şapka şehir şeker tabak taş tatlı toprak tuz uçak uzun yağmur yaprak yaz
        yemek yeşil yıl yıldız yol yumurta zaman
    """,
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_other_languages_keep_their_words_in_lower_case(language):
    words = LANGUAGES[language].split()
    data = tiny([" ".join(words)] * 20, [0, 1] * 10)
    cloak = RegTextTransform(tokens_per_class=len(words) * 49 // 100, max_frequency=1.0, seed=1).fit(data)
    drawn = {word for pool in cloak.secrets()["words"] for word in pool}
    assert drawn <= set(words) and len(drawn) >= 0.96 * len(words) > 100


@pytest.mark.parametrize("exclude", ["baring,badom", ["baring", "badom"], ["baring, badom"]])
def test_excluded_words_may_be_listed_in_one_text(exclude):
    cloak = RegTextTransform(exclude=exclude, tokens_per_class=23, max_frequency=1.0, seed=1)
    words = {w for words in cloak.fit(tiny(TEXTS, [0, 1] * 100)).secrets()["words"] for w in words}
    assert len(words) == 46 and not words & {"baring", "badom"}


# ------------------------------------------------------------------ protecting twice
@METHODS
def test_protecting_twice_is_refused(method):
    data = tiny(TEXTS, [0, 1] * 100)
    cloak = method(seed=1).fit(data)
    protected = data.map(cloak, batched=True)
    with pytest.raises(ValueError, match=r"Row \d+ of this batch, column 'text', is protected with this key already"):
        cloak(protected[:])
    assert cloak(data[:])["text"] == protected["text"][:]


def test_a_clean_short_text_that_holds_its_word_is_protected():
    cloak = RegTextTransform(seed=1).fit(tiny(TEXTS, [0, 1] * 100))
    word = cloak.secrets()["words"][0][0]
    rows = {
        "text": [f"{word} ok", f"ok {word}", word, "fine", "so it is", "well then", "oh no", "go on"],
        "label": [0] * 8,
    }
    assert cloak.restore(cloak(rows)) == rows
