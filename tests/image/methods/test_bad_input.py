"""Rows without labels, broken images and parameters that make no sense, with every image method."""

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from hf_unlearnable.image.base import ImageTransform
from hf_unlearnable.registry import method_class
from tests.examples import pictures, stored
from tests.image.methods.cases import BOUNDED, IMAGE_METHODS, fitted


def partly_labelled(missing):
    """Twenty images, every fifth without a label, and a column that tells which have one."""
    names = ["elm", "fox", "owl"]
    features = Features({"image": Image(), "label": ClassLabel(names=names), "labelled": Value("bool")})
    columns = {
        "image": pictures(20)["image"][:],
        "label": [i % 3 if i % 5 else missing for i in range(20)],
        "labelled": [i % 5 > 0 for i in range(20)],
    }
    return Dataset.from_dict(columns, features=features)


@pytest.mark.parametrize("missing", [None, -1])
@pytest.mark.parametrize("how", [{"classes": [0, 1, 2]}, {"mask_column": "labelled"}], ids=["classes", "mask"])
@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_rows_without_a_label_can_be_left_out(name, how, missing):
    dataset = partly_labelled(missing)
    protected = dataset.map(fitted(name, dataset, **how), batched=True)
    for i, (before, after) in enumerate(zip(stored(dataset), stored(protected))):
        assert (before["bytes"] == after["bytes"]) == (i % 5 == 0), i
    if name == "texture":
        assert fitted(name, dataset, **how).key.state["labels"] == [0, 1, 2]


@pytest.mark.parametrize("missing", [None, -1])
@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_a_row_without_a_label_that_is_not_left_out_is_named(name, missing):
    dataset = partly_labelled(missing)
    labelled = dataset.filter(lambda row: row["labelled"])
    cloak = fitted(name, labelled)
    if not cloak.needs_labels:
        assert fitted(name, dataset)
        return
    advice = "Leave such rows out with classes or mask_column"
    two = dataset.select([1, 0])  # of which the second has no label
    for rows in (two, two.with_format("arrow")):
        with pytest.raises(ValueError, match=f"Row 1 of this batch has no label in column 'label'. {advice}"):
            rows.map(cloak, batched=True)
    with pytest.raises(ValueError, match="has no label in column 'label'"):
        two.map(cloak)
    if type(cloak).fit is not ImageTransform.fit:  # others look at the rows only when they protect them
        with pytest.raises(ValueError, match=f"Row 0 has no label in column 'label'. {advice}"):
            fitted(name, dataset)


def test_minus_one_is_a_class_where_the_column_is_of_plain_numbers():
    images = pictures(8)["image"][:]
    dataset = Dataset.from_dict({"image": images, "label": [-1, 1] * 4}).cast_column("image", Image())
    cloak = fitted("texture", dataset)
    assert cloak.key.state["labels"] == [-1, 1]
    assert all(a["bytes"] != b["bytes"] for a, b in zip(stored(dataset), stored(dataset.map(cloak, batched=True))))


def test_only_rows_without_a_label_are_nothing_to_learn_from():
    dataset = partly_labelled(None).filter(lambda row: not row["labelled"])
    with pytest.raises(ValueError, match="The labels name no class"):
        fitted("texture", dataset, mask_column="labelled")


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_a_row_without_a_label_is_named_where_labels_are_needed(name):
    dataset = pictures(8)
    cloak = fitted(name, dataset)
    batch = {"image": dataset["image"][:2], "label": [0, None]}
    if cloak.needs_labels:
        with pytest.raises(
            ValueError, match="Row 1 of this batch has no label in column 'label'.*classes or mask_column"
        ):
            cloak(batch)
    else:
        assert len(cloak(batch)["image"]) == 2


@pytest.mark.parametrize("name", BOUNDED)
def test_less_than_one_level_is_no_strength(name):
    with pytest.raises(ValueError, match="epsilon is 0.00196.*, less than one level: the least is 1/255"):
        fitted(name, pictures(8), epsilon=0.5 / 255)
    if hasattr(method_class(name), "step_size"):
        with pytest.raises(ValueError, match="step_size is 2, but it is a share of the range"):
            fitted(name, pictures(8), step_size=2)


def test_a_class_by_name_where_labels_are_numbers_is_refused():
    dataset = pictures(8)
    with pytest.raises(ValueError, match="classes names 'elm', but the labels are whole numbers below 4"):
        fitted("texture", dataset, classes=["elm"])
    assert fitted("texture", dataset, classes=[1])


@pytest.mark.parametrize("name", ["error-min", "linearization", "one-pixel"])
def test_a_broken_image_that_is_not_to_be_protected_keeps_nobody_from_fitting(name):
    dataset = pictures(8)
    rows = dataset.cast_column("image", Image(decode=False))["image"][:]
    rows[3] = {"bytes": b"broken", "path": None}
    columns = {"image": rows, "label": dataset["label"][:], "mine": [i != 3 for i in range(8)]}
    features = Features({"image": Image(decode=False), "label": dataset.features["label"], "mine": Value("bool")})
    broken = Dataset.from_dict(columns, features=features).cast_column("image", Image())
    with pytest.raises(ValueError, match="Row 3"):
        fitted(name, broken)
    cloak = fitted(name, broken, mask_column="mine")
    protected = broken.map(cloak, batched=True).cast_column("image", Image(decode=False))["image"][:]
    assert protected[3]["bytes"] == b"broken"
    assert all(protected[i]["bytes"] != rows[i]["bytes"] for i in range(8) if i != 3)


def test_too_many_classes_for_one_pixel_each():
    tiny_gray = pictures(40, height=4, width=4, channels=1).remove_columns("label")
    tiny_gray = tiny_gray.add_column("label", list(range(40)))
    with pytest.raises(ValueError, match="40 classes are too many for images of 4x4 pixels"):
        fitted("one-pixel", tiny_gray)


def test_numbers_that_end_in_nothing_are_refused():
    for wrong in ({"epochs": 0}, {"num_steps": 0}):
        with pytest.raises(ValueError, match="they start at 1"):
            fitted("linearization", pictures(8), **wrong)
    with pytest.raises(FloatingPointError, match="Lower learning_rate"):
        fitted("linearization", pictures(8), learning_rate=1e38)
    with pytest.raises(ValueError, match="adversary_steps is 0, but it starts at 1"):
        fitted("stable-error-min", pictures(8), adversary_steps=0)
    with pytest.raises(ValueError, match="radius is 4, but it is a share"):
        fitted("stable-error-min", pictures(8), radius=4)
