"""What the page takes of memory: under hostile files from several visitors at once, and over many requests."""

import contextlib
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.image.files import file_of
from tests.space.conftest import served
from tests.space.files import archive, huge_png, photo
from tests.space.test_hostile import bomb, repeated

gradio_client = pytest.importorskip("gradio_client", reason="gradio is not installed: the Space is not tested here")
psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.slow


def resident(process):
    """Megabytes that a process and each of its children have in memory, pages that they share counted for each."""
    found = []
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(one.memory_info().rss / 2**20)
    return found


class Peak:
    """The most that a process and its children had in memory inside `with`, looked at every 20 ms."""

    def __init__(self, pid):
        self.process, self.parts, self._done = psutil.Process(pid), [], threading.Event()

    @property
    def megabytes(self):
        return sum(self.parts)

    def _look(self):
        while not self._done.wait(0.02):
            self.parts = max(self.parts, resident(self.process), key=sum)

    def __enter__(self):
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()


@pytest.fixture(scope="module")
def local(hub, tmp_path_factory):
    with served(hub, tmp_path_factory.mktemp("served")) as page:
        yield page


def hostile(folder):
    """Files, the function that takes each, and what it says of it."""
    repeated(folder / "repeated.parquet", "a" * 5_000_000, 20_000)  # 100 GB unpacked
    archive(folder / "many.zip", {f"{i}.png": b"" for i in range(20_000)})
    nested = archive(folder / "nested.zip", {"a.png": bytes(200_000_000)}, 8)
    archive(folder / "deep.zip", {f"{'a/' * 500}b.zip": nested.read_bytes()})
    (folder / "huge.png").write_bytes(huge_png(60_000, 60_000))
    cases = [("attack", folder / "repeated.parquet", "unpacks to more than 100 MB")]
    cases += [("image", folder / "many.zip", "holds 20,000 files"), ("image", folder / "deep.zip", "no images")]
    cases += [("image", nested, "unpacks to more than 100 MB"), ("image", folder / "huge.png", "megapixels")]
    for kind in ("lists", "members", "tile"):
        task, path = bomb(folder, kind)
        cases.append(({"table": "attack", "images": "image"}[task], path, path.name))
    return cases


def test_hostile_files_of_several_visitors_at_once_take_under_1500_megabytes(local, tmp_path):
    # What takes most of all that is taken: as many pixels as may be, transparent; as many bytes as may be.
    noise = np.random.default_rng(0).integers(0, 255, (4890, 4900, 4), np.uint8)
    Image.fromarray(noise).save(tmp_path / "largest.webp", quality=60, method=0)
    del noise
    archive(tmp_path / "padded.zip", {f"{i}/a.png": file_of(photo(i)) + bytes(49_000_000) for i in range(2)}, 8)

    def visit(case):
        function, path, said = case
        visitor = local.client()
        given = gradio_client.handle_file(path)
        arguments = (given, "mine", "texture", "Standard") if function == "image" else ("notes", "none", given)
        try:
            found = visitor.predict(*arguments, api_name="/protect_image" if function == "image" else "/attack")
        except gradio_client.exceptions.AppError as error:
            return said is not None and re.search(said, str(error)), (path.name, str(error))
        return said is None and found[1]["images"] == (2 if path.suffix == ".zip" else 1), found

    cases = [
        *hostile(tmp_path),
        *[("image", tmp_path / name, None) for name in ("largest.webp", "padded.zip", "largest.webp")],
    ]
    with Peak(local.process.pid) as peak, ThreadPoolExecutor(len(cases)) as pool:
        for right, said in pool.map(visit, cases):
            assert right, said
    parts = " + ".join(f"{part:.0f}" for part in peak.parts)
    print(f"peak of {peak.megabytes:.0f} MB: the server and its children {parts}")  # noqa: T201
    assert peak.megabytes < 1500


def test_two_hundred_requests_do_not_grow(local, tmp_path):
    process = psutil.Process(local.process.pid)
    path = Path(tmp_path, "a.png")
    path.write_bytes(file_of(photo(0, 200, 200)))
    text = "The moon rose swollen and orange over the water tower, and everyone came out. " * 8
    after = {}
    for number in range(10, 201, 10):  # of the requests so far, when a visitor leaves who made ten
        visitor = local.client()
        for _ in range(2):
            for _ in range(4):
                visitor.predict(text, "sky", "regtext", "Standard", api_name="/protect_text")
            given = gradio_client.handle_file(path)
            visitor.predict(given, "mine", "texture", "Standard", api_name="/protect_image")
        visitor.close()
        if number in (50, 200):
            time.sleep(1)
            after[number] = sum(resident(process))
    print(f"after 50 requests {after[50]:.0f} MB, after 200 {after[200]:.0f} MB")  # noqa: T201
    assert after[200] - after[50] < 60
