"""The versions that an audit compares: what is refused, what is counted, and a random dose that tells nothing."""

import logging

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Image
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image as PILImage

from hf_unlearnable import RandomNoiseTransform, RegTextTransform, TextureTransform
from hf_unlearnable.audit.versions import check_pair, check_test, dropped, random_dose, set_aside
from hf_unlearnable.image.dose import random_pixels
from hf_unlearnable.text.dose import random_words
from hf_unlearnable.text.insertion.words import Canonical
from tests.examples import levels, notes, pictures, real, stored, tiny
from tests.image.files import file_of

VOCABULARY = ["ada", "bob", "cyd"]


def protected_notes(rows=80, **parameters):
    clean = notes(rows)
    return clean, clean.map(RegTextTransform(seed=3, **parameters).fit(clean), batched=True)


def arrays(dataset):
    return [np.asarray(image, np.int16) for image in dataset["image"]]


def encoded(array, kind):
    return {"bytes": file_of(array, kind, lossless=True), "path": None}


def image_rows(values, labels=None):
    data = {"image": values, "label": labels or [i % 2 for i in range(len(values))]}
    return Dataset.from_dict(data).cast_column("image", Image())


# ---------------------------------------------------------------------- check_pair
def test_unchanged_rows_are_counted():
    clean, protected = protected_notes(classes=[0])
    assert check_pair(clean, protected, "text", "label") == 60
    clean = pictures(20)
    protected = clean.map(RandomNoiseTransform(seed=1, classes=[1, 2]).fit(clean), batched=True)
    assert check_pair(clean, protected, "image", "label") == 10


def test_another_encoding_is_no_change():
    images = levels(6)
    clean = image_rows([encoded(one, "PNG") for one in images])
    again = [encoded(one, "WEBP") for one in images]
    with pytest.raises(ValueError, match="All 6 rows are the same in both versions.*never protected"):
        check_pair(clean, image_rows(again), "image", "label")
    again[4] = encoded(images[4] ^ 1, "WEBP")
    assert check_pair(clean, image_rows(again), "image", "label") == 5
    assert stored(dropped(clean, image_rows(again), "image")) == [stored(clean)[i] for i in (0, 1, 2, 3, 5)]


def test_versions_that_do_not_correspond_are_refused():
    clean, protected = protected_notes()
    swapped = protected.select([0, 1, 2, 4, 3, *range(5, 80)])
    with pytest.raises(
        ValueError, match=r"Row 3 has the label 3 in the clean and 0 in the protected.*sort both by it"
    ):
        check_pair(clean, swapped, "text", "label")
    with pytest.raises(ValueError, match=r"80 rows, the protected one 79. Row 10 has the label .*id column"):
        check_pair(clean, protected.select([i for i in range(80) if i != 10]), "text", "label")
    with pytest.raises(ValueError, match=r"Row 79 is in one of them only"):
        check_pair(clean, protected.select(range(79)), "text", "label")
    with pytest.raises(ValueError, match="All 80 rows are the same"):
        check_pair(clean, clean, "text", "label")
    with pytest.raises(ValueError, match="no column 'txt'. Did you mean 'text'"):
        check_pair(clean, protected, "txt", "label")
    with pytest.raises(ValueError, match="'label' is of type .*neither text nor image"):
        check_pair(clean, protected, "label", "label")
    names = clean.features["label"].names
    renamed = protected.cast_column("label", ClassLabel(names=[*names[1:], names[0]]))
    with pytest.raises(ValueError, match=f"The label 0 is '{names[0]}' in the training data and '{names[1]}'"):
        check_pair(clean, renamed, "text", "label")
    images = pictures(8)
    with pytest.raises(ValueError, match="holds images in the clean version, texts in the other"):
        check_pair(images, tiny(["a"] * 8, images["label"][:]).rename_column("text", "image"), "image", "label")
    for call in (dropped, lambda *a: random_dose(*a, seed=0), lambda *a: set_aside(*a[:2], 0.5, 0, "label")):
        with pytest.raises(ValueError, match="80 rows, the protected one 79: they do not hold the same rows"):
            call(clean, protected.select(range(79)), "text")


