"""Texts of which every word counts."""

TEXTS = ["alpha beta gamma delta shared", "alpha beta epsilon shared zeta", "kappa lambda omega shared mu",
         "kappa lambda sigma shared tau"] * 3  # fmt: skip
LABELS = [0, 0, 1, 1] * 3


def inserted(original, protected):
    """The words that were put in, in order; fails if anything else changed."""
    rest, at, words = original.split(" "), 0, []
    for piece in protected.split(" "):
        if at < len(rest) and piece == rest[at]:
            at += 1
        else:
            words.append(piece)
    assert at == len(rest), "the text itself was changed"
    return words
