"""The protection that is left of a protected dataset, as a metric for `evaluate`."""

import datasets
import evaluate
import numpy as np

from hf_unlearnable.audit.certificate import Certificate
from hf_unlearnable.audit.measures import measures
from hf_unlearnable.audit.sharpness import unlearnable_distance
from hf_unlearnable.bayes import bayes_error

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
    sal, clean_sal: What `hf_unlearnable.sharpness_aware_learnability` gives of the training on the protected rows and
        of that on the clean ones, a list with a mapping per epoch each. Default: not measured.
    features: What the last layer of the model of the protected rows reads, [rows, features]. Default: not given.
    noisy_predictions: Answers of copies of that model with random changes of its weights (normal, centred), a list per
        copy. Default: none was drawn.

Returns:
    clean_accuracy, dropped_accuracy: Fractions of 1.
    worst_case: Name of the attack that got most, "none" for training alone.
    worst_case_accuracy, worst_case_accuracy_low, worst_case_accuracy_high: Its accuracy with a 95 % interval.
    worst_case_protection_left, ..._low, ..._high: The protection that is left against it, with a 95 % interval.
    protection_left: The same number by attack.
    unlearnable_distance: With `sal`: 0 where no layer learns, 1 where as many do as from the clean rows.
    bayes_error: With `features`: the error that no classifier of them avoids.
    certified_learnability: With `noisy_predictions`: the accuracy that 90 % of such copies do not exceed, with 99 %
        confidence; None where too few were drawn (44 do).

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

    def _compute(
        self, predictions, references, clean_predictions, dropped_predictions, attacks=None, sal=None, clean_sal=None,
        features=None, noisy_predictions=None,
    ):  # fmt: skip
        """Compares the answers with the true classes, and adds the measures of what else is given."""
        truth = np.asarray(references)

        def correct(answers):
            """Whether each seed answered each row rightly, boolean [seeds, test rows]."""
            return np.atleast_2d(np.asarray(answers).T) == truth

        more = {}
        if (sal is None) != (clean_sal is None):
            raise ValueError("sal and clean_sal belong together: give the SAL of both trainings, or of none.")
        if sal is not None:
            more["unlearnable_distance"] = unlearnable_distance(sal, clean_sal)
        if features is not None:
            more["bayes_error"] = bayes_error(features, truth)
        if noisy_predictions is not None:
            more["certified_learnability"] = _certified(noisy_predictions, truth)
        answers = {"none": predictions, **(attacks or {})}
        for name, one in answers.items():
            if len(one) != len(truth):
                raise ValueError(f"Attack {name!r} answers {len(one)} rows and there are {len(truth)} references.")
        found = measures(
            {name: correct(one) for name, one in answers.items()},
            correct(clean_predictions),
            correct(dropped_predictions),
        )
        return {**found, **more}


def _certified(noisy_predictions, truth):
    """What 90 % of the copies do not exceed; at radius 0 the size of the changes does not count."""
    if len(noisy_predictions) == 0:
        raise ValueError("noisy_predictions has no copy. Leave it out, or draw 44 or more.")
    for place, one in enumerate(noisy_predictions):
        if len(one) != len(truth):
            raise ValueError(f"Copy {place} answers {len(one)} rows and there are {len(truth)} references.")
    accuracies = np.sort((np.asarray(noisy_predictions) == truth).mean(1))
    settings = {"sigma": 1.0, "quantile": 0.9, "radius": 0.0, "confidence": 0.99}
    return Certificate(accuracies=accuracies, accuracy=float(np.median(accuracies)), **settings).learnability
