"""Sounds, as a package of another author would bring them: nothing outside this folder knows of them."""
