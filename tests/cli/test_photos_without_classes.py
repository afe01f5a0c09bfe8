"""A flat folder of photos on the command line: clusters take the place of folders."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_unlearnable.cli import main
from hf_unlearnable.key import Key
from tests.examples import levels
from tests.image.models import tiny_model


@pytest.fixture
def album(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(12):
        Image.fromarray(levels(1, seed=number)[0]).save(f"photos/{number:02}.png")
    return Path("photos")


def protect(method, source, output, *options):
    return main(["protect", method, str(source), "--output", output, "--key", "k", "--quiet", *options])


def by_cluster(method):
    options = {"unlearnable-clusters": ["--max-steps", "2", "--epsilon", "16/255"]}.get(method, [])
    return ["--cluster-model", tiny_model(), "--num-clusters", "3", *options]


@pytest.mark.parametrize("method", ["unlearnable-clusters", "texture"])
def test_an_album_is_protected_and_a_later_photo_with_the_same_key(album, capsys, method):
    images = ["--format", "images"]
    assert protect(method, album, "out", *images, *by_cluster(method)) == 0, capsys.readouterr().err
    assert Key.load("k").tensors["cluster_members"].shape == (12,)
    later = Path("later")
    later.mkdir()
    Image.fromarray(levels(1, seed=99)[0]).save(later / "new.png")
    shutil.copy(album / "00.png", later)
    assert protect(method, later, "out-later", *images) == 0, capsys.readouterr().err
    assert Path("out-later/00.png").read_bytes() == Path("out/00.png").read_bytes()
    assert sorted(path.name for path in Path("out").glob("*.png")) == [f"{i:02}.png" for i in range(12)]
    for folder, source in (("out", album), ("out-later", later)):
        for path in Path(folder).glob("*.png"):
            before, after = (np.asarray(Image.open(one)).astype(int) for one in (source / path.name, path))
            assert 0 < np.abs(after - before).max() <= 16, path


def test_more_clusters_than_photos_are_told_in_a_sentence(album, capsys):
    assert protect("texture", album, "out", *by_cluster("texture"), "--num-clusters", "13") == 1
    assert "--num-clusters is 13, but only 12 images differ: give 2 to 12" in capsys.readouterr().err
    assert not Path("out").exists() and not Path("k").exists()
