"""Tables as Markdown."""

from hf_unlearnable.markdown import table


def test_cells_that_hold_a_bar():
    assert table([["a", "b"], ["x|y", ""]]) == "| a | b |\n|---|---|\n| x\\|y |  |"


def test_columns_of_even_width():
    assert table([["a", "long"], ["four", "b"]], even=True) == "| a    | long |\n|------|------|\n| four | b    |"
