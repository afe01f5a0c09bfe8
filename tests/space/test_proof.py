"""Two trainings in turns, and how their accuracies are drawn."""

import numpy as np
import pytest

from hf_unlearnable.space import training
from hf_unlearnable.space.chart import curves, figures, interval, results
from hf_unlearnable.space.limits import RefusedError
from tests.examples import notes


def test_trainings_take_turns_and_stop_when_told():
    told = []

    def run(name):
        def train(on_epoch):
            for epoch in range(3):
                told.append((name, epoch))
                on_epoch(1.0, np.array([epoch]))

        return train

    runs = {"a": run("a"), "b": run("b")}
    seen = list(training.watched(runs, [1], lambda: False))
    assert seen == [("a", 0.0), ("b", 0.0), ("a", 1.0), ("b", 1.0), ("a", 0.0), ("b", 0.0)]
    assert told == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    told.clear()
    with pytest.raises(training.StoppedError):
        list(training.watched(runs, [1], lambda: len(told) == 3))
    assert len(told) == 3


def test_an_error_in_a_training_reaches_who_watches():
    def fails(on_epoch):
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        list(training.watched({"a": fails, "b": fails}, [0], lambda: False))


def test_a_proof_needs_rows_of_several_classes():
    data = notes(120)
    proof = training.own_proof(data, data, "text", "label", "regtext")
    assert (len(proof.labels), len(proof.test_labels)) == (90, 30) and proof.kind == "text"
    assert not set(proof.clean) & set(proof.test_inputs)
    with pytest.raises(RefusedError, match="at least 40 rows"):
        training.own_proof(data.select(range(30)), data.select(range(30)), "text", "label", "regtext")
    same = data.map(lambda row: {"label": 0}, keep_in_memory=True)
    with pytest.raises(RefusedError, match="two classes"):
        training.own_proof(same, same, "text", "label", "regtext")


def test_countermeasures_need_nothing_that_a_visitor_lacks():
    assert training.countermeasures("text")[0] == "label-word-filter"
    assert training.countermeasures("image")[0] == "jpeg-10"
    assert not {"onion", "clean-5%", "paraphrase"} & set(training.countermeasures("text"))
    proof = training.own_proof(notes(120), notes(120), "text", "label", "regtext")
    with pytest.raises(RefusedError, match="no countermeasure 'wish'"):
        training.trainings(proof, {"a": "wish"})


# ---------------------------------------------------------------------- pictures and words
def test_charts_say_what_they_show_and_quote_names():
    drawn = curves({"<b>clean": [0.5, 0.91], "protected": []}, 5, 0.25)
    assert "&lt;b&gt;clean: 91 %" in drawn and "<b>clean" not in drawn and 'role="img"' in drawn
    assert drawn.count("<circle") == 2
    assert "&lt;i&gt;" in figures(("<i>", "x"))


@pytest.mark.parametrize(
    ("accuracy", "rows", "low", "high"),
    [(0.5, 100, 0.4038, 0.5962), (0.0, 10, 0.0, 0.2775), (1.0, 10, 0.7225, 1.0), (0.9, 1000, 0.8799, 0.9171)],
)
def test_an_interval_is_that_of_wilson(accuracy, rows, low, high):
    assert interval(accuracy, rows) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("rows", "warned"), [(30, True), (199, True), (200, False), (500, False)])
def test_few_test_rows_are_warned_of(rows, warned):
    drawn = results({"clean": [0.2, 0.5], "protected": []}, 0.25, rows)
    assert (f"Only {rows} test rows." in drawn) == warned and drawn.count("<i>") == 1
    low, high = interval(0.5, rows)
    assert f"<i>{100 * low:.0f} to {100 * high:.0f}</i>" in drawn
