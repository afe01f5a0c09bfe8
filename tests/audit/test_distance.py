"""The Unlearnable Distance as a part of an attack and of its report."""

import json
import re

import numpy as np
import pytest
import torch

from hf_unlearnable import TextureTransform, sharpness_aware_learnability, unlearnable_distance
from hf_unlearnable.audit import distance
from hf_unlearnable.audit.distance import distance_parts, looked_into, sal_table, summary
from hf_unlearnable.audit.records import Version
from hf_unlearnable.audit.report import as_dict, write_report
from hf_unlearnable.audit.run import Effort, attack
from hf_unlearnable.cli import main
from hf_unlearnable.image.modality import IMAGE
from hf_unlearnable.image.victims import small_cnn
from hf_unlearnable.modality import Grid
from tests.audit.test_sharpness import given, network
from tests.examples import pictures, tiny

LAYERS = ["0", "4", "8", "14"]


@pytest.fixture(scope="module")
def textured():
    """Small images, protected, and a test."""
    clean, test = pictures(48), pictures(16, seed=1)
    return clean, clean.map(TextureTransform(seed=3, epsilon=32 / 255).fit(clean), batched=True), test


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Four epochs, and looks at 8 rows."""
    settings = small_cnn.training.__class__(epochs=4, batch_size=32, learning_rate=0.05)
    monkeypatch.setitem(vars(small_cnn), "training", settings)
    monkeypatch.setattr(distance, "LOOKED_AT", 8)


SMALL = Effort(rows=48, test_rows=16, seeds=1, grid=Grid({"small_cnn": {"epochs": 1}}, ()))


def test_an_attack_has_the_distance_of_both_trainings_and_shows_it(textured, tmp_path):
    found = attack(*textured, effort=SMALL, distance=True, store=tmp_path / "cells").distance
    clean, protected = found["versions"]
    assert [one["version"] for one in found["versions"]] == ["clean", "protected"]
    assert found["distance"] == unlearnable_distance(protected["sal"], clean["sal"]) > 0
    for one in found["versions"]:
        assert one["epochs"] == [3] and one["rows"] == 8 and list(one["sal"][0]) == LAYERS
        assert min(one["sal"][0].values()) >= 0 < max(one["sal"][0].values())
        assert np.shape(one["landscape"]["losses"]) == (2, 21) and one["landscape"]["positions"][10] == 0
        assert one["passes"] == round(22 * 4 / 4 * 8 / 48, 2) <= 4 * 40 / 10
    files = set((tmp_path / "cells").glob("*.json"))
    again = attack(*textured, effort=SMALL, distance=True, store=tmp_path / "cells")
    assert again.distance == found and set((tmp_path / "cells").glob("*.json")) == files
    assert as_dict(again)["distance"] == found
    write_report(tmp_path / "report", again)
    told = (tmp_path / "report" / "report.md").read_text()
    assert "## Unlearnable Distance" in told and summary(found) in told
    assert re.search(r"\| layer \| clean, SAL \(learnable\) +\| protected, SAL \(learnable\) +\|", told)
    pytest.importorskip("matplotlib")
    assert (tmp_path / "report" / "distance.png").stat().st_size > 10_000 and "(distance.png)" in told


def test_the_passes_over_the_rows_are_as_many_as_are_said():
    seen = []
    model = network()
    model[14].register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    rows = given()
    sharpness_aware_learnability(model, rows)
    assert sum(seen) == 22 * 4 * 24 + 24  # and once to find what would enter a layer behind the last


@pytest.mark.parametrize(("epochs", "looks"), [(1, [1]), (2, [2]), (7, [3, 6])])
def test_a_short_training_is_looked_into_after_its_last_epoch(textured, monkeypatch, epochs, looks):
    settings = small_cnn.training.__class__(epochs=epochs, batch_size=48, learning_rate=0.01)
    monkeypatch.setitem(vars(small_cnn), "training", settings)
    monkeypatch.setattr(distance, "LOOKED_AT", 2)
    versions = [Version(name, rows, name) for name, rows in zip(("clean", "protected"), textured, strict=False)]
    found = looked_into(IMAGE, versions, ("image", "label"), None)
    assert all(one["epochs"] == looks for one in found["versions"]) and found["distance"] >= 0


def test_looking_changes_nothing_of_the_training(textured):
    from hf_unlearnable.audit.inputs import rows_of

    rows = rows_of(textured[0], ("image", "label"))
    plain, _ = IMAGE.network(rows, [], 0)
    looked, _ = IMAGE.network(rows, [], 0, lambda model: sharpness_aware_learnability(model, given(4)))
    assert all(
        torch.equal(one, other) for one, other in zip(plain.state_dict().values(), looked.state_dict().values())
    )


def test_a_clean_training_without_a_layer_that_stands_out_is_said(textured):
    flat = {"distance": None, "threshold": 1.0, "versions": [
        {"version": "clean", "epochs": [1], "rows": 3, "passes": 0.5, "sal": [{"a": 1.0, "b": 1.0}]},
        {"version": "protected", "epochs": [1], "rows": 3, "sal": [{"a": 2.0, "b": 0.5}]},
    ]}  # fmt: skip
    assert summary(flat) == "Unlearnable Distance: not known, for no layer of the clean training stands out."
    assert sal_table(flat).rows == [["a", "1.00 (0 of 1)", "2.00 (1 of 1)"], ["b", "1.00 (0 of 1)", "0.50 (0 of 1)"]]
    told = distance_parts(flat)[1].markdown()
    assert "on 3 training rows, in 0.5 passes over the training rows per epoch" in told and distance_parts({}) == []


def test_the_plot_says_what_its_axes_are_and_shows_every_layer():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    landscape = {"positions": [-1.0, 0.0, 1.0], "losses": [[3.0, 1.0, 2.0], [2.0, 1.0, 4.0]]}
    versions = [
        {"version": name, "sal": [{"a": 1.0, "b": high}, {"a": 3.0, "b": high}], "landscape": landscape}
        for name, high in (("clean", 2.0), ("protected", 9.0))
    ]
    distance.draw(figure, {"threshold": 1.5, "versions": versions}, ["k", "0.5"])
    slices, layers = figure.axes
    assert (slices.get_ylabel(), layers.get_ylabel()) == ("loss on training rows", "SAL, mean over epochs")
    assert [tick.get_text() for tick in layers.get_xticklabels()] == ["a", "b"]
    assert [bar.get_height() for bar in layers.patches] == [2, 2, 2, 9]
    assert [line.get_ydata().tolist() for line in slices.lines] == landscape["losses"] * 2
    shown = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert shown == ["learnable above", "clean", "protected"]


def test_nothing_is_measured_unless_it_is_asked_for_nor_of_texts(textured):
    found = attack(*textured, effort=SMALL)
    assert found.distance == {} and "distance" not in as_dict(found)
    texts = tiny([f"word{i % 2} {i}" for i in range(12)], [0, 1] * 6)
    protected, test = texts.map(lambda row: {"text": row["text"] + " x"}), tiny(["word0 a", "word1 b"], [0, 1])
    with pytest.raises(ValueError, match="There is no network of texts for certify and distance."):
        attack(texts, protected, test, effort="quick", distance=True)


def test_the_command_line_prints_the_distance_and_keeps_it_in_the_report(textured, tmp_path, capsys):
    for name, part in zip(("clean", "protected", "test"), textured, strict=True):
        part.to_parquet(str(tmp_path / f"{name}.parquet"))
    data = [f"--{name}={tmp_path / name}.parquet" for name in ("clean", "protected", "test")]
    options = ["--quick", "--victims", "small_cnn", "--countermeasures", "none", "--distance", "--budget", "9"]
    assert main(["attack", *data, f"--report={tmp_path / 'report'}", *options]) == 0
    assert re.search(r"\nUnlearnable Distance: \d\.\d\d \(0: no layer learns", capsys.readouterr().out)
    stored = json.loads((tmp_path / "report" / "report.json").read_text())["distance"]
    assert list(stored["versions"][1]["sal"][0]) == LAYERS
