"""The values of a table, flat: whatever lists and structs a column is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.publish.spotting import Texts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Leaf:
    """The values of one column, or of one field within it, flat.

    Args:
        root: The column.
        path: The column and the fields within it, with dots.
        part: "bytes" or "path" for those of an image or a sound, else "".
        values: An array without lists and structs.
        lists: The lists that the values stand in, the outer one first.
        reading: "" for values as they are stored; "plain" for texts without their markup and escapes; "decoded" for
            what stood in the values as a code or in an archive.
        index: The row of each value, int [n]; None where `lists` tell it.
    """

    root: str
    path: str
    part: str
    values: pa.Array
    lists: tuple[pa.Array, ...] = ()
    reading: str = ""
    index: np.ndarray | None = None

    def decoded(self, values: Any, rows: Any, reading: str = "decoded") -> Leaf:
        """A leaf of the same column for what its values read as.

        Args:
            values: n texts, or n contents of files.
            rows: The row of each, int [n].
            reading: As the attribute.
        """
        import pyarrow as pa

        if isinstance(values, list):
            values = pa.array(values, pa.large_binary() if isinstance(values[0], bytes) else pa.large_string())
        return Leaf(self.root, self.path, self.part, strings(values) if reading == "plain" else values, (), reading,
                    np.asarray(rows))  # fmt: skip

    @cached_property
    def rows(self) -> np.ndarray:
        """The row of each value."""
        import pyarrow.compute as pc

        rows = self.index
        for array in self.lists:
            parents = pc.list_parent_indices(array).to_numpy(zero_copy_only=False)
            rows = parents if rows is None else rows[parents]
        return np.arange(len(self.values)) if rows is None else rows

    @cached_property
    def texts(self) -> Texts:
        """The values of a leaf of texts or files."""
        return Texts(self.values)

    @cached_property
    def files(self) -> list[bytes | None]:
        """The values of a leaf of files, one by one."""
        return self.values.to_pylist()

    def is_own(self, protected: Sequence[str]) -> bool:
        """Whether these values are what was protected in one of these columns, with or without markup."""
        return (
            self.root in protected
            and self.reading != "decoded"
            and (self.path == self.root or self.path.endswith(".content"))
        )

    @property
    def is_text(self) -> bool:
        import pyarrow as pa

        return pa.types.is_large_string(self.values.type)

    @property
    def is_compared(self) -> bool:
        """Whether values are compared with their originals: texts and files are, numbers are not."""
        return self.part != "path" and (self.is_text or self.is_binary)

    @property
    def is_binary(self) -> bool:
        import pyarrow as pa

        return pa.types.is_large_binary(self.values.type)


def _leaves(root: str, path: str, values: Any, lists: tuple = (), part: str = "") -> Iterator[Leaf]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], kind)
    if isinstance(values, pa.ExtensionArray):
        values, kind = values.storage, values.storage.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_map(kind):
        values = values.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        kind = values.type
    if pa.types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        for name, field_values in zip(names, values.flatten(), strict=True):
            if set(names) == {"bytes", "path"}:
                yield from _leaves(root, path, field_values, lists, name)
            else:
                yield from _leaves(root, f"{path}.{name}", field_values, lists)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(root, path, pc.list_flatten(values), (*lists, values))
    elif pa.types.is_string(kind) or pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        yield Leaf(root, path, part, strings(values), lists)
    elif pa.types.is_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind):
        yield Leaf(root, path, part, values.cast(pa.large_binary()), lists)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        yield Leaf(root, path, part, values, lists)


def strings(values: Any) -> pa.Array:
    import pyarrow as pa

    return values.cast(pa.large_string())


def leaves_of(table: Any) -> list[Leaf]:
    return [leaf for name in table.schema.names for leaf in _leaves(name, name, table.column(name))]


def one_a_row(leaf: Leaf, rows: int) -> pa.Array:
    """All texts of a row in one."""
    import polars as pl

    if not leaf.lists and leaf.index is None:
        return leaf.values
    joined = (
        pl.DataFrame({"row": leaf.rows, "text": pl.Series(leaf.values)})
        .group_by("row")
        .agg(pl.col("text").str.join("\n"))
    )
    every = pl.DataFrame({"row": np.arange(rows)}).join(joined, on="row", how="left", maintain_order="left")
    return strings(every["text"].to_arrow())


def sizes(values: pa.Array) -> np.ndarray:
    """How many bytes each value has, int [n]; 0 for those that are null."""
    import pyarrow.compute as pc

    return pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)


def value_hashes(values: pa.Array, shortest: int) -> np.ndarray:
    """A hash of each value's bytes, uint64 [n]; 0 for those that are null, empty or shorter than `shortest` bytes."""
    import polars as pl
    import pyarrow as pa

    binary = values.cast(pa.large_binary())
    return np.where(sizes(binary) >= max(1, shortest), pl.Series(binary).hash().to_numpy(), np.uint64(0))
