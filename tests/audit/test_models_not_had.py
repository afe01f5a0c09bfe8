"""A model that cannot be had: the reason says which option or argument names another."""

from functools import partial

import pytest

from hf_unlearnable._words import COMMAND_LINE
from hf_unlearnable.adversary import Attacker, Countermeasure, Wear
from hf_unlearnable.audit.grid import audit
from hf_unlearnable.text.countermeasures import TEXT_COUNTERMEASURES
from hf_unlearnable.text.victims import TEXT_VICTIMS
from hf_unlearnable.text.wear import TEXT_WEAR
from tests.audit.rule import CLEAN, PROTECTED, TEST, by_rule

NONE_HERE = "absent/model is no folder here, and the Hub did not give a tokenizer of that id ("


def not_had(texts, model="absent/model"):
    raise OSError("No such model.")


def reasons(victims=None, countermeasures=None, wear=None, **options):
    found = audit(
        [CLEAN, PROTECTED], TEST, victims or {"rule": by_rule}, countermeasures, seeds=[0], wear=wear, **options
    )
    return found.not_run


def tokenizer(model):
    return {"tokens-minilm": Wear(partial(TEXT_WEAR["tokens-minilm"].change, model=model))}


@pytest.mark.parametrize("name", ["tokens-minilm", "mine"])
@pytest.mark.parametrize(("in_command", "given"), [(True, "--model {}=ID"), (False, "models={{{!r}: ...}}")])
def test_wear_without_its_model_names_the_option_for_another(name, in_command, given):
    token = COMMAND_LINE.set(in_command)
    try:
        (line,) = reasons(wear={name: Wear(not_had)})
    finally:
        COMMAND_LINE.reset(token)
    hint = given.format(name)
    assert line == f"{name}: No such model. Give another model, or its folder: {hint} (2 trainings)"


def test_a_tokenizer_that_the_hub_does_not_give_is_named_in_a_sentence():
    (line,) = reasons(wear=tokenizer("absent/model"))
    assert line.startswith(f"tokens-minilm: {NONE_HERE}") and "\n" not in line
    assert line.endswith("Give another model, or its folder: models={'tokens-minilm': ...} (2 trainings)")


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    (line,) = reasons(wear=tokenizer(str(tmp_path)))
    assert line.startswith(f"tokens-minilm: {tmp_path} holds no tokenizer that can be loaded (")


def test_a_victim_without_its_model_names_the_option_for_another():
    victim = TEXT_VICTIMS["finetuned_encoder"].configured(model="absent/model")
    (line,) = reasons({"finetuned_encoder": victim})
    assert line.startswith(f"finetuned_encoder: {NONE_HERE}")
    assert line.endswith("Give another model, or its folder: models={'finetuned_encoder': ...} (2 trainings)")


def test_the_language_model_of_onion_is_no_setting_of_a_victim():
    attacker = Attacker(language_model="absent/model")
    (line,) = reasons(countermeasures={"onion": TEXT_COUNTERMEASURES["onion"]}, attacker=attacker)
    assert line.startswith(f"onion: {NONE_HERE}") and "models=" not in line


@pytest.mark.parametrize("error", [OSError("disk full"), ImportError("codec not installed")])
def test_what_takes_no_model_gets_no_hint(error):
    def failing(*given):
        raise error

    assert reasons(wear={"mine": Wear(failing)}) == [f"mine: {error} (2 trainings)"]
    assert reasons(countermeasures={"mine": Countermeasure(failing)}) == [f"mine: {error} (2 trainings)"]
