"""The metric for `evaluate`, loaded by path and from a Space, and its widget."""

import importlib.util
import re

import numpy as np
import pytest

from hf_unlearnable import bayes_error, unlearnable_distance
from hf_unlearnable.audit.measures import measures
from tests import ROOT

evaluate = pytest.importorskip("evaluate", reason="the metric needs the evaluate extra")
FOLDER = ROOT / "spaces" / "unlearnability"


def answers(rows=60, seed=0):
    """True classes, and answers of models that are right on all, two thirds and a third of the rows."""
    references = np.arange(rows) % 3
    guess = np.zeros(rows, int)
    part = np.where(np.arange(rows) < rows // 2, references, guess)
    return references, part, references.copy(), guess


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """Caches of these tests alone; modules are imported from theirs, so it stays the same for all of them."""
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_METRICS_CACHE", "HF_MODULES_CACHE", "HF_EVALUATE_CACHE"):
            patch.setattr(evaluate.config, name, str(folder / name))
        yield


@pytest.fixture
def module(monkeypatch):
    monkeypatch.chdir(ROOT)
    return evaluate.load("spaces/unlearnability")


def test_it_gives_what_the_package_measures(module):
    references, part, clean, guess = answers()
    found = module.compute(
        references=references, predictions=guess, clean_predictions=clean, dropped_predictions=guess,
        attacks={"jpeg-10": part.tolist()},
    )  # fmt: skip
    right = [np.asarray(one) == references for one in (guess, part, clean)]
    expected = measures({"none": right[0][None], "jpeg-10": right[1][None]}, right[2][None], right[0][None])
    assert found == expected
    assert found["worst_case"] == "jpeg-10" and found["worst_case_protection_left"] == pytest.approx(0.5)


def test_answers_of_several_seeds_count_as_several_trainings(module):
    references, part, clean, guess = answers()
    several = {
        "predictions": np.stack([guess, part], axis=1), "clean_predictions": np.stack([clean, clean], axis=1),
        "dropped_predictions": np.stack([guess, guess], axis=1),
    }  # fmt: skip
    found = module.compute(references=references, **{name: one.tolist() for name, one in several.items()})
    right = {name: (one == references[:, None]).T for name, one in several.items()}
    expected = measures({"none": right["predictions"]}, right["clean_predictions"], right["dropped_predictions"])
    assert found == expected and found["worst_case_protection_left"] == pytest.approx(0.75)


def test_rows_added_in_batches_are_the_same(module):
    references, part, clean, guess = answers()
    columns = {"references": references, "predictions": part, "clean_predictions": clean, "dropped_predictions": guess}
    whole = module.compute(**columns)
    for start in range(0, 60, 20):
        module.add_batch(**{name: one[start : start + 20] for name, one in columns.items()})
    assert module.compute() == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"attacks": {"crop": [0] * 59}}, "Attack 'crop' answers 59 rows and there are 60 references"),
        ({"clean_predictions": [0] * 60}, "did not surely learn more from the clean rows"),
        ({"predictions": ["cat"] * 60}, "cat"),
    ],
)
def test_answers_that_do_not_fit_are_refused(module, change, said):
    references, part, clean, guess = answers()
    given = {"references": references, "predictions": part, "clean_predictions": clean, "dropped_predictions": guess}
    with pytest.raises(ValueError, match=re.escape(said)):
        module.compute(**{**given, **change})


def test_its_description_says_what_to_give(module):
    assert set(module.features[0]) == {"predictions", "references", "clean_predictions", "dropped_predictions"}
    said = module.inputs_description
    for name in ("worst_case_protection_left", "attacks", *module.features[0]):
        assert name in said
    (example,) = re.findall(r">>> found = (module\.compute\(.*?\.\.\. \))", said, re.DOTALL)
    found = eval(example.replace("... ", ""), {"module": module})
    assert found["worst_case_protection_left"] == 1.0


def test_it_loads_from_a_space_by_its_id(hub, monkeypatch):
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.url, token="hf_test")
    api.create_repo("tester/unlearnability", repo_type="space", space_sdk="gradio")
    api.upload_folder(repo_id="tester/unlearnability", repo_type="space", folder_path=FOLDER)
    monkeypatch.setattr(
        evaluate.config, "HUB_EVALUATE_URL", f"{hub.url}/spaces/{{path}}/resolve/{{revision}}/{{name}}"
    )
    loaded = evaluate.load("tester/unlearnability", module_type="metric")
    references, part, clean, guess = answers()
    found = loaded.compute(references=references, predictions=part, clean_predictions=clean, dropped_predictions=guess)
    assert found["worst_case_protection_left"] == pytest.approx(0.5)


# ---------------------------------------------------------------------- more measures
CLEAN = [{"conv": 3.0, "head": 0.5}, {"conv": 4.0, "head": 1.0}]


