"""The page that does in a browser what the package does. `launch` starts it.

Importing this loads no Gradio.
"""

from __future__ import annotations

import os
from typing import Any

from hf_unlearnable._extras import require

__all__ = ["build", "launch"]


def build(oauth: bool | None = None, host: str | None = None) -> Any:
    """The page as `gradio.Blocks`, see `app.build`."""
    _prepare()
    from .app import build

    return build(oauth, host)


def launch(host: str | None = None, port: int | None = None, **options: Any) -> Any:
    """Starts the page, see `app.launch`.

    Raises:
        ImportError: Gradio or what the tabs need is not installed.
    """
    _prepare()
    from .app import launch

    return launch(host, port, **options)


def _prepare() -> None:
    """Before Gradio is imported: nothing is told to anyone, and files go to folders of this process alone."""
    require("space", "gradio", "soundfile")
    require("image", "torch", "PIL", "skimage")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from .session import make_root

    make_root()
