"""What the tabs share: errors that a visitor can read, a GPU where the host lends one, and the theme."""

from __future__ import annotations

import functools
import html
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from .reader import EXPECTED
from .training import StoppedError

LIMITS = '<a href="#limits">What is known to break each method</a>'  # the section below the tabs
_EXPECTED = (*EXPECTED, MemoryError)


def told(function: Callable) -> Callable:
    """The function with its errors as a message to the visitor, and nothing in the log: it might quote his data."""

    def error(of: Exception) -> gr.Error:
        message = html.escape(str(of), quote=False)[:600] or "Something went wrong. Nothing was kept."
        return gr.Error(message, print_exception=False, title="That did not work")

    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from function(*args, **kwargs)
            except StoppedError:
                return
            except _EXPECTED as of:
                raise error(of) from None

        return watched

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except _EXPECTED as of:
            raise error(of) from None

    return called


def on_gpu(function: Callable) -> Callable:
    """The function on a GPU where the host lends one for a while (ZeroGPU); elsewhere as it is."""
    try:
        from spaces import GPU  # type: ignore[attr-defined]
    except ImportError:
        return function
    return GPU(duration=90)(function)


def caption(text: str) -> gr.HTML:
    """A paragraph that says what a tab does and what it does not."""
    return gr.HTML(f"<p>{text}</p>", elem_classes="caption")


def downloads() -> tuple[gr.DownloadButton, ...]:
    """Buttons for the data, in two forms, and apart from it for the key: none until there is something."""
    with gr.Row(elem_classes="downloads"):
        data = gr.DownloadButton("Data", visible=False, size="md")
        table = gr.DownloadButton("Data as CSV", visible=False, size="md")
        key = gr.DownloadButton("Key (secret)", visible=False, size="md", elem_classes="key")
    return data, table, key


def theme() -> gr.themes.Base:
    """Ink on paper, and red for what a protection adds. No font is loaded from elsewhere."""
    paper, ink, red = "#faf8f3", "#1d1b20", "#b3261e"
    night, chalk, coral = "#17151a", "#f1ede4", "#ff8a78"
    sans = ["ui-sans-serif", "system-ui", "sans-serif"]
    return gr.themes.Base(font=sans, font_mono=["ui-monospace", "monospace"], radius_size="sm").set(
        body_background_fill=paper, body_background_fill_dark=night,
        body_text_color=ink, body_text_color_dark=chalk,
        body_text_color_subdued="#5b5660", body_text_color_subdued_dark="#b9b2a8",
        background_fill_primary="#ffffff", background_fill_primary_dark="#201e24",
        background_fill_secondary="#f3efe6", background_fill_secondary_dark="#29262e",
        block_background_fill="#ffffff", block_background_fill_dark="#201e24",
        block_border_color="#ddd6c8", block_border_color_dark="#3b3741",
        border_color_primary="#cfc7b8", border_color_primary_dark="#4a4551",
        block_label_text_color="#4a4550", block_label_text_color_dark="#cfc8bd",
        block_title_text_color=ink, block_title_text_color_dark=chalk,
        block_info_text_color="#5b5660", block_info_text_color_dark="#b9b2a8",
        block_shadow="none", block_shadow_dark="none",
        color_accent=red, color_accent_soft="#f7e4e0", color_accent_soft_dark="#4a2622",
        border_color_accent=red, border_color_accent_dark=coral,
        button_primary_background_fill=ink, button_primary_background_fill_dark=chalk,
        button_primary_background_fill_hover="#3a363f", button_primary_background_fill_hover_dark="#ffffff",
        button_primary_text_color=paper, button_primary_text_color_dark=night,
        button_secondary_background_fill="#efe9dd", button_secondary_background_fill_dark="#322e37",
        button_secondary_background_fill_hover="#e5dccb", button_secondary_background_fill_hover_dark="#3f3a45",
        button_secondary_text_color=ink, button_secondary_text_color_dark=chalk,
        input_background_fill="#ffffff", input_background_fill_dark="#1b191f",
        input_placeholder_color="#6d6772", input_placeholder_color_dark="#a39c93",
        slider_color=red, slider_color_dark=coral,
        checkbox_background_color_selected=red, checkbox_background_color_selected_dark=coral,
        checkbox_border_color_selected=red, checkbox_border_color_selected_dark=coral,
        checkbox_label_background_fill_selected="#f7e4e0", checkbox_label_background_fill_selected_dark="#4a2622",
        checkbox_label_text_color_selected=ink, checkbox_label_text_color_selected_dark=chalk,
        link_text_color=red, link_text_color_dark=coral,
        loader_color=red, loader_color_dark=coral,
    )  # fmt: skip


STYLE = Path(__file__).with_name("style.css")
