"""Image classifiers that an adversary may train: from nothing, on pretrained features, and without labels.

They fail in different ways. A model trained from nothing finds the signal of a protection first, because it knows
nothing else. A pretrained one already sees what the images show; fine-tuned whole it may still leave that for the
signal, as a linear probe on frozen features hardly can. SimCLR, MoCo and SimSiam learn features from the protected
images themselves, but without the labels that most protections lean on; supervised contrastive learning has them. A
short training stops before a model has looked past the signal, so `small_cnn_long` goes on for the 60 epochs of most
publications. `small_vgg`, `small_resnet`, `small_densenet` and `small_vit` are four families at 32 pixels, for whether
noise of one network reaches the others.

Each is a `Victim`, called as `victim(train_images, train_labels, test_images, seed=0, **settings)`. What its docstring
does not name among its settings is described in `ImageTraining`. Images are PIL images or uint8 arrays
[height, width, channels]; they are seen in RGB at one size, without further normalisation (but for that of a
pretrained model's processor), as unlearnable examples are tested in the literature since Huang et al. (ICLR 2021). On
one machine's CPU the same seed gives the same predictions; the caller's torch generators are left as they were.
"""

from __future__ import annotations

from hf_unlearnable.adversary import Victim
from hf_unlearnable.image.victims.contrastive import moco_probe, simclr_probe, simsiam_probe, supcon_probe
from hf_unlearnable.image.victims.ddpm import ddpm, finetuned_ddpm
from hf_unlearnable.image.victims.networks import (
    resnet18,
    small_cnn,
    small_cnn_long,
    small_densenet,
    small_resnet,
    small_vgg,
    small_vit,
)
from hf_unlearnable.image.victims.pretrained import linear_probe, pretrained_image_model
from hf_unlearnable.image.victims.training import ImageTraining

__all__ = [
    "IMAGE_VICTIMS", "ImageTraining", "ddpm", "finetuned_ddpm", "linear_probe", "moco_probe",
    "pretrained_image_model", "resnet18", "simclr_probe", "simsiam_probe", "small_cnn", "small_cnn_long",
    "small_densenet", "small_resnet", "small_vgg", "small_vit", "supcon_probe",
]  # fmt: skip

IMAGE_VICTIMS: dict[str, Victim] = {
    "small_cnn": small_cnn,
    "small_cnn_long": small_cnn_long,
    "resnet18": resnet18,
    "small_vgg": small_vgg,
    "small_resnet": small_resnet,
    "small_densenet": small_densenet,
    "small_vit": small_vit,
    "pretrained_image_model": pretrained_image_model,
    "linear_probe": linear_probe,
    "simclr_probe": simclr_probe,
    "moco_probe": moco_probe,
    "simsiam_probe": simsiam_probe,
    "supcon_probe": supcon_probe,
    "ddpm": ddpm,
    "finetuned_ddpm": finetuned_ddpm,
}
