"""The tab for what a key is good for after protecting: restoring the originals, and verifying whose data it is."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

from hf_unlearnable.audio.files import RECORDINGS
from hf_unlearnable.ownership import verify
from hf_unlearnable.protection import restore

from .limits import RefusedError
from .page import caption, downloads, told
from .protection import inert_csv
from .reading import alone, restored, verified
from .session import Session

_SHOWN = 2000  # letters of a restored text that is shown


def tab() -> None:
    """The tab's components and what happens when they are used."""
    with gr.Row():
        with gr.Column(min_width=300):
            caption(
                "With its key, protected data gives two answers. <b>Verify:</b> was it, or a part of it, made with "
                "this key? <b>Restore:</b> what were the texts before?"
            )
            data = gr.File(
                file_count="multiple", height=160,
                file_types=[".csv", ".parquet", ".zip", "image", *sorted(RECORDINGS)],
                label="Protected data: a table, images, recordings or a zip of them",
            )  # fmt: skip
            key = gr.File(file_types=[".zip"], height=160, label="Its key, the zip that you downloaded")
            column = gr.Textbox(label="Its column, if it has another name now", max_length=200)
            with gr.Row():
                check = gr.Button("Verify", variant="primary")
                undo = gr.Button("Restore")
            caption("Leave data and key empty to try it on what you protected in this session.")
        with gr.Column(min_width=300):
            found = gr.HTML('<p role="status">Nothing was verified yet.</p>', elem_id="owner-found")
            parquet, table, _ = downloads()
            caption(
                "<b>What it shows:</b> that rows were made with this key. Not who holds it, nor that a model was "
                "trained on the data. Images and recordings cannot be restored: keep the originals. Give the Parquet "
                "file where you can: in the CSV, an apostrophe stands before what a spreadsheet would run as a "
                "formula."
            )
    for files in (data, key):
        files.upload(_noted, files, None, api_visibility="private", show_progress="hidden")
    outputs = [found, parquet, table]
    for button, function, inputs in ((check, _verify, [data, key, column]), (undo, _restore, [data, key])):
        button.click(
            function, inputs, outputs, api_visibility="private", concurrency_limit=1, concurrency_id="owner",
            show_progress_on=found,
        )  # fmt: skip


@told
def _noted(files: list[str] | str | None, request: gr.Request) -> None:
    Session(request.session_hash).open().uploaded(*([files] if isinstance(files, str) else files or []))


@told
@alone
def _verify(files: list[str] | None, key: str | None, column: str, request: gr.Request) -> tuple[Any, ...]:
    session = Session(request.session_hash).open()
    if _given(files, key):
        said = verified(str(key), list(files or []), column.strip() or None)
    else:
        said = str(verify(session.key, session.last()[2]))
    hidden = gr.update(visible=False)
    return f'<p role="status">{html.escape(said)}</p>', hidden, hidden


@told
@alone
def _restore(files: list[str] | None, key: str | None, request: gr.Request) -> tuple[Any, ...]:
    session = Session(request.session_hash).open()
    if _given(files, key):
        if len(files or []) > 1:
            raise RefusedError("Restore takes one table. Give one file.")
        columns, original = restored(str(key), (files or [""])[0])
    else:
        done = restore(session.last()[2], session.key)
        columns, original = done.columns, done.data["train"]
    original.to_parquet(session.served / "restored.parquet")
    (session.served / "restored.csv").write_bytes(inert_csv(original))
    shown = "".join(
        f'<h2>Row 1, column {html.escape(name)}</h2><p tabindex="0" dir="auto">'
        f"{html.escape(str(original[0][name])[:_SHOWN])}</p>"
        for name in columns
    )
    said = f'<p role="status">Restored: {len(original):,} rows.</p><div class="paper">{shown}</div>'
    return said, *(
        gr.update(value=str(session.served / f"restored.{ending}"), label=label, visible=True)
        for ending, label in (("parquet", "Restored data"), ("csv", "Restored data as CSV"))
    )


def _given(files: list[str] | None, key: str | None) -> bool:
    """Whether data and key were handed in; neither of them means the session's own."""
    if bool(files) != bool(key):
        raise RefusedError(f"Give {'the key' if files else 'the data'} too, or neither for what you protected here.")
    return bool(files)
