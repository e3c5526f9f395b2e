"""Shapes of numpy arrays from their headers, and the axes that image and label must then have."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from numpy.lib import format as npy

Shape = tuple[int, ...]

_AXES = {3: "zyx", 2: "yx"}


def npy_shape(stream: BinaryIO) -> Shape:
    """Shape of an array in npy format. Raises ValueError or OSError."""
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return tuple(int(n) for n in read(stream)[0])


def image_axes(image: Shape, label: Shape) -> str | None:
    """Axes of an image with that label: `zyx`, `yx`, `yxc`; None where they do not fit."""
    if image == label:
        return _AXES.get(len(image))
    return "yxc" if image == (*label, 3) and len(label) == 2 else None


def colour_axes(image: Path, label: Path) -> str | None:
    """`yxc` where two npy files are a colour picture and its label; else None."""
    shapes = []
    for path in (image, label):
        try:
            with path.open("rb") as stream:
                shapes.append(npy_shape(stream))
        except (OSError, ValueError):
            return None
    axes = image_axes(shapes[0], shapes[1])
    return axes if axes == "yxc" else None
