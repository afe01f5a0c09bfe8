"""How the checks make and compare protected datasets: by what Arrow stores, nothing decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.transform import Transform


def clone(transform: Transform, **changes: Any) -> Transform:
    """An unfitted transform with the same parameters, but for `changes`."""
    return type(transform)(**{**transform.get_params(), **changes})


def assert_same(mapped: Dataset, expected: Dataset, what: str) -> None:
    """Both datasets hold the same columns, features and stored bytes."""
    assert mapped.column_names == expected.column_names, f"{what}: the columns differ"
    assert mapped.features == expected.features, f"{what}: the features differ"
    one, two = stored(mapped), stored(expected)
    for column, values in two.items():
        wrong = [i for i, (x, y) in enumerate(zip(one[column], values, strict=True)) if x != y]
        assert not wrong, (
            f"{what}: {len(wrong)} of {len(values)} rows of {column!r} differ, the first is row {wrong[0]}"
        )


def map_with(dataset: Dataset, transform: Any, **kwargs: Any) -> Dataset:
    """The dataset as `transform` protects it, computed anew."""
    return dataset.map(transform, batched=True, load_from_cache_file=False, **kwargs)


def stored(dataset: Dataset) -> dict[str, list]:
    """The values as Arrow holds them, nothing decoded."""
    return dataset.with_format("arrow")[:].to_pydict()


def comparable_rows(rows: Any) -> list[dict]:
    """Rows of a dataset or a stream, to be compared with ==."""
    return [{name: _comparable(value) for name, value in row.items()} for row in rows]


def _comparable(value: Any) -> Any:
    """An opened image as its pixels; everything else as it is."""
    return (value.mode, value.size, value.tobytes()) if hasattr(value, "tobytes") and hasattr(value, "mode") else value