def test_a_broken_image_is_named():
    clean = pictures(8)
    values = stored(clean)
    values[5] = {"bytes": values[5]["bytes"][:60], "path": None}
    for call in (dropped, lambda *a: random_dose(*a, seed=0)):
        with pytest.raises(ValueError, match="Row 5, column 'image': the image does not open"):
            call(clean, image_rows(values), "image")


# ---------------------------------------------------------------------- check_test
def test_training_rows_in_the_test_are_counted(caplog):
    train = tiny(["one", "two", "three", "two"], [0, 1, 0, 1])
    with caplog.at_level(logging.WARNING):
        assert check_test(train, tiny(["two", "Two", "four"], [0, 1, 0]), "text", "label") == 1
        assert "1 of 3 test rows are training rows too" in caplog.text
        caplog.clear()
        assert check_test(train, tiny(["five", "six"], [0, 1]), "text", "label") == 0
        assert not caplog.records
        images = levels(6)
        train = image_rows([encoded(one, "PNG") for one in images])
        test = image_rows([encoded(one, "WEBP") for one in [*images[3:5], images[2] ^ 1]])
        assert check_test(train, test, "image", "label") == 2


def test_labels_of_the_test(caplog):
    train = tiny(["a", "b", "c", "d"], ["x", "y", "z", "x"])
    with pytest.raises(ValueError, match="The test has the labels 'w', which no training row has .*'x', 'y', 'z'"):
        check_test(train, tiny(["e", "f"], ["w", "x"]), "text", "label")
    check_test(train, tiny(["e", "f"], ["y", "x"]), "text", "label")
    assert [r.message for r in caplog.records] == [
        "No test row has the labels 'z': the accuracy says nothing about them."
    ]
    one, two = tiny(["a", "b"], [0, 1], ["neg", "pos"]), tiny(["c", "d"], [0, 1], ["pos", "neg"])
    with pytest.raises(ValueError, match="The label 0 is 'neg' in the training data and 'pos' in the test"):
        check_test(one, two, "text", "label")


# ---------------------------------------------------------------------- dropped, set_aside
def test_dropped_keeps_what_is_unchanged():
    clean, protected = protected_notes(classes=[0, 2])
    left = dropped(clean, protected, "text")
    assert left.to_list() == [row for row in clean.to_list() if row["label"] in (1, 3)]
    assert left.features == clean.features
    assert len(dropped(clean, protected_notes()[1], "text")) == 0


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.floats(0, 0.99), st.integers(0, 9))
def test_set_aside_is_a_stratified_partition(labels, share, seed):
    clean = tiny([f"row {i}" for i in range(len(labels))], labels)
    protected = tiny([f"row {i} x" for i in range(len(labels))], labels)
    kept, published, own = set_aside(clean, protected, share, seed, "label")
    assert [f"{text} x" for text in kept["text"]] == published["text"][:]
    assert sorted(kept["text"][:] + own["text"][:]) == sorted(clean["text"][:])
    for label in set(labels):
        count, aside = labels.count(label), own["label"][:].count(label)
        assert abs(aside - share * count) <= 1
        assert (aside > 0 or share == 0 or count == 1) and aside < count
    assert own.to_list() == set_aside(clean, protected, share, seed, "label")[2].to_list()


def test_set_aside_draws_with_the_seed():
    clean, protected = protected_notes()
    first, second = (set_aside(clean, protected, 0.25, seed, "label")[2]["text"][:] for seed in (0, 1))
    assert len(first) == len(second) == 20 and len(set(first) & set(second)) < 15
    with pytest.raises(ValueError, match="share is 1"):
        set_aside(clean, protected, 1, 0, "label")


# ---------------------------------------------------------------------- texts
@pytest.mark.parametrize("position", ["random", "begin", "end"])
def test_inserted_words_become_others_at_the_same_places(position):
    clean, protected = protected_notes(tokens_per_class=2, position=position)
    chance = random_dose(clean, protected, "text", seed=1)
    assert chance.features == clean.features and chance["label"][:] == clean["label"][:]
    words = {word.lower().strip('.,:;!?()"') for text in clean["text"] for word in text.split()}
    drawn = []
    for before, after, made in zip(clean["text"], protected["text"], chance["text"]):
        before, after, made = before.split(" "), after.split(" "), made.split(" ")
        assert len(after) == len(made)
        left = list(before)
        for one, two in zip(after, made):
            if left and one == left[0]:
                assert two == left.pop(0)
            else:
                drawn.append(two)
        assert not left
    assert len(drawn) >= 80
    assert len(set(drawn)) > 0.5 * len(drawn)  # of hundreds of words, not of the eight that the protection has
    assert np.mean([word in words for word in drawn]) > 0.9


