"""The table of docs/results/contrastive.md, from the cells of `recipes/configs/contrastive.yaml`."""

from __future__ import annotations

from attack_tables import load, whole

from hf_unlearnable.markdown import table

VICTIMS = {
    "small_cnn": "supervised", "simclr_probe": "SimCLR", "moco_probe": "MoCo v2", "simsiam_probe": "SimSiam",
    "supcon_probe": "SupCon", "untrained": "untrained", "simclr_neighbours": "SimCLR, neighbours",
    "untrained_neighbours": "untrained, neighbours",
}  # fmt: skip


def contrastive() -> str:
    """Versions down, learners across, and the worst of all of them that ran."""
    cells = load("contrastive.jsonl")
    tried = [victim for victim in VICTIMS if any(victim == one for one, _, _ in cells)]
    learners = [victim for victim in tried if "untrained" not in victim]
    rows = []
    for name in dict.fromkeys(name for _, name, _ in cells):
        found = {victim: cells.get((victim, name, "none")) for victim in tried}
        reached = [100 * cell["accuracy"][0] for victim in learners if (cell := found[victim])]
        some = "" if len(reached) == len(learners) else f", of {len(reached)}"
        rows.append([name, *map(whole, found.values()), f"{max(reached):.1f}{some}"])
    return table([["trained on", *(VICTIMS[victim] for victim in tried), "worst case"], *rows])
