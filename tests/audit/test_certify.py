"""The certificate as a part of an attack and of its report."""

import json
import re

import pytest

from hf_unlearnable import TextureTransform
from hf_unlearnable.audit.report import _parts, as_dict
from hf_unlearnable.audit.run import Effort, attack
from hf_unlearnable.cli import main
from hf_unlearnable.modality import Grid
from tests.examples import pictures, tiny

for module in ("torch", "sklearn", "scipy"):
    pytest.importorskip(module, reason="attacks need the attack extra")


@pytest.fixture(scope="module")
def textured():
    """Small images, protected, and a test."""
    clean, test = pictures(80), pictures(24, seed=1)
    return clean, clean.map(TextureTransform(seed=3, epsilon=32 / 255).fit(clean), batched=True), test


CERTIFIED = Effort(rows=80, test_rows=24, seeds=1, grid=Grid({"small_cnn": {"epochs": 1}}, ()))


def test_a_certificate_has_a_curve_for_clean_and_protected_rows_and_a_recovery_attack(textured, tmp_path):
    clean, protected, test = textured
    own = pictures(20, seed=2)
    found = attack(clean, protected, test, effort=CERTIFIED, certify=60, own_clean=own, store=tmp_path)
    assert [one["version"] for one in found.certificates] == ["clean", "protected"]
    for one in found.certificates:
        bounds = [point["learnability"] for point in one["curve"]]
        assert [point["radius"] / one["sigma"] for point in one["curve"]] == [0.0, 0.25, 0.5, 1.0, 2.0, 50.0]
        assert 0 <= bounds[0] <= 1 and bounds[1:] == [None] * 5  # 60 draws show a sixth of sigma
        assert one["curve"][4]["said"] == "abstains: 8,920 draws would do"
        assert all(0 <= point["recovered"] <= 1 for point in one["curve"])
        assert 0 <= one["bayes_error"] <= 0.75 and one["draws"] == 60
    files = set(tmp_path.glob("*.json"))
    again = attack(clean, protected, test, effort=CERTIFIED, certify=60, own_clean=own, store=tmp_path)
    assert again.certificates == found.certificates and set(tmp_path.glob("*.json")) == files
    told = "\n".join(part.markdown() for part in _parts(found, as_dict(found), [], []))
    assert "## Certified learnability" in told
    assert re.search(r"\| radius +\| clean, certified +\| clean, recovered +\| protected, certified +\|", told)
    assert "standard deviation" in told and as_dict(found)["certificates"] == found.certificates


def test_a_certificate_without_clean_rows_of_the_attacker_has_no_recovery_attack(textured):
    found = attack(*textured, effort=CERTIFIED, certify=3)
    assert all(point["recovered"] is None for one in found.certificates for point in one["curve"])
    assert found.certificates[0]["curve"][0]["said"] == "abstains: 44 draws would do"


def test_nothing_is_certified_unless_it_is_asked_for_nor_of_texts(textured):
    assert attack(*textured, effort=CERTIFIED).certificates == []
    assert "certificates" not in as_dict(attack(*textured, effort=CERTIFIED))
    texts = tiny([f"word{i % 2} {i}" for i in range(12)], [0, 1] * 6)
    protected, test = texts.map(lambda row: {"text": row["text"] + " x"}), tiny(["word0 a", "word1 b"], [0, 1])
    with pytest.raises(ValueError, match="There is no network of texts for certify and distance."):
        attack(texts, protected, test, effort="quick", certify=10)
    with pytest.raises(ValueError, match="certify is -1"):
        attack(*textured, effort=CERTIFIED, certify=-1)


def test_the_command_line_prints_the_curve_and_keeps_it_in_the_report(textured, tmp_path, capsys):
    for name, part in zip(("clean", "protected", "test"), textured, strict=True):
        part.to_parquet(str(tmp_path / f"{name}.parquet"))
    data = [f"--{name}={tmp_path / name}.parquet" for name in ("clean", "protected", "test")]
    options = ["--quick", "--victims", "small_cnn", "--countermeasures", "none", "--certify", "7", "--budget", "9"]
    assert main(["attack", *data, f"--report={tmp_path / 'report'}", *options]) == 0
    assert "Certified learnability in percent:\n\n| radius" in capsys.readouterr().out
    stored = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [one["draws"] for one in stored["certificates"]] == [7, 7]
    assert "abstains: 44 draws would do" in (tmp_path / "report" / "report.html").read_text()
