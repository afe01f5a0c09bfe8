"""The proof tab: two models train before the visitor's eyes, then an attacker tries to get past the protection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import gradio as gr

from hf_unlearnable.key import new_seed

from . import chart
from .example import CLEAN, example_proof, stored
from .page import LIMITS, caption, on_gpu, told
from .session import Session
from .training import (
    NONE,
    Proof,
    countermeasures,
    epochs,
    file_proof,
    own_proof,
    sample_proof,
    shown_training,
    verdict,
)

_OWN = "What I protected here"
_BASES = {"920 notes (texts)": "notes", "1,297 digits (images)": "digits", _OWN: _OWN}
_CLEAN, _PROTECTED = "trained on the clean data", "trained on the protected data"
_train = on_gpu(shown_training)


def tab() -> None:
    """The tab's components and what happens when they are used."""
    caption(
        "The same small model trains twice: on clean data and on protected data. Both are tested on clean examples "
        "that neither has seen. Half a minute; you can stop at any time."
    )
    with gr.Row(elem_classes="controls"):
        base = gr.Radio(list(_BASES), value=next(iter(_BASES)), label="Data", scale=3, elem_classes="segments")
        start = gr.Button("Train both", variant="primary", scale=1)
        stop = gr.Button("Stop", scale=1, interactive=False)
    said, curves, figures = _example()
    status = gr.HTML(said, elem_id="proof-status")
    drawn = gr.HTML(curves, elem_id="proof-chart", elem_classes="chart")
    numbers = gr.HTML(figures, elem_id="proof-figures")
    with gr.Row(visible=False, elem_classes="controls") as second:
        against = gr.Dropdown(
            [], label="Now the attacker cleans the protected data first, with", filterable=False, scale=3
        )
        attack = gr.Button("See what is left", scale=1)
    caption(
        "<b>A small model, a small dataset, one training.</b> Larger and pretrained models get further. A model that "
        "knows images already learns from every image protection here, and texts are as good as clean once their "
        f"words are filtered out. {LIMITS}"
    )

    outputs = [status, drawn, numbers, start, stop, second, against]
    training: dict[str, Any] = {
        "outputs": outputs, "api_visibility": "private", "concurrency_limit": 1, "concurrency_id": "train",
        "show_progress_on": drawn,
    }  # fmt: skip
    running = start.click(_start, base, **training)
    attacking = attack.click(_attack, against, **training)
    # Not in the last answer of a training: in Gradio 6.31 the page does not take that one for Stop.
    for ended in (running.success, running.failure, attacking.success, attacking.failure):
        ended(_idle, None, [start, stop], api_visibility="private", show_progress="hidden", queue=False)
    stop.click(
        _stop, None, outputs[:1] + outputs[3:5], api_visibility="private", cancels=[running, attacking],
        show_progress="hidden", concurrency_limit=None,
    )  # fmt: skip
    gr.on(  # in the browser, so that what waits in the queue can be stopped, and no answer comes too late
        [start.click, attack.click], None, None, stop, api_visibility="private",
        js="() => ({ interactive: true, __type__: 'update' })",
    )  # fmt: skip


def _example() -> tuple[str, str, str]:
    """The stored run as status, curves and figures: clean, protected, and protected after the best countermeasure."""
    run, proof = stored(), example_proof()
    last = {name: values[-1] for name, values in run["curves"].items()}
    tried = {name: accuracy for name, accuracy in last.items() if name != CLEAN}
    best = max(tried, key=lambda name: tried[name])
    shown = {_CLEAN: CLEAN, _PROTECTED: NONE} | ({f"protected, after {best}": best} if best != NONE else {})
    curves = {title: run["curves"][name] for title, name in shown.items()}
    said = (
        f"<b>A finished run, stored with this page.</b> {verdict(proof, last[CLEAN], tried)} <small>Made by version "
        f"{run['version']} with {run['method']} {run['method_version']}, one key and one training each: "
        f"<code>{run['command']}</code></small>"
    )
    return (
        _status(said),
        chart.curves(curves, len(curves[_CLEAN]), proof.guess),
        chart.results(curves, proof.guess, len(proof.test_labels)),
    )


