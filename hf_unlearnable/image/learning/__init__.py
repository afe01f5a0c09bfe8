"""Noise on images that follows a surrogate's gradients: what images need beside `hf_unlearnable.learning`."""
