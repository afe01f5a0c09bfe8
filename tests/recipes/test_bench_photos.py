"""The study of photos: its table shows what ran and what did not, and its configuration asks for what exists."""

import pytest

pytest.importorskip("torch", reason="victims of images need torch")

from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES
from hf_unlearnable.image.victims import IMAGE_VICTIMS
from hf_unlearnable.registry import method_class
from recipes.bench import attack_tables
from tests.recipes.test_bench_tables import cell


def test_the_configuration_asks_for_what_exists():
    study = attack_tables.PHOTO_STUDY
    assert set(study["countermeasures"]) <= set(IMAGE_COUNTERMEASURES)
    for parameters in study["versions"].values():
        if isinstance(parameters, dict):
            options = {name: value for name, value in parameters.items() if name not in ("method", "role")}
            method_class(parameters["method"])(**options)
        else:
            assert parameters in ("clean", "dropped")
    for settings in study["datasets"].values():
        for victim, protocol in settings["victims"].items():
            IMAGE_VICTIMS[victim].configured(**{k: v for k, v in protocol.items() if k not in ("rows", "test_rows")})


@pytest.mark.parametrize(
    ("cells", "row"),
    [
        ([("texture", "none", 0.9)], "| texture | 90.0 [88.0, 92.0] | 1 of 5 |"),
        ([("texture", "none", 0.9), ("clean", "jpeg-10", 0.8)], "| texture | 90.0 [88.0, 92.0] |  | 1 of 5 |"),
        ([("texture", "jpeg-50", 0.7)], "| texture | 70.0 [68.0, 72.0] | 1 of 5 |"),
        ([("clean", "none", 0.7)], "| texture |  | 0 of 5 |"),
        ([("protected rows dropped", "none", 0.1)], "| dropped | 10.0 [8.0, 12.0] | 1 of 1 |"),
    ],
)
def test_a_row_shows_what_ran_of_what_was_planned(cells, row):
    found = dict(cell("linear_probe", *one) for one in cells)
    assert row in attack_tables.photos(found, "linear_probe").splitlines()


def test_what_nobody_tried_has_no_column_and_every_version_a_row():
    found = dict([cell("linear_probe", "clean", "none", 0.9), cell("small_cnn", "clean", "jpeg-10", 0.5)])
    head, _, *rows = attack_tables.photos(found, "linear_probe").splitlines()
    assert head == "| photos, trained on | none | cells run |"
    assert len(rows) == len(attack_tables.PHOTO_STUDY["versions"])
