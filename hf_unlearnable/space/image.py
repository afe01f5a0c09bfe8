"""The image tab: before and after under a slider, the difference amplified, PNG files that hold every level."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import gradio as gr

from hf_unlearnable._extras import require
from hf_unlearnable.image.fidelity import ImageFidelity
from hf_unlearnable.protection import protect

from .chart import figures
from .limits import MAX_IMAGES, MAX_PIXELS, MAX_TRAINED_PIXELS, RefusedError
from .page import LIMITS, caption, downloads, on_gpu, told
from .protection import about, file_dataset, methods, previews, safe_names, to_fit_on, transform
from .reading import alone, read_images
from .session import Session, served_root, zip_files, zip_key


@on_gpu
def _learned(cloak: Any, dataset: Any) -> Any:
    return cloak.fit(dataset)


def protect_images(rows: list[dict[str, Any]], method: str, strength: str) -> tuple[Any, Any, ImageFidelity, Any]:
    """Protects images, opens the result again and checks it.

    Args:
        rows: See `read_images`.
        method: Name of the method.
        strength: "Light", "Standard" or "Strong".

    Returns:
        The original and the protected dataset, what was changed, and the key.
    """
    if method not in methods("image"):
        raise RefusedError(f"There is no method {method!r} for images. Choose one of {', '.join(methods('image'))}.")
    original = file_dataset(rows, "image")
    fitted_on = to_fit_on(original, method)
    cloak = transform(method, strength, encoding="png-fast")
    if cloak.needs_training:
        _check_learned(rows, method)
        cloak = _learned(cloak, fitted_on)
    else:
        cloak.fit(fitted_on)
    done = protect(original, cloak)
    return original, done.data["train"], done.fidelity["train"]["image"], cloak.key


def _check_learned(rows: list[dict[str, Any]], method: str) -> None:
    from PIL import Image

    pixels = sum(width * height for width, height in (Image.open(io.BytesIO(row["bytes"])).size for row in rows))
    if pixels > MAX_TRAINED_PIXELS:
        raise RefusedError(
            f"{method} trains a model, and here takes {MAX_TRAINED_PIXELS // 10**6} megapixels in all. Make the "
            "images smaller, choose texture, or use the command line."
        )


def tab() -> None:
    """The tab's components and what happens when they are used."""
    names, example = methods("image"), _example()
    with gr.Row():
        with gr.Column(min_width=300):
            caption(
                "Every class gets a fine grain of its own. A model that trains from scratch learns the grain, and "
                "little of what the picture shows."
            )
            files = gr.File(
                file_count="multiple", file_types=["image", ".zip"], height=160,
                label=f"Images, or a zip with a folder for each class (at most {MAX_IMAGES})",
            )  # fmt: skip
            label = gr.Textbox(
                "my pictures", label="Their class", max_length=60,
                info="What a model would be taught to see in them. Folders of a zip name their own.",
            )  # fmt: skip
            method = gr.Dropdown(names, value=names[0], label="Method", info=about(names[0]), filterable=False)
            strength = gr.Radio(
                ["Light", "Standard", "Strong"], value="Standard", label="Strength", elem_classes="segments"
            )
            start = gr.Button("Protect", variant="primary")
            with gr.Row(elem_classes="examples"):
                gr.HTML("Try", container=False)
                photo = gr.Button("A photo", size="sm")
                digits = gr.Button("A zip of 200 digits", size="sm")
        with gr.Column(min_width=300):
            numbers = gr.HTML(elem_id="image-figures")
            shown = gr.Dropdown([], label="Picture", visible=False, filterable=False)
            slider = gr.ImageSlider(
                example[0], label="Before and after", format="png", interactive=False, buttons=["fullscreen"],
                max_height=420, elem_id="slider",
            )  # fmt: skip
            difference = gr.Image(
                example[1], label="The difference, amplified: red where it got brighter", format="png",
                interactive=False, buttons=[], height=260, elem_id="difference",
            )  # fmt: skip
            data, _, key = downloads()
            caption(
                "<b>Not every attacker is stopped.</b> The download is lossless PNG: saved as a JPEG of low quality, "
                "most of the grain is gone. A model that knows images already learns from every protection here. "
                f"{LIMITS}. Camera data and GPS are left out; at most {MAX_PIXELS // 10**6} megapixels in all."
            )

    photo.click(_photo, None, [files, label], api_visibility="private")
    digits.click(_digits, None, files, api_visibility="private")
    files.upload(_noted, files, None, api_visibility="private", show_progress="hidden")
    method.change(
        lambda name: gr.update(info=about(name)), method, method, api_visibility="private", show_progress="hidden"
    )
    start.click(
        _protect, [files, label, method, strength], [numbers, shown, slider, difference, data, key],
        api_visibility="private", concurrency_limit=2, concurrency_id="protect", show_progress_on=slider,
    )  # fmt: skip
    shown.input(_show, shown, [slider, difference], api_visibility="private")


