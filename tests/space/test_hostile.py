"""Files that are out to take memory, start a program or crash a decoder; and keys from strangers."""

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from PIL import EpsImagePlugin, Image
from pyarrow import parquet

from hf_unlearnable.image.codec import ImageError, decode
from hf_unlearnable.space import limits, reader, reading
from hf_unlearnable.space.limits import MEGABYTE, RefusedError, read_images, read_table
from hf_unlearnable.space.protection import file_dataset, transform
from hf_unlearnable.space.session import zip_key
from tests.examples import notes
from tests.image.files import file_of
from tests.space.files import archive, photo

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


# ---------------------------------------------------------------------- only raster formats
@pytest.fixture
def no_program(monkeypatch):
    """Fails the test when Pillow is about to start Ghostscript."""

    def started(*arguments, **options):
        raise AssertionError("Ghostscript was started.")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)


@pytest.mark.parametrize("name", ["a.eps", "a.png", "a.jpg", "b/c.tiff"])
@pytest.mark.parametrize("data", [EPS, b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, len(EPS)) + bytes(20) + EPS])
def test_an_eps_file_under_any_name_starts_no_program(tmp_path, no_program, name, data):
    with pytest.raises(RefusedError, match=f"^{name} is no image that opens. PNG, JPEG, WEBP"):
        read_images([archive(tmp_path / "a.zip", {name: data})], "x")


def test_the_package_opens_no_eps_either(no_program):
    with pytest.raises(ImageError, match="is EPS, a drawing without pixels"):
        decode(EPS)


@pytest.mark.parametrize("format", ["TGA", "PCX", "SGI", "ICO", "JPEG2000", "DDS", "XBM", "IM"])
def test_a_format_that_is_not_listed_is_refused_under_the_name_of_one_that_is(tmp_path, format):
    if format == "XBM":
        data = b"#define a_width 8\n#define a_height 1\nstatic char a_bits[] = { 0x01 };\n"
    else:
        data = file_of(photo(), format)
        Image.open(io.BytesIO(data)).close()  # Pillow would open it
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(RefusedError, match=r"^a\.png is no image that opens"):
        read_images([tmp_path / "a.png"], "x")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM"])
def test_a_listed_format_is_opened_whatever_its_name(tmp_path, format):
    (tmp_path / "a.eps").write_bytes(file_of(photo(), format))
    assert read_images([tmp_path / "a.eps"], "x")[0]["bytes"] == file_of(photo(), format)


