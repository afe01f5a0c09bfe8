"""Protected data to push, and what a push left on the Hub."""

from hf_unlearnable import RegTextTransform, TextureTransform
from tests.examples import notes, pictures, stored


def texts(count=40):
    clean = notes(count)
    cloak = RegTextTransform(seed=11).fit(clean)
    return clean, clean.map(cloak, batched=True), cloak


def images(count=12):
    clean = pictures(count)
    cloak = TextureTransform(seed=11).fit(clean)
    return clean, clean.map(cloak, batched=True), cloak


def image_bytes(dataset):
    return [image["bytes"] for image in stored(dataset)]


def tree(hub, revision="main"):
    """What a revision holds, all of it read."""
    files = hub.files("tester/notes", revision)
    return {path: content if isinstance(content, bytes) else content.read_bytes() for path, content in files.items()}
