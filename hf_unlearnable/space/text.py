"""The text tab: words go in, and the visitor sees which."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

import gradio as gr

from hf_unlearnable.protection import protect
from hf_unlearnable.samples import load_notes

from .chart import figures
from .limits import MAX_LETTERS, MAX_ROWS, RefusedError
from .page import LIMITS, caption, downloads, told
from .protection import about, guessed_columns, highlighted, inert_csv, methods, transform
from .reading import ALONE, read_table
from .session import Session, zip_key
from .typed import Typed, protect_one

if TYPE_CHECKING:
    from hf_unlearnable.text.fidelity import TextFidelity

_TEXT, _TABLE = "A text", "A table"
_SHOWN = 4000  # letters of a row of a table that is shown
_CLASSES_SHOWN = 8  # whose words are shown
# Name to text, its class and the other one. Both name the same classes: the second goes on with the key of the first.
EXAMPLES = {
    "A note on slugs": (
        "My neighbour swears by crushed eggshells against slugs, but this spring they marched straight over the "
        "shells and ate every lettuce I had planted. I have gone back to a torch, a bucket and a bad temper, and "
        "every evening at ten you can find me on my knees between the beds, counting. Last night there were forty-one "
        "of them, and one very fat toad who looked at me as if I were the thief.",
        "garden", "kitchen",
    ),
    "A note on bread": (
        "The crust sings when it comes out of the oven: thin cracks run across it and tick like a cooling engine. My "
        "grandmother would not cut a loaf before the singing had stopped. She said that bread which is cut too early "
        "sulks, and turns to gum overnight. I have tried it both ways, and I am sorry to say that she was right.",
        "kitchen", "garden",
    ),
}  # fmt: skip


def tab() -> None:
    """The tab's components and what happens when they are used."""
    names = methods("text")
    with gr.Row():
        with gr.Column(min_width=300):
            caption(
                "Every class of your texts gets a secret mark of its own, such as a rare word. A model that trains on "
                "them to tell the classes apart learns the mark, and little of the texts."
            )
            source = gr.Radio([_TEXT, _TABLE], value=_TEXT, label="Protect", elem_classes="segments")
            with gr.Group() as pasted:
                typed = _typed()
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
            results = _results(names[0])

    source.change(
        lambda chosen: (gr.update(visible=chosen == _TEXT), gr.update(visible=chosen == _TABLE)), source,
        [pasted, uploaded], api_visibility="private", show_progress="hidden", queue=False,
    )  # fmt: skip
    for name, button in examples.items():  # in the browser: no one waits in a queue for an example
        filled = json.dumps([_TEXT, *EXAMPLES[name]])
        button.click(None, None, [source, *typed], js=f"() => {filled}", api_visibility="private")
    sample.click(_sample_table, None, [source, file], api_visibility="private").then(
        _columns, file, [text_column, label_column], api_visibility="private"
    )
    file.upload(_columns, file, [text_column, label_column], api_visibility="private")
    method.change(
        lambda name: gr.update(info=about(name)), method, method, api_visibility="private", show_progress="hidden"
    )
    start.click(
        _protect, [source, *typed, file, text_column, label_column, method, strength],
        results, api_visibility="private", concurrency_limit=2, concurrency_id="protect", show_progress_on=results[1],
    )  # fmt: skip


def _typed() -> list[gr.Textbox]:
    """A text, its class and the other classes, filled with the first example."""
    text, label, others = next(iter(EXAMPLES.values()))
    return [
        gr.Textbox(text, lines=9, max_lines=18, label="Your text", max_length=MAX_LETTERS),
        gr.Textbox(
            label, label="Its class", max_length=60,
            info="Any name: what a model would be taught to see in the text, such as a topic or an author.",
        ),
        gr.Textbox(
            others, label="Your other classes", max_length=600,
            info="With commas between them. The key holds a mark for each, so your next texts get theirs.",
        ),
    ]  # fmt: skip


