"""The key: private on disk, whole or absent, and the source of every random draw."""

import json
import os
import secrets
import stat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable import key
from hf_unlearnable.key import Key, draw, draws, new_seed, row_stream


def make(**changes):
    fields = {"method": "regtext", "method_version": 1, "parameters": {"rate": 0.1}, "seed": 2**63 + 5,
              "state": {"labels": [0, "é", True], "words": [["a"], ["导演"], ["c"]]}}  # fmt: skip
    return Key(**{**fields, **changes})


def test_round_trip_with_tensors(tmp_path):
    key = make(tensors={"noise": np.arange(6, dtype=np.int8).reshape(2, 3)})
    loaded = Key.load(key.save(tmp_path / "deep" / "my.key"))
    assert (loaded.method, loaded.parameters, loaded.seed, loaded.state) == (
        key.method, key.parameters, key.seed, key.state
    )  # fmt: skip
    assert loaded.tensors["noise"].dtype == np.int8
    assert np.array_equal(loaded.tensors["noise"], key.tensors["noise"])


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_only_the_owner_may_read(tmp_path):
    before = os.umask(0)
    try:
        path = make(tensors={"t": np.zeros(2)}).save(tmp_path / "k")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}
    assert sorted(file.name for file in path.iterdir()) == ["key.json", "tensors.safetensors"]


def test_never_overwritten_and_nothing_left_behind(tmp_path):
    make().save(tmp_path / "k")
    before = (tmp_path / "k" / "key.json").read_bytes()
    with pytest.raises(FileExistsError, match="never overwritten"):
        make(seed=1).save(tmp_path / "k")
    with pytest.raises(TypeError):
        make(state={"not json": object()}).save(tmp_path / "other")
    assert (tmp_path / "k" / "key.json").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["k"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "damaged"),
        (lambda text: "[]", "damaged"),
        (lambda text: "{}", "damaged"),
        (lambda text: json.dumps({**json.loads(text), "format": 99}), "format 99"),
        (lambda text: json.dumps({**json.loads(text), "surprise": 1}), "damaged"),
    ],
)
def test_damaged_keys(tmp_path, damage, message):
    path = make().save(tmp_path / "k") / "key.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=message):
        Key.load(tmp_path / "k")


def test_damaged_tensors(tmp_path):
    path = make(tensors={"t": np.zeros(9)}).save(tmp_path / "k")
    (path / "tensors.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(ValueError, match="damaged"):
        Key.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(seed=c["seed"] + 1),
        lambda c: c["parameters"].update(rate=0.2),
        lambda c: c["state"]["words"][0].append("b"),
        lambda c: c["state"].update(more=[]),
        lambda c: c.update(package_version="0.1"),
        lambda c: c.update(checksum="0" * 32),
        lambda c: c.pop("checksum"),
        lambda c: c.update(format=1),
    ],
)
def test_a_key_that_was_changed_by_hand_is_refused(tmp_path, change):
    path = make().save(tmp_path / "k")
    contents = json.loads((path / "key.json").read_text())
    change(contents)
    (path / "key.json").write_text(json.dumps(contents))
    with pytest.raises(ValueError, match=f"The key {path} is damaged: .*Restore it from a copy."):
        Key.load(path)


def test_the_checksum_covers_the_tensors(tmp_path):
    path = make(tensors={"noise": np.arange(600, dtype=np.int8)}).save(tmp_path / "k")
    other = make(tensors={"noise": np.arange(600, dtype=np.int8) + np.int8(1)}).save(tmp_path / "other")
    for data in ((other / "tensors.safetensors").read_bytes(), (path / "tensors.safetensors").read_bytes()[:-1]):
        (path / "tensors.safetensors").write_bytes(data)
        with pytest.raises(ValueError, match="it is not what its checksum says"):
            Key.load(path)
    (path / "tensors.safetensors").unlink()
    with pytest.raises(ValueError, match="it is not what its checksum says"):
        Key.load(path)


@pytest.mark.parametrize(
    ("parameters", "state"),
    [({}, {}), ({"x": 1e-17, "y": float("inf")}, {"é": "导演", "n": None}), ({"t": (1, 2)}, {"s": "a\ud800b"[:1]})],
)
def test_any_key_passes_its_own_checksum(tmp_path, parameters, state):
    loaded = Key.load(make(parameters=parameters, state=state).save(tmp_path / "k"))
    assert loaded.parameters == json.loads(json.dumps(parameters)) and loaded.state == state
    assert loaded.path == tmp_path / "k"
    assert Key.load(loaded.save(tmp_path / "again")) == loaded


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
@pytest.mark.parametrize(("name", "mode"), [("", 0o755), ("key.json", 0o644), ("tensors.safetensors", 0o640)])
def test_a_key_that_others_can_read_is_warned_of_once(tmp_path, caplog, name, mode):
    path = make(tensors={"t": np.zeros(2)}).save(tmp_path / "k")
    Key.load(path)
    assert caplog.text == ""
    (path / name).chmod(mode)
    for _ in range(2):
        Key.load(path)
    assert [record.getMessage() for record in caplog.records] == [
        f"Others than its owner can read the key {path}. Run: chmod -R go-rwx '{path}'"
    ]
    assert str(2**63 + 5) not in caplog.text


def test_no_key_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a key"):
        Key.load(tmp_path)


def test_repr_is_silent():
    assert repr(make()) == "Key(method='regtext', secret=<hidden>)"


def test_splitmix64_known_answers():
    """The first outputs of the reference implementation for the seed 1234567."""
    stream = np.full(5, 1234567, np.uint64)
    assert draws(stream, np.arange(5, dtype=np.uint64)).tolist() == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821
    ]  # fmt: skip


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_one_draw_is_a_draw_of_many(stream, index):
    many = draws(np.array([stream, 0], np.uint64), np.array([index, 0], np.uint64))
    assert draw(stream, index) == int(many[0])


def test_streams_depend_on_content_and_seed():
    streams = {row_stream(content, seed) for content in (b"", b"a", b"b") for seed in (0, 1, 2**64 - 1)}
    assert len(streams) == 9
    values = draws(np.array([row_stream(b"%d" % i, 7) for i in range(4000)], np.uint64), np.zeros(4000, np.uint64))
    shares = np.bincount((values >> np.uint64(61)).astype(int), minlength=8) / 4000
    assert abs(shares - 1 / 8).max() < 0.03


def test_fresh_seeds_differ(monkeypatch):
    monkeypatch.setattr(key, "secrets", secrets)  # and not what the suite draws from
    assert len({new_seed() for _ in range(100)}) == 100
