"""The dataset's card: what was done, what it costs a reader, what an attacker still learns, and the limits."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template
from typing import Any

from hf_unlearnable._version import __version__
from hf_unlearnable._words import counted, plain
from hf_unlearnable.modality import Modality
from hf_unlearnable.publish.staging import Staged
from hf_unlearnable.registry import METHODS, method_class, modality_of

_BEGIN = "<!-- hf-unlearnable: this section is written anew by every push -->"
_END = "<!-- hf-unlearnable: end -->"
_TAGS = ["unlearnable-examples", "data-protection", "hf-unlearnable"]

# What the owner says of training: the sentence for people, and the signals for those machines that look for any.
# "tdm-reservation" is the W3C community group's TDM Reservation Protocol, "content-usage" the vocabulary of the IETF's
# AI Preferences group, "noai" and "noimageai" the convention of DeviantArt. None of them stops anybody.
_SIGNALS = {"tdm-reservation": 1, "content-usage": "train-ai=n"}
OPT_OUTS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "no-training": (
        "The owner does not permit training machine-learning models on this dataset, and reserves text and data "
        "mining (Article 4(3) of Directive (EU) 2019/790). Ask the owner for permission.",
        _SIGNALS,
        ["noai", "noimageai", "no-training"],
    ),
    "research-only": (
        "The owner permits training for non-commercial research on protections like this one, and nothing else; all "
        "other text and data mining is reserved (Article 4(3) of Directive (EU) 2019/790).",
        _SIGNALS,
        ["research-only"],
    ),
    "none": ("The owner says nothing on training beyond the licence.", {}, []),
}
_UNKNOWN = "ask the owner, and take it for granted that something does."
SIZES = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
         (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (sys.maxsize, "n>1B")]  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What happened to the data, all of it fit to be published.

    Args:
        repo_id: Where it goes.
        staged: The splits.
        columns: The protected ones.
        changed: Rows that differ from the original by split, where that is known.
        fidelity: What it costs a reader, by split, where that was measured.
        method: Name in the registry, None where nobody said.
        parameters: Its public ones.
        report: What an audit found, as in report.json, or None.
        findings: What the leak scan found and the owner allowed.
    """

    repo_id: str
    staged: Sequence[Staged]
    columns: Sequence[str]
    changed: Mapping[str, int]
    fidelity: Mapping[str, str]
    method: str | None
    parameters: Mapping[str, Any]
    report: Mapping[str, Any] | None
    findings: Sequence[str] = ()


@dataclass(frozen=True)
class Wishes:
    """What the owner decides.

    Args:
        license: Identifier that the Hub knows, such as "cc-by-nc-nd-4.0"; None keeps what an existing card says.
        opt_out: One of `OPT_OUTS`, or a sentence of one's own.
        citation: How to cite the data, in the owner's words.
        questions: What people are asked who want access: a text field each, or the kind of field by its question.
        prompt: What they read first.
    """

    license: str | None = None
    opt_out: str = "no-training"
    citation: str | None = None
    questions: Sequence[str] | Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None


def render(facts: Facts, wishes: Wishes, existing: str | None = None) -> str:
    """The whole card.

    Args:
        facts: What happened.
        wishes: What the owner decides.
        existing: The card that is there: its text and its tags are kept, our section is replaced.

    Returns:
        YAML and Markdown. Rendered again over itself it is the same.

    Raises:
        ValueError: The metadata of the card that is there does not parse.
    """
    import yaml
    from huggingface_hub import DatasetCard

    name = facts.repo_id.split("/")[-1]
    try:
        card = DatasetCard(existing or f"---\npretty_name: {name}\n---\n\n# {name}\n", ignore_metadata_errors=True)
    except yaml.YAMLError as error:
        raise ValueError(f"The repository's README.md has metadata that does not parse: {error}") from None
    _describe(card.data, facts, wishes)
    section = f"{_BEGIN}\n{_section(facts, wishes)}\n{_END}"
    ours = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)
    if ours.search(card.text):
        card.text = ours.sub(lambda _: section, card.text, count=1)
    else:
        card.text = card.text.rstrip("\n") + f"\n\n{section}\n"
    return str(card)


