"""Pages of the site that are written from the code: `methods.md` and `command-line.md`, as hooks of MkDocs."""

from __future__ import annotations

import argparse
import inspect
import re
from typing import TYPE_CHECKING, Any

from hf_unlearnable.markdown import table

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

    from hf_unlearnable.transform import Transform

# The sections of a class docstring that stand on its page, in this order.
SECTIONS = ("Idea", "Paper", "Ours", "Secret", "Cost", "Breaks", "Prefer", "Example")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to those of the folder."""
    from mkdocs.structure.files import File

    for name, text in generated().items():
        files.append(File.generated(config, name, content=text))
    return files


def generated() -> dict[str, str]:
    """The generated pages: file name below `docs/` to Markdown."""
    return {"methods.md": methods_page(), "command-line.md": command_line_page()}


# ---------------------------------------------------------------------------------------------------- methods
def methods_page() -> str:
    """Every registered method: a table to choose by, then its class docstring."""
    from hf_unlearnable.registry import METHODS

    header = ["method", "data", "needs", "protects new rows with the same key", "bound", "version"]
    rows = [header, *(_choice(name, cls) for name, cls in METHODS.items())]
    parts = [
        "# Methods",
        "This page is made from the class docstrings: `help(TextureTransform)` shows the same. What the methods leave "
        "to an attacker, measured: [results](results/index.md).",
        table(rows),
        *(_method(name, cls) for name, cls in METHODS.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _choice(name: str, cls: type[Transform]) -> list[str]:
    models = ["pretrained models"] * hasattr(cls, "backbones")
    surrogate = ["the training of a surrogate"] if cls.needs_training and not _pretrained(cls) else []
    if _pretrained(cls):
        needs = ["a pretrained model"]
    elif cls().needs_labels:
        needs = ["labels" + " or `cluster_model`" * hasattr(cls, "cluster_model")]
    elif "class" in cls.choices.get("noise", ()):
        needs = ["nothing; labels for one pattern per class"]
    else:
        needs = []
    return [
        f"[`{name}`](#{name})",
        cls.modality,
        ", ".join([*needs, *models, *surrogate]) or "nothing",
        new_rows(cls),
        bound(cls),
        str(cls.method_version),
    ]


def _pretrained(cls: type[Transform]) -> bool:
    """Whether it goes by the features of a pretrained model instead of labels."""
    return getattr(cls(), "cluster_model", None) is not None


def new_rows(cls: type[Transform]) -> str:
    """Whether a key protects rows that `fit` has not seen."""
    if not cls.needs_training or _pretrained(cls) or hasattr(cls, "backbones"):
        return "yes, of known classes" if cls().needs_labels else "yes"
    if "class" not in cls.choices.get("noise", ()):
        return "no"
    return "yes, of known classes" if getattr(cls, "noise", None) == "class" else 'with `noise="class"`'


def bound(cls: type[Transform]) -> str:
    """What bounds the change of a row."""
    from hf_unlearnable.image.methods.error_min_one_pixel import ErrorMinOnePixelTransform
    from hf_unlearnable.text.methods.error_min_text import ErrorMinTextTransform

    if cls.modality == "text":
        replaces = issubclass(cls, ErrorMinTextTransform)
        return "words are replaced, few are inserted" if replaces else "words are inserted, none is lost"
    if issubclass(cls, ErrorMinOnePixelTransform):
        return "epsilon, but for one pixel"
    return "epsilon" if hasattr(cls, "max_levels") or "bound" in cls.choices else "none"


def _method(name: str, cls: type[Transform]) -> str:
    described = cls.described()
    parts = [f"## {name} {{ #{name} }}", f"`{cls.__name__}`. {described['summary']}"]
    parts += [f"**{title}.** {_markdown(described[title], title)}" for title in SECTIONS if title in described]
    if cls.adaptive_attacks:
        parts.append("**Adaptive countermeasures.** " + ", ".join(f"`{one}`" for one in cls.adaptive_attacks))
    described_parameters = parameters(cls)
    parts.append(f"Parameters and defaults of `{name}`:")
    parts.append(table([["parameter", "default", "meaning"], *described_parameters]))
    return "\n\n".join(parts)


def parameters(cls: type[Transform]) -> list[list[str]]:
    """Each parameter of the constructor with its default and its `Args:` entry, inherited ones too."""
    described = cls.arguments()
    signature = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [[f"`{one.name}`", f"`{one.default!r}`", described.get(one.name, "")] for one in signature]


def _markdown(text: str, title: str) -> str:
    """A docstring's section as Markdown: formulas (indented lines) and examples become code."""
    if title == "Example":
        return f"\n\n```python\n{text}\n```"
    lines = re.sub(
        r"((?:^    .*\n?)+)", lambda found: f"```text\n{inspect.cleandoc(found[1])}\n```\n", text, flags=re.M
    )
    return re.sub(r"arXiv:(\d{4}\.\d{5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", lines.strip())


