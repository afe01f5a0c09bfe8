"""The sound tab: before and after to listen to, their spectrograms and what changed, files that hold every sample.

The page plays files with the browser's own player: `gradio.Audio` would start ffprobe and ffmpeg on them.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
import numpy as np

from hf_unlearnable.audio.clip import Clip
from hf_unlearnable.audio.codec import BLOCK, opened
from hf_unlearnable.audio.fidelity import AudioFidelity
from hf_unlearnable.audio.files import KIND, RECORDINGS
from hf_unlearnable.audio.spectrogram import SHOWN
from hf_unlearnable.protection import protect

from .chart import figures
from .limits import RefusedError
from .page import LIMITS, caption, downloads, told
from .protection import about, file_dataset, methods, safe_names, to_fit_on, transform
from .reading import alone, read_recordings
from .recordings import FORMATS, MAX_RECORDINGS, MAX_SAMPLES, MAX_SECONDS
from .session import Session, served_root, zip_files, zip_key
from .spectrogram import spectrogram
from .tune import tune


def protect_recordings(rows: list[dict[str, Any]], method: str, strength: str) -> tuple[Any, Any, AudioFidelity, Any]:
    """Protects recordings, opens the result again and checks it.

    Args:
        rows: See `recordings.read_recordings`.
        method: Name of the method.
        strength: "Light", "Standard" or "Strong".

    Returns:
        The original and the protected dataset, what was changed, and the key.
    """
    if method not in methods("audio"):
        raise RefusedError(
            f"There is no method {method!r} for recordings. Choose one of {', '.join(methods('audio'))}."
        )
    original = file_dataset(rows, "audio")
    cloak = transform(method, strength).fit(to_fit_on(original, method))
    done = protect(original, cloak)
    return original, done.data["train"], done.fidelity["train"]["audio"], cloak.key


def written(rows: list[dict[str, Any]], protected: Any, folder: Path) -> tuple[Path, int]:
    """Writes protected recordings for a download: one as a file, several as a zip archive.

    Args:
        rows: What they were made of.
        protected: The protected dataset.
        folder: Where the file goes.

    Returns:
        The file, and how many recordings are in it.
    """
    values = [value["bytes"] for value in protected["audio"][:]]
    names = list(safe_names(rows, map(KIND.ending, values)))
    if len(values) > 1:
        return zip_files(dict(zip(names, values, strict=True)), folder / "protected.zip"), len(values)
    name = Path(names[0])
    path = folder / f"{name.stem}-protected{name.suffix}"
    path.write_bytes(values[0])
    return path, 1


def tab() -> None:
    """The tab's components and what happens when they are used."""
    names, (players, pictures) = methods("audio"), _example()
    with gr.Row():
        with gr.Column(min_width=300):
            caption(
                "Every class of your recordings gets an equaliser of its own. A model that learns from spectrograms "
                "finds what is missing, and learns little of what is said or played."
            )
            files = gr.File(
                file_count="multiple", file_types=[*sorted(RECORDINGS), ".zip"], height=160,
                label=f"Recordings, or a zip with a folder for each class (at most {MAX_RECORDINGS})",
            )  # fmt: skip
            recorded = gr.Audio(
                sources=["microphone"], type="filepath", label="Or record one", editable=False, buttons=[],
                elem_id="sound-recorder",
            )  # fmt: skip
            label = gr.Textbox(
                "my voice", label="Their class", max_length=60,
                info="What a model would be taught to hear in them. Folders of a zip name their own.",
            )  # fmt: skip
            method = gr.Dropdown(names, value=names[0], label="Method", info=about(names[0]), filterable=False)
            strength = gr.Radio(
                ["Light", "Standard", "Strong"], value="Standard", label="Strength", elem_classes="segments"
            )
            start = gr.Button("Protect", variant="primary")
            with gr.Row(elem_classes="examples"):
                gr.HTML("Try", container=False)
                example = gr.Button("A tune", size="sm")
        with gr.Column(min_width=300):
            numbers = gr.HTML(elem_id="sound-figures")
            shown = gr.Dropdown([], label="Recording", visible=False, filterable=False)
            heard = gr.HTML(players, elem_id="sound-players")
            seen = gr.HTML(pictures, elem_id="sound-spectrogram")
            data, _, key = downloads()
            caption(
                "<b>Not every attacker is stopped.</b> An attacker who levels the spectra of the recordings first "
                "takes a part of the protection away. The download is lossless, FLAC or WAV: the same rate, channels "
                f"and length, without tags. {LIMITS}. {', '.join(FORMATS[:-1])} and {FORMATS[-1]} are opened, at most "
                f"{MAX_SECONDS // 60} minutes and {MAX_SAMPLES // 10**6} million samples in all."
            )

    example.click(_tune, None, [files, label], api_visibility="private")
    files.upload(_noted, [files, recorded], None, api_visibility="private", show_progress="hidden")
    recorded.stop_recording(_noted, [files, recorded], None, api_visibility="private", show_progress="hidden")
    method.change(
        lambda name: gr.update(info=about(name)), method, method, api_visibility="private", show_progress="hidden"
    )
    start.click(
        _protect, [files, recorded, label, method, strength], [numbers, shown, heard, seen, data, key],
        api_visibility="private", concurrency_limit=2, concurrency_id="protect", show_progress_on=heard,
    )  # fmt: skip
    shown.input(_show, shown, [heard, seen], api_visibility="private")


