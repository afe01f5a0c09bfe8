"""The finished run that the proof tab starts with: stored by the product, and not older than its method."""

import pytest

pytest.importorskip("gradio", reason="gradio is not installed: the Space is not tested here")

from hf_unlearnable.registry import method_class
from hf_unlearnable.space import example, proof
from hf_unlearnable.space.training import NONE, countermeasures, epochs

RUN = example.stored()


def test_the_stored_run_is_of_the_method_as_it_is():
    made = f"{RUN['method']} has changed: {example.COMMAND}"
    assert RUN["method_version"] == method_class(RUN["method"]).method_version, made
    assert RUN["command"] == example.COMMAND


def test_the_stored_run_is_whole():
    assert list(RUN["curves"]) == [example.CLEAN, NONE, *countermeasures("text")]
    assert {len(curve) for curve in RUN["curves"].values()} == {epochs("text")}
    rows = len(example.example_proof().test_labels)
    assert rows == 320
    for curve in RUN["curves"].values():  # shares of the test rows
        assert all(round(accuracy * rows) / rows == pytest.approx(accuracy, abs=6e-5) for accuracy in curve)


def test_the_tab_starts_with_the_worst_of_the_stored_run_and_says_where_it_comes_from():
    said, curves, figures = proof._example()
    last = {name: curve[-1] for name, curve in RUN["curves"].items()}
    best = max((name for name in last if name != example.CLEAN), key=last.get)
    assert f"At worst, after {best}, the protected data taught " in said
    every = len(countermeasures("text"))
    assert f"{every + 2} of {every + 2} trainings ran" in said
    assert f"<code>{example.COMMAND}</code>" in said and f"version {RUN['version']}" in said and "stored" in said
    assert curves.count("<polyline") == 3 and curves.count("<circle") == 3 * epochs("text")
    for accuracy in (last[example.CLEAN], last[NONE], last[best]):
        assert f"<b>{100 * accuracy:.0f} %</b>" in figures


@pytest.mark.slow
def test_the_command_makes_the_stored_run_again():
    made = example.made(RUN["seed"])
    assert list(made["curves"]) == list(RUN["curves"])
    for name, curve in made["curves"].items():
        assert curve[-1] == pytest.approx(RUN["curves"][name][-1], abs=0.08), name
