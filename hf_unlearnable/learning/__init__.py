"""What images and audio share: signed gradient steps, rounds with a surrogate, the noise store, checkpoints."""
