"""Pictures of single masks: image, truth, prediction and prompt in one PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.prompts.base import Prompt

TRUTH = (0, 158, 115)
PREDICTION = (230, 159, 0)
POSITIVE = (0, 114, 178)
NEGATIVE = (213, 94, 0)
BOX = (86, 180, 233)
_WHITE, _DARK = (255, 255, 255), (24, 24, 27)

TARGET_PX = 384
"""Longest side of the picture; small details are enlarged to it, large ones reduced."""
MIN_WINDOW_PX = 64
_BAR = 22

Mask = NDArray[np.bool_]
Canvas = NDArray[np.uint8]
Line = tuple[str, tuple[int, int, int]]


@dataclass(frozen=True)
class GalleryItem:
    """A picture of the report: its heading, its caption and the PNG (bytes or a file)."""

    title: str
    caption: str
    png: bytes | Path

    def data(self) -> bytes:
        return self.png if isinstance(self.png, bytes) else self.png.read_bytes()


@dataclass(frozen=True)
class Window:
    """The part of the image that is shown: half-open pixel ranges, and its enlargement."""

    x0: int
    y0: int
    x1: int
    y1: int
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the drawing."""
        return round((self.x1 - self.x0) * self.scale), round((self.y1 - self.y0) * self.scale)

    def centre(self, x: int, y: int) -> tuple[float, float]:
        """Where the centre of an image pixel comes to lie in the drawing."""
        return (x - self.x0 + 0.5) * self.scale, (y - self.y0 + 0.5) * self.scale


def picture(
    pick: Mapping[str, Any], image: NDArray[np.uint8], truth: Mask, prompt: Prompt, predicted: Mask
) -> GalleryItem:
    """The gallery item of a row of the question `gallery`."""
    title = f"{pick['model']}, {pick['strategy']}: {pick['pick']}"
    caption = (
        f"{pick['structure']} in {pick['modality']}; Dice {pick['dice']:.3f}, "
        f"rank {pick['rank']} of {pick['n']}; {pick['object_id']}"
    )
    return GalleryItem(title, caption, draw(image, truth, prompt, predicted, title))


def draw(
    image: NDArray[np.uint8], truth: Mask, prompt: Prompt, predicted: Mask, title: str
) -> bytes:
    """PNG of the object's surroundings with truth, prediction and prompt.

    Pixels are enlarged without smoothing, so that borders are seen as they were scored.

    Args:
        image: uint8[y, x] or uint8[y, x, 3], as the model sees it.
        truth, predicted: bool[y, x], on the image's grid.
        prompt: original pixels, x = column, y = row.
    """
    window = window_around(truth | predicted, prompt)
    canvas = _enlarged(image, window)
    # truth goes on top, and thinner: it stays visible under a ragged prediction, and both do
    # where they agree
    for mask, colour, width in ((predicted, PREDICTION, 5), (truth, TRUTH, 2)):
        canvas[_outline(_cut(mask, window), width + 1)] = _DARK
        canvas[_outline(_cut(mask, window), width)] = colour
    drawing = Image.fromarray(canvas)
    _draw_prompt(ImageDraw.Draw(drawing), prompt, window)
    lines = [("truth", TRUTH)]
    lines.append(("prediction" if predicted.any() else "prediction: empty", PREDICTION))
    framed = _frame(drawing, title, _detail(window, truth.shape), lines, prompt)
    stream = io.BytesIO()
    framed.quantize(256, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def window_around(mask: Mask, prompt: Prompt) -> Window:
    """The masks and the prompt with a quarter of their size around them, at least 64 px."""
    ys, xs = np.nonzero(mask)
    columns = [*xs[:1], *([xs.min(), xs.max()] if len(xs) else []), *(p.x for p in prompt.points)]
    rows = [*ys[:1], *([ys.min(), ys.max()] if len(ys) else []), *(p.y for p in prompt.points)]
    if prompt.box is not None:
        columns += [prompt.box.x0, prompt.box.x1]
        rows += [prompt.box.y0, prompt.box.y1]
    height, width = mask.shape
    side = 0
    if columns:
        side = 1 + max(max(columns) - min(columns), max(rows) - min(rows))
    side = max(MIN_WINDOW_PX, side + side // 2)
    x0, x1 = _span(columns, side, width)
    y0, y1 = _span(rows, side, height)
    scale = TARGET_PX / max(x1 - x0, y1 - y0)
    # pixels of equal size where they are large enough for the difference to show
    return Window(x0, y0, x1, y1, float(int(scale)) if scale >= 3 else scale)


def _span(values: list[Any], side: int, limit: int) -> tuple[int, int]:
    """A half-open range of `side` pixels around the values, moved and cut to 0..limit."""
    if side >= limit or not values:
        return 0, limit
    start = (int(min(values)) + int(max(values)) + 1 - side) // 2
    start = min(max(start, 0), limit - side)
    return start, start + side


def _enlarged(image: NDArray[np.uint8], window: Window) -> Canvas:
    part = Image.fromarray(image[window.y0 : window.y1, window.x0 : window.x1]).convert("RGB")
    how = Image.Resampling.NEAREST if window.scale >= 1 else Image.Resampling.BOX
    return np.array(part.resize(window.size, how))


def _cut(mask: Mask, window: Window) -> Mask:
    part = Image.fromarray(mask[window.y0 : window.y1, window.x0 : window.x1])
    return np.array(part.resize(window.size, Image.Resampling.NEAREST))


def _outline(mask: Mask, width: int) -> Mask:
    """Pixels of the mask within `width` of its border; the edge of the picture is no border."""
    inner = mask
    for _ in range(width):
        padded = np.pad(inner, 1, mode="edge")
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _draw_prompt(drawing: ImageDraw.ImageDraw, prompt: Prompt, window: Window) -> None:
    if prompt.box is not None:
        half = window.scale / 2
        left, top = window.centre(prompt.box.x0, prompt.box.y0)
        right, bottom = window.centre(prompt.box.x1, prompt.box.y1)
        _dashed_box(drawing, (left - half, top - half, right + half, bottom + half))
    for point in prompt.points:
        _marker(drawing, *window.centre(point.x, point.y), positive=point.positive)


def _dashed_box(drawing: ImageDraw.ImageDraw, box: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = box
    for start, end in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)),
                       ((x0, y1), (x0, y0))):  # fmt: skip
        drawing.line([start, end], fill=_DARK, width=4)
        _dashes(drawing, start, end)