def _example() -> tuple[str, str]:
    """What the tab plays and shows before a visitor has done anything."""
    before = tune()
    _, protected, _, _ = protect_recordings([{"label": "my tunes", "bytes": before}], methods("audio")[0], "Standard")
    folder = served_root() / "example"  # not among the sessions, whose folders are deleted after a while
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _views(folder, before, protected[0]["audio"]["bytes"])


@told
def _tune(request: gr.Request) -> tuple[list[str], str]:
    path = Session(request.session_hash).open().served / "tune.flac"
    path.write_bytes(tune())
    return [str(path)], "my tunes"


@told
def _noted(files: list[str] | None, recorded: str | None, request: gr.Request) -> None:
    Session(request.session_hash).open().uploaded(*(files or []), *filter(None, [recorded]))


@told
@alone
def _protect(
    files: list[str] | None, recorded: str | None, label: str, method: str, strength: str, request: gr.Request
) -> tuple[Any, ...]:
    session = Session(request.session_hash).open()
    rows = read_recordings([*(files or []), *filter(None, [recorded])], label)
    original, protected, change, key = protect_recordings(rows, method, strength)
    session.keep("audio", original, protected, {"column": "audio", "label_column": "label"}, key)
    data, count = written(rows, protected, session.served)
    key_file = zip_key(key, session.served / f"{method}.key.zip")
    said = f"Protected {data.suffix[1:].upper()}" if count == 1 else f"{count} protected recordings"
    return (
        _numbers(change, rows),
        gr.update(choices=[(row["name"], i) for i, row in enumerate(rows)], value=0, visible=count > 1),
        *_views(session.served, rows[0]["bytes"], protected[0]["audio"]["bytes"]),
        gr.update(value=str(data), label=said, visible=True),
        gr.update(value=str(key_file), visible=True),
    )


def _numbers(change: AudioFidelity, rows: list[dict[str, Any]]) -> str:
    told = {
        "PESQ, of 4.5": (change.pesq, "{:.2f}"),
        "log-spectral distance": (change.log_spectral_distance, "{:.1f} dB"),
        "SNR": (change.snr, "{:.1f} dB"),
    }
    pairs = [(form.format(value), name) for name, (value, form) in told.items() if value is not None]
    left_out = Counter(name for row in rows for name in row["left_out"])
    names = ", ".join(f"{escape(name)} ({count})" for name, count in left_out.items())
    return figures(*pairs or [("unchanged", "no sound")]) + (f'<p class="sure">Left out: {names}</p>' if names else "")


@told
@alone
def _show(number: int, request: gr.Request) -> tuple[str, str]:
    session = Session(request.session_hash).open()
    about_last, original, protected = session.last()
    if about_last["kind"] != "audio" or not 0 <= number < len(original):
        raise RefusedError("These recordings are no longer here. Protect them again.")
    return _views(session.served, original[number]["audio"]["bytes"], protected[number]["audio"]["bytes"])


def _views(folder: Path, before: bytes, after: bytes) -> tuple[str, str]:
    """Players of a recording before and after, and their spectrograms, as HTML."""
    players, clips = [], []
    for name, data in (("Before", before), ("After", after)):
        # Named by what it plays: a browser keeps a sound that it has heard under the same name.
        path = folder / f"{name.lower()}-{hashlib.sha256(data).hexdigest()[:12]}{KIND.ending(data)}"
        path.write_bytes(data)
        players.append(
            f'<figure><figcaption>{name}</figcaption><audio controls aria-label="{name}" '
            f'src="gradio_api/file={quote(path.as_posix())}"></audio></figure>'
        )
        clips.append(_begin(data))
    return f'<div class="players">{"".join(players)}</div>', spectrogram(*clips)


def _begin(data: bytes) -> Clip:
    """As much of a recording as a spectrogram shows."""
    with opened(data) as recording:
        form = recording.format
        blocks = islice(recording.blocks(), math.ceil(SHOWN * form.rate / BLOCK))
        return Clip((np.concatenate(list(blocks)) / form.full_scale).astype(np.float32), form.rate)
