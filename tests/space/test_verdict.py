"""What the Space says of trainings: the worst of them, and how many of all there are ran."""

import pytest

pytest.importorskip("gradio", reason="gradio is not installed: the Space is not tested here")

from hf_unlearnable.space.training import NONE, Proof, countermeasures, verdict

PROOF = Proof("text", "regtext", [], [], [0, 1], [], [0, 1])  # a guess is right in half of the rows
EVERY = countermeasures("text")
ALL = len(EVERY) + 2


def test_every_countermeasure_tried_is_all_trainings():
    said = verdict(PROOF, 0.9, {NONE: 0.55, **dict.fromkeys(EVERY, 0.5), EVERY[3]: 0.7})
    assert said == (
        f"At worst, after {EVERY[3]}, the protected data taught 50 % of what the clean data teach. "
        f"{ALL} of {ALL} trainings ran: {len(EVERY)} of {len(EVERY)} countermeasures, one small model."
    )


@pytest.mark.parametrize(
    ("tried", "worst", "share"),
    [
        ({NONE: 0.6}, "by training alone", 25),
        ({NONE: 0.6, EVERY[0]: 0.9}, f"after {EVERY[0]}", 100),
        ({NONE: 0.6, EVERY[0]: 0.9, EVERY[1]: 0.55}, f"after {EVERY[0]}", 100),  # a weaker attack later hides nothing
        ({NONE: 0.4, EVERY[1]: 0.45}, f"after {EVERY[1]}", 0),
    ],
)
def test_some_tried_is_never_read_as_all(tried, worst, share):
    said = verdict(PROOF, 0.9, tried)
    assert said.startswith(f"At worst, {worst}, the protected data taught {share} % of what the clean data teach. ")
    assert said.endswith(
        f"{1 + len(tried)} of {ALL} trainings ran: {len(tried) - 1} of {len(EVERY)} countermeasures, one small model. "
        "The others may get further."
    )


def test_nothing_tried_is_not_measured():
    assert verdict(PROOF, 0.9, {}).startswith(f"Not measured. 1 of {ALL} trainings ran: 0 of {len(EVERY)} ")


@pytest.mark.parametrize("clean", [0.5, 0.54, 0.3])
def test_a_model_that_learns_nothing_from_clean_data_proves_nothing(clean):
    assert "this proves nothing either way" in verdict(PROOF, clean, {NONE: 0.5, EVERY[0]: 0.5})