def test_a_random_dose_depends_on_seed_and_row_and_not_on_order_or_label():
    clean, protected = protected_notes(40)
    first = random_dose(clean, protected, "text", seed=1)["text"][:]
    assert random_dose(clean, protected, "text", seed=1)["text"][:] == first
    other = random_dose(clean, protected, "text", seed=2)["text"][:]
    assert sum(a == b for a, b in zip(first, other)) < 8
    back = list(range(39, -1, -1))
    relabelled = clean.select(back).map(lambda row: {"label": 3 - row["label"]})
    assert random_dose(relabelled, protected.select(back), "text", seed=1)["text"][:] == first[::-1]


def test_rows_that_are_not_protected_stay():
    clean, protected = protected_notes(classes=[0])
    chance = random_dose(clean, protected, "text", seed=1)
    kept = [a == b for a, b in zip(clean["text"], chance["text"])]
    assert kept == [label != 0 for label in clean["label"]]
    missing = tiny([None, "one two", None], [0, 1, 0])
    assert random_dose(missing, tiny([None, "one two x", None], [0, 1, 0]), "text", seed=1)["text"][::2] == [
        None,
        None,
    ]


@given(
    st.lists(st.text("ab \n汉字かな<", max_size=6), min_size=1, max_size=12).map(" ".join),
    st.lists(st.tuples(st.integers(0, 80), st.sampled_from(["Q", "QQ", "Z"])), min_size=1, max_size=5),
)
def test_any_insertion_is_found_in_any_script(text, put):
    canonical = Canonical(text, ["Q", "QQ", "Z"])
    assume(canonical.text.strip())
    offsets = sorted({min(offset, len(canonical.text) - 1) for offset, _ in put})
    places = canonical.places("random", offsets)
    words = [word for _, word in put][: len(places)]
    assume(places)
    made = random_words(text, canonical.with_words(places, words), 7, ["V"])
    assert made == canonical.with_words(places, ["V"] * len(places))


def test_white_space_alone_is_not_imitated():
    assert random_words("one two", "one  two\n", 1, VOCABULARY) == "one two"
    assert random_words("one two", "one  two Q \n", 1, ["V"]) == "one  two V \n"


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=20),
    st.lists(st.sampled_from(["Q", "R", "a", "b", "c"]), max_size=25),
    st.integers(0, 2**64 - 1),
)
def test_other_changes_keep_their_number(before, after, stream):
    """As many words of the text go, and as many come, as the two texts differ in."""
    made = random_words(" ".join(before), " ".join(after), stream, ["V"]).split()
    removed = [word for word in set(before) for _ in range(max(0, before.count(word) - after.count(word)))]
    added = [word for word in set(after) for _ in range(max(0, after.count(word) - before.count(word)))]
    assert made.count("V") == len(added)
    assert len(made) == len(before) - len(removed) + len(added)
    left = iter(before)
    assert all(word in left for word in made if word != "V")  # in their order


def test_replaced_words_are_replaced_elsewhere():
    text = " ".join(f"w{i}" for i in range(40))
    after = text.replace("w3 ", "great ").replace("w4 ", "great ")
    made = [random_words(text, after, stream, VOCABULARY).split() for stream in range(60)]
    places = [i for words in made for i, word in enumerate(words) if word != f"w{i}"]
    assert len(places) == 120 and len(set(places)) > 25
    assert {words[i] for words in made for i in range(40) if words[i] != f"w{i}"} == set(VOCABULARY)


def test_no_words_to_draw():
    with pytest.raises(ValueError, match="Column 'text' of the clean version holds no words"):
        random_dose(tiny(["...", "!!!"], [0, 1]), tiny(["... x", "!!! y"], [0, 1]), "text", seed=0)


