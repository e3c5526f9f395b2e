"""What the label files of a replica hold, and what a correct ingest makes of it.

A file is drawn once, however many cases or series read it: four sequences of one head share one
segmentation. Regions belong to what the file stores (a value, a colour, a name); structures are
unions of them, as the recipe says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.recipe import LabelSource
from engine.collection.replica.bodies import Body
from engine.collection.replica.regions import draw_regions
from engine.collection.replica.spec import Write
from engine.collection.replica.truth import Mask

Code = int | tuple[int, int, int] | str
"""Value, colour or name, as the file stores it."""


@dataclass(frozen=True, eq=False)
class Region:
    """A region and what the file calls it; `number` counts the objects of a file from 1."""

    code: Code
    number: int
    mask: Mask


@dataclass(frozen=True, eq=False)
class LabelDrawing:
    """The contents of one label file.

    Attributes:
        source: how the recipe reads it.
        frames: the regions of each frame; one entry where the file has none or they are the same.
        inside: kind mask: the value of the structure's pixels.
    """

    source: LabelSource
    frames: tuple[tuple[Region, ...], ...]
    inside: int = 1

    def values(self, frame: int) -> NDArray[np.integer]:
        """The label map of one frame: integers over the spatial axes, colours as a last axis.

        Not for kind `objects`, whose regions may overlap.
        """
        regions = self.frames[frame]
        shape = regions[0].mask.shape
        if self.source.kind == "colours":
            out = np.empty((*shape, 3), dtype=np.int64)
            out[...] = self.source.background
        else:
            out = np.zeros(shape, dtype=np.int64)
        for region in regions:
            out[region.mask] = region.code
        return out


def draw_label(
    sources: Sequence[LabelSource],
    structure: str | None,
    bodies: Sequence[Body],
    shape: tuple[int, ...],
    rng: np.random.Generator,
    write: Write,
    *,
    volume: bool,
    solid: bool,
    single: bool,
    lossy: bool,
) -> LabelDrawing:
    """Draw a label file.

    Args:
        sources: all that read the file, of one kind.
        structure: from the file's name, where the recipe takes it from there.
        bodies: one per frame of the label.
        shape: spatial.
        solid: outlines rather than pixels are stored.
        single: the format cannot hold two objects of one name.
        lossy: values come back a little changed.
    """
    source = sources[0]
    inside = write.mask_value or (1 if volume else 255)
    if source.threshold is not None:
        inside = max(inside, int(np.ceil(source.threshold)))
    below = 0
    if source.threshold is not None:  # a softer border, as thick as the format tells from it
        below = int(source.threshold / 4 if lossy else np.ceil(source.threshold) - 1)
    codes = list(_codes(source, structure, (inside, below), rng, single))
    for other in sources[1:]:
        known = {code for code, _ in codes}
        codes += [
            c for c in _codes(other, structure, (inside, below), rng, single) if c[0] not in known
        ]
    apart, frames = source.kind != "objects", []
    for body in bodies:
        names = [name for _, name in codes]
        masks = draw_regions(names, body.masks, shape, rng, apart=apart, solid=solid)
        pairs = enumerate(zip(codes, masks, strict=True), start=1)
        frames.append(tuple(Region(code, n, mask) for n, ((code, _), mask) in pairs))
    return LabelDrawing(source, tuple(frames), inside)


def _codes(
    source: LabelSource,
    structure: str | None,
    levels: tuple[int, int],
    rng: np.random.Generator,
    single: bool,
) -> Iterator[tuple[Code, str]]:
    """(code, name of what it is) of every region a file gets."""
    named: dict[Code, str] = {}
    for name, members in source.structures.items():
        for member in members:
            named.setdefault(member, name)
    only = structure or source.structure or ""
    if source.kind == "mask":
        inside, below = levels
        yield inside, only
        if below > 0:
            yield below, "softer than the threshold"
    elif source.kind == "instances":
        numbers = [1, 2, 3, 5, 8, 9][: int(rng.integers(3, 7))]
        yield from ((n, only) for n in numbers if n not in source.ignore)
    elif source.kind == "objects":
        copies = 2 if not single and (source.instances or not source.structures) else 1
        names = named or {only: only}
        yield from ((code, name) for code, name in names.items() for _ in range(copies))
    else:
        yield from named.items()
    for code in source.ignore:
        yield code, "ignored"


def true_masks(
    drawing: LabelDrawing, source: LabelSource, structure: str | None, frame: int
) -> dict[tuple[str, int], Mask]:
    """(structure, instance) -> region of a frame, as `source` reads the file."""
    regions = drawing.frames[frame if len(drawing.frames) > 1 else 0]
    only, out = structure or source.structure or "", dict[tuple[str, int], Mask]()

    def add(name: str, instance: int, mask: Mask) -> None:
        known = out.get((name, instance))
        out[name, instance] = mask if known is None else known | mask

    for region in regions:
        if region.code in source.ignore:
            continue
        if source.kind == "mask":
            if source.threshold is None or _at_least(region.code, source.threshold):
                add(only, 0, region.mask)
        elif source.kind == "instances":
            add(only, int(str(region.code)), region.mask)
        else:
            instance = region.number if source.instances else 0
            if not source.structures:
                add(only, instance, region.mask)
            for name, members in source.structures.items():
                if region.code in members:
                    add(name, instance, region.mask)
    return out


def _at_least(code: Code, threshold: float) -> bool:
    return isinstance(code, int) and code >= threshold
