"""What the page says of where it runs."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from hf_unlearnable.space import session as session_module
from hf_unlearnable.space.session import Session


def test_without_signing_in_the_page_says_where_it_runs_and_its_examples_stay(monkeypatch, tmp_path):
    gradio = pytest.importorskip("gradio")
    import datasets
    from gradio import route_utils

    from hf_unlearnable.space import build

    monkeypatch.setenv("HF_UNLEARNABLE_SPACE", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.delenv("OAUTH_CLIENT_ID", raising=False)
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    said = {}
    for where, space, host in (("hosted", "me/page", None), ("local", "", None), ("network", "", "0.0.0.0")):
        monkeypatch.setenv("SPACE_ID", space)
        page = build(host=host)
        blocks = list(page.blocks.values())
        assert not any(isinstance(block, gradio.LoginButton) for block in blocks)
        said[where] = " ".join(str(getattr(block, "value", "")) for block in blocks)
    datasets.enable_progress_bars()
    for where, words in said.items():
        assert ("takes a Space that you can sign in to" in words) == (where != "local")
        assert ("run this page there" in words) == (where != "local")
        assert ("it pushes with the token" in words) == (where == "local")
    # Given out, a recording would go through ffprobe and ffmpeg; taken in with a format, through ffmpeg.
    outputs = {block._id for function in page.fns.values() for block in function.outputs}
    (recorded,) = (block for block in blocks if isinstance(block, gradio.Audio))
    assert recorded._id not in outputs and (recorded.type, recorded.format, recorded.value) == ("filepath", None, None)
    kept = {
        block.elem_id: block.value for block in blocks if getattr(block, "elem_id", "") in ("slider", "difference")
    }
    monkeypatch.setattr(session_module, "LIFETIME", -1)
    Session("a later visitor").open()
    route_utils.delete_files_created_by_app(page, 0)
    paths = re.findall(r"'path': '([^']+)'", str(kept))
    assert len(paths) == 3 and all(Path(path).is_file() for path in paths)  # the examples are not a visitor's


@pytest.mark.parametrize("host", ["evil.example:7860", "127.0.0.1.evil.example", "10.0.0.5:7860", "localhost.example"])
def test_a_local_page_under_another_name_does_not_push(host):
    gradio = pytest.importorskip("gradio")
    from hf_unlearnable.space import publish

    request = SimpleNamespace(headers={"host": host}, session_hash="one")
    with pytest.raises(gradio.Error, match="at its own address"):
        publish._push("mine", "other", request)


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860"])
def test_a_local_page_without_a_token_says_how_to_get_one(host, monkeypatch):
    gradio = pytest.importorskip("gradio")
    import huggingface_hub

    from hf_unlearnable.space import publish

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(gradio.Error, match="hf auth login"):
        publish._push("mine", "other", SimpleNamespace(headers={"host": host}, session_hash="one"))


def test_importing_the_package_and_the_command_loads_no_gradio():
    import subprocess
    import sys

    code = "import sys, hf_unlearnable, hf_unlearnable.space; assert not {'gradio', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_soundfile_the_page_says_what_brings_it(monkeypatch):
    pytest.importorskip("gradio")
    from hf_unlearnable import _extras, space

    find = _extras.find_spec
    monkeypatch.setattr(_extras, "find_spec", lambda name: None if name == "soundfile" else find(name))
    with pytest.raises(ImportError, match='^soundfile not installed. Install the "space" extra'):
        space.build()
