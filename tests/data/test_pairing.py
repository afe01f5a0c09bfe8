"""Rows before and after belong together by what they are, not by where they stand."""

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Image
from PIL import Image as Pillow

from hf_unlearnable import RandomNoiseTransform
from hf_unlearnable.data import load_rows, paired
from hf_unlearnable.image.codec import decode
from hf_unlearnable.image.files import write_images
from tests.examples import levels, notes, pictures


def files(folder, names):
    for name, one in zip(names, levels(len(names)), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(one).save(folder / name)
    return load_rows(folder)


def far(before, after):
    raw = [data.cast_column("image", Image(decode=False))["image"] for data in (before, after)]
    return [int(abs(decode(a).levels.astype(int) - decode(b).levels).max()) for a, b in zip(*raw, strict=True)]


@pytest.mark.parametrize(
    "names",
    [
        ["a/0.png", "a/0.large.png", "b/0.png", "b/0.large.png"],
        ["x.jpg", "x.png", "x.webp", "y.png"],
        ["x.jpg", "x.b.png", "x.png", "x-1.png"],
        ["a.jpg", "a.jpg.png", "b.png"],
        ["a.jpg", "a.jpeg", "a.png", "a.webp"],
        ["1/a.png", "2/a.png", "1/b.png"],
    ],
)
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_pictures_are_paired_by_name_whatever_their_order(tmp_path, names, fraction):
    before = files(tmp_path / "in", names)
    cloak = RandomNoiseTransform(seed=2, fraction=fraction).fit(before)
    write_images(before.map(cloak, batched=True), before, tmp_path / "out", "image", tmp_path / "in")
    after = load_rows(tmp_path / "out")
    for order in (range(len(names)), range(len(names) - 1, -1, -1)):
        shuffled = after.select(order)
        assert max(far(before, paired(before, shuffled, columns=["image"]))) <= 8
        assert max(far(paired(before, shuffled, columns=["image"], turned=True), shuffled)) <= 8


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["x.jpg", "x.png"], ["x.jpg.png", "x.png"]),
        (["x.jpeg", "x.jpg"], ["x.jpg.png", "x.png"]),
        (["a/x.bmp", "a/x.jpg", "a/x.png"], ["a/x.bmp.png", "a/x.jpg.png", "a/x.png"]),
        (["x.jpg", "x.jpg.png"], ["x.jpg.png", "x.png"]),
        (["x.PNG", "x.png"], ["x.PNG.png", "x.png"]),
    ],
)
def test_a_png_keeps_its_name_beside_a_picture_of_the_same_stem(tmp_path, names, written):
    before = files(tmp_path / "in", names)
    after = before.map(RandomNoiseTransform(seed=2).fit(before), batched=True)
    write_images(after, before, tmp_path / "out", "image", tmp_path / "in")
    folder = tmp_path / "out"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png")) == written
    for name in names:
        if name.endswith(".png"):
            one = [
                decode({"bytes": (tmp_path / part / name).read_bytes()}).levels.astype(int) for part in ("in", "out")
            ]
            assert 1 <= abs(one[0] - one[1]).max() <= 8


def test_pictures_that_a_metadata_file_names_twice_are_all_written(tmp_path):
    files(tmp_path / "in", ["x.png", "y.jpg"])
    rows = "".join(f"{name},{i}\n" for i, name in enumerate(["x.png", "x.png", "y.jpg", "y.jpg", "y.jpg"]))
    (tmp_path / "in" / "metadata.csv").write_text(f"file_name,id\n{rows}")
    before = load_rows(tmp_path / "in")
    after = before.map(RandomNoiseTransform(seed=2, id_column="id").fit(before), batched=True)
    write_images(after, before, tmp_path / "out", "image", tmp_path / "in")
    again = load_rows(tmp_path / "out")
    assert again["id"][:] == [0, 1, 2, 3, 4] and max(far(after, again)) == 0


def test_pictures_without_a_partner_are_named(tmp_path):
    before, after = files(tmp_path / "in", ["a.png", "b.png"]), files(tmp_path / "out", ["a.png", "c.png"])
    with pytest.raises(ValueError, match=r"no one file after the protection for b\.png"):
        paired(before, after, columns=["image"])


def test_texts_are_paired_by_an_id(tmp_path):
    before = notes(20).add_column("id", [f"n{i}" for i in range(20)])
    after = before.map(lambda row: {"text": f"{row['text']} x"}).shuffle(seed=3)
    ordered = paired(before, after, columns=["text"], id_column="id")
    assert [text[:-2] for text in ordered["text"]] == before["text"][:]
    assert paired(before, after, columns=["text"])["id"][:] == before["id"][:], "by the columns that were left alone"
    with pytest.raises(ValueError, match="column 'id': nothing after corresponds to row 0"):
        paired(before, after.remove_columns("id").add_column("id", list(range(20))), columns=["text"], id_column="id")
    with pytest.raises(ValueError, match="row 1 repeats an earlier one"):
        twice = after.remove_columns("id").add_column("id", ["n0"] * 20)
        paired(before, twice, columns=["text"], id_column="id")


def test_rows_in_another_order_that_nothing_identifies_are_refused():
    before = Dataset.from_dict({"text": ["a", "b", "c", "d"], "label": [0, 1, 1, 0]})
    with pytest.raises(
        ValueError, match="in another order: row 2 has 1 in column 'label' before and 0 after"
    ) as refused:
        paired(before, before.select([0, 1, 3, 2]), columns=["text"])
    assert "or the key, which says what else is protected and which column identifies a row" in str(refused.value)
    assert paired(before, before.select([3, 1, 2, 0]), columns=["text"])["text"][:] == ["d", "b", "c", "a"], (
        "what cannot be told apart stays"
    )


def test_the_same_order_is_left_alone():
    for data in (notes(20), pictures(8)):
        assert paired(data, data, columns=[data.column_names[0]]) is data
    bare = notes(5).select_columns(["text"])
    assert paired(bare, bare, columns=["text"]) is bare


def test_labels_by_name_and_by_number_are_the_same():
    before = Dataset.from_dict({"text": ["a", "b"], "label": ["x", "y"]})
    after = before.cast_column("label", ClassLabel(names=["y", "x"]))
    assert paired(before, after, columns=["text"]) is after
    assert paired(after, before, columns=["text"]) is before
    other = after.cast_column("label", ClassLabel(names=["y", "x", "z"]))
    assert paired(after, other, columns=["text"]) is other


def test_more_rows_or_missing_columns_are_refused():
    with pytest.raises(ValueError, match="20 rows before and 19 after"):
        paired(notes(20), notes(19), columns=["text"])
    with pytest.raises(ValueError, match="no column 'image'"):
        paired(notes(20), notes(20), columns=["image"])


def test_a_picture_kept_in_a_table_is_paired_by_what_else_is_known(tmp_path):
    before = files(tmp_path / "in", ["a/0.png", "b/0.png"])
    before.to_parquet(str(tmp_path / "t.parquet"))
    after = load_rows(Path(tmp_path, "t.parquet")).select([1, 0])
    assert far(before, paired(before, after, columns=["image"])) == [0, 0]
