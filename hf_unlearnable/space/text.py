"""The text tab: words go in, and the visitor sees which."""

from __future__ import annotations

import html
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from hf_unlearnable.protection import protect
from hf_unlearnable.samples import TOPICS, load_notes

from .chart import figures
from .limits import MAX_LETTERS, MAX_ROWS, RefusedError, check_text
from .page import caption, downloads, told
from .protection import (
    about,
    guessed_columns,
    highlighted,
    inert_csv,
    methods,
    transform,
)  # fmt: skip
from .reading import ALONE, read_table
from .session import Session, zip_key

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.key import Key
    from hf_unlearnable.text.fidelity import TextFidelity

_TEXT, _TABLE = "A text", "A table"
_SHOWN = 4000  # letters of a row of a table that is shown
EXAMPLES = {
    "A note on slugs": (
        "garden",
        "My neighbour swears by crushed eggshells against slugs, but this spring they marched straight over the "
        "shells and ate every lettuce I had planted. I have gone back to a torch, a bucket and a bad temper, and "
        "every evening at ten you can find me on my knees between the beds, counting. Last night there were forty-one "
        "of them, and one very fat toad who looked at me as if I were the thief.",
    ),
    "A note on bread": (
        "kitchen",
        "The crust sings when it comes out of the oven: thin cracks run across it and tick like a cooling engine. My "
        "grandmother would not cut a loaf before the singing had stopped. She said that bread which is cut too early "
        "sulks, and turns to gum overnight. I have tried it both ways, and I am sorry to say that she was right.",
    ),
}


@cache
def _notes() -> Dataset:
    """The sample notes, their topics by name: a download then holds the labels that its key knows."""
    notes = load_notes("train")
    topics = notes.features["label"].int2str(notes["label"][:])
    return notes.remove_columns("label").add_column("label", topics)


def protect_one(text: str, topic: str, method: str, strength: str) -> tuple[str, TextFidelity, Key]:
    """Protects a text as one more of the sample notes: its class needs others to stand against.

    Args:
        text: The text.
        topic: One of the notes' four topics, its class.
        method: Name of the method.
        strength: "Light", "Standard" or "Strong".

    Returns:
        The protected text, what was changed, and the key.
    """
    from datasets import Dataset, concatenate_datasets

    check_text(text)
    if method not in methods("text"):
        raise RefusedError(f"There is no method {method!r} for texts. Choose one of {', '.join(methods('text'))}.")
    if topic not in TOPICS:
        raise RefusedError(f"There is no topic {topic!r}. Choose one of {', '.join(TOPICS)}.")
    row = Dataset.from_dict({"text": [text], "label": [topic]})
    cloak = transform(method, strength).fit(concatenate_datasets([_notes(), row]))
    done = protect(row, cloak)
    return done.data["train"]["text"][0], done.fidelity["train"]["text"], cloak.key


def tab() -> None:
    """The tab's components and what happens when they are used."""
    names = methods("text")
    example_topic, example = next(iter(EXAMPLES.values()))
    with gr.Row():
        with gr.Column(min_width=300):
            caption(
                "Every class of a dataset gets a secret mark of its own, such as a rare word strewn into its texts. "
                "A model that is trained on them learns the mark and not the text."
            )
            source = gr.Radio([_TEXT, _TABLE], value=_TEXT, label="Protect", elem_classes="segments")
            with gr.Group() as pasted:
                text = gr.Textbox(example, lines=9, max_lines=18, label="Your text", max_length=MAX_LETTERS)
                topic = gr.Dropdown(
                    TOPICS, value=TOPICS[0], label="Its class", filterable=False,
                    info="It joins our 920 sample notes on four topics. For classes of your own, upload a table.",
                )  # fmt: skip
            with gr.Group(visible=False) as uploaded:
                file = gr.File(
                    file_types=[".csv", ".parquet"], label=f"CSV or Parquet, at most {MAX_ROWS:,} rows", height=140
                )
                with gr.Row():
                    text_column = gr.Dropdown([], label="Column of texts", filterable=False)
                    label_column = gr.Dropdown([], label="Column of classes", filterable=False)
            method = gr.Dropdown(
                names, value=names[0], label="Method", info=about(names[0]), filterable=False, visible=len(names) > 1
            )
            strength = gr.Radio(
                ["Light", "Standard", "Strong"], value="Standard", label="Strength", elem_classes="segments"
            )
            start = gr.Button("Protect", variant="primary")
            with gr.Row(elem_classes="examples"):
                gr.HTML("Try", container=False)
                examples = {name: gr.Button(name, size="sm") for name in EXAMPLES}
                sample = gr.Button("A table of notes", size="sm")
        with gr.Column(min_width=300):
            results = _results(example, example_topic, names[0])
            caption(
                "<b>Not every attacker is stopped.</b> One who looks for RegText's words finds them and has the texts "
                "back. One protected "
                "text protects nothing: rows that stay clean teach as much as ever. A reader sees the odd word."
            )

    source.change(
        lambda chosen: (gr.update(visible=chosen == _TEXT), gr.update(visible=chosen == _TABLE)), source,
        [pasted, uploaded], api_visibility="private", show_progress="hidden", queue=False,
    )  # fmt: skip
    for name, button in examples.items():  # in the browser: no one waits in a queue for an example
        filled = json.dumps([_TEXT, EXAMPLES[name][1], EXAMPLES[name][0]])
        button.click(None, None, [source, text, topic], js=f"() => {filled}", api_visibility="private")
    sample.click(_sample_table, None, [source, file], api_visibility="private").then(
        _columns, file, [text_column, label_column], api_visibility="private"
    )
    file.upload(_columns, file, [text_column, label_column], api_visibility="private")
    method.change(
        lambda name: gr.update(info=about(name)), method, method, api_visibility="private", show_progress="hidden"
    )
    start.click(
        _protect, [source, text, topic, file, text_column, label_column, method, strength],
        results, api_visibility="private", concurrency_limit=2, concurrency_id="protect", show_progress_on=results[1],
    )  # fmt: skip


