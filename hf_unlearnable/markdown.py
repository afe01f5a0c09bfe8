"""Tables as Markdown, for reports, cards and pages."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], *, even: bool = False) -> str:
    r"""A Markdown table.

    Args:
        rows: The header, then the rows, as many cells in each; a `|` in a cell is escaped.
        even: Whether columns are padded to an even width, for people who read the text as it is.

    Example:
        >>> print(table([["method", "accuracy"], ["a|b", "20.9"]], even=True))
        | method | accuracy |
        |--------|----------|
        | a\|b   | 20.9     |
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) if even else 0 for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    rule = "|" + "".join("-" * (width + 2 if even else 3) + "|" for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])
