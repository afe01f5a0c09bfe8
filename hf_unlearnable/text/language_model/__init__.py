"""The attack by a causal language model, which the victim `causal_lm` and `recipes/finetune_attack.py` share.

A model is asked for the label of a text (`prompts`), loaded (`loading`), fine-tuned by TRL (`training`) and scored by
the probabilities of the labels (`scoring`). Nothing is imported here, and each module loads its frameworks when used.
"""
