"""What is refused, and what is made harmless: archives, images, tables and texts from strangers."""

import csv
import io
import stat
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from PIL import Image
from pyarrow import parquet

from hf_unlearnable.space import limits
from hf_unlearnable.space.limits import RefusedError, check_text, read_images, read_table
from hf_unlearnable.space.protection import inert_csv, safe_names
from tests.image.files import file_of
from tests.space.files import archive, huge_png, photo


def test_folders_of_an_archive_are_classes_and_other_files_are_passed_over(tmp_path):
    one, two = file_of(photo(0)), file_of(photo(1))
    files = {
        "set/cats/a.png": one, "set/dogs/b.PNG": two, "top.png": one, "notes.txt": b"no image",
        "__MACOSX/set/cats/._a.png": b"junk", ".hidden/c.png": b"junk",
    }  # fmt: skip
    rows = read_images([archive(tmp_path / "a.zip", files)], "mine")
    assert [(row["name"], row["label"]) for row in rows] == [
        ("set/cats/a.png", "cats"), ("set/dogs/b.PNG", "dogs"), ("top.png", "mine"),
    ]  # fmt: skip
    assert [row["bytes"] for row in rows] == [one, two, one]


@pytest.mark.parametrize(
    "name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "a\\..\\evil.png", "C:/evil.png"]
)
def test_an_archive_that_points_out_of_itself_is_not_opened(tmp_path, name):
    with pytest.raises(RefusedError, match="points out of the archive"):
        read_images([archive(tmp_path / "a.zip", {name: file_of(photo())})], "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_an_archive_holds_every_picture_that_can_be_uploaded_alone(tmp_path):
    files = {
        f"a/{i}.{ending}": file_of(photo(), {"jfif": "JPEG"}.get(ending, ending.upper()))
        for i, ending in enumerate(["avif", "AVIF", "jfif", "webp", "ppm"])
    }
    rows = read_images(
        [archive(tmp_path / "a.zip", {**files, "a/notes.json": b"{}", "__MACOSX/a/._0.avif": b""})], "x"
    )
    assert [row["name"] for row in rows] == list(files)
    for name, data in files.items():
        path = tmp_path / name.replace("/", "-")
        path.write_bytes(data)
        assert read_images([path], "x")[0]["bytes"] == data


@pytest.mark.parametrize("name", ["a/Screenshot 10:00:00.png", "12:30.png", "a:b/c.png", "é:/x.png"])
def test_names_with_colons_are_taken(tmp_path, name):
    assert read_images([archive(tmp_path / "a.zip", {name: file_of(photo())})], "x")[0]["name"] == name


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("b/print.jpg", "cmyk", "is CMYK"),
        ("b/half.png", "half", "does not open"),
        ("b/deep.png", "deep", "16 bits"),
        ("b/phone.heic", "junk", "no image that opens"),
    ],
)
def test_a_bad_photo_among_many_is_named(tmp_path, name, change, message):
    file = io.BytesIO()
    if change == "cmyk":
        Image.new("CMYK", (8, 8)).save(file, "JPEG")
    elif change == "deep":
        Image.fromarray(np.zeros((8, 8), np.uint16)).save(file, "PNG")
    data = {"half": file_of(photo())[:-60], "junk": b"ftypheic"}.get(change, file.getvalue())
    files = {**{f"a/{i}.png": file_of(photo(i)) for i in range(9)}, name: data}
    with pytest.raises(RefusedError, match=f"^{name}.*{message}"):
        read_images([archive(tmp_path / "a.zip", files)], "x")


