"""Objects that a label file names (DICOM-SEG, RTSTRUCT, COCO, LabelMe) -> parts, by the recipe.

As with values, a name the recipe does not know refuses the case.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.collection.layers import Part
from engine.collection.orient import Orientation
from engine.collection.readers.base import NamedObject, RawObjects
from engine.collection.recipe import LabelSource
from engine.errors import CaseRefusedError


def name_objects(
    source: LabelSource,
    raw: RawObjects,
    turn: Orientation | None,
    shape: tuple[int, ...],
    path: str,
    structure: str | None = None,
) -> list[Part]:
    """The parts of one label file in the recipe's order of structures, then the file's order.

    Args:
        turn: how the image is turned; None for pictures.
        shape: spatial size of the image's array as stored.
        structure: from the file name, where the recipe takes it from there.

    Raises:
        CaseRefusedError: `unknown_label_value` for a name the recipe lacks, `unsupported_layout`
            where the recipe expects values instead of names; why a wanted object has no mask.
    """
    if source.kind != "objects":
        raise CaseRefusedError(
            "the label file names its objects",
            code="unsupported_layout",
            where=path,
            got=", ".join(raw.names[:20]) or "no object",
            expected=f"a label map for kind: {source.kind}",
            remedy="say kind: objects and structures: {structure: name in the file}",
        )
    found = list(_named(source, raw, path, structure))
    for name, error in raw.broken.items():
        if name not in source.ignore:  # a plan's isocentre is a point: nobody asked for its mask
            raise error
    return [
        _part(one, name, one.number if source.instances else 0, turn, shape) for name, one in found
    ]


def _named(
    source: LabelSource, raw: RawObjects, path: str, structure: str | None
) -> Iterator[tuple[str, NamedObject]]:
    """(structure, object); an object may belong to several structures."""
    if not source.structures:
        for one in raw.objects:
            if one.name not in source.ignore:
                yield structure or source.structure or "", one
        return
    known = {name for names in source.structures.values() for name in names}.union(source.ignore)
    unknown = [name for name in dict.fromkeys(raw.names) if name not in known]
    if unknown:
        raise CaseRefusedError(
            "the label file holds objects the recipe does not name",
            code="unknown_label_value",
            where=path,
            got=", ".join(map(repr, unknown[:20])),
            expected=", ".join(sorted(map(str, known)))[:400],
            remedy="name them under structures or ignore",
        )
    for name, members in source.structures.items():
        for one in raw.objects:
            if one.name in members:
                yield name, one


def _part(
    one: NamedObject,
    structure: str,
    instance: int,
    turn: Orientation | None,
    shape: tuple[int, ...],
) -> Part:
    """The object with its box turned as the image is; a picture becomes one slice."""
    if turn is None:
        box = (slice(0, 1), *one.box) if len(one.box) == 2 else one.box
        mask = one.mask[np.newaxis] if len(one.box) == 2 else one.mask
        return Part(structure, instance, box, mask, (1,))
    box = tuple(
        slice(shape[axis] - one.box[axis].stop, shape[axis] - one.box[axis].start)
        if flip
        else one.box[axis]
        for axis, flip in zip(turn.axes, turn.flips, strict=True)
    )
    return Part(structure, instance, box, turn.apply(one.mask), (1,))
