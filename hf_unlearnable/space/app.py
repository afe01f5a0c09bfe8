"""The page: six tabs, four functions for programs, and how it is started."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr

from hf_unlearnable._version import __version__

from . import guide, image, owner, proof, publish, sound, text, typed
from .limits import MAX_UPLOAD, MEGABYTE
from .page import STYLE, theme, told
from .protection import OTHERS, STRENGTHS, methods
from .queueing import share
from .reading import alone, read_images, read_recordings
from .session import LIFETIME, Session, zip_files, zip_key
from .training import BASES, NONE

_FOOTER = (
    '<p class="footer">What you bring stays yours: it is deleted when you close this page, or an hour later, and '
    "nothing is logged. {} Version {}, Apache-2.0.</p>"
)
_HOSTED = (
    "The key is made here and shown to no one else. For data that must not leave your machine, run this page there: "
    '<code>pip install "hf-unlearnable[attack,image,space]"</code>, <code>hf-unlearnable space</code>.'
)
_LOCAL = "This page runs on your machine, and nothing leaves it but what you push."
# What Gradio leaves out for screen readers: the page's language, and names for buttons that show a picture only.
_HEAD = """
<script>
document.documentElement.lang = "en";
new MutationObserver(() => {
  const all = (chosen, change) => document.querySelectorAll(chosen).forEach(change);
  all("button:not([aria-label]):not([title]):not([aria-labelledby])", (one) => {
    if (!one.textContent.trim()) one.setAttribute("aria-label", one.querySelector("input") ? "Upload" : "Remove");
  });
  all("button[aria-label^='common.']", (one) => one.setAttribute("aria-label", "Upload"));
  all(".toast-header[role=button]", (one) => { one.removeAttribute("role"); one.removeAttribute("tabindex"); });
  all("div[aria-label='Empty value']", (one) => one.setAttribute("role", "img"));
}).observe(document, { subtree: true, childList: true });
</script>
"""


def build(oauth: bool | None = None, host: str | None = None) -> gr.Blocks:
    """The page.

    Args:
        oauth: Whether visitors can sign in with Hugging Face; None for where a Space offers that.
        host: Address that it will listen on; None for this machine alone, or what a Space says.
    """
    host = host or os.getenv("GRADIO_SERVER_NAME") or publish.LOOPBACK[0]
    local = host in publish.LOOPBACK and not os.getenv("SPACE_ID")
    oauth = bool(os.getenv("SPACE_ID") and os.getenv("OAUTH_CLIENT_ID")) if oauth is None else oauth
    # Loaded now, so that the first visitor does not wait for it.
    import datasets
    import polars  # noqa: F401

    datasets.disable_progress_bars()
    _keep_no_memory()
    with gr.Blocks(title="Unlearnable", analytics_enabled=False, delete_cache=(60, LIFETIME)) as page:
        gr.HTML(guide.header())
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            with gr.Tab("Text", id="text"):
                text.tab()
            with gr.Tab("Image", id="image"):
                image.tab()
            with gr.Tab("Sound", id="sound"):
                sound.tab()
            with gr.Tab("Proof", id="proof"):
                proof.tab()
            with gr.Tab("Publish", id="publish"):
                publish.tab(oauth, local)
            with gr.Tab("Key", id="key"):
                owner.tab()
        gr.HTML(guide.limits(), elem_classes="guide")
        gr.HTML(_FOOTER.format(_LOCAL if local else _HOSTED, __version__))
        _functions()
        page.unload(_forget)
    page.queue(max_size=64, default_concurrency_limit=4)
    share(page._queue)
    return page


def _keep_no_memory() -> None:
    """Has this process give freed memory back: pyarrow and glibc keep hundreds of megabytes of it otherwise."""
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        # M_MMAP_THRESHOLD: fixed, where it would rise to 32 MB with what is freed. Less stays in a heap with holes.
        ctypes.CDLL(None).mallopt(-3, MEGABYTE)


def _forget(request: gr.Request) -> None:
    Session(request.session_hash).forget()


def _functions() -> None:
    """What `gradio_client` and MCP clients call. The components only say what goes in and out: nobody sees them."""

    def choice(names: Iterable[str], label: str) -> gr.Dropdown:
        # A value that is none of them reaches our own check: Gradio's would write it to the log.
        return gr.Dropdown(list(names), value=next(iter(names)), label=label, allow_custom_value=True)

    with gr.Column(visible=False):
        words, topic, others = gr.Textbox(label="text"), gr.Textbox(label="label"), gr.Textbox(OTHERS, label="others")
        file, label = gr.File(label="image"), gr.Textbox("mine", label="label")
        text_method, image_method, sound_method = (
            choice(methods(one), "method") for one in ("text", "image", "audio")
        )
        strength = choice(STRENGTHS, "strength")
        data, against, own = choice(BASES, "data"), gr.Textbox(NONE, label="countermeasure"), gr.File(label="file")
        protected, found, key = gr.Textbox(label="protected"), gr.JSON(label="found"), gr.File(label="key")
        recording, changed = gr.File(label="recording"), gr.File(label="protected")
        run = gr.Button()
    run.click(
        protect_text, [words, topic, text_method, strength, others], [protected, found, key], api_name="protect_text",
        concurrency_limit=2, concurrency_id="protect",
    )  # fmt: skip
    run.click(
        protect_image, [file, label, image_method, strength], [changed, found, key], api_name="protect_image",
        concurrency_limit=2, concurrency_id="protect",
    )  # fmt: skip
    run.click(
        protect_sound, [recording, label, sound_method, strength], [changed, found, key], api_name="protect_sound",
        concurrency_limit=2, concurrency_id="protect",
    )  # fmt: skip
    run.click(
        attack, [data, against, own], found, api_name="attack", concurrency_limit=1, concurrency_id="train"
    )  # fmt: skip


@told
def protect_text(
    words: str, label: str, method: str, strength: str, others: str, request: gr.Request
) -> tuple[str, dict[str, Any], str]:
    """Protects a text: puts rare words into it that tell its class, so that a model learns these and not the text.

    Every call draws a new key. Texts that belong together need one key: protect a table, or use that key at home.

    Args:
        words: The text, at most 20,000 letters.
        label: Its class: any name, such as a topic or an author.
        method: Name of the method: regtext.
        strength: Light, Standard or Strong.
        others: Names of the other classes that the key is for, with commas between them.

    Returns:
        The protected text; how many words were put in; the secret key as a zip archive, to be kept from others.
    """
    done = typed.protect_one(words, label, method, strength, others)
    change, session = done.change, Session(request.session_hash).open()
    found = {"words": change.words, "words_added": change.added, "edit_rate": round((change.edit_rate or 0) / 100, 4)}
    return done.after, found, str(zip_key(done.key, session.served / f"{method}.key.zip"))


@told
@alone
def protect_image(
    file: str, label: str, method: str, strength: str, request: gr.Request
) -> tuple[str, dict[str, Any], str]:
    """Protects an image, or a zip archive with a folder of images for each class: lays a fine grain over them.

    Args:
        file: The image or archive.
        label: Class of an image that is in no folder.
        method: Name of the method, such as texture.
        strength: Light, Standard or Strong.

    Returns:
        The protected image as a lossless PNG, or an archive of them; largest change of a level, PSNR and SSIM; the
        secret key as a zip archive, to be kept from others.
    """
    from .protection import safe_names

    session = Session(request.session_hash).open()
    session.uploaded(*[file] if file else [])
    rows = read_images([file] if file else [], label)
    _, after, change, secret = image.protect_images(rows, method, strength)
    values = [value["bytes"] for value in after["image"][:]]
    if len(values) == 1:
        path = session.served / f"{Path(next(safe_names(rows))).stem}-protected.png"
        path.write_bytes(values[0])
    else:
        path = zip_files(dict(zip(safe_names(rows), values, strict=True)), session.served / "protected.zip")
    found = {"images": change.images, "max_change": change.max_change, "psnr": change.psnr, "ssim": change.ssim}
    return str(path), found, str(zip_key(secret, session.served / f"{method}.key.zip"))


@told
@alone
def protect_sound(
    file: str, label: str, method: str, strength: str, request: gr.Request
) -> tuple[str, dict[str, Any], str]:
    """Protects a recording, or a zip archive with a folder of recordings for each class: changes their sound a little.

    Args:
        file: The recording (WAV, FLAC, Ogg, AIFF or MP3) or archive.
        label: Class of a recording that is in no folder.
        method: Name of the method, such as equalizer.
        strength: Light, Standard or Strong.

    Returns:
        The protected recording as lossless FLAC or WAV, or an archive of them; signal-to-noise ratio and
        log-spectral distance in decibels, and PESQ where it can be measured; the secret key as a zip archive, to be
        kept from others.
    """
    session = Session(request.session_hash).open()
    session.uploaded(*[file] if file else [])
    rows = read_recordings([file] if file else [], label)
    _, after, change, secret = sound.protect_recordings(rows, method, strength)
    path, _ = sound.written(rows, after, session.served)
    found = {name: getattr(change, name) for name in ("recordings", "snr", "log_spectral_distance", "pesq")}
    return str(path), found, str(zip_key(secret, session.served / f"{method}.key.zip"))


@told
def attack(
    data: str, countermeasure: str, own: str | None = None, request: gr.Request | None = None
) -> dict[str, Any]:
    """Attacks a protection: trains a model on clean and on protected data, and tells how well each does on clean rows.

    Args:
        data: notes (texts) or digits (images); a file counts before it.
        countermeasure: What the attacker does to the protected data first, such as label-word-filter (texts) or
            jpeg-10 (images), or none.
        own: Instead of the samples, a CSV or Parquet table with texts and classes, or a zip archive with a folder of
            images for each class. It is protected with the usual method and then attacked.

    Returns:
        The verdict in words, accuracy on clean held-out rows after each training with its 95 % interval, and that of
        a guess.
    """
    session = Session(request.session_hash if request else None).open()
    session.uploaded(*[own] if own else [])
    return proof.accuracies(data, own, countermeasure, session)


def launch(
    host: str | None = None, port: int | None = None, *, oauth: bool | None = None, prevent_thread_lock: bool = False
) -> gr.Blocks:
    """Starts the page and, unless told otherwise, serves it until it is stopped.

    Args:
        host: Address to listen on; None for this machine alone, or what a Space says.
        port: Port; None for the first free one from 7860 on.
        oauth: As for `build`.
        prevent_thread_lock: Whether to come back at once, with the page served by a thread.

    Returns:
        The page, served: `page.local_url` is its address.
    """
    page = build(oauth, host)
    page.launch(
        server_name=host, server_port=port, prevent_thread_lock=prevent_thread_lock, theme=theme(), css_paths=[STYLE],
        head=_HEAD, max_file_size=MAX_UPLOAD, footer_links=["api"], ssr_mode=False, share=False,
        mcp_server=find_spec("mcp") is not None, enable_monitoring=False, run_history=False, quiet=prevent_thread_lock,
    )  # fmt: skip
    return page
