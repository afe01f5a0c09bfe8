"""Nothing goes into code, markup, data, templates, formulas or addresses; all is found again; time grows linearly."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable import OrderCodeTransform, RegTextTransform
from hf_unlearnable.text.insertion.spans import spans, without_spans
from hf_unlearnable.text.insertion.words import Canonical
from tests.examples import tiny

SPANS = [
    "&lt;b class=&quot;x y&quot;&gt;", "&lt;A HREF=\"http://a.b/fullquote.aspx\" target=x y&gt;", "&amp;lt;i a b&amp;gt;",
    "<a title=\"a > b c\" href=x>", "<img alt='it > is so' src=y>", "<!-- a > b c -->", "<kbd>Ctrl + C</kbd>",
    "<code>a b c</code>", "<pre>a b\n c</pre>", "&lt;code&gt;a b c&lt;/code&gt;", "[code]x = 1 + 2[/code]",
    "[url=a b]c d e[/url]", "`rm -r a b`", "``a literal b``", "```py\na b c\n```", "~~~\nx y z\n~~~", "````\na ``` b\n````",
    '{"name": "a b", "l": [1, {"x": {"y": {"z": 2.5e3}}}]}', '["a b", "c d"]', "[1, 2, 3]", "{{ user name }}",
    "{% if a b %}", "{first name}", "${x + y}", "%(my name)s", "$x^2 + y$", "$$a + b$$", r"\(a + b\)", r"\[a = b + c\]",
    r"\begin{align}a &= b \\ c d\end{align}", "\n\n    for i in x:\n        print(i, j)\n\n    more(a, b)\n",
]  # fmt: skip
PROSE = st.lists(
    st.sampled_from(["one", "two", "three,", "four.", "it`s", "5", "a", "not"]), min_size=2, max_size=6
).map(" ".join)
WITHOUT_SPACE = [
    "https://zh.wikipedia.org/wiki/机器学习的历史与发展", "http://例子.公司/路径/页面", "用户名字@例子.公司", "@名字很长的人",
    "#标签也很长", "www.例子.公司/路径",
]  # fmt: skip


def changed(text: str, step: float = 0.5, words: int = 8) -> str:
    """The text with words put in, after checks that they come out again."""
    canonical = Canonical(text, ["piston"])
    offsets = [int((i + step) * len(canonical.text) / words) for i in range(words)]
    places = canonical.places("random", offsets)
    put = ["piston"] * len(places)
    protected = canonical.with_words(places, put)
    again = Canonical(protected, ["piston"])
    assert again.text == canonical.text and again.places("random", offsets) == places
    assert again.without_words(places, put) == text
    return protected


@given(st.lists(st.tuples(PROSE, st.sampled_from(SPANS)), min_size=1, max_size=5), PROSE, st.floats(0, 0.999))
def test_spans_between_prose_stay_whole_and_words_come_out_again(parts, end, step):
    protected = changed(" ".join([part for pair in parts for part in pair] + [end]), step)
    assert protected.count("piston") == 8 or protected.count("piston") >= len(parts) + 1
    at = 0
    for _, span in parts:
        at = protected.find(span, at)
        assert at >= 0, f"{span!r} was cut in {protected!r}"
        at += len(span)


@pytest.mark.parametrize("span", SPANS)
def test_each_kind_is_one_span(span):
    text = f"one two three {span} four five six"
    assert [text[a:b].strip() for a, b in spans(text)] == [
        span.strip().removeprefix("$") if "${" in span else span.strip()
    ]
    assert without_spans(text).replace("$", "").split() == "one two three four five six".split()


@pytest.mark.parametrize("span", WITHOUT_SPACE)
def test_addresses_stay_whole_in_scripts_without_spaces(span):
    text = f"这部电影讲述了一个非常动人的故事我很喜欢。 {span} 它介绍了机器学习内容非常详细值得大家认真阅读。"
    for step in range(10):
        protected = changed(text, step / 10, 12)
        assert protected.count("piston") == 12 and span in protected


@pytest.mark.parametrize(
    "text",
    [
        "It cost $5 million and then $10 more.", "He wrote ``quoted'' and later ``again'' to me.", "It`s the dog`s bone.",
        "They said `this,' and then `1984,' of it.", "if a < b and c > d then", "It is 5% (or 6%) of it", "a [sic] b",
        "Dear A & B and C;", "~ about ten ~ or so", "1) one 2) two",
    ],
)  # fmt: skip
def test_prose_with_such_signs_holds_no_span(text):
    assert spans(text) == []


@pytest.mark.parametrize(
    "text", ['{"a": "b c"}', ' [{"a": 1}, {"b": 2}]\n', "```\na b\n```", "    a = b + c\n    d = e"]
)
@pytest.mark.parametrize("method", [RegTextTransform, OrderCodeTransform])
def test_a_text_that_is_data_or_code_alone_stays_as_it_is(method, text):
    data = tiny([f"{w} row of plain words {i}" for i, w in enumerate(["ab", "cd", "ef", "gh"] * 10)], [0, 1] * 20)
    cloak = method(seed=1, **({"max_frequency": 1.0} if method is RegTextTransform else {})).fit(data)
    row = {"text": text, "label": 0}
    assert cloak(row)["text"] == text == cloak.restore(row)["text"]
    after = cloak({"text": f"{text}\n and some words behind it", "label": 0})["text"]
    assert after.startswith(text), "and goes before what stands at the start of the text"


LONG = [
    "<a \"", "<a '", "{ {a} ", "{\"a\":", '["a\\', r"\(", r"\begin{a}", "$a ", "~~~ `", "``a ", "\n\n    a", "&lt;b ",
    "&amp;", "[code]", "[[[", "%(a", "@a.b-", "{a{b}", "\\\\", "www.", "\n   ", "1 2 ", "not ", "  a",
]  # fmt: skip


def growth(run, part):
    """How many times as long eight times the text takes, at the best of five: quadratic time is 64 times at any."""

    def seconds(text):
        best = 9e9
        for _ in range(3):
            started = time.thread_time()
            run(text)
            best = min(best, time.thread_time() - started)
        return best

    return min(seconds(8 * part) / max(seconds(part), 1e-3) for _ in range(5))


@pytest.mark.slow
@pytest.mark.parametrize("part", LONG)
def test_long_harmless_text_takes_linear_time(part):
    assert growth(lambda text: spans(text, addresses=True), 20_000 * part) < 24


@pytest.mark.slow
@pytest.mark.parametrize("part", ["1 2 3 ", "not all of the ", "a b c. ", "x = y[i] # z\n    ", "  a  b"])
def test_order_code_takes_linear_time(part):
    data = tiny([f"{w} row of plain words {i}" for i, w in enumerate(["ab", "cd", "ef", "gh"] * 10)], [0, 1] * 20)
    cloak = OrderCodeTransform(seed=1).fit(data)
    assert growth(lambda text: cloak({"text": text, "label": 0}), 1_000 * part) < 24
