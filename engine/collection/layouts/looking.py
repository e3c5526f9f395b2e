"""A look into a few files of a kind: sizes, types, values with their pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.layouts.base import one_line
from engine.collection.readers import RawImage, reader_for
from engine.collection.readers.base import PLAIN, How
from engine.errors import CaseRefusedError

SAMPLE = 6
"""Files of a kind that are opened; spread evenly over their sorted names."""

MOST_VALUES = 300
_MOST_FILE_BYTES = 2**30

Colour = tuple[int, int, int]


@dataclass
class Seen:
    """What the sampled files hold.

    Attributes:
        opened: paths that were read.
        refused: messages of those that were not.
        kinds: `volume` or `image`.
        shapes, dtypes, frames: as read.
        values: pixels per whole value; colours per packed triple where `colours`.
        per_file: values of each file, background included.
        fractions: some values are no whole numbers.
        many: more values than are counted.
    """

    opened: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    dtypes: set[str] = field(default_factory=set)
    frames: set[int] = field(default_factory=set)
    values: Counter[int] = field(default_factory=Counter)
    colours: Counter[Colour] = field(default_factory=Counter)
    per_file: list[frozenset[int]] = field(default_factory=list)
    fractions: bool = False
    many: bool = False
    placed: bool = True
    single_slice: bool = True

    @property
    def summary(self) -> str:
        """Sizes and types, for a comment."""
        if not self.opened:
            return f"none could be read: {self.refused[0]}" if self.refused else "none looked at"
        shapes = ", ".join(" x ".join(map(str, s)) for s in sorted(self.shapes)[:3])
        more = f" and {len(self.shapes) - 3} other sizes" if len(self.shapes) > 3 else ""
        failed = f"; {len(self.refused)} refused ({self.refused[0]})" if self.refused else ""
        return f"{', '.join(sorted(self.dtypes))}, {shapes}{more}{failed}"


def sample(names: Sequence[str], count: int = SAMPLE) -> list[str]:
    """At most `count` names, spread evenly."""
    if len(names) <= count:
        return list(names)
    places = np.linspace(0, len(names) - 1, count).round().astype(int)
    return [names[place] for place in places]


def look_at(root: Path, names: Sequence[str], how: How = PLAIN, *, labels: bool) -> Seen:
    """Open a sample of files of one kind.

    Args:
        names: relative to `root`, sorted.
        labels: count values, and read as labels are read.
    """
    seen = Seen()
    for name in sample(names):
        path = root / name
        try:
            if path.stat().st_size > _MOST_FILE_BYTES:
                continue
            reader = reader_for(path)
            raw = reader.read_labels(path, how) if labels else reader.read(path, how)
        except (CaseRefusedError, OSError) as error:
            seen.refused.append(one_line(f"{name}: {str(error).splitlines()[0]}"))
            continue
        if isinstance(raw, RawImage):
            seen.opened.append(name)
            _note(seen, raw)
            if labels:
                _count(seen, raw)
    return seen


def _note(seen: Seen, raw: RawImage) -> None:
    seen.kinds.add(raw.kind)
    seen.shapes.add(raw.array.shape)
    seen.dtypes.add(raw.array.dtype.name)
    seen.frames.add(raw.frames)
    seen.placed = seen.placed and (raw.kind == "image" or raw.affine is not None)
    seen.single_slice = seen.single_slice and raw.kind == "volume" and 1 in raw.array.shape[2:3]


def _count(seen: Seen, raw: RawImage) -> None:
    array = raw.array if raw.palette is None else raw.palette[raw.array]
    if raw.channel_axis is not None or raw.palette is not None:
        triples = np.moveaxis(array, -1 if raw.palette is not None else raw.channel_axis or 0, -1)
        if not _is_grey(triples):
            return _count_colours(seen, triples)
        array = triples[..., 0] if raw.palette is None else raw.array
    if array.dtype.kind == "f" and not (array == np.rint(array)).all():
        seen.fractions = True
        return None
    values, counts = np.unique(array, return_counts=True)
    seen.per_file.append(frozenset(int(v) for v in values[: MOST_VALUES * 20]))
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        seen.values[int(value)] += count
    seen.many = seen.many or len(seen.values) > MOST_VALUES
    return None


def _is_grey(triples: NDArray[np.generic]) -> bool:
    red = triples[..., 0]
    return bool((red == triples[..., 1]).all() and (red == triples[..., 2]).all())


def _count_colours(seen: Seen, triples: NDArray[np.generic]) -> None:
    flat = triples.reshape(-1, 3).astype(np.int64)
    packed = (flat[:, 0] << 32) | (flat[:, 1] << 16) | flat[:, 2]
    values, counts = np.unique(packed, return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        seen.colours[value >> 32, (value >> 16) & 0xFFFF, value & 0xFFFF] += count
