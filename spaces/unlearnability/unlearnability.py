"""The protection that is left of a protected dataset, as a metric for `evaluate`."""

import datasets
import evaluate
import numpy as np

from hf_unlearnable.audit.measures import measures

_DESCRIPTION = """
How much of a protection is left after attacks: 1 where a model that was trained on the protected rows knows no more
than without them, 0 where it knows as much as from the clean rows. The worst attack counts, with a 95 % interval.
"""

_INPUTS = """
Every argument answers the same clean test rows, in the same order. An answer is a class index, or a list of one index
per training seed.

Args:
    predictions: Answers of the model that was trained on the protected rows, without a countermeasure.
    references: The true classes.
    clean_predictions: Answers of the model that was trained on the clean rows.
    dropped_predictions: Answers of the model that was trained without the protected rows.
    attacks: Answers after each countermeasure by its name, such as {"jpeg-10": [...]}. Default: none was tried.

Returns:
    clean_accuracy, dropped_accuracy: Fractions of 1.
    worst_case: Name of the attack that got most, "none" for training alone.
    worst_case_accuracy, worst_case_accuracy_low, worst_case_accuracy_high: Its accuracy with a 95 % interval.
    worst_case_protection_left, ..._low, ..._high: The protection that is left against it, with a 95 % interval.
    protection_left: The same number by attack.

Examples:
    >>> module = evaluate.load("spaces/unlearnability")
    >>> found = module.compute(
    ...     references=[0, 1] * 50, predictions=[0, 0] * 50,
    ...     clean_predictions=[0, 1] * 50, dropped_predictions=[0, 0] * 50,
    ... )
    >>> found["worst_case_protection_left"]
    1.0
"""

_CITATION = """
@inproceedings{java2025operationalizing,
  title={Towards Operationalizing Right to Data Protection},
  author={Java, Abhinav and Shahid, Simra and Agarwal, Chirag},
  booktitle={NAACL},
  year={2025}
}
"""

_COLUMNS = ("predictions", "references", "clean_predictions", "dropped_predictions")


class Unlearnability(evaluate.Metric):
    """Protection left and worst case, computed by `hf_unlearnable`."""

    def _info(self) -> evaluate.MetricInfo:
        one, several = datasets.Value("int64"), datasets.Sequence(datasets.Value("int64"))
        alternatives = [
            datasets.Features({name: one if name == "references" else kind for name in _COLUMNS})
            for kind in (one, several)
        ]
        return evaluate.MetricInfo(
            description=_DESCRIPTION, citation=_CITATION, inputs_description=_INPUTS, features=alternatives,
            reference_urls=["https://arxiv.org/abs/2411.08506"],
        )  # fmt: skip

    def _compute(self, predictions, references, clean_predictions, dropped_predictions, attacks=None):
        """Compares the answers with the true classes."""
        truth = np.asarray(references)

        def correct(answers):
            """Whether each seed answered each row rightly, boolean [seeds, test rows]."""
            return np.atleast_2d(np.asarray(answers).T) == truth

        answers = {"none": predictions, **(attacks or {})}
        for name, one in answers.items():
            if len(one) != len(truth):
                raise ValueError(f"Attack {name!r} answers {len(one)} rows and there are {len(truth)} references.")
        return measures(
            {name: correct(one) for name, one in answers.items()},
            correct(clean_predictions),
            correct(dropped_predictions),
        )
