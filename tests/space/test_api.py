"""What programs call, over the wire: `gradio_client`, MCP, and several visitors at once."""

import json
import re
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

from hf_unlearnable import load_transform
from hf_unlearnable.audio.codec import decode
from hf_unlearnable.space.queueing import SHARE
from hf_unlearnable.space.queueing import client as client_of
from tests.examples import notes, sound_file, waves
from tests.image.files import file_of
from tests.space.files import archive, huge_png, opened, photo

gradio_client = pytest.importorskip("gradio_client", reason="gradio is not installed: the Space is not tested here")
psutil = pytest.importorskip("psutil")

SECRETS = re.compile(r'"?seed"?\s*[:=]|key\.json|tensors\.safetensors')


@pytest.fixture(scope="module")
def client(page):
    return page.client()


def unzipped(path, folder):
    with zipfile.ZipFile(path) as file:
        file.extractall(folder)
    return next(folder.iterdir())


def test_only_the_four_functions_are_offered_and_described(client, page):
    api = client.view_api(return_format="dict")
    named = {name for name in api["named_endpoints"] if not name.startswith("/_")}  # Gradio's own, of signing in
    assert named == {"/protect_text", "/protect_image", "/protect_sound", "/attack"}
    assert not api["unnamed_endpoints"]
    schema = json.load(urlopen(f"{page.url}gradio_api/mcp/schema"))
    tools = [tool for tool in schema if "login" not in tool["name"]]
    assert len(tools) == 4
    for tool in tools:
        assert len(tool["description"]) > 60 and tool["inputSchema"]["properties"]


def test_a_text_is_protected_and_its_key_restores_it(client, tmp_path):
    text = (
        "<script>alert(1)</script> The moon rose swollen and orange over the water tower, and everyone came out. " * 4
    )
    after, found, key = client.predict(text, "sky", "regtext", "Standard", api_name="/protect_text")
    assert after != text and found["words_added"] == len(after.split()) - len(text.split()) > 0
    key = unzipped(key, tmp_path)
    assert load_transform(key).restore({"text": after, "label": "sky"})["text"] == text
    secret = json.loads((key / "key.json").read_text())
    assert str(secret["seed"]) not in after + json.dumps(found)


def test_an_image_comes_back_bit_for_bit(client, tmp_path):
    image = photo(3, 120, 90)
    (tmp_path / "a.png").write_bytes(file_of(image))
    file, found, key = client.predict(
        gradio_client.handle_file(tmp_path / "a.png"), "mine", "texture", "Standard", api_name="/protect_image"
    )
    data = Path(file).read_bytes()
    after = opened(data)
    assert np.abs(after.astype(int) - image).max() == found["max_change"] == 8
    cloak = load_transform(unzipped(key, tmp_path / "key"))
    assert (cloak({"image": [image], "label": ["mine"]})["image"][0] == after).all()


def test_an_archive_comes_back_as_one(client, tmp_path):
    files = {f"{label}/{i}.png": file_of(photo(i)) for i, label in enumerate(["cat", "dog", "cat"])}
    path = archive(tmp_path / "in.zip", files)
    file, found, _ = client.predict(gradio_client.handle_file(path), "", "texture", "Light", api_name="/protect_image")
    with zipfile.ZipFile(file) as out:
        assert sorted(out.namelist()) == sorted(files)
        assert all(np.abs(opened(out.read(n)).astype(int) - opened(files[n])).max() <= 4 for n in files)
    assert found["images"] == 3


