"""One-pixel shortcut (OPS)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, ClassVar, NoReturn

import numpy as np

from hf_unlearnable.image.base import ImageTransform
from hf_unlearnable.image.codec import ImageError, Picture
from hf_unlearnable.key import Key, draw
from hf_unlearnable.labelled import class_stream
from hf_unlearnable.learning.noise import unknown_label
from hf_unlearnable.mark import NoMarkError
from hf_unlearnable.validation import check_labels

_SMALL, _GRID = 64, 32
_BEST = 4  # candidates that the key draws from


@dataclass(kw_only=True, repr=False, eq=False)
class OnePixelTransform(ImageTransform):
    """One-pixel shortcut (OPS): one pixel of every image of a class gets the colour that this class never has there.

    Idea:
        A model finds the one pixel that always holds the same odd colour long before it learns what a cat is. The
        shortcut survives adversarial training, because no noise of 8 of 255 covers a change of 200.

    Paper:
        S. Wu, S. Chen, C. Xie, X. Huang, "One-Pixel Shortcut: on the Learning Preference of Deep Neural Networks",
        ICLR 2023, arXiv:2205.12141.

        For every class, over all positions and the eight corners xi of the colour cube,

            maximise  mean|xi - x| / std|xi - x|

        over the class's images x; no position and colour is used twice.

    Ours:
        The paper's code scores images one by one. For xi in {0, 1} the two moments follow from sums of x and x^2
        alone. So one pass over the data scores all 8 H W candidates of every class, and the key draws one of the four
        best. In images larger than 64 pixels a single pixel would not survive a resize. There the search runs on a
        grid of 32 x 32, and the whole cell takes the colour.

    Args:
        pixels: How many pixels; 0 changes nothing. More are easier to learn and to see.

    Secret:
        Which of the best candidates. It does not hold long: an attacker who looks at a few images of a class sees the
        pixel.

    Cost:
        One pass to fit, nothing to apply.

    Breaks:
        A median filter; cutout and RandAugment (62 and 71 %, against 16 without); JPEG; replacing pixels that are
        constant over a class; orthogonal projection. Together with error-minimising noise it covers more
        (`ErrorMinOnePixelTransform`).

    Prefer:
        Against adversarial training, where only a pixel may change and it may be seen.

    Example:
        cloak = OnePixelTransform(image_column="img", label_column="label").fit(ds)
    """

    pixels: int = 1

    method: ClassVar[str] = "one-pixel"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("constant-pixel-repair", "median-filter", "cutout")
    strength_parameter: ClassVar[str] = "pixels"
    differs_by_row: ClassVar[bool] = False
    additive: ClassVar[bool] = False

    def fit(self, dataset: Any) -> OnePixelTransform:
        """Looks for the pixels, in one pass and bounded memory.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        self._check_parameters()
        self._seed = None
        rows = ((picture, label) for picture, label, _ in self._pictures(dataset))
        self._cells = search_cells(rows, self.pixels, self._resolved_seed())
        return self

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.pixels < 0:
            raise ValueError(f"pixels is {self.pixels}. Give the number of pixels to set.")

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        return self._fitted(self._cells).written(levels, label)

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return self._fitted(self._cells).state(), {}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._cells = Cells(**state)

    def _check_state(self, key: Key) -> None:
        self._cells.check(self.pixels)

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> NoReturn:
        """Raises: the pixels are those that anyone finds."""
        raise NoMarkError(
            "A key of one-pixel cannot be shown: its pixels are the most telling ones of the data, which anyone "
            "finds, and the key drew from four of them only."
        )

    _cells: Any = field(default=None, init=False)


