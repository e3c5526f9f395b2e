"""Label files -> parts: what each value or colour of a file means, by the recipe.

Whatever the recipe does not name refuses the case; nothing becomes background by silence.
"""

from __future__ import annotations

from engine.collection.codes import (
    Codes,
    Dense,
    LabelMap,
    colour_codes,
    counted,
    grey_levels,
    pack,
    shown_code,
    to_nearest,
    whole_numbers,
)
from engine.collection.layers import Part
from engine.collection.recipe import LabelSource
from engine.errors import CaseRefusedError

Meaning = dict[str, list[int]]


def decode(source: LabelSource, label: LabelMap) -> list[Part]:
    """The objects of one label file, non-empty ones only, in the recipe's order.

    Raises:
        CaseRefusedError: `unknown_label_value` or `dtype_mismatch`.
    """
    if source.kind == "values":
        return _value_parts(source, label)
    if source.kind == "colours":
        return _colour_parts(source, label)
    if source.kind == "mask":
        return _mask_parts(source, label)
    return _instance_parts(source, label)


def _value_parts(source: LabelSource, label: LabelMap) -> list[Part]:
    meaning = {name: _codes(values) for name, values in source.structures.items()}
    return _named_parts(whole_numbers(label), meaning, [0, *_codes(source.ignore)], label, False)


def _colour_parts(source: LabelSource, label: LabelMap) -> list[Part]:
    meaning = {name: _codes(colours) for name, colours in source.structures.items()}
    blank, ignored = pack(source.background), _codes(source.ignore)
    codes = colour_codes(label)
    if source.nearest:
        named = [code for group in meaning.values() for code in group]
        codes = to_nearest(codes, [blank, *named, *ignored])
    return _named_parts(codes, meaning, [blank, *ignored], label, True)


def _named_parts(
    codes: Codes, meaning: Meaning, background: list[int], label: LabelMap, colours: bool
) -> list[Part]:
    """Parts of all structures, once every code present is known."""
    dense = Dense.of(codes)
    known = {code for group in meaning.values() for code in group}.union(background)
    unknown = [int(code) for code in dense.codes if int(code) not in known]
    if unknown:
        raise CaseRefusedError(
            "the label file holds values the recipe does not name",
            code="unknown_label_value",
            where=label.path,
            got=counted(unknown, dense, colours),
            expected=_listing(meaning, colours),
            remedy="name them under structures or ignore"
            + (", or say nearest: true if borders are soft" if colours else ""),
        )
    return dense.parts((name, 0, group) for name, group in meaning.items())


def _mask_parts(source: LabelSource, label: LabelMap) -> list[Part]:
    structure = label.structure or source.structure or ""
    if source.threshold is not None:
        inside = grey_levels(label) >= source.threshold  # type: ignore[operator]
        return Dense.of(inside.astype("int64")).parts([(structure, 0, [1])])
    coloured = label.palette is not None
    dense = Dense.of(colour_codes(label) if coloured else whole_numbers(label))
    nonzero = [int(code) for code in dense.codes if code != 0]
    if len(nonzero) > 1:
        raise CaseRefusedError(
            "the mask holds more than one value besides 0",
            code="unknown_label_value",
            where=label.path,
            got=counted(nonzero, dense, coloured),
            expected="0 and one other value",
            remedy="give a threshold (grey borders), or say kind: values (several structures)",
        )
    return dense.parts([(structure, 0, nonzero)])


def _instance_parts(source: LabelSource, label: LabelMap) -> list[Part]:
    structure = label.structure or source.structure or ""
    dense = Dense.of(whole_numbers(label))
    if int(dense.codes[0]) < 0:
        raise CaseRefusedError(
            "an instance number is negative",
            code="unknown_label_value",
            where=label.path,
            got=counted([int(dense.codes[0])], dense, False),
            expected="0 for background, instances from 1",
        )
    background = {0, *_codes(source.ignore)}
    ids = [int(code) for code in dense.codes if int(code) not in background]
    return dense.parts((structure, instance, [instance]) for instance in ids)


def _codes(values: tuple[object, ...]) -> list[int]:
    """Values of a recipe as codes: whole numbers as they are, colours packed."""
    return [pack(value) if isinstance(value, tuple) else int(str(value)) for value in values]


def _listing(meaning: Meaning, colours: bool, limit: int = 400) -> str:
    parts = [
        f"{name}: {', '.join(shown_code(code, colours) for code in group)}"
        for name, group in meaning.items()
    ]
    text = "; ".join(parts)
    return text if len(text) <= limit else text[: limit - 3] + "..."