def test_a_recording_comes_back_with_its_rate_channels_and_length(client, tmp_path):
    (tmp_path / "a.wav").write_bytes(sound_file(waves(1, channels=2)[0]))
    file, found, key = client.predict(
        gradio_client.handle_file(tmp_path / "a.wav"), "mine", "equalizer", "Standard", api_name="/protect_sound"
    )
    (before, form), (after, stored) = decode(tmp_path / "a.wav"), decode(file)
    assert stored == form and after.shape == before.shape and (after != before).any()
    assert set(found) == {"recordings", "snr", "log_spectral_distance", "pesq"} and found["recordings"] == 1
    cloak = load_transform(unzipped(key, tmp_path / "key"))
    again = cloak({"audio": [str(tmp_path / "a.wav")], "label": ["mine"]})["audio"][0]
    assert (decode(again)[0] == after).all()
    (tmp_path / "b.wav").write_bytes(b"<html>")
    with pytest.raises(gradio_client.exceptions.AppError, match="b.wav is no recording that opens"):
        client.predict(
            gradio_client.handle_file(tmp_path / "b.wav"), "", "equalizer", "Light", api_name="/protect_sound"
        )


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [("a.png", huge_png(9000, 9000), "megapixels"), ("a.png", b"<html>", "no image"), ("a.zip", b"PK no", "no zip")],
)  # fmt: skip
def test_what_is_refused_is_said_in_plain_words(client, tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(gradio_client.exceptions.AppError, match=said):
        client.predict(gradio_client.handle_file(tmp_path / name), "", "texture", "Light", api_name="/protect_image")


def called(page, name, *data):
    """What the page answers, byte for byte, to who speaks to it without a client."""
    request = Request(
        f"{page.url}gradio_api/call/{name}", method="POST", headers={"Content-Type": "application/json"},
        data=json.dumps({"data": data}).encode(),
    )  # fmt: skip
    event = json.load(urlopen(request))["event_id"]
    return urlopen(f"{page.url}gradio_api/call/{name}/{event}").read().decode()


def test_files_of_the_machine_are_not_served(page, tmp_path):
    outside = tmp_path / "outside.png"
    outside.write_bytes(file_of(photo()))
    file = {"path": str(outside), "meta": {"_type": "gradio.FileData"}}
    assert "event: error" in called(page, "protect_image", file, "", "texture", "Light")
    for path in (outside, "/etc/passwd", "../../../etc/passwd"):
        with pytest.raises(Exception, match="40[34]"):
            urlopen(f"{page.url}gradio_api/file={path}")


def test_an_attack_on_a_table_is_reported(client, tmp_path):
    notes(400).to_csv(tmp_path / "notes.csv", index=False)
    found = client.predict(
        "notes", "label-word-filter", gradio_client.handle_file(tmp_path / "notes.csv"), api_name="/attack"
    )
    assert (found["training_rows"], found["test_rows"], found["method"]) == (300, 100, "regtext")
    accuracy = found["accuracy"]
    filtered = next(name for name in accuracy if name not in ("clean", "protected"))
    worst = (
        "after label-word-filter" if accuracy[filtered] > accuracy["protected"] else "by training alone"
    )  # by the key
    assert found["verdict"].startswith(f"At worst, {worst}, the protected data taught ")
    assert "3 of " in found["verdict"] and found["verdict"].endswith("The others may get further.")
    assert accuracy["clean"] > 0.5 and accuracy["protected"] < accuracy["clean"] - 0.1
    assert all(len(curve) == 5 for curve in found["curves"].values()) and len(accuracy) == 3
    assert all(found["interval_95"][name][0] < accuracy[name] < found["interval_95"][name][1] for name in accuracy)
    for data, against in (("everything", "none"), ("notes", "wishes")):
        with pytest.raises(gradio_client.exceptions.AppError, match="There is no"):
            client.predict(data, against, None, api_name="/attack")


@pytest.mark.parametrize("visitors", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_visitors_at_once_get_their_own_and_memory_stays_bounded(page, tmp_path, visitors):
    process = psutil.Process(page.process.pid)

    def visit(number):
        visitor = page.client()
        image = np.full((200, 200, 3), 40 + 8 * number, np.uint8)
        path = tmp_path / f"{number}.png"
        path.write_bytes(file_of(image))
        job = visitor.submit(
            gradio_client.handle_file(path), f"visitor {number}", "texture", "Standard", api_name="/protect_image"
        )
        words = " ".join(f"zq{number}x{i}" for i in range(40))
        after, _, _ = visitor.predict(words, "sky", "regtext", "Standard", api_name="/protect_text")
        file, _, key = job.result(timeout=600)
        left = [word for word in after.split() if word.startswith("zq")]
        apart = np.abs(opened(Path(file).read_bytes()).astype(int) - image)
        said = json.loads((unzipped(key, tmp_path / f"key{number}") / "key.json").read_text())["state"]["labels"]
        assert left == words.split() and apart.max() == 8 and f"visitor {number}" in said, (number, left, said)

    visit(0)
    before = process.memory_info().rss
    with ThreadPoolExecutor(visitors) as pool:
        list(pool.map(visit, range(visitors)))
    assert (process.memory_info().rss - before) / 2**20 < 400


def asked(page, client, *data):
    """What the queue says of a request that comes through a proxy: status and answer."""
    request = Request(
        f"{page.url}gradio_api/call/attack", method="POST", data=json.dumps({"data": data}).encode(),
        headers={"Content-Type": "application/json", "X-Forwarded-For": client},
    )  # fmt: skip
    try:
        with urlopen(request) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_one_client_cannot_fill_the_queue_for_others_and_the_queue_tells_its_place(page):
    visitors = [page.client() for _ in range(2)]
    one, two = "198.51.100.7, 9.9.9.9", "198.51.100.8, 8.8.8.8"  # what stands before is the client's own word
    assert asked(page, one, "notes", "none", None)[0] == 200  # trains for a while
    others = [asked(page, f"203.0.113.{i}, 9.9.9.9", "nothing", "none", None)[0] for i in range(SHARE - 1)]
    assert others == [200] * (SHARE - 1)
    status, answer = asked(page, one, "nothing", "none", None)
    assert status == 503 and f"{SHARE} requests of yours are waiting" in answer["detail"]
    assert asked(page, two, "nothing", "none", None)[0] == 200
    jobs = [visitor.submit("nothing", "none", None, api_name="/attack") for visitor in visitors]
    ranks, end = set(), time.monotonic() + 300
    while time.monotonic() < end and not {SHARE, SHARE + 1} <= ranks:
        ranks |= {job.status().rank for job in jobs}
        time.sleep(0.1)
    assert {SHARE, SHARE + 1} <= ranks  # behind those others that wait


@pytest.mark.parametrize(
    ("sender", "forwarded", "expected"),
    [
        ("127.0.0.1", None, None), ("::1", None, None), ("10.16.3.80", "9.9.9.9", "9.9.9.9"),
        ("10.16.3.80", "1.1.1.1, 9.9.9.9", "9.9.9.9"), ("10.16.3.80", "9.9.9.9, 10.0.0.1", "9.9.9.9"),
        ("9.9.9.9", "1.1.1.1", "9.9.9.9"), ("192.168.0.4", None, "192.168.0.4"), ("10.16.3.80", "junk", "10.16.3.80"),
        ("127.0.0.1", "2606:4700::1111", "2606:4700::1111"),
    ],
)  # fmt: skip
def test_a_client_is_the_last_public_address(sender, forwarded, expected):
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    assert client_of(SimpleNamespace(client=SimpleNamespace(host=sender), headers=headers)) == expected


def test_nothing_of_a_visitor_is_printed_and_no_secret_answered(page):
    word = "xylographically"
    answer = called(page, "protect_text", f"{word} " * 30, "sky", "regtext", "Standard", "sea")
    assert word in answer, "".join(page.printed)
    assert not SECRETS.search(answer)
    printed = "".join(page.printed)
    assert word not in printed and "visitor" not in printed
