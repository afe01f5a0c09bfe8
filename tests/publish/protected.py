"""Protected data to push, and what a push left on the Hub."""

from datasets import Image

from hf_unlearnable import RegTextTransform, TextureTransform
from tests.examples import notes, pictures


def texts(count=40):
    clean = notes(count)
    cloak = RegTextTransform(seed=11).fit(clean)
    return clean, clean.map(cloak, batched=True), cloak


def images(count=12):
    clean = pictures(count)
    cloak = TextureTransform(seed=11).fit(clean)
    return clean, clean.map(cloak, batched=True), cloak


def stored_images(dataset):
    return [row["image"]["bytes"] for row in dataset.cast_column("image", Image(decode=False))]


def tree(hub, revision="main"):
    """What a revision holds, all of it read."""
    files = hub.files("tester/notes", revision)
    return {path: content if isinstance(content, bytes) else content.read_bytes() for path, content in files.items()}
