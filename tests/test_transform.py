"""What the base class does for every method: parameters, rows, errors."""

import datetime
from dataclasses import dataclass

import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict

from hf_unlearnable import RegTextTransform, TextureTransform
from hf_unlearnable.rows import require_columns
from hf_unlearnable.transform import Transform
from tests.examples import notes


def test_repr_shows_what_was_given_and_hides_the_secret():
    assert repr(RegTextTransform()) == "RegTextTransform()"
    assert repr(RegTextTransform(rate=0.2, seed=123456)) == "RegTextTransform(rate=0.2, seed=<hidden>)"
    assert "seed" not in RegTextTransform(seed=1).public_params()
    assert "word_source" not in RegTextTransform(word_source=["a", "b"]).public_params()


def test_a_class_docstring_is_taken_apart_at_its_headers():
    class Mine(Transform):
        """Does this,
        and that.

        Note: this is no header, nor is the next.
        Breaks:
        nothing.

        Paper:
            A. Author, "A Title".

            With a formula:

                x' = x + d

        Args:
            rate: How much,
                in words.
            Breaks: No header, for it is indented.

        Breaks:
            A blur.
        """

        method = "mine"

    assert Mine.described() == {
        "summary": "Does this, and that.",
        "Paper": 'A. Author, "A Title".\n\nWith a formula:\n\n    x\' = x + d',
        "Args": "rate: How much,\n    in words.\nBreaks: No header, for it is indented.",
        "Breaks": "A blur.",
    }


def test_a_section_that_a_class_lacks_is_that_of_the_method_it_derives_from():
    class Finer(TextureTransform):
        """A finer grain.

        Breaks:
            A coarser camera.
        """

        method = "finer"

    class Plain(Finer):
        method = "plain"

    described = TextureTransform.described()
    assert Finer.described() == {**described, "summary": "A finer grain.", "Breaks": "A coarser camera."}
    assert Plain.described() == Finer.described()


def test_a_class_without_a_docstring_says_nothing():
    class Silent(Transform):
        method = "silent"

    @dataclass(kw_only=True, repr=False, eq=False)
    class Generated(Transform):
        rate: float = 0.1

        method = "generated"

    assert Generated.__doc__.startswith("Generated(*, rate: float = 0.1")
    assert Silent.described() == Generated.described() == Transform.described() == {"summary": ""}


def test_a_plain_dict_keeps_its_other_values():
    data = notes(40)
    cloak = RegTextTransform(seed=1).fit(data)
    row = {"text": data[0]["text"], "label": data[0]["label"], "other": object()}
    changed = cloak(row)
    assert changed["other"] is row["other"]
    assert changed["text"] != row["text"]
    assert row["text"] == data[0]["text"], "the input is left alone"


def test_arrow_tables_keep_type_and_order():
    data = notes(40).cast_column("text", notes(1).features["text"])
    cloak = RegTextTransform(seed=1).fit(data)
    table = data.with_format("arrow")[:]
    table = table.set_column(0, pa.field("text", pa.large_string()), table["text"].cast(pa.large_string()))
    changed = cloak(table)
    assert changed.schema == table.schema
    assert changed["text"].to_pylist() == cloak(data[:])["text"]


@pytest.mark.parametrize("kind", ["numpy", "arrow", "torch"])
def test_formatted_datasets(kind):
    if kind == "torch":
        pytest.importorskip("torch", reason="the attack extra is not installed")
    data = notes(40)
    cloak = RegTextTransform(seed=1).fit(data)
    expected = data.map(cloak, batched=True)["text"][:]
    mapped = data.with_format(kind).map(cloak, batched=True).with_format(None)
    assert mapped["text"][:] == expected
    assert mapped.features == data.features


def test_restore_takes_all_that_map_gives():
    data = notes(40)
    cloak = RegTextTransform(seed=1).fit(data)
    splits = DatasetDict({"train": data, "test": data.select(range(5))}).map(cloak, batched=True)
    assert cloak.restore(splits)["test"]["text"][:] == data["text"][:5]
    stream = data.to_iterable_dataset().map(cloak, batched=True)
    assert [row["text"] for row in cloak.restore(stream)] == data["text"][:]


def test_duplicates_get_equal_words_unless_they_have_ids():
    data = notes(40)
    text = data[0]["text"]
    twice = Dataset.from_dict({"text": [text, text], "label": [0, 0], "id": [1, 2]})
    same = RegTextTransform(seed=1).fit(data)(twice[:])["text"]
    assert same[0] == same[1]
    data = data.add_column("id", list(range(40)))
    apart = RegTextTransform(seed=1, id_column="id").fit(data)(twice[:])["text"]
    assert apart[0] != apart[1]


def test_ids_of_any_type():
    data = notes(4).add_column("when", [datetime.datetime(2026, 1, day) for day in range(1, 5)])
    cloak = RegTextTransform(seed=1, id_column="when").fit(data)
    protected = data.map(cloak, batched=True)
    assert cloak.restore(protected)["text"][:] == data["text"][:]


def test_map_may_drop_columns():
    data = notes(20).add_column("extra", list(range(20)))
    cloak = RegTextTransform(seed=1).fit(data)
    assert data.map(cloak, batched=True, remove_columns=["extra"]).column_names == ["text", "label"]


@pytest.mark.parametrize(
    "names",
    [
        [f"{i:03}.png" for i in range(40)],
        ["000.JPG", "001.jpg", "cls"],
        ["12 PM 01.webp", "12 PM 02.webp"],
        ["v1_0.jpeg", "v1_1.jpeg", "image"],
    ],
)
def test_pictures_that_are_merged_into_one_row_are_refused(names):
    """WebDataset ends the name of a row at the first dot: of IMG.000.png to IMG.039.png one column would be protected."""
    with pytest.raises(ValueError, match="A row holds .* pictures .* ends at the first dot. Rename the files"):
        require_columns(names, ["image"])
    dataset = Dataset.from_dict({name: ["x", "y"] for name in [*names, "text", "label"]})
    with pytest.raises(ValueError, match="Rename the files"):
        RegTextTransform().fit(dataset)


@pytest.mark.parametrize(
    "names", [["input.jpg", "output.jpg"], ["jpg", "png", "json"], ["0.png", "cls"], ["1.5", "2.5"]]
)
def test_other_columns_of_pictures_are_left_alone(names):
    require_columns(names, names)
