"""The dataset's card: what was done, what it costs a reader, what an attacker still learns, and the limits."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template
from typing import Any

from hf_unlearnable._words import counted
from hf_unlearnable.modality import Modality
from hf_unlearnable.publish import sections
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
_LEFT_OUT = "The owner left out of this card which countermeasures were tried and what undoes the method."
_DESCRIPTION = "<!-- hf-unlearnable: description -->"
_DESCRIPTION_END = "<!-- hf-unlearnable: description end -->"
_NOT_DESCRIBED = "*The owner has not described this dataset yet.*"
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
        plots: Those of the report that are published: path in the repository to title.
        example: Markdown on a value of our own under the same method, empty for none.
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
    plots: Mapping[str, str] = field(default_factory=dict)
    example: str = ""

    @property
    def modality(self) -> Modality:
        """The kind of data."""
        return modality_of(self.staged[0].features, self.columns[0])


@dataclass(frozen=True)
class Wishes:
    """What the owner decides.

    Args:
        license: Identifier that the Hub knows, such as "cc-by-nc-nd-4.0"; None keeps what an existing card says.
        opt_out: One of `OPT_OUTS`, or a sentence of one's own.
        citation: How to cite the data, in the owner's words.
        questions: What people are asked who want access: a text field each, or the kind of field by its question.
        prompt: What they read first.
        description: What the dataset is: contents, origin, language. None keeps what an existing card says.
        countermeasures: Whether the card tells which countermeasures were tried and what breaks the method.
    """

    license: str | None = None
    opt_out: str = "no-training"
    citation: str | None = None
    questions: Sequence[str] | Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    description: str | None = None
    countermeasures: bool = True


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
    section = f"{_BEGIN}\n{_section(facts, wishes, card.data.get('license'))}\n{_END}"
    ours = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)
    found = ours.search(card.text)
    before, after = (card.text[: found.start()], card.text[found.end() :]) if found else (card.text, "\n")
    card.text = f"{_described(before, after, wishes.description)}\n\n{section}{after}"
    return str(card)


def lacking(card: str) -> dict[str, str]:
    """What a reader would miss of a card that only the owner can tell.

    Args:
        card: The text.

    Returns:
        The parameters of `push_protected` that would say it, each with what is missing; none if all is there.
    """
    from huggingface_hub import DatasetCard

    found = {"description": "does not say what the dataset is"} if _NOT_DESCRIBED in card else {}
    if not DatasetCard(card, ignore_metadata_errors=True).data.get("license"):
        found["license"] = "names no licence"
    return found


def _described(before: str, after: str, description: str | None) -> str:
    """The text before our section, with the owner's description at its end, or a line that says that there is none.

    Args:
        before, after: The owner's text around our section.
        description: The new one; None keeps what is there.
    """
    block = re.compile(re.escape(_DESCRIPTION) + "(.*?)" + re.escape(_DESCRIPTION_END), re.DOTALL)
    there = block.search(before)
    own = re.sub(r"^#+ .*$", "", block.sub("", before) + after, flags=re.MULTILINE).strip()
    if description is None:
        kept = there[1].strip() if there else ""
        description = kept if kept not in ("", _NOT_DESCRIBED) else "" if own else _NOT_DESCRIBED
    text = f"{_DESCRIPTION}\n{description.strip()}\n{_DESCRIPTION_END}" if description.strip() else ""
    if there:
        return f"{before[: there.start()]}{text}{before[there.end() :]}".rstrip("\n")
    return f"{before.rstrip(chr(10))}\n\n{text}".rstrip("\n")


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
        data["task_categories"] = [facts.modality.task]
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


def _section(facts: Facts, wishes: Wishes, license: Any) -> str:
    template = Template(files("hf_unlearnable.publish").joinpath("card_template.md").read_text(encoding="utf-8"))
    cls = method_class(facts.method) if facts.method else None
    page = cls.described() if cls else {}
    limits = [f"- Allowed by the owner though the scan found it: {finding}" for finding in facts.findings]
    if facts.changed:
        left = sum(part.rows - facts.changed[part.split] for part in facts.staged if part.split in facts.changed)
        if left:
            unprotected = counted(left, "row is", "rows are")
            limits.insert(0, f"- {unprotected} not protected. A model learns from them as usual.")
    text = template.substitute(
        kind=facts.modality.plural,
        made=sections.made(cls, facts.parameters),
        splits=sections.splits(facts.staged, facts.changed),
        fidelity=" ".join(f"{split}: {said}." for split, said in facts.fidelity.items())
        or "Not measured: the originals were not at hand when this was published.",
        example=facts.example,
        audit=sections.attack(facts.report, facts.plots, wishes.countermeasures),
        known=_known(facts.method, page) if wishes.countermeasures else _LEFT_OUT,
        limits="\n".join(limits),
        licence=sections.licence(license),
        use=OPT_OUTS[wishes.opt_out][0] if wishes.opt_out in OPT_OUTS else wishes.opt_out,
        repo_id=facts.repo_id,
        citation=sections.citation(wishes.citation, facts.method, page.get("Paper", "")),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _known(method: str | None, page: Mapping[str, str]) -> str:
    """What is known to break a method."""
    if "Breaks" in page:
        return f"Known to break `{method}`: {' '.join(page['Breaks'].split())}"
    return f"What breaks {f'`{method}`' if method else 'this one'} is not documented. Assume that something does."
