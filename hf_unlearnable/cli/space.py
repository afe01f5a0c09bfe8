"""`hf-unlearnable space`: the product in a browser."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> argparse.ArgumentParser:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser("space", help="do all of this in a browser, on this machine")
    parser.description = (
        "Serves a page for the browser that protects, attacks, publishes, verifies and restores. Nothing leaves this "
        "machine but what you publish."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, help="port (default: the first free one from 7860 on)")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command."""
    from hf_unlearnable.space import launch

    page = launch(arguments.host, arguments.port, prevent_thread_lock=True)
    print(f"Open {page.local_url} in a browser. Ctrl+C stops the page.", flush=True)
    return {"url": page.local_url, "wait": page.block_thread}