def _results(method: str) -> list[Any]:
    """What `_protect` fills: the figures, the marked text, the text to copy and the downloads; an example at first."""
    text, label, others = next(iter(EXAMPLES.values()))
    done = protect_one(text, label, method, "Standard", others)
    numbers = gr.HTML(_typed_numbers(done), elem_id="text-figures")
    marked = gr.HTML(_marked("An example", text, done.after), elem_id="text-marked")
    copied = gr.Textbox(
        done.after, label="An example, protected", lines=4, max_lines=12, buttons=["copy"], interactive=False,
        elem_id="text-copy",
    )  # fmt: skip
    files = downloads()
    caption(
        "<b>One protected text protects nothing.</b> Texts that stay clean teach as much as ever, so protect "
        "all of them: while the classes stay the same, your next text gets the same key. The words come from "
        "our sample notes, in English; for words from your own texts, in any language, upload a table."
    )
    caption(
        "<b>Not every attacker is stopped.</b> One who looks for RegText's words finds them and has the texts "
        f"back. A reader sees the odd word. {LIMITS}"
    )
    return [numbers, marked, copied, *files]


@told
def _sample_table(request: gr.Request) -> tuple[str, str]:
    path = Session(request.session_hash).open().served / "notes.csv"
    notes = load_notes("train")
    topics = notes.features["label"].int2str(notes["label"][:])
    path.write_bytes(inert_csv(notes.remove_columns("label").add_column("topic", topics)))
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
    source: str, text: str, label: str, others: str, file: str | None, text_column: str | None,
    label_column: str | None, method: str, strength: str, request: gr.Request,
) -> tuple[Any, ...]:  # fmt: skip
    session = Session(request.session_hash).open()
    if source == _TEXT:
        done = protect_one(text, label, method, strength, others, session)
        said, numbers = "Your text", _typed_numbers(done)
        before, after, protected, key = text, done.after, done.protected, done.key
    else:
        if not file:
            raise RefusedError("There is no table yet. Upload one, or load the example.")
        if not text_column or not label_column:
            raise RefusedError("Choose the column of texts and the column of classes.")
        original = read_table(file)
        cloak = transform(method, strength, text_column=text_column, label_column=label_column)
        with ALONE:
            table = protect(original, cloak.fit(original))
        protected, change, key = table.data["train"], table.fidelity["train"][text_column], cloak.key
        session.keep("text", original, protected, {"column": text_column, "label_column": label_column}, key)
        texts = original[text_column][:], protected[text_column][:]
        row = next((i for i, (one, two) in enumerate(zip(*texts, strict=True)) if one != two), 0)
        before, after = (str(column[row] or "")[:_SHOWN] for column in texts)
        said = f"Row {row + 1} of {len(protected)}"
        numbers = _numbers(change, (f"{change.changed:,} of {change.texts:,}", "texts changed"))
    files = [session.served / name for name in ("protected.parquet", "protected.csv", f"{key.method}.key.zip")]
    protected.to_parquet(files[0])
    files[1].write_bytes(inert_csv(protected))
    zip_key(key, files[2])
    return (
        numbers,
        _marked(said, before, after),
        gr.update(value=after, label=f"{said}, protected"),
        *(gr.update(value=str(path), visible=True) for path in files),
    )


def _numbers(change: TextFidelity, last: tuple[str, str]) -> str:
    return figures((f"{change.added:,}", "words more"), (f"{change.edit_rate or 0:.1f} %", "of the words"), last)


def _typed_numbers(done: Typed) -> str:
    """The figures of a typed text, and the words that the key has for each class."""
    texts = len(done.protected)
    numbers = _numbers(done.change, (f"{texts:,}", "text under this key" if texts == 1 else "texts under this key"))
    classes = "; ".join(
        f"<b>{html.escape(str(label))}</b>: {html.escape(', '.join(words))}"
        for label, words in list(done.words.items())[:_CLASSES_SHOWN]
    )
    return numbers + (f'<p class="sure">What this key puts into each class: {classes}.</p>' if classes else "")


def _marked(said: str, before: str, after: str) -> str:
    """The protected text with what was put in marked, for eyes and for screen readers."""
    parts = [
        f"<mark>{html.escape(part)}</mark>" if new else html.escape(part) for part, new in highlighted(before, after)
    ]
    return f'<h2>{said}, the changes in red</h2><p tabindex="0" dir="auto">{"".join(parts)}</p>'
