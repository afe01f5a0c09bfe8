"""Noise that follows a surrogate's gradients: rounds, signed steps, the noise store, checkpoints."""