def _dashes(
    drawing: ImageDraw.ImageDraw, start: tuple[float, float], end: tuple[float, float]
) -> None:
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1.0)
    steps = max(int(length / 6), 1)
    for index in range(0, steps, 2):
        ends = [
            (start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t)
            for t in (index / steps, min((index + 1) / steps, 1))
        ]
        drawing.line(ends, fill=BOX, width=2)


def _marker(drawing: ImageDraw.ImageDraw, x: float, y: float, *, positive: bool) -> None:
    """A blue disc with a plus, or a red square with a minus; told apart without colour."""
    around = (x - 6, y - 6, x + 6, y + 6)
    if positive:
        drawing.ellipse(around, fill=POSITIVE, outline=_WHITE, width=1)
        drawing.line([(x, y - 3), (x, y + 3)], fill=_WHITE, width=2)
    else:
        drawing.rectangle(around, fill=NEGATIVE, outline=_WHITE, width=1)
    drawing.line([(x - 3, y), (x + 3, y)], fill=_WHITE, width=2)


def _detail(window: Window, shape: tuple[int, ...]) -> str:
    height, width = shape
    # the default font has no multiplication sign
    return f"{window.x1 - window.x0} x {window.y1 - window.y0} of {width} x {height} px"


def _frame(
    drawing: Image.Image, title: str, detail: str, lines: Sequence[Line], prompt: Prompt
) -> Image.Image:
    """Add the title above and the legend below."""
    width = max(drawing.width, TARGET_PX)
    framed = Image.new("RGB", (width, drawing.height + 2 * _BAR), _DARK)
    framed.paste(drawing, ((width - drawing.width) // 2, _BAR))
    pen = ImageDraw.Draw(framed)
    font = ImageFont.load_default(12)
    pen.text((8, _BAR // 2), title, fill=_WHITE, font=font, anchor="lm")
    pen.text((width - 8, _BAR // 2), detail, fill=(190, 190, 195), font=font, anchor="rm")
    _legend(pen, framed.height - _BAR // 2, lines, prompt, font)
    return framed


def _legend(
    pen: ImageDraw.ImageDraw,
    y: int,
    lines: Sequence[Line],
    prompt: Prompt,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    x = 8.0
    for word, colour in lines:
        pen.line([(x, y), (x + 18, y)], fill=colour, width=4)
        x = _word(pen, x + 23, y, word, font)
    if prompt.box is not None:
        _dashes(pen, (x, y), (x + 18, y))
        x = _word(pen, x + 23, y, "box", font)
    for positive, word in ((True, "positive"), (False, "negative")):
        if any(point.positive is positive for point in prompt.points):
            _marker(pen, x + 6, y, positive=positive)
            x = _word(pen, x + 17, y, word, font)


def _word(
    pen: ImageDraw.ImageDraw,
    x: float,
    y: int,
    word: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> float:
    pen.text((x, y), word, fill=_WHITE, font=font, anchor="lm")
    return x + pen.textlength(word, font=font) + 14
