"""The checks that every protection passes, for the methods of this package and for your own.

    from hf_unlearnable.testing import check_transform

    def test_my_transform():
        check_transform(MyTransform(text_column="text", label_column="label", seed=1), my_dataset)

Each check is a plain function `check(transform, dataset)` in `CHECKS`; `pytest.mark.parametrize` over it to see them
one by one. They take the transform unfitted, fit clones of it, and compare exact values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hf_unlearnable.testing.estimator import (
    check_caching,
    check_fit_on_stream,
    check_identity_at_zero,
    check_init_only_stores,
    check_pickle,
    check_something_changes,
    check_unfitted,
)
from hf_unlearnable.testing.mapping import (
    check_columns_untouched,
    check_id_column,
    check_rows_untouched,
    check_same_bytes,
    check_streams,
    check_two_processes_agree,
)
from hf_unlearnable.testing.owner import (
    check_key,
    check_keys_differ,
    check_ownership,
    check_publish,
    check_secrecy,
    check_words_are_shown,
)

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.transform import Transform


def check_transform(transform: Transform, dataset: Dataset) -> None:
    """Runs every check of the contract on one transform.

    Args:
        transform: Unfitted, with a fixed `seed`.
        dataset: Some twenty rows or more, all different, with every class; at most a thousand.

    Raises:
        AssertionError: The contract is broken; the message says how.
    """
    for check in CHECKS:
        check(transform, dataset)


CHECKS: list[Callable[[Any, Any], None]] = [
    check_init_only_stores,
    check_unfitted,
    check_identity_at_zero,
    check_something_changes,
    check_same_bytes,
    check_streams,
    check_fit_on_stream,
    check_two_processes_agree,
    check_keys_differ,
    check_columns_untouched,
    check_rows_untouched,
    check_id_column,
    check_caching,
    check_pickle,
    check_key,
    check_secrecy,
    check_words_are_shown,
    check_ownership,
    check_publish,
]