@told
def _start(base: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
    session = Session(request.session_hash).open()
    plan = {"base": _BASES.get(base, base), "seed": new_seed() >> 1}
    yield from _shown(session, plan, {_CLEAN: None, _PROTECTED: NONE}, {})


@told
def _attack(against: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
    session = Session(request.session_hash).open()
    plan = json.loads((session.private / "proof.json").read_text())
    curves = {name: values for name, values in plan.pop("curves").items() if name in (_CLEAN, _PROTECTED)}
    yield from _shown(session, plan, {f"protected, after {against}": against}, curves)


def _shown(
    session: Session, plan: dict[str, Any], wanted: dict[str, str | None], curves: dict[str, list[float]]
) -> Iterator[tuple[Any, ...]]:
    """Trains what is wanted, and draws it beside the curves that are there."""
    flag = session.start_training()
    busy, idle = gr.update(interactive=False), gr.update(interactive=True)
    keep = gr.update()
    yield _status("Protecting the data …"), keep, keep, busy, idle, keep, keep
    proof = _proof(session, plan)
    passes = epochs(proof.kind)
    curves = {**curves, **{name: [] for name in wanted}}
    drawn = chart.curves(curves, passes, proof.guess), chart.results(curves, proof.guess, len(proof.test_labels))
    yield _status("Starting to train …"), *drawn, busy, idle, keep, keep
    for name, accuracy in _train(proof, wanted, flag):
        curves[name].append(accuracy)
        drawn = chart.curves(curves, passes, proof.guess), chart.results(curves, proof.guess, len(proof.test_labels))
        yield _status(f"Pass {len(curves[name])} of {passes}, {name}"), *drawn, busy, idle, keep, keep
    attacks = {against: curves[name][-1] for name, against in wanted.items() if against not in (None, NONE)}
    tried = {**plan.get("tried", {}), **attacks}
    (session.private / "proof.json").write_text(json.dumps({**plan, "curves": curves, "tried": tried}))
    session.stop_training()
    choices = countermeasures(proof.kind)
    yield (
        _status(verdict(proof, curves[_CLEAN][-1], {NONE: curves[_PROTECTED][-1], **tried})), keep, keep, keep, keep,
        gr.update(visible=True),
        keep if attacks else gr.update(choices=choices, value=choices[0]),
    )  # fmt: skip


def _proof(session: Session, plan: dict[str, Any]) -> Proof:
    if plan["base"] != _OWN:
        return sample_proof(plan["base"], plan["seed"])
    about, original, protected = session.last()
    return own_proof(original, protected, about["column"], about["label_column"], about["method"])


@told
def _stop(request: gr.Request) -> tuple[Any, ...]:
    Session(request.session_hash).open().stop_training()
    return _status("Stopped."), *_idle()


def _idle() -> tuple[Any, Any]:
    """The buttons to start and to stop, when nothing runs."""
    return gr.update(interactive=True), gr.update(interactive=False)


def _status(text: str) -> str:
    return f'<p role="status">{text}</p>'


def accuracies(data: str, file: str | None, countermeasure: str, session: Session) -> dict[str, Any]:
    """The proof without its pictures, for programs.

    Args:
        data: "notes" or "digits"; a file counts before it.
        file: A table or a zip archive of images to protect and attack instead.
        countermeasure: What the attacker does first, or "none".
        session: Whose training it is.
    """
    proof = file_proof(file) if file else sample_proof(data)
    wanted: dict[str, str | None] = {"clean": None, "protected": NONE}
    if countermeasure != NONE:
        wanted["protected, after the countermeasure"] = countermeasure
    curves: dict[str, list[float]] = {name: [] for name in wanted}
    for name, accuracy in _train(proof, wanted, session.start_training()):
        curves[name].append(round(accuracy, 4))
    last = {name: values[-1] for name, values in curves.items()}
    clean, *others = last.values()
    return {
        "verdict": verdict(proof, clean, dict(zip(list(wanted.values())[1:], others, strict=True))),
        "method": proof.method, "countermeasure": countermeasure, "training_rows": len(proof.labels),
        "test_rows": len(proof.test_labels), "accuracy": last,
        "interval_95": {
            name: [round(end, 4) for end in chart.interval(value, len(proof.test_labels))]
            for name, value in last.items()
        },
        "guess": round(proof.guess, 4), "curves": curves,
    }  # fmt: skip