def test_a_link_in_an_archive_is_refused(tmp_path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(RefusedError, match="points out of the archive"):
        read_images([tmp_path / "a.zip"], "mine")


def test_a_zip_bomb_is_read_no_further_than_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNPACKED", 1_000_000)
    bomb = archive(tmp_path / "bomb.zip", {"a.png": b"\0" * 30_000_000}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 50_000
    with pytest.raises(RefusedError, match="unpacks to more than"):
        read_images([bomb], "mine")


@pytest.mark.parametrize("kinds", [("png", "png", "png"), ("zip", "png", "png"), ("zip", "zip", "zip")])
def test_many_files_together_are_read_no_further_than_allowed(tmp_path, monkeypatch, kinds):
    monkeypatch.setattr(limits, "MAX_UNPACKED", 1_000_000)
    data = file_of(photo()) + bytes(400_000)
    paths = []
    for i, kind in enumerate(kinds):
        path = tmp_path / f"{i}.{kind}"
        archive(path, {"a.png": data}, zipfile.ZIP_DEFLATED) if kind == "zip" else path.write_bytes(data)
        paths.append(path)
    assert len(read_images(paths[:2], "mine")) == 2
    with pytest.raises(RefusedError, match="All images together have more than 0 MB: give fewer"):
        read_images(paths, "mine")


def test_an_archive_that_lies_about_its_sizes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNPACKED", 1_000_000)
    path = archive(tmp_path / "a.zip", {"a.png": b"\0" * 30_000_000}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    where = data.rindex(b"PK\x01\x02")
    data[where + 24 : where + 28] = (100).to_bytes(4, "little")  # the size in the directory: a hundred bytes
    path.write_bytes(bytes(data))
    with pytest.raises(RefusedError):
        read_images([path], "mine")


def test_broken_encrypted_and_crowded_archives_are_refused(tmp_path, monkeypatch):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(RefusedError, match="no zip archive that opens"):
        read_images([tmp_path / "broken.zip"], "mine")
    path = archive(tmp_path / "locked.zip", {"a.png": file_of(photo())})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(RefusedError, match="encrypted"):
        read_images([path], "mine")
    monkeypatch.setattr(limits, "MAX_IMAGES", 3)
    few = {f"{i}.png": file_of(photo()) for i in range(4)}
    with pytest.raises(RefusedError, match="more than 3 images"):
        read_images([archive(tmp_path / "four.zip", few)], "mine")
    with pytest.raises(RefusedError, match="holds 13 files"):
        read_images([archive(tmp_path / "many.zip", {f"{i}.txt": b"" for i in range(13)})], "mine")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (6_000, 6_000), (30_000, 10)])
def test_images_with_huge_dimensions_are_refused_before_they_are_decoded(tmp_path, width, height):
    (tmp_path / "huge.png").write_bytes(huge_png(width, height))
    with pytest.raises(RefusedError, match="more than 24 megapixels"):
        read_images([tmp_path / "huge.png"], "mine")


def test_many_large_images_are_refused_together(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(huge_png(5_000, 2_000))
    with pytest.raises(RefusedError, match="together have more than 24 megapixels"):
        read_images([tmp_path / f"{i}.png" for i in range(3)], "mine")


def test_what_is_no_image_is_refused_by_its_name(tmp_path):
    (tmp_path / "page.png").write_bytes(b"<svg onload=alert(1)>")
    with pytest.raises(RefusedError, match=r"page\.png is no image"):
        read_images([tmp_path / "page.png"], "mine")
    with pytest.raises(RefusedError, match="no images yet"):
        read_images([archive(tmp_path / "empty.zip", {"a.txt": b""})], "mine")
    with pytest.raises(RefusedError, match="Upload it again"):
        read_images([tmp_path / "gone.png"], "mine")


def test_names_in_the_download_are_harmless_and_different():
    names = ["a/x<y>.jpg", "a/x?y?.png", "cats/ .. /b.png", "cats/é ü.webp", "CATS/É Ü.png", "con|.png"]
    safe = list(safe_names([{"name": name} for name in names]))
    assert len({name.lower() for name in safe}) == len(names)
    assert all(name.endswith(".png") and not set(name) & set('<>?|\\:"*') and ".." not in name for name in safe)
    assert safe[3] == "cats/é ü.png"


def test_tables_are_read_as_they_are(tmp_path):
    (tmp_path / "a.csv").write_text('text,label\n"two\nlines, one cell",x\nplain,y\n')
    read = read_table(tmp_path / "a.csv").to_pydict()
    assert read == {"text": ["two\nlines, one cell", "plain"], "label": ["x", "y"]}
    parquet.write_table(pa.table({"text": ["a", None], "label": [0, 1]}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").to_pydict() == {"text": ["a", None], "label": [0, 1]}


def test_values_of_a_csv_file_stay_letter_by_letter(tmp_path):
    (tmp_path / "a.csv").write_text("id;text;label\n007;None;1\n01069;;2\n")
    assert read_table(tmp_path / "a.csv").to_pydict() == {
        "id": ["007", "01069"],
        "text": ["None", ""],
        "label": [1, 2],
    }


def test_a_csv_file_that_is_not_utf_8_or_reads_in_two_ways_says_so(tmp_path):
    (tmp_path / "a.csv").write_bytes("text,label\ncafé,1\n".encode("latin-1"))
    with pytest.raises(RefusedError, match=r"^a\.csv is not UTF-8 \(line 2, byte 0xe9\)\. Save it as CSV in UTF-8\.$"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text('text,label\n"one,1\ntwo,0\nthree",1\n')
    with pytest.raises(RefusedError, match="reads in two ways: 1 rows if quotes enclose values, 3 rows"):
        read_table(tmp_path / "b.csv")


def test_a_table_of_many_lines_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_MAX_LINES", 10)
    (tmp_path / "a.csv").write_text("text,label\n" + "a,0\n" * 10)
    with pytest.raises(RefusedError, match="has 11 lines"):
        read_table(tmp_path / "a.csv")


def test_tables_that_are_too_large_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_ROWS", 5)
    table = pa.table({"text": ["a"] * 6, "label": [0] * 6})
    parquet.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("text,label\n" + "a,0\n" * 6)
    for name, said in (("a.parquet", "has 6 rows"), ("a.csv", "has more than 5 rows")):
        with pytest.raises(RefusedError, match=said):
            read_table(tmp_path / name)
    (tmp_path / "wide.csv").write_text(",".join(f"c{i}" for i in range(5000)) + "\n")
    with pytest.raises(RefusedError, match="more than 100 columns"):
        read_table(tmp_path / "wide.csv")


def test_a_parquet_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNPACKED", 1_000_000)
    bomb = pa.table({"text": ["a" * 10_000] * 1000, "label": [0] * 1000})
    parquet.write_table(bomb, tmp_path / "bomb.parquet", use_dictionary=True, compression="zstd")
    assert (tmp_path / "bomb.parquet").stat().st_size < 20_000  # a thousand times smaller than what it unpacks to
    with pytest.raises(RefusedError, match="unpack"):
        read_table(tmp_path / "bomb.parquet")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.parquet", b"PAR1 nonsense"), ("a.csv", b"\xff\xfe\x00text"), ("a.exe", b"MZ"), ("a.csv", b"a,a\n1,2\n"),
     ("a.csv", b"text,label\n"), ("a.csv", b"")],
)  # fmt: skip
def test_tables_that_do_not_read_are_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RefusedError, match=name.replace(".", r"\.")):
        read_table(tmp_path / name)


RUN = [
    "=1+1", " =1", "\ufeff=1", "\u00a0=1", "＝1+1", "@SUM(A1)", "+SUM (A1)", "-HYPERLINK(A1)", "＠SUM(A1)",
    "-2+3+cmd|' /C calc'!A0", "@x+cmd|'/C calc'!_a", "+'\\\\host\\[x]S'!A1", "- see f(x)",
]  # fmt: skip
SHOWN = [
    "@user I love it", "- a bullet", "- one\n- two", "-2", "+1 for this!", "+49 170 1234567", "@", "-", "-5 °C (cold)",
    "- bring a coat (it rains)", "a = b", "1-2", "f(x) = 2", "", None, 'say "hi", you', "two\nlines", "'quoted'",
]  # fmt: skip


def inert(cells):
    data = inert_csv(Dataset.from_dict({"=head": cells, "n": [-3] * len(cells)})).decode()
    header, *rows = csv.reader(io.StringIO(data))
    assert header == ["'=head", "n"] and {row[1] for row in rows} == {"-3"}  # a number is no formula
    return [row[0] for row in rows]


def test_what_a_spreadsheet_runs_is_inert_in_a_csv():
    assert inert(RUN) == ["'" + cell for cell in RUN]


def test_what_a_spreadsheet_only_shows_is_as_it_was_in_a_csv():
    assert inert(SHOWN) == [cell or "" for cell in SHOWN]


def test_a_formula_behind_a_semicolon_a_tab_or_a_line_break_is_inert():
    cells = ["a;=cmd|'/C calc'!A0;b", "\t=1", "\r=1", "two\n =1", ";;+SUM(A1)"]
    assert inert(cells) == ["a;'=cmd|'/C calc'!A0;b", "\t'=1", "\r'=1", "two\n' =1", ";;'+SUM(A1)"]


@pytest.mark.parametrize("part", ["-", ";-a", "\n", "-\n", "; ", "a", "- ", "(", "'!"])
def test_a_long_cell_is_made_inert_in_linear_time(part):
    cell = part * 25_000
    made = inert([cell, f"{cell}f("])  # quadratic time would be hours
    assert [len(one) >= len(cell) for one in made] == [True, True]


def test_texts_are_limited():
    assert check_text("a") == "a"
    with pytest.raises(RefusedError, match="no text"):
        check_text(" \n")
    with pytest.raises(RefusedError, match="20,001 letters"):
        check_text("a" * 20_001)


def test_photos_within_the_limits_pass(tmp_path):
    (tmp_path / "a.png").write_bytes(file_of(np.zeros((3000, 4000), np.uint8)))
    assert read_images([tmp_path / "a.png"], "")[0]["label"] == "mine"
