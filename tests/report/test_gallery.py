"""Pictures of masks: where things are drawn, and in which colour."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dashboards.gallery import (
    BOX,
    NEGATIVE,
    POSITIVE,
    PREDICTION,
    TRUTH,
    draw,
    picture,
    window_around,
)
from engine.prompts.base import Box, Point, Prompt

BAR = 22


def decoded(png: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.array(image.convert("RGB"))


def near(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Pixels of about this colour; the palette may move it a little."""
    distance = np.abs(pixels.astype(int) - np.array(colour)).max(axis=-1)
    found: NDArray[np.bool_] = distance <= 12
    return found


def disc(shape: tuple[int, int], x: int, y: int, radius: int) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    found: NDArray[np.bool_] = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return found


def body(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels[BAR:-BAR]


def test_outlines_lie_on_the_borders() -> None:
    image = np.full((64, 64), 90, np.uint8)
    truth, predicted = disc((64, 64), 20, 32, 10), disc((64, 64), 46, 32, 8)
    pixels = body(decoded(draw(image, truth, Prompt(), predicted, "t")))
    assert pixels.shape == (384, 384, 3)
    for mask, colour in ((truth, TRUTH), (predicted, PREDICTION)):
        ys, xs = np.nonzero(near(pixels, colour))
        assert len(xs) > 100
        inside = mask[ys // 6, xs // 6]
        assert inside.all()
        columns = np.nonzero(mask.any(axis=0))[0]
        assert xs.min() // 6 == columns[0]
        assert xs.max() // 6 == columns[-1]
    centre = pixels[32 * 6 + 3, 20 * 6 + 3]
    assert abs(int(centre[0]) - 90) <= 4  # the inside shows the image


def test_points_and_box_lie_where_the_prompt_says() -> None:
    image = np.full((64, 64, 3), 90, np.uint8)
    truth = disc((64, 64), 32, 32, 6)
    prompt = Prompt((Point(20, 44, True), Point(50, 12, False)), Box(22, 22, 42, 40))
    pixels = body(decoded(draw(image, truth, prompt, np.zeros_like(truth), "t")))
    for colour, (x, y) in ((POSITIVE, (20, 44)), (NEGATIVE, (50, 12))):
        ys, xs = np.nonzero(near(pixels, colour))
        assert abs(xs.mean() - (x + 0.5) * 6) < 2
        assert abs(ys.mean() - (y + 0.5) * 6) < 2
    ys, xs = np.nonzero(near(pixels, BOX))
    # inclusive corners: the box encloses its last row and column
    assert abs(xs.min() - 22 * 6) <= 3
    assert abs(xs.max() - 43 * 6) <= 3
    assert abs(ys.min() - 22 * 6) <= 3
    assert abs(ys.max() - 41 * 6) <= 3


def test_legend_names_only_what_is_drawn() -> None:
    image, truth = np.zeros((64, 64), np.uint8), disc((64, 64), 32, 32, 6)
    bare = decoded(draw(image, truth, Prompt(), truth, "t"))[-BAR:]
    full = decoded(draw(image, truth, Prompt((Point(32, 32, True),), Box(1, 1, 9, 9)), truth, "t"))[
        -BAR:
    ]
    assert not near(bare, POSITIVE).any()
    assert near(full, POSITIVE).any()
    assert near(full, BOX).any()


@settings(max_examples=40)
@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(0, 299), st.integers(0, 299),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_any_size_and_any_mask_can_be_drawn(
    height: int, width: int, x: int, y: int, colour: bool, empty: bool
) -> None:
    x, y = x % width, y % height
    image = np.zeros((height, width, 3) if colour else (height, width), np.uint8)
    truth = disc((height, width), x, y, 5)
    predicted = np.zeros_like(truth) if empty else disc((height, width), y % width, x % height, 9)
    prompt = Prompt((Point(x, y, True),), Box(min(x, 2), min(y, 3), x, y))
    window = window_around(truth | predicted, prompt)
    assert 0 <= window.x0 <= x < window.x1 <= width
    assert 0 <= window.y0 <= y < window.y1 <= height
    ys, xs = np.nonzero(truth | predicted)
    assert window.x0 <= xs.min()
    assert xs.max() < window.x1
    assert window.y0 <= ys.min()
    assert ys.max() < window.y1
    assert len(draw(image, truth, prompt, predicted, "title")) < 400_000


def test_large_images_are_reduced() -> None:
    image = np.zeros((3000, 2000), np.uint8)
    truth = np.ones((3000, 2000), bool)
    pixels = body(decoded(draw(image, truth, Prompt(), truth, "t")))
    assert max(pixels.shape) <= 384


def test_nothing_to_show_shows_the_whole_image() -> None:
    window = window_around(np.zeros((100, 50), bool), Prompt())
    assert (window.x0, window.y0, window.x1, window.y1) == (0, 0, 50, 100)


def test_picture_tells_rank_and_dice() -> None:
    pick = {
        "model": "tiny", "strategy": "box", "pick": "best", "structure": "liver",
        "modality": "CT", "dice": 0.98765, "rank": 1, "n": 34, "object_id": "a/b/00000/liver/0",
    }  # fmt: skip
    truth = disc((64, 64), 32, 32, 6)
    item = picture(pick, np.zeros((64, 64), np.uint8), truth, Prompt(), truth)
    assert item.title == "tiny, box: best"
    for words in ("0.988", "rank 1 of 34", "a/b/00000/liver/0", "CT"):
        assert words in item.caption
    assert item.data().startswith(b"\x89PNG")


@pytest.mark.parametrize("title", ["x" * 500, "", "größe ✓"])
def test_titles_of_any_kind(title: str) -> None:
    truth = disc((64, 64), 32, 32, 6)
    draw(np.zeros((64, 64), np.uint8), truth, Prompt(), truth, title)


def test_equal_masks_show_both_outlines() -> None:
    image, mask = np.full((64, 64), 90, np.uint8), disc((64, 64), 32, 32, 10)
    pixels = body(decoded(draw(image, mask, Prompt(), mask, "t")))
    assert near(pixels, TRUTH).sum() > 100
    assert near(pixels, PREDICTION).sum() > 100


def test_empty_prediction_is_said() -> None:
    image, mask = np.zeros((64, 64), np.uint8), disc((64, 64), 32, 32, 10)
    legends = [
        decoded(draw(image, mask, Prompt(), predicted, "t"))[-BAR:]
        for predicted in (mask, np.zeros_like(mask))
    ]
    words = [near(legend, (255, 255, 255)).sum() for legend in legends]
    assert words[1] > words[0]