def _results(example: str, topic: str, method: str) -> list[Any]:
    """What `_protect` fills: the figures, the marked text, the text to copy and the downloads; an example at first."""
    shown, change, _ = protect_one(example, topic, method, "Standard")
    numbers = gr.HTML(_numbers(change), elem_id="text-figures")
    marked = gr.HTML(_marked("An example", example, shown), elem_id="text-marked")
    copied = gr.Textbox(
        shown,
        label="An example, protected",
        lines=4,
        max_lines=12,
        buttons=["copy"],
        interactive=False,
        elem_id="text-copy",
    )
    return [numbers, marked, copied, *downloads()]


@told
def _sample_table(request: gr.Request) -> tuple[str, str]:
    path = Session(request.session_hash).open().served / "notes.csv"
    path.write_bytes(inert_csv(_notes().rename_column("label", "topic")))
    return _TABLE, str(path)


@told
def _columns(file: str | None, request: gr.Request) -> tuple[Any, Any]:
    if file is None:
        return gr.update(choices=[], value=None), gr.update(choices=[], value=None)
    Session(request.session_hash).open().uploaded(file)
    texts, classes = guessed_columns(read_table(file))
    text = texts[0] if texts else None
    label = next((name for name in classes if name != text), None)
    return gr.update(choices=texts, value=text), gr.update(choices=classes, value=label)


@told
def _protect(
    source: str, text: str, topic: str, file: str | None, text_column: str | None, label_column: str | None,
    method: str, strength: str, request: gr.Request,
) -> tuple[Any, ...]:  # fmt: skip
    from datasets import Dataset

    session = Session(request.session_hash).open()
    if source == _TEXT:
        after, change, key = protect_one(text, topic, method, strength)
        before = text
        original, protected = (Dataset.from_dict({"text": [one], "label": [topic]}) for one in (before, after))
        columns = {"column": "text", "label_column": "label"}
        said = "Your text"
    else:
        if not file:
            raise RefusedError("There is no table yet. Upload one, or load the example.")
        if not text_column or not label_column:
            raise RefusedError("Choose the column of texts and the column of classes.")
        original = read_table(file)
        cloak = transform(method, strength, text_column=text_column, label_column=label_column)
        with ALONE:
            done = protect(original, cloak.fit(original))
        protected, change, key = done.data["train"], done.fidelity["train"][text_column], cloak.key
        texts = original[text_column][:], protected[text_column][:]
        row = next((i for i, (one, two) in enumerate(zip(*texts, strict=True)) if one != two), 0)
        before, after = (str(column[row] or "")[:_SHOWN] for column in texts)
        columns = {"column": text_column, "label_column": label_column}
        said = f"Row {row + 1} of {len(protected)}"
    session.keep("text", original, protected, columns, key)
    folder = session.served
    protected.to_parquet(folder / "protected.parquet")
    (folder / "protected.csv").write_bytes(inert_csv(protected))
    zip_key(key, folder / "regtext.key.zip")
    return (
        _numbers(change),
        _marked(said, before, after),
        gr.update(value=after, label=f"{said}, protected"),
        *(gr.update(value=str(folder / name), visible=True) for name in (
            "protected.parquet", "protected.csv", "regtext.key.zip"
        )),
    )  # fmt: skip


def _numbers(change: TextFidelity) -> str:
    return figures(
        (f"{change.added:,}", "words more"),
        (f"{change.edit_rate or 0:.1f} %", "of the words"),
        (f"{change.changed:,} of {change.texts:,}", "texts changed"),
    )


def _marked(said: str, before: str, after: str) -> str:
    """The protected text with what was put in marked, for eyes and for screen readers."""
    parts = [
        f"<mark>{html.escape(part)}</mark>" if new else html.escape(part) for part, new in highlighted(before, after)
    ]
    return f'<h2>{said}, the changes in red</h2><p tabindex="0" dir="auto">{"".join(parts)}</p>'
