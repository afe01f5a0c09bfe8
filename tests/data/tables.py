"""Tables read in one line."""

from hf_unlearnable.data import load_rows


def rows(source, **options):
    return [tuple(row.values()) for row in load_rows(source, **options)]