def _describe(data: Any, facts: Facts, wishes: Wishes) -> None:
    """Brings the metadata up to date; what the owner wrote stays."""
    from datasets import ClassLabel, DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs

    _, signals, more = OPT_OUTS.get(wishes.opt_out, ("", _SIGNALS, ["no-training"]))
    old = {*METHODS, *(tag for _, _, tags in OPT_OUTS.values() for tag in tags)}  # of an earlier push
    own = data.get("tags") or []
    own = [tag for tag in ([own] if isinstance(own, str) else own) if tag not in old]
    data["tags"] = list(dict.fromkeys([*own, *_TAGS, *([facts.method] if facts.method else []), *more]))
    for name in _SIGNALS:
        data.__dict__.pop(name, None)
    if wishes.license:
        data["license"] = wishes.license
    features = facts.staged[0].features
    if not data.get("task_categories") and any(isinstance(feature, ClassLabel) for feature in features.values()):
        data["task_categories"] = [_modality(facts).task]
    rows = sum(part.rows for part in facts.staged)
    data["size_categories"] = [next(name for most, name in SIZES if rows < most)]
    for name, value in signals.items():
        data[name] = value
    if wishes.prompt:
        data["extra_gated_prompt"] = wishes.prompt
    if wishes.questions:
        asked = wishes.questions
        data["extra_gated_fields"] = dict(asked) if isinstance(asked, Mapping) else dict.fromkeys(asked, "text")
    splits = SplitDict()
    for part in facts.staged:
        splits.add(SplitInfo(name=part.split, num_bytes=part.num_bytes, num_examples=part.rows))
    info = DatasetInfo(
        features=features, splits=splits, dataset_size=sum(part.num_bytes for part in facts.staged),
        download_size=sum(file.stat().st_size for part in facts.staged for file in part.files),
    )  # fmt: skip
    DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    paths = [{"split": part.split, "path": f"data/{part.split}-*"} for part in facts.staged]
    MetadataConfigs({"default": {"data_files": paths}}).to_dataset_card_data(data)


def _section(facts: Facts, wishes: Wishes) -> str:
    template = Template(files("hf_unlearnable.publish").joinpath("card_template.md").read_text(encoding="utf-8"))
    cls = method_class(facts.method) if facts.method else None
    page = cls.described() if cls else {}
    signature = inspect.signature(cls).parameters if cls else {}
    shown = [
        f"{name}={_short(value)}" for name, value in facts.parameters.items()
        if cls and (name == cls.strength_parameter or plain(value) != plain(signature[name].default))
    ]  # fmt: skip
    limits = [f"- Allowed by the owner though the scan found it: {finding}" for finding in facts.findings]
    if facts.changed:
        left = sum(part.rows - facts.changed[part.split] for part in facts.staged if part.split in facts.changed)
        if left:
            limits.insert(
                0, f"- {counted(left, 'row is', 'rows are')} not protected: a model learns from such rows as ever."
            )
    cited = [wishes.citation] if wishes.citation else []
    # The first paragraph of "Paper" names it, the others tell what stands in it.
    paper = " ".join(page.get("Paper", "").partition("\n\n")[0].split())
    cited += [f"The method `{facts.method}`: {paper}"] if paper else []
    text = template.substitute(
        kind=_modality(facts).plural,
        method=facts.method or "not said",
        version=__version__,
        parameters=f" ({', '.join(shown)}; all else as that version has it)" if shown else "",
        splits=_splits(facts),
        fidelity=" ".join(f"{split}: {said}." for split, said in facts.fidelity.items())
        or "Not measured: the originals were not at hand when this was published.",
        audit=_audit(facts.report),
        known=" ".join(page["Breaks"].split()) if "Breaks" in page else _UNKNOWN,
        limits="\n".join(limits),
        use=OPT_OUTS[wishes.opt_out][0] if wishes.opt_out in OPT_OUTS else wishes.opt_out,
        repo_id=facts.repo_id,
        citation="\n\n".join(cited) or "The owner gave none.",
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _modality(facts: Facts) -> Modality:
    """The kind of data that was protected."""
    return modality_of(facts.staged[0].features, facts.columns[0])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _splits(facts: Facts) -> str:
    lines = ["| split | rows | protected |", "|---|---|---|"]
    for part in facts.staged:
        changed = f"{facts.changed[part.split]:,}" if part.split in facts.changed else "not counted"
        lines.append(f"| {part.split} | {part.rows:,} | {changed} |")
    return "\n".join(lines)


def _audit(report: Mapping[str, Any] | None) -> str:
    if report is None or not report["measured"]:
        tried = ""
        if report is not None:
            tried = f" An attack was begun, but no training on the protected rows ran: {'; '.join(report['not_run'])}."
        return (
            f"**Not measured.** This dataset was published without an attack on it: take it for granted that somebody "
            f"gets through.{tried}"
        )
    parts = [f"**{sentence}**" for sentence in report["verdict"]]
    parts += [f"**Mind:** {warning}" for warning in report["warnings"]]
    if report["not_run"]:
        parts += ["Not run:", "\n".join(f"- {reason}" for reason in report["not_run"])]
    parts += ["Accuracy on clean test rows in percent [95 % interval], after training on:", report["table"]]
    for name, table in report["attacks"].items():
        parts += [f"{name} after every countermeasure that ran, the worst first (in parentheses: clean rows):",
                  table]  # fmt: skip
    parts.append(
        "Protocol: " + "; ".join(f"{name} {plain(value)}" for name, value in report["protocol"].items()) + "."
    )
    return "\n\n".join(parts)
