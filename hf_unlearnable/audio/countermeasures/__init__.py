"""What an adversary does to recordings, and in training on them, to learn in spite of a protection.

Some of it is what any training does (shifts, crops, speeds), some removes what an ear hardly hears (codecs, gating),
and some is the attack that the author of one method would mount, who knows the method and not the key:

    pitch-shift, gap-repair, gap-repair-200, random-hops            equalizer
    notch-repair, random-notches, random-equaliser                  equalizer that does not move
    class-spectrum-inversion, spectral-whitening                    audio-convolution
    time-shift, random-crop, patch-cut                              position-convolution
    additive-noise, spectral-gating, mp3-64, opus-16, half-rate     error-min, audio-noise

Cepstral mean normalisation is no entry here, since it changes how test recordings are heard too: it is how the victims
`log_mel_cnn_normalised` and `mfcc_linear_normalised` hear.

On rows every one is a pure function, from clips to clips of the same rates and numbers of channels; all but
speed-perturbation, patch-cut and the clean rows keep lengths. In training all draws come from the generator that the
victim hands over, and changes are made to the wave.
"""

from __future__ import annotations

from functools import partial

from hf_unlearnable.adversary import Countermeasure, mixed_with_clean
from hf_unlearnable.audio.countermeasures.augmentation import (
    additive_noise,
    random_crop,
    random_equaliser,
    random_hops,
    random_notches,
    spec_augment,
    time_shift,
)
from hf_unlearnable.audio.countermeasures.classes import (
    class_spectrum_inversion,
    notch_repair,
    patch_cut,
    spectral_whitening,
)
from hf_unlearnable.audio.countermeasures.filters import (
    gap_repair,
    half_rate,
    high_pass,
    low_pass,
    on_each,
    pitch_shift,
    spectral_gating,
    speed_perturbation,
)
from hf_unlearnable.audio.wear.codecs import CODECS, MU_LAW

__all__ = [
    "AUDIO_COUNTERMEASURES", "additive_noise", "class_spectrum_inversion", "gap_repair", "half_rate", "high_pass",
    "low_pass", "notch_repair", "patch_cut", "pitch_shift", "random_crop", "random_equaliser", "random_hops",
    "random_notches", "spec_augment", "spectral_gating", "spectral_whitening", "speed_perturbation", "time_shift",
]  # fmt: skip

AUDIO_COUNTERMEASURES: dict[str, Countermeasure] = {
    "time-shift": Countermeasure(in_training=time_shift, cost=1.1),
    "random-crop": Countermeasure(in_training=random_crop, cost=1.1),
    "speed-perturbation": Countermeasure(speed_perturbation, cost=3.0),
    "pitch-shift": Countermeasure(pitch_shift),
    "additive-noise": Countermeasure(in_training=additive_noise, cost=1.1),
    "spec-augment": Countermeasure(in_training=spec_augment, cost=1.2),
    "half-rate": Countermeasure(on_each(half_rate)),
    "low-pass": Countermeasure(on_each(low_pass)),
    "high-pass": Countermeasure(on_each(high_pass)),
    **{name: Countermeasure(on_each(codec.through)) for name, codec in CODECS.items()},
    "mu-law": Countermeasure(on_each(MU_LAW.through)),
    "spectral-gating": Countermeasure(on_each(spectral_gating)),
    "spectral-whitening": Countermeasure(spectral_whitening),
    "class-spectrum-inversion": Countermeasure(class_spectrum_inversion),
    "random-equaliser": Countermeasure(in_training=random_equaliser, cost=1.2),
    "random-notches": Countermeasure(in_training=random_notches, cost=1.2),
    "random-hops": Countermeasure(in_training=random_hops, cost=1.2),
    "notch-repair": Countermeasure(notch_repair),
    "gap-repair": Countermeasure(on_each(gap_repair)),
    "gap-repair-200": Countermeasure(on_each(partial(gap_repair, gap=0.2))),
    "patch-cut": Countermeasure(patch_cut),
    "clean-1%": mixed_with_clean(0.01),
    "clean-5%": mixed_with_clean(0.05),
    "clean-20%": mixed_with_clean(0.2),
}
