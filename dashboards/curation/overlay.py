"""A slice twice: as a model sees it, and with the outlines of its labels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from dashboards.page import data_uri

PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7", "#0072B2")
"""Okabe and Ito's colours, the brightest first: they lie on grey pictures."""

PATTERNS = ("solid", "dashed", "dotted")

LETTERS = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("A", "P", "S", "I"),
}
"""Left, right, upper and lower edge (protocol 1.2); a plane `image` has no known directions."""

_MOST_ENLARGED = 4.0
_GAP = 4
_DARK = (12, 12, 14)

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Ink:
    """How a structure is drawn: colour and line pattern."""

    colour: str
    pattern: str

    @classmethod
    def number(cls, index: int) -> Ink:
        """The index-th ink; they repeat after 21."""
        return cls(PALETTE[index % len(PALETTE)], PATTERNS[index // len(PALETTE) % len(PATTERNS)])


def draw(
    image: NDArray[np.uint8],
    layers: Sequence[tuple[Ink, Mask]],
    *,
    row_mm: float | None,
    col_mm: float | None,
    plane: str,
    side: int,
) -> Image.Image:
    """The slice, and beside it the slice with outlines; pixels have the shape of their spacing.

    Args:
        image: uint8[y, x] or uint8[y, x, 3], RGB.
        layers: what to outline, bool[y, x]; the largest first, or small ones are hidden.
        side: longest side of either half, pixels.
    """
    size = _size(image.shape[0], image.shape[1], row_mm, col_mm, side)
    shrinks = size[0] < image.shape[1] or size[1] < image.shape[0]
    how = Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST
    plain = Image.fromarray(image).convert("RGB").resize(size, how)
    canvas = np.array(plain)
    inked = np.zeros(canvas.shape[:2], np.bool_)
    for ink, mask in layers:
        line = _outline(_resized(mask, size))
        line &= _pattern(ink.pattern, line.shape)
        canvas[line & (~inked | _pattern("shared", line.shape))] = _rgb(ink.colour)
        inked |= line  # where outlines coincide their colours alternate
    both = Image.new("RGB", (2 * size[0] + _GAP, size[1]), _DARK)
    both.paste(plain, (0, 0))
    both.paste(Image.fromarray(canvas), (size[0] + _GAP, 0))
    if plane in LETTERS:
        _letters(ImageDraw.Draw(both), size, LETTERS[plane])
    return both


def thumbnail(
    image: NDArray[np.uint8], row_mm: float | None, col_mm: float | None, side: int
) -> Image.Image:
    """The slice alone."""
    size = _size(image.shape[0], image.shape[1], row_mm, col_mm, side)
    return Image.fromarray(image).convert("RGB").resize(size, Image.Resampling.BOX)


@dataclass(frozen=True)
class Encoded:
    """A picture as the page carries it, and the size it is shown in."""

    uri: str
    width: int
    height: int


def encode(picture: Image.Image, most_bytes: int) -> Encoded:
    """The picture as WebP of at most about `most_bytes`; smaller and coarser until it fits."""
    data = b""
    for quality, scale in ((82, 1.0), (68, 1.0), (55, 1.0), (50, 0.75), (45, 0.5), (40, 0.33)):
        size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
        sized = picture if scale == 1 else picture.resize(size, Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        sized.save(stream, "WEBP", quality=quality, method=4)
        data = stream.getvalue()
        if len(data) <= most_bytes:
            break
    return Encoded(data_uri("image/webp", data), picture.width, picture.height)


def _size(
    height: int, width: int, row_mm: float | None, col_mm: float | None, side: int
) -> tuple[int, int]:
    """(width, height) of the drawing, at most `side`, enlarged at most fourfold."""
    tall = height * (row_mm / col_mm if row_mm and col_mm else 1.0)
    scale = min(side / max(tall, width), _MOST_ENLARGED)
    return max(round(width * scale), 1), max(round(tall * scale), 1)


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    """Enlarged by nearest, reduced so that no part is lost: a pixel is in where any of it is."""
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    if size[0] < mask.shape[1] or size[1] < mask.shape[0]:
        return np.asarray(grey.resize(size, Image.Resampling.BOX)) >= 96
    return np.asarray(grey.resize(size, Image.Resampling.NEAREST)) > 0


def _outline(mask: Mask) -> Mask:
    """The mask's rim, two pixels wide; the edge of the picture is part of it."""
    line: Mask = mask & ~ndimage.binary_erosion(mask, iterations=2)
    return line


def _pattern(name: str, shape: tuple[int, ...]) -> Mask:
    y, x = np.indices(shape)
    if name == "dashed":
        return np.asarray((x + y) % 12 < 8)
    if name == "shared":
        return np.asarray((x + y) % 10 < 5)
    if name == "dotted":
        return np.asarray((x + y) % 6 < 3)
    return np.ones(shape, np.bool_)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _letters(
    pen: ImageDraw.ImageDraw, size: tuple[int, int], letters: tuple[str, str, str, str]
) -> None:
    width, height = size
    font = ImageFont.load_default(11)
    left, right, upper, lower = letters
    for text, at, anchor in (
        (left, (3, height / 2), "lm"),
        (right, (width - 3, height / 2), "rm"),
        (upper, (width / 2, 2), "mt"),
        (lower, (width / 2, height - 2), "mb"),
    ):
        pen.text(
            at, text, fill=(255, 255, 255), font=font, anchor=anchor,
            stroke_width=1, stroke_fill=(0, 0, 0),
        )  # fmt: skip
