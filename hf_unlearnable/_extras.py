"""What to say when an optional dependency is not installed."""

from importlib.util import find_spec


def require(extra: str, *modules: str) -> None:
    """Check that the modules an extra brings are installed, without importing them.

    Args:
        extra: name of the extra in `pyproject.toml`, for example `"attack"`.
        modules: top-level import names, for example `"torch", "sklearn"`.

    Raises:
        ImportError: one or more are missing. The message names them and gives the line that installs them.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ImportError(
            f'{", ".join(missing)} not installed. Install the "{extra}" extra: pip install "hf-unlearnable[{extra}]"',
            name=missing[0],
        )
