"""The fine-tuning attack on images, on a tiny random pipeline: what it writes, and what it refuses."""

import json
import re
import shutil

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image

for module in ("torch", "diffusers", "transformers", "peft", "trl"):
    pytest.importorskip(module, reason="the fine-tuning attack on images needs the extras attack and diffusion")

import diffusers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

from recipes import finetune_diffusion as recipe  # noqa: E402
from tests import ROOT  # noqa: E402
from tests.examples import pictures  # noqa: E402

TINY = {
    "resolution": 16, "max_train_steps": 3, "train_batch_size": 2, "num_images": 2, "num_inference_steps": 2,
    "instance_prompt": "a dog", "cpu": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    words = ["<|startoftext|>", "<|endoftext|>", *"adogct", *(f"{letter}</w>" for letter in "adogct")]
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(vocabulary), str(folder / "merges.txt"), model_max_length=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        told = transformers.CLIPTextConfig(
            vocab_size=len(words), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
            max_position_embeddings=8, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )  # fmt: skip
        unet = diffusers.UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8,
            attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )  # fmt: skip
        vae = diffusers.AutoencoderKL(
            block_out_channels=(8, 8), down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2, norm_num_groups=4,
        )  # fmt: skip
        diffusers.StableDiffusionPipeline(
            unet=unet, vae=vae, text_encoder=transformers.CLIPTextModel(told), tokenizer=tokenizer,
            scheduler=diffusers.DDIMScheduler(100), safety_checker=None, feature_extractor=None,
        ).save_pretrained(folder / "tiny")  # fmt: skip
    return folder / "tiny"


@pytest.fixture(scope="module")
def given(pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for i, version in enumerate(("clean", "protected")):
        pictures(4, seed=i).remove_columns("label").add_column("prompt", ["a dog", "a cat"] * 2).to_parquet(
            folder / f"{version}.parquet"
        )
    return {
        **TINY, "model_name_or_path": str(pipeline), "clean": str(folder / "clean.parquet"),
        "protected": str(folder / "protected.parquet"),
    }  # fmt: skip


def arguments(given, **changes):
    return recipe.Arguments(**{**given, **changes})


def test_it_writes_samples_adapters_and_results_of_both_versions(given, tmp_path):
    recipe.main(arguments(given, output_dir=str(tmp_path), prompt_column="prompt", instance_prompt=None))
    told = json.loads((tmp_path / "results.json").read_text())
    assert told["clean"]["loss"] > 0 and told["clean"] != told["protected"] and told["device"] == "cpu"
    assert Image.open(tmp_path / "samples.png").size == (512, 512)
    drawn = [np.asarray(Image.open(tmp_path / v / f"{i}.png")) for v in ("clean", "protected") for i in (0, 1)]
    assert {image.shape for image in drawn} == {(16, 16, 3)}
    again = recipe.load_pipeline(given["model_name_or_path"])
    again.load_lora_weights(str(tmp_path / "clean"))
    learned = [weight for name, weight in again.unet.named_parameters() if "lora_B" in name]
    assert learned and all(weight.abs().max() > 0 for weight in learned)


def test_without_a_gpu_it_tells_the_time_and_stops(given, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(
        ValueError, match=r"There is no GPU. On this CPU it would take about \d+ (minutes|hours). Give"
    ):
        recipe.main(arguments(given, output_dir=str(tmp_path), cpu=False, max_train_steps=100_000))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("step", "steps", "images", "told"),
    [
        (60, 30, 0, "60 minutes"),
        (60, 400, 0, "13 hours"),
        (0.1, 1, 0, "1 minutes"),
        (6, 10, 45, "302 minutes|5 hours"),
    ],
)
def test_the_time_that_is_told_is_that_of_all_updates_and_pictures(step, steps, images, told):
    chosen = recipe.Arguments(max_train_steps=steps, num_images=images)
    assert re.search(f"about ({told})\\.", recipe.no_gpu(chosen, step))


@pytest.mark.parametrize("missing", ["scheduler", "vae", "unet", "tokenizer"])
def test_a_pipeline_without_a_part_is_named(pipeline, tmp_path, missing):
    shutil.copytree(pipeline, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / missing)
    with pytest.raises(OSError, match=f"copy holds no {missing}: give the folder of a whole Stable Diffusion"):
        recipe.load_pipeline(str(tmp_path / "copy"))


def test_a_folder_that_is_no_pipeline_is_named(tmp_path):
    for part in recipe.PARTS:
        (tmp_path / part).mkdir()
    with pytest.raises(OSError, match="holds no Stable Diffusion pipeline that can be loaded"):
        recipe.load_pipeline(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prompt_column": "caption"}, "caption"), ({"instance_prompt": None}, "There is no prompt: give --prompt_column"),
        ({"clean": None}, "There are no clean pictures: give --clean"), ({"image_column": "photo"}, "photo"),
        ({"protected": None}, "There are no protected pictures: give --protected"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(given, tmp_path, changes, told):
    with pytest.raises((ValueError, KeyError), match=told):
        recipe.main(arguments(given, output_dir=str(tmp_path), **changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("empty", [None, ""])
def test_a_row_without_a_prompt_is_named(given, tmp_path, empty):
    rows = Dataset.from_parquet(given["clean"], cache_dir=str(tmp_path)).remove_columns("prompt")
    rows.add_column("prompt", ["a dog", empty, "a dog", "a cat"]).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match="Row 1 has no prompt in column 'prompt'"):
        recipe.pictures(arguments(given, clean=str(tmp_path / "rows.parquet"), prompt_column="prompt"), "clean")


def test_a_loss_that_is_no_number_ends_the_training(given, tmp_path):
    with pytest.raises(FloatingPointError, match=r"The loss is nan after \d+ updates. Lower --learning_rate"):
        recipe.main(arguments(given, output_dir=str(tmp_path), learning_rate=1e30, max_train_steps=9))


def test_every_row_is_met_once_before_any_comes_again(given):
    class One:
        process_index = 0

    rows = [row for batch in recipe.batches(4, arguments(given, max_train_steps=6), One) for row in batch]
    assert all(sorted(rows[i : i + 4]) == [0, 1, 2, 3] for i in (0, 4, 8)) and len(rows) == 12


def test_a_picture_is_cut_to_its_middle():
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 255
    assert (np.asarray(recipe.fitted(wide, 8)) == 255).all()
    assert np.asarray(recipe.fitted(wide, 4))[:, 1:3].min() == 255 and np.asarray(recipe.fitted(wide, 4)).min() > 200


def test_the_configuration_fits_the_options():
    config = str(ROOT / "recipes/configs/finetune_diffusion.yaml")
    found = recipe.parse(["--config", config, "--rank", "8"])
    assert found.rank == 8 and found.instance_prompt and not found.cpu
