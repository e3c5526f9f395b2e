"""What sampled label values may mean: the fields of a label source, and what a person decides."""

from __future__ import annotations

from typing import Any

from engine.collection.layouts.base import DECIDE, count, one_line
from engine.collection.layouts.looking import Seen

Fields = dict[str, Any]

_LIST = 20  # values that are written out
_SOFT = 0.9  # share of pixels at the two ends of a mask with soft borders
_MOST_STRUCTURES = 120


def proposed_meaning(seen: Seen, lossy: bool) -> tuple[Fields, list[str]]:
    """(`kind` and its fields, comments) for labels about which nothing is written down.

    Args:
        lossy: the format changes values near borders (JPEG).
    """
    if seen.colours:
        return _colours(seen)
    if seen.fractions:
        words = f"{DECIDE}values are fractions; which of them are the structure?"
        return {"kind": "mask", "structure": "object", "threshold": 0.5}, [words]
    counts = counted(seen)
    nonzero = sorted(value for value in seen.values if value != 0)
    if len(nonzero) <= 1 and not lossy:
        return _mask(counts, seen)
    if lossy or _is_soft(seen):
        words = f"{counts}: a mask with soft borders"
        threshold = (max(seen.values, default=255) + 1) // 2
        fields = {"kind": "mask", "structure": "object", "threshold": threshold}
        return fields, [words, f"{DECIDE}the name of the structure; is the threshold right?"]
    if nonzero[0] >= 0 and _are_instances(seen, nonzero):
        words = f"{counts}: many numbers, so they may count objects"
        ask = f"{DECIDE}the name of the structure; or kind: values if numbers mean structures"
        return {"kind": "instances", "structure": "object"}, [words, ask]
    structures = {f"structure_{value}".replace("-", "minus_"): value for value in nonzero}
    ask = f"{DECIDE}names of the structures; values no sampled file has would refuse their cases"
    return {"kind": "values", "structures": structures}, [counts, ask]


def counted(seen: Seen) -> str:
    """`values in 6 label files: 0 (120 px), 1 (8 px)`."""
    pairs = sorted(seen.values.items())
    shown = ", ".join(f"{value} ({pixels:,} px)" for value, pixels in pairs[:_LIST])
    more = f" and {len(pairs) - _LIST} more" if len(pairs) > _LIST else ""
    return f"values in {count(len(seen.opened), 'label file')}: {shown or 'none'}{more}"


def _mask(counts: str, seen: Seen) -> tuple[Fields, list[str]]:
    comments = [counts] if seen.opened else []
    if not seen.opened and seen.refused:
        comments = [f"{DECIDE}no label file could be read: {one_line(seen.refused[0])}"]
    ask = f"{DECIDE}the name of the structure"
    return {"kind": "mask", "structure": "object"}, [*comments, ask]


def _is_soft(seen: Seen) -> bool:
    """Few pixels between two ends that nearly all pixels have."""
    if len(seen.values) < 8:
        return False
    total = sum(seen.values.values())
    ends = seen.values[min(seen.values)] + seen.values[max(seen.values)]
    return min(seen.values) == 0 and ends >= _SOFT * total and max(seen.values) in (255, 65535)


def _are_instances(seen: Seen, nonzero: list[int]) -> bool:
    if seen.many or len(nonzero) > _MOST_STRUCTURES:
        return True
    runs = [sorted(values - {0}) for values in seen.per_file]
    counted_up = all(run == list(range(1, len(run) + 1)) for run in runs)
    differ = len({len(run) for run in runs}) > max(1, len(runs) // 2)
    return counted_up and ((differ and len(nonzero) > 8) or len(nonzero) > 30)


def _colours(seen: Seen) -> tuple[Fields, list[str]]:
    total = sum(seen.colours.values())
    common = seen.colours.most_common(_LIST)
    few = len(seen.colours) <= _LIST
    kept = [(c, n) for c, n in common if few or n >= total / 1000]
    background = max(kept, key=lambda entry: (entry[0] == (0, 0, 0), entry[1]))[0]
    shown = ", ".join(f"{list(colour)} ({pixels:,} px)" for colour, pixels in common[:8])
    shown += ", ..." if len(common) > 8 else ""
    structures = {
        f"structure_{number}": list(colour)
        for number, (colour, _) in enumerate((e for e in kept if e[0] != background), 1)
    }
    comments = [
        f"{count(len(seen.colours), 'colour')} in {count(len(seen.opened), 'label file')}: {shown}"
    ]
    comments.append(f"{DECIDE}names of the structures, and which colour is background")
    if not structures:
        return {"kind": "mask", "structure": "object"}, comments
    fields: Fields = {"kind": "colours", "structures": structures}
    if background != (0, 0, 0):
        fields["background"] = list(background)
    if not few:
        fields["nearest"] = True
        comments.append(f"{DECIDE}soft borders take the nearest of these colours; is that right?")
    return fields, comments
