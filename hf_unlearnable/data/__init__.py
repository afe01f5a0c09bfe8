"""Reading the data a user has, and writing what was made of it: letter by letter, whole, or not at all."""

from hf_unlearnable._files import whole_or_nothing, write_file
from hf_unlearnable.data.csv_files import Form, table_form
from hf_unlearnable.data.formats import format_of, source_form
from hf_unlearnable.data.on_the_hub import HubFile, is_remote
from hf_unlearnable.data.pairing import paired
from hf_unlearnable.data.shards import hub_shards, shards_of
from hf_unlearnable.data.sources import is_hub_id, load_rows, load_splits
from hf_unlearnable.data.tables import READERS
from hf_unlearnable.data.values import contents, fingerprint, holds_files, stored_bytes
from hf_unlearnable.data.writing import FORMATS, check_ending, is_file_name, write_rows

__all__ = [
    "FORMATS", "READERS", "Form", "HubFile", "check_ending", "contents", "fingerprint", "format_of", "holds_files",
    "hub_shards", "is_file_name", "is_hub_id", "is_remote", "load_rows", "load_splits", "paired", "shards_of",
    "source_form", "stored_bytes", "table_form", "whole_or_nothing", "write_file", "write_rows",
]  # fmt: skip
