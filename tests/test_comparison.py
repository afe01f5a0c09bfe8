"""The comparison of methods: the front by hand, the packaged table, and what `list --compare` says of it."""

import json
from dataclasses import replace

import pytest

from hf_unlearnable import comparison
from hf_unlearnable.cli import main
from hf_unlearnable.registry import METHODS, MODALITIES

POINT = comparison.Point(
    modality="image", data="d", method="texture", method_version=METHODS["texture"].method_version,
    setting="epsilon 8/255", strength=1, price={"psnr": 30.0, "ssim": 0.9}, accuracy=0.2, worst=0.6,
    worst_after="jpeg-10", interval=(0.57, 0.63), tried=2, clean=0.7, guess=0.2, victim="small_cnn", rows=500,
    seconds=1.0, memory=10.0, passes=0.0,
)  # fmt: skip


def point(psnr, worst, **changed):
    return replace(POINT, price={"psnr": psnr, "ssim": None}, worst=worst, **changed)


def test_the_front_holds_what_no_other_point_beats():
    some = [point(30, 0.5), point(40, 0.6), point(29, 0.55), point(40, 0.7), point(20, 0.3), point(None, 0.1)]
    assert comparison.front(some, "psnr", more_is_better=True) == {0, 1, 4}
    assert comparison.front(some, "psnr", more_is_better=False) == {4}
    assert comparison.front([point(30, 0.5)] * 2, "psnr", True) == {0, 1}, "equals do not beat each other"


def test_a_method_that_is_gone_is_left_out_and_one_that_changed_is_marked():
    some = [POINT, replace(POINT, method="gone"), replace(POINT, method_version=1, worst=0.5)]
    rows = comparison.compared(some)["image"]
    assert [(row["method"], row["earlier"], row["on_front"]) for row in rows] == [
        ("texture", False, False), ("texture", True, True),
    ]  # fmt: skip
    said = comparison.page("image", rows).splitlines()
    assert said[0].startswith("| method | setting | PSNR (dB) | SSIM | alone | worst case | by | after |")
    assert said[2].startswith(
        "| texture v1 | epsilon 8/255 | 30 | 0.9 | 20.0 | 50.0 [57.0, 63.0] | small_cnn | jpeg-10 | 2 |"
    )
    assert said[2].endswith("| * |") and said[3].endswith("|  |")


def test_a_method_that_few_attacks_were_tried_on_neither_is_on_the_front_nor_beats_another():
    some = [point(30, 0.6, tried=12), point(40, 0.1, tried=5), point(35, 0.7, tried=6), point(20, 0.65, tried=9)]
    assert [row["on_front"] for row in comparison.compared(some)["image"]] == [True, False, True, False]


def test_what_holds_nothing_back_is_not_on_the_front():
    some = [point(30, 0.6), point(60, 0.68, interval=(0.65, 0.71)), point(50, 0.7, interval=(0.66, 0.7))]
    assert comparison.front(some, "psnr", True) == {0}


@pytest.mark.parametrize("change", [lambda row: row.pop("tried"), lambda row: row.update(dose=1)])
def test_a_table_of_another_version_is_refused(change):
    row = vars(POINT).copy()
    assert comparison.points(json.dumps(row)) == [POINT]
    change(row)
    with pytest.raises(ValueError, match="Line 1 of the comparison has another shape .* is of another version"):
        comparison.points(json.dumps(row))


def test_a_price_is_what_a_fidelity_says():
    from hf_unlearnable.audio.fidelity import AudioFidelity
    from hf_unlearnable.image.fidelity import ImageFidelity
    from hf_unlearnable.text.fidelity import TextFidelity

    for name, fidelity in (("image", ImageFidelity), ("text", TextFidelity), ("audio", AudioFidelity)):
        prices = MODALITIES[name].prices
        assert prices and all(hasattr(fidelity, one) or one in fidelity.__dataclass_fields__ for one in prices)
        assert {more for _, more in prices.values()} == {name != "text"}


def test_the_packaged_table_holds_together():
    found = comparison.points()
    assert {one.modality for one in found} == {"text", "image", "audio"}
    assert len({(one.method, one.strength) for one in found}) == len(found)
    for one in found:
        low, high = one.interval
        assert one.guess < one.clean and one.accuracy <= one.worst and low <= one.worst <= high
        assert set(one.price) == set(MODALITIES[one.modality].prices) and one.method in METHODS
        assert one.tried >= 1 and one.rows > 0 and one.seconds >= 0


def test_the_command_prints_every_measured_method_and_names_the_others(capsys):
    assert main(["list", "--compare"]) == 0
    said = capsys.readouterr().out
    assert (
        "image: cifar10_jpeg. Clean rows give 63.3 % at best, a guess 20.9 %." in said
        and "| texture | epsilon 8/255 |" in said
    )
    assert main(["list", "--compare", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    measured = {row["method"] for rows in found["compared"].values() for row in rows}
    assert not measured & set(found["not_measured"]) and measured | set(found["not_measured"]) == set(METHODS)
    for rows in found["compared"].values():
        assert any(row["on_front"] for row in rows)