def given():
    references, _, clean, guess = answers()
    return {"references": references, "predictions": guess, "clean_predictions": clean, "dropped_predictions": guess}


def test_nothing_is_added_to_answers_alone(module):
    assert not {"unlearnable_distance", "bayes_error", "certified_learnability"} & set(module.compute(**given()))


@pytest.mark.parametrize(("conv", "expected"), [(0.1, 0.0), (3.0, 1.0), (2.0, 0.0)])
def test_the_sal_of_two_trainings_gives_their_distance(module, conv, expected):
    protected = [{"conv": conv, "head": 0.5}] * 2
    found = module.compute(**given(), sal=protected, clean_sal=CLEAN)
    assert found["unlearnable_distance"] == expected == unlearnable_distance(protected, CLEAN)
    assert found["worst_case"] == "none"


def test_features_give_the_bayes_error(module):
    pytest.importorskip("torch")
    features = np.random.default_rng(0).normal(size=(60, 3)).tolist()
    found = module.compute(**given(), features=features)["bayes_error"]
    assert found == bayes_error(features, given()["references"]) > 0.2


@pytest.mark.parametrize(("copies", "expected"), [(43, None), (44, 1.0), (100, 95 / 99)])
def test_noisy_answers_give_a_certificate_or_abstain(module, copies, expected):
    pytest.importorskip("scipy")
    truth = given()["references"]
    noisy = [np.where(np.arange(60) < round(60 * i / (copies - 1)), truth, -1).tolist() for i in range(copies)]
    found = module.compute(**given(), noisy_predictions=noisy)["certified_learnability"]
    assert found == (None if expected is None else pytest.approx(expected, abs=0.025))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"sal": CLEAN}, "sal and clean_sal belong together"),
        ({"clean_sal": CLEAN}, "sal and clean_sal belong together"),
        ({"sal": CLEAN[:1], "clean_sal": CLEAN}, "1 epochs of the protected training and 2"),
        ({"features": np.zeros((59, 2)).tolist()}, "59 rows of features and 60 labels"),
        ({"noisy_predictions": []}, "noisy_predictions has no copy"),
        ({"noisy_predictions": [[0] * 60, [0] * 59]}, "Copy 1 answers 59 rows and there are 60 references"),
    ],
)
def test_what_does_not_fit_is_refused(module, more, said):
    with pytest.raises(ValueError, match=said):
        module.compute(**given(), **more)


# ---------------------------------------------------------------------- the widget and the folder
@pytest.fixture
def app(monkeypatch):
    pytest.importorskip("gradio", reason="the widget needs the space extra")
    spec = importlib.util.spec_from_file_location("unlearnability_app", FOLDER / "app.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_widget_computes_its_example_and_what_is_pasted(app):
    found = app.compute(app.EXAMPLE)
    assert 0 < found["worst_case_protection_left"] < 1 and found["clean_accuracy"] == 1.0
    references, part, clean, guess = (one.tolist() for one in answers())
    rows = [[str(cell) for cell in row] for row in zip(references, part, clean, guess)]
    pasted = app.compute([*rows, ["", "", "", ""]])
    assert pasted["worst_case_protection_left"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["a", "1", "1", "0"]], "invalid literal"),
        ([["1", "1", "", "0"]], "invalid literal"),
        ([[0, 0, 0, 0]] * 9, "learn"),
    ],
)
def test_the_widget_says_what_is_wrong(app, rows, said):
    import gradio as gr

    with pytest.raises(gr.Error, match=said):
        app.compute(rows)


def test_the_page_answers_over_its_api(app):
    from gradio_client import Client

    page = app.page()
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True)
    try:
        table = {"headers": app.COLUMNS, "data": app.EXAMPLE, "metadata": None}
        found = Client(url, verbose=False).predict(table, api_name="/compute")
        assert found["worst_case"] == "none" and found == app.compute(app.EXAMPLE)
    finally:
        page.close()


def test_the_folder_is_a_space():
    import yaml

    head = yaml.safe_load((FOLDER / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert head["sdk"] == "gradio" and (FOLDER / head["app_file"]).is_file() and "metric" in head["tags"]
    assert len(head["short_description"]) <= 60
    needed = (FOLDER / "requirements.txt").read_text(encoding="utf-8").split()
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert needed[0] == "hf-unlearnable[evaluate]" and "\nevaluate = [" in extras
    assert f"gradio>={head['sdk_version'].rsplit('.', 1)[0]}" in needed


def test_the_readme_shows_what_comes_out(module):
    (code,) = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    said = code.rsplit("#", 1)[1].strip()
    namespace = {"module": module}
    exec(re.sub(r"^module = .*$|^import .*$", "", code, flags=re.MULTILINE), namespace)
    found = namespace["found"]
    assert said == f"{found['worst_case']} {round(found['worst_case_protection_left'], 2)}"
