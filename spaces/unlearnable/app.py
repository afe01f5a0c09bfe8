"""The hosted page. The same one starts on your own machine with `hf-unlearnable space`."""

from hf_unlearnable.space import launch

launch()