def _sample_photo() -> bytes:
    """A photo that comes with scikit-learn."""
    require("attack", "sklearn")
    import sklearn

    return Path(sklearn.__file__).with_name("datasets").joinpath("images", "flower.jpg").read_bytes()


def _example() -> tuple[tuple[str, str], str]:
    """What the tab shows before a visitor has done anything."""
    photo = _sample_photo()
    rows = [{"name": "flower.jpg", "label": "my garden", "bytes": photo}]
    _, protected, _, _ = protect_images(rows, methods("image")[0], "Standard")
    folder = served_root() / "example"  # not among the sessions, whose folders are deleted after a while
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _views(folder, photo, protected[0]["image"]["bytes"])


@told
def _photo(request: gr.Request) -> tuple[list[str], str]:
    path = Session(request.session_hash).open().served / "flower.jpg"
    path.write_bytes(_sample_photo())
    return [str(path)], "my garden"


@told
def _digits(request: gr.Request) -> list[str]:
    from datasets import Image

    from hf_unlearnable.samples import load_digits

    digits = load_digits("train").select(range(200)).cast_column("image", Image(decode=False))
    files = {f"{row['label']}/{i:03}.png": row["image"]["bytes"] for i, row in enumerate(digits)}
    return [str(zip_files(files, Session(request.session_hash).open().served / "digits.zip"))]


@told
def _noted(files: list[str] | None, request: gr.Request) -> None:
    Session(request.session_hash).open().uploaded(*files or [])


@told
@alone
def _protect(
    files: list[str] | None, label: str, method: str, strength: str, request: gr.Request,
    progress: gr.Progress = gr.Progress(track_tqdm=True),  # noqa: B008, how Gradio asks for it
) -> tuple[Any, ...]:  # fmt: skip
    session = Session(request.session_hash).open()
    rows = read_images(files or [], label)
    original, protected, change, key = protect_images(rows, method, strength)
    session.keep("image", original, protected, {"column": "image", "label_column": "label"}, key)
    values = [value["bytes"] for value in protected["image"][:]]
    names = list(safe_names(rows))
    if len(values) == 1:
        data = session.served / f"{Path(names[0]).stem}-protected.png"
        data.write_bytes(values[0])
    else:
        data = zip_files(dict(zip(names, values, strict=True)), session.served / "protected.zip")
    key_file = zip_key(key, session.served / f"{method}.key.zip")
    numbers = figures(
        (f"{change.max_change} of 255", "largest change of a level"),
        (f"{change.psnr:.1f} dB" if change.psnr is not None else "unchanged", "PSNR"),
        (f"{change.ssim:.3f}" if change.ssim is not None else "1.000", "SSIM, of 1"),
    )
    said = "Protected PNG" if len(values) == 1 else f"{len(values)} protected PNGs"
    return (
        numbers,
        gr.update(choices=[(row["name"], i) for i, row in enumerate(rows)], value=0, visible=len(rows) > 1),
        *_views(session.served, rows[0]["bytes"], values[0]),
        gr.update(value=str(data), label=said, visible=True),
        gr.update(value=str(key_file), visible=True),
    )


@told
@alone
def _show(number: int, request: gr.Request) -> tuple[Any, ...]:
    session = Session(request.session_hash).open()
    about_last, original, protected = session.last()
    if about_last["kind"] != "image" or not 0 <= number < len(original):
        raise RefusedError("These images are no longer here. Protect them again.")
    return _views(session.served, original[number]["image"]["bytes"], protected[number]["image"]["bytes"])


def _views(folder: Path, before: bytes, after: bytes) -> tuple[tuple[str, str], str]:
    import hashlib

    paths = []
    for name, data in zip(("before", "after", "difference"), previews(before, after), strict=True):
        # Named by what they show: a browser keeps an image that it has seen under the same name.
        path = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.png"
        path.write_bytes(data)
        paths.append(str(path))
    return (paths[0], paths[1]), paths[2]