# ---------------------------------------------------------------------- tables that unpack to much
def repeated(path, value, rows):
    """A table whose one long value all rows share."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value]))
    parquet.write_table(pa.table({"text": column, "label": [0] * rows}), path, compression="zstd")
    return path


@pytest.mark.parametrize(("letters", "rows"), [(60_000, 500), (600_000, 50), (7_000, 20_000)])
def test_a_repeated_value_is_counted_before_it_is_repeated(tmp_path, monkeypatch, letters, rows):
    monkeypatch.setattr(limits, "MAX_UNPACKED", 20 * MEGABYTE)
    path = repeated(tmp_path / "a.parquet", "a" * letters, rows)
    assert path.stat().st_size < 100_000
    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    with pytest.raises(RefusedError, match=r"^a\.parquet unpacks to more than 20 MB\.$"):
        read_table(path)
    assert pa.total_allocated_bytes() - before < MEGABYTE
    assert limits._unpacked(pa.array(["a" * letters] * 3).dictionary_encode()) == 3 * (letters + 8)


def test_a_repeated_value_in_lists_and_structs_is_counted_too(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNPACKED", MEGABYTE)
    long = "a" * 20_000
    for name, value in (("list", [long, "b"]), ("struct", {"x": long, "y": "b"}), ("map", [(long, "b")])):
        kind = {"map": pa.map_(pa.string(), pa.string())}.get(name)
        parquet.write_table(pa.table({"text": pa.array([value] * 400, kind)}), tmp_path / f"{name}.parquet")
        with pytest.raises(RefusedError, match=f"{name}.parquet unpacks to more than 1 MB"):
            read_table(tmp_path / f"{name}.parquet")


def test_columns_of_any_type_come_back_as_they_were(tmp_path):
    table = pa.table(
        {
            "text": ["a", None, "b"], "label": [0, 1, None], "large": pa.array(["x", "y", None], pa.large_string()),
            "list": [["a", "a"], [], None], "struct": [{"b": b"1", "s": "z"}] * 3,
            "map": pa.array([[("k", "v")], [], None], pa.map_(pa.string(), pa.string())), "bytes": [b"\0", None, b"2"],
            "category": pa.array(["u", "v", "u"]).dictionary_encode(), "view": pa.array(["w", "", None], pa.string_view()),
        }
    )  # fmt: skip
    parquet.write_table(table, tmp_path / "a.parquet")
    read = read_table(tmp_path / "a.parquet")
    assert read.to_pydict() == table.to_pydict()
    assert read.schema.field("category").type == read.schema.field("view").type == pa.string()


# ---------------------------------------------------------------------- bounded memory
def bomb(folder, kind):
    """A file that would take more than a gigabyte."""
    if kind == "lists":  # a run of equal values and lengths is a few bytes, and no size in the file tells
        ones = pa.array(np.zeros(150_000_000, np.int8))
        column = pa.ListArray.from_arrays(pa.array([0, 150_000_000], pa.int32()), ones)
        parquet.write_table(pa.table({"text": ["a"], "list": column}), folder / "lists.parquet")
        return "table", folder / "lists.parquet"
    if kind == "members":
        with zipfile.ZipFile(folder / "members.zip", "w") as file:
            file.writestr("a.png", file_of(photo()))
        data = (folder / "members.zip").read_bytes()
        start = data.index(b"PK\1\2")
        entry, end = data[start : data.index(b"PK\5\6")], data[data.index(b"PK\5\6") :]
        many = 46 * 22_000  # entries of the directory, each of one and the same member
        directory = entry * many
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(directory), start, 0)
        (folder / "members.zip").write_bytes(data[:start] + directory + end)
        return "images", folder / "members.zip"
    return "images", tiled_tiff(folder / "tile.tif", 19_968, 19_968)


def tiled_tiff(path, width, height):
    """A TIFF of 100 x 100 pixels whose only tile is of another size."""
    tile = zlib.compress(bytes(width * height * 3), 9)
    tags = [
        (256, 4, 1, 100), (257, 4, 1, 100), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 2), (277, 3, 1, 3),
        (322, 4, 1, width), (323, 4, 1, height), (324, 4, 1, 8), (325, 4, 1, len(tile)),
    ]  # fmt: skip
    listed = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    tile += bytes(len(tile) % 2)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(tile)) + tile + listed)
    return path


def peak_of(task, path):
    """What the reader answers, and its peak of resident memory in megabytes, in a process of its own."""
    code = (
        "import sys; from hf_unlearnable.space import reader; reader.main();"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    given = {"path": str(path)} if task == "table" else {"paths": [str(path)], "label": "x"}
    done = subprocess.run(
        [sys.executable, "-c", code, task, str(path.with_suffix(".out"))], env={**os.environ, **reading._FRUGAL},
        input=json.dumps(given), capture_output=True, text=True,
    )  # fmt: skip
    answer, peak = done.stdout.splitlines()
    return json.loads(answer), int(peak) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds what a process allocates")
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lists", "members"])
def test_a_bomb_that_no_header_tells_of_ends_at_the_bound_and_is_named(tmp_path, kind):
    task, path = bomb(tmp_path, kind)
    assert path.stat().st_size < limits.MAX_UPLOAD
    answer, peak = peak_of(task, path)
    assert path.name in answer["refused"] and peak < reader.MEMORY / MEGABYTE + 150


@pytest.mark.parametrize(("width", "height"), [(8000, 4000), (20_480, 16), (16, 20_480)])
def test_a_tile_that_is_larger_than_its_image_counts(tmp_path, width, height):
    path = tiled_tiff(tmp_path / "a.tif", width, height)
    with pytest.raises(RefusedError, match=r"^a\.tif has more than 24 megapixels, or more than 20,000 on a side"):
        read_images([path], "x")


def test_small_tiles_count_together(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_PIXELS", 100_000)
    data = tiled_tiff(tmp_path / "a.tif", 256, 256).read_bytes()
    assert len(read_images([tmp_path / "a.tif"], "x")) == 1
    with pytest.raises(RefusedError, match="All images together have more than"):
        read_images([archive(tmp_path / "a.zip", {"a.tif": data, "b.tif": data})], "x")


def test_what_takes_much_memory_runs_one_at_a_time_and_may_read(tmp_path):
    running, most = [], []

    @reading.alone
    def work(number):
        running.append(number)
        most.append(len(running))
        rows = reading.read_table(path).num_rows
        running.remove(number)
        return rows

    path = repeated(tmp_path / "a.parquet", "a", 3)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3))) == [3, 3, 3]
    assert most == [1, 1, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds what a process allocates")
def test_reading_ends_at_the_bound_of_memory_and_names_the_file(tmp_path, monkeypatch):
    path = repeated(tmp_path / "large.parquet", "a" * 90_000_000, 1)
    assert reading.read_table(path).num_rows == 1
    monkeypatch.setitem(reading._FRUGAL, "HF_UNLEARNABLE_READER_MEMORY", "150")
    with pytest.raises(RefusedError, match=r"^large\.parquet: opening this takes more than the \d+ MB of memory"):
        reading.read_table(path)


def test_a_reader_that_crashes_ends_alone_and_names_the_file(tmp_path, monkeypatch):
    path = repeated(tmp_path / "a.parquet", "a", 1)
    (tmp_path / "sitecustomize.py").write_text("import os\nos.abort()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RefusedError, match=r"^a\.parquet: opening this takes more than .* or stops its reader"):
        reading.read_table(path)


# ---------------------------------------------------------------------- archives
@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_broken_member_is_refused_by_the_name_of_its_archive(tmp_path, kind):
    path = archive(tmp_path / "a.zip", {"a.png": bytes(50_000)}, kind)
    data = bytearray(path.read_bytes())
    data[45:60] = b"\xff" * 15
    path.write_bytes(bytes(data))
    with pytest.raises(RefusedError, match=r"^a\.zip is no zip archive that opens"):
        read_images([path], "x")


def test_an_archive_in_an_archive_is_not_opened(tmp_path):
    data = archive(tmp_path / "0.zip", {"a.png": file_of(photo())}).read_bytes()
    for depth in range(1, 30):
        data = archive(tmp_path / f"{depth}.zip", {"deeper.zip": data}).read_bytes()
    with pytest.raises(RefusedError, match="There are no images"):
        read_images([tmp_path / "29.zip"], "x")


def test_a_long_name_leaves_room_for_the_reason(tmp_path):
    name = "a/" + "x" * 3000 + ".png"
    with pytest.raises(RefusedError, match="xxx is no image that opens|….*is no image that opens") as refused:
        read_images([archive(tmp_path / "a.zip", {name: b"no"})], "x")
    assert len(str(refused.value)) < 300


# ---------------------------------------------------------------------- keys
@pytest.fixture(scope="module")
def owned(tmp_path_factory):
    """A folder with a protected table and its key, as the page gives them to download."""
    folder = tmp_path_factory.mktemp("owned")
    data = notes(200)
    cloak = transform("regtext", "Standard", text_column="text", label_column="label").fit(data)
    data.map(cloak, batched=True, keep_in_memory=True).to_parquet(folder / "protected.parquet")
    data.to_parquet(folder / "original.parquet")
    zip_key(cloak.key, folder / "regtext.key.zip")
    return folder


def test_a_table_is_restored_with_its_key(owned):
    columns, restored = reading.restored(str(owned / "regtext.key.zip"), str(owned / "protected.parquet"))
    assert columns == ["text"]
    assert restored[:] == Dataset(parquet.read_table(owned / "original.parquet"))[:]


def test_a_table_is_verified_with_its_key_and_another_is_not(owned):
    key = str(owned / "regtext.key.zip")
    said = reading.verified(key, [str(owned / "protected.parquet")], None)
    assert "of 200 rows carry this key's mark" in said and "Rows of this data were protected with this key" in said
    said = reading.verified(key, [str(owned / "original.parquet")], None)
    assert "There is no sign of this key" in said


def test_images_are_verified_and_not_restored(tmp_path):
    rows = [{"name": f"{i}.png", "label": "ab"[i % 2], "bytes": file_of(photo(i))} for i in range(12)]
    images = file_dataset(rows, "image")
    cloak = transform("texture", "Standard").fit(images)
    after = images.map(cloak, batched=True, keep_in_memory=True)
    path = archive(
        tmp_path / "a.zip", {f"{row['label']}/{i}.png": row["image"]["bytes"] for i, row in enumerate(after)}
    )
    key = str(zip_key(cloak.key, tmp_path / "texture.key.zip"))
    assert "of 12 rows carry this key's mark" in reading.verified(key, [str(path)], None)
    with pytest.raises(RefusedError, match="cannot be undone"):
        reading.restored(key, str(path))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.txt": b"x"}, "holds no key"), ({"k/key.json": b"{"}, "is damaged"), ({"k/key.json": b"[]"}, "is damaged"),
        ({"a/key.json": b"{}", "b/key.json": b"{}"}, "holds several keys"), ({"../key.json": b"{}"}, "points out"),
        ({"k/key.json": b'{"format": 99}'}, "has format 99"),
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused_by_its_name_and_no_path(tmp_path, owned, files, said):
    path = archive(tmp_path / "my.key.zip", files)
    with pytest.raises(RefusedError, match=said) as refused:
        reading.restored(str(path), str(owned / "protected.parquet"))
    assert "my.key.zip" in str(refused.value) and str(tmp_path) not in str(refused.value)
