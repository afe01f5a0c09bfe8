"""Noise on recordings that follows a surrogate's gradients: what recordings need beside `hf_unlearnable.learning`."""
