"""`hf-unlearnable publish`: pushes protected data to the Hub."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from hf_unlearnable.cli import reading
from hf_unlearnable.data import load_splits


def add(commands: Any) -> argparse.ArgumentParser:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser("publish", help="push protected data to the Hub, with a card, without its secrets")
    parser.description = (
        "Scans what would leave for secrets and clean copies, opens every value again, writes the card, and pushes it "
        "all in one commit. The more it is given, the more it can check. The key and the original stay here."
    )
    parser.set_defaults(run=run)
    parser.add_argument("source", help="protected data: a file, a quoted pattern, or a folder with one file per split")
    parser.add_argument("repo_id", help="where it goes on the Hub: owner/name, or a name in your own account")
    parser.add_argument("--key", help="folder of the key: tells the method, and which secrets the scan looks for")
    parser.add_argument(
        "--original",
        metavar="DATA",
        help="the data before protection: to check the bound, measure fidelity and find clean copies",
    )
    parser.add_argument("--report", metavar="FOLDER", help="folder of the report that attack wrote on this data")
    reading.add_columns(parser, usual="that of the key, or {column}", old="--column")
    seen = parser.add_mutually_exclusive_group()
    seen.add_argument("--private", action="store_true", default=True, help="let only the owner see it (the default)")
    seen.add_argument("--public", dest="private", action="store_false", help="let everybody see it")
    parser.add_argument(
        "--gated",
        choices=("auto", "manual"),
        help="readers ask for access: auto lets them in at once, manual when you accept them",
    )
    parser.add_argument(
        "--question",
        action="append",
        default=[],
        help="ask readers this before they get access; give it again for more",
    )
    parser.add_argument("--prompt", help="show readers this text before they ask")
    parser.add_argument("--license", help="license by its identifier on the Hub, such as cc-by-nc-nd-4.0")
    parser.add_argument(
        "--opt-out", default="no-training",
        help="say this of training: no-training, research-only, none, or your own words (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--citation", help="say how to cite the data")
    parser.add_argument("--description", metavar="TEXT", help="say what the dataset is (default: asked at a terminal)")
    parser.add_argument(
        "--without-countermeasures", action="store_true",
        help="leave out of card and report which countermeasures were tried and what breaks the method",
    )  # fmt: skip
    parser.add_argument("--revision", metavar="BRANCH", help="push to this branch instead of main")
    parser.add_argument("--create-pr", action="store_true", help="open a pull request instead")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="FINDING",
        help="publish in spite of this finding, which you looked at; give it again for more",
    )
    parser.add_argument(
        "--dry-run",
        metavar="FOLDER",
        help="upload nothing, and write exactly what would be uploaded to this new folder",
    )
    reading.add_skipping(parser)
    reading.add_arguments(parser)
    return parser


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command."""
    from hf_unlearnable.publish import push_protected

    description, skip = arguments.description, arguments.skip_broken
    if description is None and sys.stdin.isatty() and not (arguments.json or arguments.quiet):
        print("What is the dataset: contents, origin, language? Enter keeps what its card on the Hub says.")
        description = input("Description: ").strip() or None
    given = {"need_labels": skip, "skip_broken": skip, **reading.options(arguments)}
    source = reading.named(arguments.source)
    before = reading.named(arguments.original) if arguments.original else []
    original = load_splits(before, **given) if before else None
    done = push_protected(
        load_splits(source, streaming=True, **given), arguments.repo_id,
        key=arguments.key,
        original=original, report=arguments.report,
        column=arguments.protected_column, private=arguments.private, gated=arguments.gated,
        questions=arguments.question,
        prompt=arguments.prompt, license=arguments.license, opt_out=arguments.opt_out, citation=arguments.citation,
        description=description, countermeasures=not arguments.without_countermeasures,
        revision=arguments.revision, create_pr=arguments.create_pr, allow=arguments.allow, dry_run=arguments.dry_run,
        sources=[path for one in (source, before) for path in ([one] if isinstance(one, str) else one)],
    )  # fmt: skip
    files = {**done.files, "README.md": len(done.card.encode())}
    for path, size in files.items():
        print(f"{size:>14,}  {path}")
    if done.commit is None:
        print(f"Nothing was uploaded. What would be: {arguments.dry_run}")
        return {"repo_id": done.repo_id, "files": files, "dry_run": arguments.dry_run}
    url = done.commit.pr_url or done.commit.commit_url
    print(f"Published: {url}")
    print(f'load_dataset("{done.repo_id}", revision="{done.commit.oid}") gives exactly this.')
    return {"repo_id": done.repo_id, "files": files, "url": url, "revision": done.commit.oid}
