r"""What no word may be put into: code, markup, addresses, data, templates and formulas, by one grammar.

Every kind begins with a character of its own. One search finds the next such character, one match tells what begins
there. No pattern takes more than linear time: what is opened ends at the next opening of its kind at the latest, or,
never closed, goes on to the end of the text.
"""

from __future__ import annotations

import re

_SPAN = re.compile(
    r"""
    # Markup, escaped or not. What stands between the tags of code is code.
      (?P<comment> LT!-- .*? (?: --GT | \Z ) )
    | (?P<element> LT(?P<name>code|pre|kbd|samp|tt|script|style|math|svg|textarea)\b .*? (?: LT/(?P=name)\s*GT | \Z ) )
    | (?P<tag> <(?=[a-z/!?]) (?: (?: "[^"]*" | '[^']*' | [^<>"'] )* > | [^<>]*> ) )
    | (?P<escaped> &(?:amp;)*(?:lt|\#60|\#x3c);(?=[a-z/!?]) (?: (?!LT|GT). )* GT )
    | (?P<bbcode> \[(?P<bb>code|pre|tt|php|html|math|latex|url|img)\b[^\[\]]*\] .*? (?: \[/(?P=bb)\] | \Z ) )
    # Code of Markdown and reStructuredText: fences, literals, lines indented behind an empty one.
    | (?P<fence> (?P<rail>`{3,}|~{3,}) (?: [^`~]+ | (?!(?P=rail)). )* (?: (?P=rail) | \Z ) )
    # A backtick that stands for an apostrophe or a quotation mark (it`s, `this', ``that'') begins and ends no literal.
    | (?P<literal> (?<![\w`])(?: ``(?!\s)(?: (?!''|``)[^\n] )+(?<!\s)`` | `(?![\s`])[^`\n]+(?<!\s)` )(?!\w) )
    | (?P<indented> (?: \n[ \t\r]*\n | \A ) (?: (?:[ ]{4}|\t)[ \t]*\S[^\n]* (?: \n[ \t\r]*(?=\n) )* (?:\n|\Z) )+ )
    # Data and templates: JSON by its tokens, closed or not; anything in braces, which may hold braces once.
    | (?P<json> (?: \{\s*(?=["}]) | \[\s*(?=["\[{\d-]) )
        (?: "[^"\\\n]*(?:\\.[^"\\\n]*)*" | [-+.\d\s{}\[\]:,]+ | true | false | null | (?<=\d)e(?=[-+\d]) )* )
    | (?P<braces> \{[^{}]*(?:\{[^{}]*\}[^{}]*)*\} )
    | (?P<format> %\([^()\n]*\)[-#0 +]*\d*(?:\.\d+)?[a-z] )
    # Formulas. As in Pandoc no dollar sign in front of a digit or behind a space ends one: "$5 and $10" is money.
    | (?P<formula> \\\([^\\]*(?:\\(?![()])[^\\]*)*\\\) | \\\[[^\\]*(?:\\(?![\[\]])[^\\]*)*\\\] )
    | (?P<environment> \\begin\{(?!document\}|abstract\})(?P<env>\w+\*?)\} .*? (?: \\end\{(?P=env)\} | \Z ) )
    | (?P<dollars> (?<!\\)(?: \$\$[^$]+\$\$ | \$(?!\s)[^$\n]+(?<!\s)\$(?!\d) ) )
    # Addresses, with letters of any script, from their first sign on; `spans` adds what stands in front of it.
    | (?P<address> (?: :// | (?<=\bwww)\. ) [^\s<>"'`，。；！？、）】》」…]+ )
    | (?P<handle> [@\#＠＃]\w+(?:[.-]\w+)* )
    """.replace("LT", r"(?:<|&(?:amp;)*(?:lt|\#60|\#x3c);)").replace("GT", r"(?:>|&(?:amp;)*(?:gt|\#62|\#x3e);)"),
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_EMPTY_LINE = r"(?:(?<!\n)|(?=[ \t\r]*\n))"  # what a line break opens has to begin with one
_OPENING = re.compile(rf"[<&\[`~\n{{%\\$]{_EMPTY_LINE}")
_ANY_OPENING = re.compile(rf"[<&\[`~\n{{%\\$:.@#＠＃]{_EMPTY_LINE}")
_LOCAL_PART = 64  # letters of a mail address in front of its sign, at most
_AT_ITS_LINE = ("json", "fence", "indented")  # at the start of a text nothing goes in front of these either


def may_hold_spans(text: str) -> bool:
    """Whether a text may hold a span with a space in it. One letter is found some fifty times faster than two."""
    # fmt: off
    return (
        "<" in text or "&" in text or "[" in text or "`" in text or "~" in text or "{" in text or "%" in text
        or "\\" in text or "$" in text or ("\n" in text and ("\n    " in text or "\n\t" in text))
        or text.startswith((" ", "\t"))
    )
    # fmt: on


def spans(text: str, addresses: bool = False) -> list[tuple[int, int]]:
    """Start and end of every span, ascending.

    A span that has to begin its text (JSON, a fence, indented code) starts at -1 there: then the start of the text is
    inside.

    Args:
        text: The text.
        addresses: Whether to look for spans that hold no space too: addresses, mail addresses, names and tags.
    """
    found: list[tuple[int, int]] = []
    opening = _ANY_OPENING if addresses else _OPENING
    start: int | None = 0
    while start is not None:
        span = _SPAN.match(text, start)
        end = start + 1
        if span and span.end() > start:
            end, last = span.end(), found[-1][1] if found else 0
            if span.lastgroup in _AT_ITS_LINE and not text[last:start].strip() and not found:
                start = -1
            elif text[start] in ":@.＠":
                start = _with_local_part(text, start, last)
            found.append((start, end))
        mark = opening.search(text, end)
        start = mark.start() if mark else None
    return found


def without_spans(text: str) -> str:
    """A text with a space in place of every span: what counting words reads."""
    kept, last = [], 0
    for start, end in spans(text):
        kept.append(text[last : max(start, 0)])
        last = end
    return " ".join([*kept, text[last:]])


def _with_local_part(text: str, start: int, last: int) -> int:
    """Where an address begins whose first sign is at `start`."""
    first = max(last, start - _LOCAL_PART)
    while start > first and (text[start - 1].isalnum() or text[start - 1] in "._+-"):
        start -= 1
    return start