# ---------------------------------------------------------------------------------------------------- command line
def command_line_page() -> str:
    """Every command with its options, from the argument parser."""
    from hf_unlearnable.cli import _parser
    from hf_unlearnable.registry import METHODS

    commands = _subcommands(_parser([]))
    parts = [
        "# Command line",
        "This page is made from the argument parser: `hf-unlearnable COMMAND --help` shows the same.",
        "Options stand before or after the input. `--json` and `--quiet` are for [scripts](guides/scripts.md), which "
        "lists every exit status too.",
        table(
            [["command", "what it does"], *([f"[`{name}`](#{name})", said] for name, (_, said) in commands.items())]
        ),
    ]
    for name, (parser, said) in commands.items():
        parts += [f"## {name} {{ #{name} }}", _sentence(parser.description or said)]
        if name != "protect":
            parts += [f"```text\n{_usage(parser)}\n```", *_options(parser._actions)]
            continue
        methods = {one: _subcommands(_subcommands(_parser([one]))[name][0])[one][0] for one in METHODS}
        shared = list(methods.values())
        parts += ["```text\nhf-unlearnable protect METHOD SOURCE --output OUTPUT --key KEY [options]\n```"]
        parts += [_options_of_all(shared)]
        for one, its in methods.items():
            group = its._action_groups[-1]
            parts += [f"### protect {one} {{ #protect-{one} }}", _sentence(its.description or "")]
            parts += _options([*_own(its, shared), *group._group_actions])
    return "\n\n".join(part for part in parts if part) + "\n"


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, tuple[argparse.ArgumentParser, str]]:
    """The parsers below a parser by name, each with its line of help."""
    action = next(one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    said = {one.dest: one.help or "" for one in action._choices_actions}
    return {name: (one, said.get(name, "")) for name, one in action.choices.items()}


def _usage(parser: argparse.ArgumentParser) -> str:
    formatter = argparse.HelpFormatter(parser.prog, width=100)
    formatter.add_usage(parser.usage, parser._actions, [], prefix="")
    return formatter.format_help().strip()


def _shown(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """The options that are not in the last group, a method's own, by name."""
    own = {id(action) for action in parser._action_groups[-1]._group_actions}
    return {_name(one): one for one in parser._actions if id(one) not in own}


def _options_of_all(parsers: list[argparse.ArgumentParser]) -> str:
    """The options that every method's parser has."""
    common = set.intersection(*(set(_shown(parser)) for parser in parsers))
    return "\n\n".join(_options([one for name, one in _shown(parsers[0]).items() if name in common]))


def _own(parser: argparse.ArgumentParser, parsers: list[argparse.ArgumentParser]) -> list[argparse.Action]:
    """What stands outside a method's group and not in every method's parser, such as how CSV files are read."""
    common = set.intersection(*(set(_shown(one)) for one in parsers))
    return [one for name, one in _shown(parser).items() if name not in common]


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = ""
    if action.nargs != 0:
        value = f" {{{','.join(map(str, action.choices))}}}" if action.choices else f" {action.metavar or 'VALUE'}"
        if action.metavar:
            value = f" {action.metavar}"
        value += " ..." if action.nargs == "+" else ""
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _options(actions: list[argparse.Action]) -> list[str]:
    rows = [
        [_name(one), _help(one)]
        for one in actions
        if not isinstance(one, argparse._HelpAction | argparse._SubParsersAction)
    ]
    return [table([["option", "meaning"], *rows])] if rows else []


def _help(action: argparse.Action) -> str:
    values: dict[str, Any] = {**vars(action), "prog": "hf-unlearnable"}
    text = (action.help or "") % values
    return f"{text}{' (required)' if action.required and action.option_strings else ''}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".") if text else ""