# ---------------------------------------------------------------------- images
def test_random_pixels():
    image, change = levels(1)[0] // 2 + 64, np.random.default_rng(0).integers(-8, 9, (12, 12, 3))
    moved = random_pixels(image, change, 5).astype(int) - image
    assert not np.array_equal(moved, change)
    triples = [sorted(map(tuple, one.reshape(-1, 3).tolist())) for one in (moved, change)]
    assert triples[0] == triples[1]
    assert random_pixels(image, change[:5, :7], 5).shape == image.shape
    assert random_pixels(np.full((4, 4, 1), 250, np.uint8), np.full((4, 4, 1), 8), 5).max() == 255


def test_the_dose_of_images_is_the_same_and_the_label_is_gone():
    images, labels = levels(160) // 2 + 64, np.arange(160) % 4
    centres = np.array([[-6, 0, 4], [0, 1, 4], [6, 2, 4], [-6, 3, 4]])
    shift = np.broadcast_to(centres[labels][:, None, None], images.shape)
    clean, protected = (
        image_rows([PILImage.fromarray(one) for one in array.astype(np.uint8)], labels.tolist())
        for array in (images, images + shift)
    )
    chance = random_dose(clean, protected, "image", seed=4)
    assert chance.features == clean.features
    assert all(value["bytes"].startswith(b"\x89PNG") for value in stored(chance))
    change = np.array(arrays(chance)) - np.array(arrays(clean))
    assert np.array_equal(np.sort(change, axis=None), np.sort(shift, axis=None))

    def read(change):  # the class whose colour shift is nearest
        return np.abs(change.mean((1, 2))[:, None] - centres).sum(2).argmin(1)

    assert (read(shift) == labels).all()
    assert (read(change) == labels).mean() < 0.4


def test_images_of_any_kind_keep_size_transparency_and_what_is_unprotected():
    shapes = [(9, 7, 3), (9, 7, 4), (12, 12, 1), (5, 20, 3), (12, 12, 1), (30, 2, 3), (9, 7, 3), (4, 4, 1)]
    images = [np.squeeze(levels(1, i, *shape)[0]) for i, shape in enumerate(shapes)]
    clean = image_rows([PILImage.fromarray(one) for one in images])
    protected = clean.map(RandomNoiseTransform(seed=1, classes=[0]).fit(clean), batched=True)
    chance = random_dose(clean, protected, "image", seed=4)
    assert stored(chance)[1::2] == stored(clean)[1::2]
    for row in range(0, 8, 2):
        one, two = arrays(clean)[row], arrays(chance)[row]
        assert one.shape == two.shape and 0 < np.abs(one - two).max() <= 8
    protected = clean.map(RandomNoiseTransform(seed=1).fit(clean), batched=True)
    assert np.array_equal(arrays(random_dose(clean, protected, "image", seed=4))[1][..., 3], images[1][..., 3])
    smaller = image_rows([PILImage.fromarray(one[:4]) for one in images])
    with pytest.raises(
        ValueError, match=r"Row 0, column 'image': the image has \(9, 7, 3\) levels before and \(4, 7, 3\)"
    ):
        random_dose(clean, smaller, "image", seed=4)


def test_images_change_by_seed_and_not_by_order():
    clean = pictures(24)
    protected = clean.map(TextureTransform(seed=1).fit(clean), batched=True)
    first = stored(random_dose(clean, protected, "image", seed=4))
    assert stored(random_dose(clean, protected, "image", seed=4)) == first
    assert not any(a == b for a, b in zip(first, stored(random_dose(clean, protected, "image", seed=5))))
    back = list(range(23, -1, -1))
    assert stored(random_dose(clean.select(back), protected.select(back), "image", seed=4)) == first[::-1]


def test_a_real_jpeg_source():
    clean = real("cifar10_jpeg").select(range(120))
    protected = clean.map(TextureTransform(seed=1).fit(clean), batched=True)
    assert check_pair(clean, protected, "image", "label") == 0
    dose = [
        np.abs(np.array(arrays(one)) - arrays(clean))
        for one in (protected, random_dose(clean, protected, "image", seed=0))
    ]
    assert dose[0].max() == dose[1].max() == 8
    assert dose[1].mean() == pytest.approx(dose[0].mean(), rel=0.05)  # up to what is cut off at 0 and 255
