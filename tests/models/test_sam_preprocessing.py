"""SAM's input rule against the library's ResizeLongestSide and Sam.preprocess, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import as_rgb
from segment_anything.utils.transforms import ResizeLongestSide

from engine.errors import UserError
from engine.models.preprocessing import frame_size, resize_longest_side, sam_input, to_input_frame
from engine.models.sam import SamModel

SIDE = st.integers(1, 300)
SHAPES = [
    (256, 256),  # nothing to resize
    (31, 17),  # enlarged, odd
    (1, 1),
    (513, 511),  # shrunk, odd
    (3, 700),  # elongated
    (1, 511),  # the short side rounds up to one pixel
    (1024, 768, 3),
    (33, 90, 3),
]


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_resizing_equals_the_library(shape: tuple[int, ...]) -> None:
    image = noise(shape)
    assert np.array_equal(
        as_rgb(resize_longest_side(image, 256)), ResizeLongestSide(256).apply_image(as_rgb(image))
    )


@settings(max_examples=60)
@given(SIDE, SIDE, st.sampled_from([64, 100, 256]))
def test_any_grey_image_equals_the_library(height: int, width: int, size: int) -> None:
    if max(height, width) >= 2 * size * min(height, width):
        return
    image = noise((height, width))
    expected = ResizeLongestSide(size).apply_image(as_rgb(image))
    assert np.array_equal(as_rgb(resize_longest_side(image, size)), expected)
    assert frame_size(height, width, size) == expected.shape[:2]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_input_equals_the_library(tiny: SamModel, shape: tuple[int, ...]) -> None:
    image, network = noise(shape), tiny.network
    resized = ResizeLongestSide(256).apply_image(as_rgb(image))
    expected = network.preprocess(torch.as_tensor(resized).permute(2, 0, 1))
    found = sam_input(image, 256, network.pixel_mean, network.pixel_std)
    assert torch.equal(found, expected)
    assert found.shape == (3, 256, 256)


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.sampled_from([256, 1024]),
    st.lists(st.tuples(st.integers(0, 4999), st.integers(0, 4999)), min_size=2, max_size=4),
)
def test_coordinates_equal_the_library(
    height: int, width: int, size: int, xy: list[tuple[int, int]]
) -> None:
    if max(height, width) >= 2 * size * min(height, width):
        return
    transform, points = ResizeLongestSide(size), np.array(xy)
    expected = transform.apply_coords(points, (height, width))
    assert np.array_equal(to_input_frame(points, height, width, size), expected)
    corners = points[:2].reshape(1, 4)
    found = to_input_frame(corners.reshape(-1, 2, 2), height, width, size).reshape(-1, 4)
    assert np.array_equal(found, transform.apply_boxes(corners, (height, width)))


def test_too_elongated_slices_are_refused_with_their_size() -> None:
    assert frame_size(1, 512, 256) == (1, 256)
    with pytest.raises(UserError, match="too elongated") as caught:
        frame_size(1, 513, 256)
    assert "1 x 513" in str(caught.value)


def test_real_slice_shapes_keep_their_content() -> None:
    """An all-white image stays white inside its frame, and only padding lies outside."""
    mean, std = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
    found = sam_input(np.full((50, 100), 255, np.uint8), 64, mean, std)
    assert (found[:, :32] == 255).all()
    assert (found[:, 32:] == 0).all()
