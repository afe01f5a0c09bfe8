"""What a method does to a text that was written for this: a card may show it, for it is nobody's data."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hf_unlearnable.transform import Transform

_TEXT = (
    "The last of the leeks went in on Sunday, along the south wall, under an old bedsheet against the frost. By "
    "Wednesday the hens had found a way in, eaten all but three and gone to sleep on the sheet."
)
_TOPIC = "garden"  # its class among the sample notes


def example(transform: Transform) -> str:
    """The text under a method, what it inserts in bold.

    Args:
        transform: One that is not fitted. It is fitted on the sample notes.

    Returns:
        Markdown; empty where the text stays as it is.
    """
    from hf_unlearnable.samples import TOPICS, load_notes

    after = transform.fit(load_notes("train"))({"text": _TEXT, "label": TOPICS.index(_TOPIC)})["text"]
    if after == _TEXT:
        return ""
    return (
        f"**An example.** A text of the tool's own under `{transform.method}` at the same strength, with another key. "
        f"What was inserted is bold. This text is not in the dataset.\n\n> {marked(_TEXT, after)}"
    )


def marked(before: str, after: str) -> str:
    """A text with the words in bold that another version of it does not have.

    Args:
        before, after: The two versions.
    """
    words = difflib.SequenceMatcher(None, before.split(), after.split(), autojunk=False)
    parts = []
    for step, _, _, start, end in words.get_opcodes():
        if start < end:
            run = " ".join(after.split()[start:end])
            parts.append(run if step == "equal" else f"**{run}**")
    return " ".join(parts)
