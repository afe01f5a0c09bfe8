"""Edits that put words in the place of others, found by the gradients of a network."""