@dataclass(frozen=True)
class Cells:
    """Which cells of a grid take which colour, by class.

    Args:
        grid: Rows and columns of the grid: the size of the images, or a coarser one.
        classes: The labels.
        cells: For each class a list of [row, column, [red, green, blue]], levels of 0 or 255.
    """

    grid: list[int]
    classes: list[Any]
    cells: list[list[list]]

    def state(self) -> dict[str, Any]:
        """As JSON values."""
        return {"grid": self.grid, "classes": self.classes, "cells": self.cells}

    def check(self, pixels: int) -> None:
        """Raises a ValueError for what are no cells of that many pixels per class."""
        check_labels(self.classes)
        height, width = self.grid
        cells = [cell for own in self.cells for cell in own]
        if len(self.cells) != len(self.classes) or any(len(own) != pixels for own in self.cells):
            raise ValueError(f"a label has not {pixels} pixels")
        if not all(row in range(height) and column in range(width) for row, column, _ in cells):
            raise ValueError("a pixel does not lie within the grid")
        if not all(len(colour) == 3 and set(colour) <= {0, 255} for _, _, colour in cells):
            raise ValueError("the colour of a pixel is not of three levels of 0 or 255")

    def written(self, levels: np.ndarray, label: Any) -> np.ndarray:
        """A copy of an image with its class's cells set.

        Raises:
            ImageError: `fit` did not see the label.
        """
        if label not in self.classes:
            raise ImageError(unknown_label(label, self.classes))
        changed = levels.copy()
        height, width, channels = levels.shape
        for row, column, colour in self.cells[self.classes.index(label)]:
            top, bottom = _span(row, self.grid[0], height)
            left, right = _span(column, self.grid[1], width)
            changed[top:bottom, left:right] = colour if channels == 3 else round(sum(colour) / 765) * 255
        return changed


def _span(cell: int, cells: int, pixels: int) -> tuple[int, int]:
    """The pixels that a cell covers, those at its edge included."""
    return cell * pixels // cells, -(-(cell + 1) * pixels // cells)


def search_cells(rows: Iterable[tuple[Picture, Any]], pixels: int, seed: int) -> Cells:
    """The most telling cells of every class.

    Args:
        rows: Pictures and their labels.
        pixels: How many a class.
        seed: Draws among the best.
    """
    grid: tuple[int, int] | None = None
    sums: dict[Any, list] = {}
    gray = True
    for picture, label in rows:
        height, width = picture.levels.shape[:2]
        grid = grid or ((height, width) if max(height, width) <= _SMALL else (_GRID, _GRID))
        x = on_grid(picture.levels, grid).astype(np.float64) / 255
        gray = gray and picture.levels.shape[2] == 1
        entry = sums.setdefault(label, [0, np.zeros_like(x), np.zeros_like(x)])
        entry[0] += 1
        entry[1] += x
        entry[2] += x * x
    assert grid is not None  # `_pictures` raises for no rows
    colours = [(0, 0, 0), (1, 1, 1)] if gray else list(product((0, 1), repeat=3))
    free = np.ones((len(colours), *grid), bool)
    classes = sorted(sums, key=lambda label: (isinstance(label, str), label))
    scores = {label: np.stack([_score(sums[label], colour) for colour in colours]) for label in classes}
    found: dict[Any, list] = {label: [] for label in classes}
    cells = free.size // (_BEST * len(classes))
    if cells < 1:
        raise ValueError(
            f"{len(classes)} classes are too many for images of {grid[0]}x{grid[1]} pixels in {len(colours)} colours: "
            "no pixel would be left for each. Use another method."
        )
    for number in range(min(pixels, cells)):
        for label in classes:
            best = np.argsort(-np.where(free, scores[label], -np.inf), axis=None, kind="stable")[:_BEST]
            drawn = best[draw(class_stream(label, seed), number) % _BEST]
            colour, row, column = map(int, np.unravel_index(drawn, free.shape))
            free[colour, row, column] = False
            found[label].append([row, column, [255 * part for part in colours[colour]]])
    return Cells(list(grid), classes, [found[label] for label in classes])


def _score(sums: list, colour: tuple[int, ...]) -> np.ndarray:
    """mean|xi - x| / std|xi - x| at every position, |xi - x| averaged over the channels' moments. [height, width]."""
    count, total, squares = sums
    m, q = total / count, squares / count
    xi = np.array(colour)
    mean = np.where(xi, 1 - m, m).mean(axis=2)
    second = np.where(xi, 1 - 2 * m + q, q).mean(axis=2)
    return mean / np.sqrt(np.maximum(second - mean**2, 1e-12))


def on_grid(levels: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """An image's means over the cells of a grid, uint8 [rows, columns, 3]."""
    from PIL import Image

    rgb = np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))
    if levels.shape[:2] == tuple(grid):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((grid[1], grid[0]), Image.Resampling.BOX))
