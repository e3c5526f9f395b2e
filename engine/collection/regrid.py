"""Labels on the stored axes of their image: permutations and flips only, nothing is resampled.

Two files of one place may store their axes differently when their formats differ: a label map that
was drawn on a DICOM series and saved as NIfTI runs along other axes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.collection.geometry import TOLERANCE
from engine.collection.orient import nearest_axes
from engine.collection.readers.base import RawImage
from engine.collection.slice_names import check_pairs, natural_order
from engine.errors import CaseRefusedError


def on_axes_of(image: RawImage, label: RawImage) -> RawImage:
    """A label of the same grid, its axes in the image's order and direction.

    Only where both say where they lie and the grids then agree in size; anything else is left as
    it is, for the comparison of both geometries to judge.
    """
    if image.affine is None or label.affine is None or label.kind != "volume":
        return label
    if label.channel_axis is not None or label.time_axis not in (None, 3):
        return label
    here, signs = nearest_axes(image.affine)
    there, label_signs = nearest_axes(label.affine)
    axes, flips = [0, 0, 0], [False, False, False]
    for lps in range(3):
        axes[here[lps]] = there[lps]
        flips[here[lps]] = signs[lps] != label_signs[lps]
    if axes == [0, 1, 2] and not any(flips):
        return label
    order = (*axes, *range(3, label.array.ndim))
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    back = np.zeros((4, 4))
    back[3, 3] = 1.0
    for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
        back[old, new] = -1.0 if flip else 1.0
        back[old, 3] = label.array.shape[old] - 1 if flip else 0
    affine = label.affine @ back
    if not _same_place(image.affine, affine):
        return label
    spacing = label.spacing_mm and tuple(label.spacing_mm[axis] for axis in axes)
    array = label.array.transpose(order)[steps]
    return replace(label, array=array, affine=affine, spacing_mm=spacing)


def _same_place(image: NDArray[np.float64], label: NDArray[np.float64]) -> bool:
    """Whether two grids, by their affines, start together: within the tolerance of one voxel."""
    offset = label[:3, 3] - image[:3, 3]
    return bool((np.abs(np.linalg.solve(image[:3, :3], offset)) <= TOLERANCE).all())


def in_order_of(image: RawImage, label: RawImage, path: str) -> RawImage:
    """A stack of pictures in the order of the image's slices, paired by the order of names.

    Masks of a DICOM series often come as one picture per file (`Ground/IMG-0004-00001.png`): the
    n-th name belongs to the n-th name of the series, which is sorted by place instead. The stack
    takes over the series' geometry.

    Raises:
        CaseRefusedError: `shape_mismatch` where the numbers of files differ, where the order of
            names is not clear, or where the numbers in them say that a file is missing.
    """
    if image.slices is None or label.slices is None or label.affine is not None:
        return label
    ours, theirs = image.slices.names, label.slices.names
    if len(ours) != len(theirs):
        raise CaseRefusedError(
            "image and label folders have different numbers of files",
            code="shape_mismatch",
            where=path,
            got=f"{len(theirs)} label files",
            expected=f"{len(ours)}, one per slice",
            remedy="complete the folder; which slice a mask belongs to cannot be guessed",
        )
    our_order, their_order = natural_order(ours, path), natural_order(theirs, path)
    check_pairs([ours[k] for k in our_order], [theirs[k] for k in their_order], path)
    rank = {place: number for number, place in enumerate(our_order)}
    order = [their_order[rank[place]] for place in range(len(ours))]
    array = np.take(label.array, order, axis=2)
    names = tuple(theirs[place] for place in order)
    return replace(
        label,
        array=array,
        affine=image.affine,
        spacing_mm=image.spacing_mm,
        slices=replace(label.slices, names=names),
    )


def one_picture(raw: RawImage) -> RawImage:
    """A volume of one slice as the picture it is: [y, x], the file's first axis being x.

    Raises:
        CaseRefusedError: `unsupported_layout` where it has more than one slice.
    """
    if raw.kind == "image":
        return raw
    if raw.array.ndim != 3 or raw.array.shape[2] != 1:
        raise CaseRefusedError(
            "the recipe calls the file a flat picture, but it has several slices",
            code="unsupported_layout",
            got=f"shape {raw.array.shape}",
            expected="[x, y, 1]",
            remedy="leave out flat: true",
        )
    spacing = None if raw.spacing_mm is None else (raw.spacing_mm[1], raw.spacing_mm[0])
    return RawImage(np.ascontiguousarray(raw.array[:, :, 0].T), "image", spacing)
