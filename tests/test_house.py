"""The sizes that the house keeps: files and functions that a reader takes in at once."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES_OF_FILE, LINES_OF_FUNCTION = 350, 60
FILES = sorted(
    path.relative_to(ROOT) for room in ("hf_unlearnable", "recipes", "spaces", "tests", "docs", "findings")
    for path in (ROOT / room).rglob("*.py")
)  # fmt: skip


def too_long(source):
    """The file, unless its first ten lines hold "Long because", and by name functions, without their docstrings."""
    lines = source.splitlines()
    found = [] if len(lines) <= LINES_OF_FILE or "Long because" in "\n".join(lines[:10]) else [f"{len(lines)} lines"]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            page = node.body[0] if ast.get_docstring(node) is not None else None
            lines_of_page = page.end_lineno - page.lineno + 1 if page else 0
            if node.end_lineno - node.lineno + 1 - lines_of_page > LINES_OF_FUNCTION:
                found.append(node.name)
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_file_and_no_function_is_too_long(path):
    assert too_long((ROOT / path).read_text(encoding="utf-8")) == []


def function(code, page=0):
    """A function with a docstring of so many lines, none for 0, and so many lines of code."""
    text = ['    """Page.', *["    more"] * (page - 2), '    """'] if page > 1 else ['    """Page."""'] * page
    return "\n".join(["def one():", *text, *["    x = 1"] * code])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\n" * 350, []),
        ("x = 1\n" * 351, ["351 lines"]),
        ('"""Long because the table is one."""\n' + "x = 1\n" * 400, []),
        ("x = 1\n" * 20 + '"""Long because"""\n' + "x = 1\n" * 400, ["421 lines"]),
        (function(59), []),
        (function(60), ["one"]),
        (function(59, page=1), []),
        (function(60, page=1), ["one"]),
        (function(59, page=200), []),
        ("class Some:\n    async def two(self):\n" + "        x = 1\n" * 60, ["two"]),
    ],
)
def test_what_is_too_long_is_told_by_name(source, expected):
    assert too_long(source) == expected
