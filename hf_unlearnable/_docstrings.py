"""The class docstring is the page of a method: what it says, and what it inherits."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable
from typing import Any

_HEADER = re.compile(r"^([A-Z][\w ]*):\n(?=[ \t]+\S)", re.MULTILINE)
_ARGS = re.compile(r"^Args:\n((?:(?: .*)?\n)*(?: .+)?)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+)(?: \(.*?\))?: (.*(?:\n {8}.*)*)", re.MULTILINE)


def sections(classes: Iterable[type]) -> dict[str, str]:
    """Docstrings taken apart at their headers.

    Args:
        classes: The section of an earlier one stands where several have it.

    Returns:
        Header to text, unindented; and "summary", the first paragraph, empty where there is none.
    """
    found = {"summary": ""}
    for cls in reversed(list(classes)):
        text = inspect.cleandoc(cls.__doc__ or "")
        if text.startswith(f"{cls.__name__}("):  # the signature that `dataclass` writes where there is no docstring
            continue
        head, *parts = _HEADER.split(text)
        found["summary"] = " ".join(head.partition("\n\n")[0].split()) or found["summary"]
        found |= {name: textwrap.dedent(part).strip() for name, part in zip(parts[::2], parts[1::2], strict=True)}
    return found


def arguments(cls: type) -> dict[str, str]:
    """What each constructor argument means, by name: its own first, then those that it inherits."""
    found: dict[str, str] = {}
    for base in cls.__mro__:
        section = _ARGS.search(inspect.cleandoc(base.__doc__ or ""))
        for name, text in _ENTRY.findall(section[1]) if section else ():
            found.setdefault(name, " ".join(text.split()))
    return found


def with_arguments(cls: type, page: str) -> str:
    """A docstring whose section `Args:` has an entry `name (type, default value): meaning` per constructor argument.

    Args:
        cls: The class, before `dataclass` has seen it.
        page: Its docstring, unindented. Without a section `Args:` one is put behind the first paragraph.
    """
    if "__init__" in vars(cls):
        parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
        known = {one.name: (one.annotation, one.default) for one in parameters}
    else:
        kinds = {name: kind for base in reversed(cls.__mro__) for name, kind in inspect.get_annotations(base).items()}
        known = {name: (kind, getattr(cls, name, None)) for name, kind in kinds.items()}
    entries = []
    for name, meaning in arguments(cls).items():
        if name in known:
            told = f"{name} ({_told(*known[name])}): {meaning}"
            entries.append(textwrap.fill(told, 119, initial_indent="    ", subsequent_indent=" " * 8))
    if not entries:
        return page
    written = "\n".join(["Args:", *entries])
    if section := _ARGS.search(page):
        return f"{page[: section.start()]}{written}\n\n{page[section.end() :].lstrip()}".rstrip()
    first, _, rest = page.partition("\n\n")
    return "\n\n".join(part for part in (first, written, rest) if part)


def _told(kind: Any, default: Any) -> str:
    """Type and default as they are written in the code; levels of a pixel as a share of 255."""
    kind = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    default = getattr(default, "default", default)  # of a dataclass's field
    levels = default * 255 if isinstance(default, float) and 0 < default < 1 else 0.5
    return f"{kind}, default {f'{round(levels)}/255' if abs(levels - round(levels)) < 1e-9 else repr(default)}"
