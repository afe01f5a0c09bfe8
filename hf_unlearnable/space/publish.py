"""The publish tab: first what would leave, then one push to the visitor's own account, private."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import gradio as gr

from .limits import RefusedError
from .page import caption, told
from .reading import ALONE
from .session import Session

if TYPE_CHECKING:
    from hf_unlearnable.publish import Published

LOOPBACK = ("127.0.0.1", "localhost", "::1")  # addresses that only this machine reaches
_LICENSES = ["none named", "cc-by-nc-nd-4.0", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "other"]
_NO_ACCOUNT = (
    "Publishing from here takes a Space that you can sign in to. This one runs without, so nothing can be pushed; the "
    "look at what would leave works all the same. On your own machine, download the data and the key, and then: "
    "<code>hf-unlearnable publish --help</code>"
)
_LOCAL = (
    "This page runs on your machine: it pushes with the token that <code>hf auth login</code> saved, to your own "
    "account or to an organisation that you name, as in <code>my-team/my-data</code>."
)


def tab(oauth: bool, local: bool) -> None:
    """The tab's components and what happens when they are used.

    Args:
        oauth: Whether visitors can sign in with Hugging Face.
        local: Whether only the machine's owner can open the page, so that it may use the token that is saved there.
    """
    with gr.Row():
        with gr.Column(min_width=300):
            caption(
                "What you protected last goes to your own account as a private dataset, with a card that says what "
                "was done and what that does not do. The originals and the key stay here until you leave."
            )
            if oauth:
                gr.LoginButton("Sign in with Hugging Face", elem_id="sign-in")
            else:
                gr.HTML(f'<p class="notice">{_LOCAL if local else _NO_ACCOUNT}</p>')
            name = gr.Textbox("my-protected-data", label="Name of the dataset", max_length=96)
            terms = gr.Dropdown(_LICENSES, value=_LICENSES[0], label="License", filterable=False)
            look = gr.Button("Look at what would leave", variant="primary")
            push = gr.Button("Push it, private", interactive=False, visible=oauth or local)
        with gr.Column(min_width=300):
            found = gr.HTML(elem_id="publish-found")
            with gr.Accordion("The card, as it would be published", open=True, visible=False) as card_box:
                card = gr.Markdown(elem_id="card", sanitize_html=True)
            caption(
                "<b>Before that,</b> every file is searched for clean copies, the key and secrets, and every image is "
                "opened again. What is published can be copied by all who may see it: keep it private, or gate it, "
                "until you are sure."
            )
    look.click(
        _look_signed_in if oauth else _look, [name, terms], [found, card_box, card, push], api_visibility="private"
    )
    if oauth or local:
        push.click(
            _push_signed_in if oauth else _push, [name, terms], [found, push], api_visibility="private",
            concurrency_limit=2,
        )  # fmt: skip


def published(session: Session, repo_id: str, license: str, **where: Any) -> Published:
    """Publishes what was protected last, or shows what that would be.

    Args:
        session: Whose data it is.
        repo_id: Name of the dataset, with or without its owner.
        license: One of those offered.
        where: `dry_run`, or `token` and `private`, of `push_protected`.
    """
    from hf_unlearnable.publish import push_protected

    _, *kept = session.last()
    for name, feature in kept[0].features.items():
        if getattr(feature, "decode", True) is False:  # kept as files; the published dataset opens them
            kept = [data.cast_column(name, replace(feature, decode=True)) for data in kept]
    original, protected = kept
    return push_protected(
        protected, repo_id, key=session.key, original=original,
        license=None if license == _LICENSES[0] else license, **where,
    )  # fmt: skip


@told
def _look_signed_in(name: str, license: str, request: gr.Request, profile: gr.OAuthProfile | None) -> tuple[Any, ...]:
    return _seen(f"{profile.username}/{name.strip()}" if profile else name, name, license, request)


@told
def _look(name: str, license: str, request: gr.Request) -> tuple[Any, ...]:
    return _seen(name.strip(), name, license, request)


def _seen(repo_id: str, name: str, license: str, request: gr.Request) -> tuple[Any, ...]:
    if not name.strip():
        raise RefusedError("The dataset needs a name.")
    session = Session(request.session_hash).open()
    folder = Path(tempfile.mkdtemp(dir=session.private))
    try:
        with ALONE:
            seen = published(session, repo_id, license, dry_run=folder / "dry")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    (session.private / "seen").write_text(name.strip())
    files = {**seen.files, "README.md": len(seen.card.encode())}
    rows = "".join(f"<tr><td>{escape(path)}</td><td>{size:,} bytes</td></tr>" for path, size in files.items())
    said = (
        "<h2>Nothing was found that should stay at home. These files would leave:</h2>"
        f"<table><tr><th>file</th><th>size</th></tr>{rows}</table>"
    )
    return said, gr.update(visible=True), _body(seen.card), gr.update(interactive=True)


def _body(card: str) -> str:
    """The card without its YAML header, which a visitor of the Hub does not see either."""
    return card.split("---\n", 2)[-1] if card.startswith("---\n") else card


@told
def _push_signed_in(
    name: str, license: str, request: gr.Request, profile: gr.OAuthProfile | None, token: gr.OAuthToken | None
) -> tuple[Any, ...]:
    if token is None or profile is None:
        raise RefusedError("Sign in first: the dataset goes to your own account.")
    return _pushed(f"{profile.username}/{name.strip()}", name, license, request, token.token)


@told
def _push(name: str, license: str, request: gr.Request) -> tuple[Any, ...]:
    from huggingface_hub import get_token

    # Another page in this browser may have its own name lead here, and would act as if it were this page.
    if urlsplit(f"//{request.headers['host']}").hostname not in LOOPBACK:
        raise RefusedError(f"Open this page at its own address, http://{LOOPBACK[0]}, to push with your token.")
    token = get_token()
    if token is None:
        raise RefusedError("There is no token on this machine. Run this in a terminal first: hf auth login")
    return _pushed(name.strip(), name, license, request, token)


def _pushed(repo_id: str, name: str, license: str, request: gr.Request, token: str) -> tuple[Any, ...]:
    session = Session(request.session_hash).open()
    seen = session.private / "seen"
    if not seen.is_file() or seen.read_text() != name.strip():
        raise RefusedError("Look at what would leave first.")
    done = published(session, repo_id, license, private=True, token=token)
    seen.unlink()
    address = f"{getattr(done.commit, 'commit_url', '') or ''}".split("/commit/")[0]
    link = f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(done.repo_id)}</a>'
    return f"<h2>Pushed, private: {link}</h2><p>Keep the key: download it in the first three tabs.</p>", gr.update(
        interactive=False
    )
