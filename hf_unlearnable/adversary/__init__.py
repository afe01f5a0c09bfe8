"""What an adversary has, trains and tries: rows, victims, countermeasures.

A `Victim` is a model in training. A `Countermeasure` changes the rows before that (`on_rows`), each training batch
(`in_training`), or both, to learn in spite of a protection. Both see what an adversary has: the published rows, and
what it brings itself (`Attacker`). They never see the key. `Wear` changes rows too, but without such a purpose.
"""

from hf_unlearnable.adversary.countermeasures import Attacker, Countermeasure, Rows, composed, mixed_with_clean
from hf_unlearnable.adversary.victims import Generator, Training, Victim, class_indices, victim
from hf_unlearnable.adversary.victims import _Plain as _Plain  # the name in pickles
from hf_unlearnable.adversary.wear import Wear

__all__ = [
    "Attacker",
    "Countermeasure",
    "Generator",
    "Rows",
    "Training",
    "Victim",
    "Wear",
    "class_indices",
    "composed",
    "mixed_with_clean",
    "victim",
]
