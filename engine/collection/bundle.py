"""A bundle: the slices that share one pair of arrays, either a volume or a group of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.collection.case import CuratedCase
from engine.collection.layout import case_path
from engine.errors import CaseRefusedError

_STORABLE = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
)  # fmt: skip
_LARGEST_INSTANCE = np.iinfo(np.int32).max  # the type of the catalog's column


@dataclass(frozen=True)
class Bundle:
    """What one array pair will hold.

    Attributes:
        array_path: group inside the collection, e.g. `dataset/case`.
        cases: the one case of a volume, or the cases of a group, one slice each, in array order.
        image: source dtype [slice, y, x] or [slice, y, x, 3], little-endian.
        labels: uint8 or uint16 [layer, slice, y, x].
    """

    array_path: str
    cases: tuple[CuratedCase, ...]
    image: NDArray[np.generic]
    labels: NDArray[np.unsignedinteger]

    @property
    def dataset(self) -> str:
        return self.cases[0].dataset

    @property
    def is_group(self) -> bool:
        """True when every slice is a case of its own."""
        return len(self.image) == len(self.cases)

    def origin(self, position: int) -> tuple[CuratedCase, int]:
        """The case at a position of the slice axis, and the slice's index within that case."""
        if self.is_group:
            return self.cases[position], 0
        return self.cases[0], position


def bundle_volume(case: CuratedCase) -> Bundle:
    """The bundle of a case with several slices."""
    return Bundle(
        case_path(case.dataset, case.case), (case,), _little(case.image), _little(case.labels)
    )


def bundle_images(array_path: str, cases: Sequence[CuratedCase]) -> Bundle:
    """The bundle of single images of equal shape and dtype.

    Labels get the widest dtype and as many layers as the richest image needs; the further layers
    of the others stay empty.
    """
    image = np.concatenate([_little(case.image) for case in cases])
    dtype = np.result_type(*(case.labels.dtype for case in cases)).newbyteorder("<")
    layers = max(case.labels.shape[0] for case in cases)
    labels = np.zeros((layers, *image.shape[:3]), dtype)
    for position, case in enumerate(cases):
        labels[: case.labels.shape[0], position] = case.labels[:, 0]
    return Bundle(array_path, tuple(cases), image, labels)


def check_case(case: CuratedCase) -> None:
    """Refuse a case that cannot be stored: wrong axes, dtypes or values.

    Raises:
        CaseRefusedError: with code `unsupported_layout`, `dtype_mismatch`, `non_finite` or
            `unknown_label_value`.
    """
    image, labels = case.image, case.labels
    if image.ndim not in (3, 4) or (image.ndim == 4 and image.shape[3] != 3) or 0 in image.shape:
        raise _invalid(case, "image axes", image.shape, "[slice, y, x] or [slice, y, x, 3]")
    if image.dtype.name not in _STORABLE:
        raise _invalid(case, "image dtype", image.dtype, ", ".join(_STORABLE), "dtype_mismatch")
    if labels.dtype.name not in ("uint8", "uint16"):
        raise _invalid(case, "label dtype", labels.dtype, "uint8 or uint16", "dtype_mismatch")
    if labels.ndim != 4 or labels.shape[0] < 1 or labels.shape[1:] != image.shape[:3]:
        expected = f"[layer, {', '.join(map(str, image.shape[:3]))}]"
        raise _invalid(case, "label axes", labels.shape, expected)
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise CaseRefusedError(
            "the image holds NaN or infinite values",
            code="non_finite",
            where=f"case {case.case}",
            expected="finite values (protocol 1.6)",
            remedy="repair the file or leave the case out in the recipe",
        )
    _check_meaning(case)
    _check_values(case)


def _check_meaning(case: CuratedCase) -> None:
    code = "unknown_label_value"
    largest = np.iinfo(case.labels.dtype).max
    for label in case.meaning:
        if not (0 <= label.layer < len(case.labels) and 1 <= label.value <= largest):
            got, expected = (label.layer, label.value), "an existing layer and a value of its dtype"
            raise _invalid(case, "label (layer, value)", got, expected, code)
        if not 0 <= label.instance <= _LARGEST_INSTANCE:
            what, expected = f"instance number of '{label.structure}'", f"0 to {_LARGEST_INSTANCE}"
            raise _invalid(case, what, label.instance, expected, code)
    repeatable: tuple[tuple[str, list[Any]], ...] = (
        ("(layer, value)", [(label.layer, label.value) for label in case.meaning]),
        ("(structure, instance)", [(label.structure, label.instance) for label in case.meaning]),
    )
    for kind, keys in repeatable:
        for key, times in Counter(keys).most_common(1):
            if times > 1:
                raise _invalid(case, f"label {kind}", key, "each named once", code)


def _check_values(case: CuratedCase) -> None:
    for layer, stack in enumerate(case.labels):
        named = np.zeros(np.iinfo(stack.dtype).max + 1, np.bool_)
        named[[0, *(label.value for label in case.meaning if label.layer == layer)]] = True
        for plane in stack:  # numpy indexes and counts with 8 bytes a pixel: not a volume at once
            if not named[plane].all():
                value = int(plane[~named[plane]][0])
                expected = f"one of {np.flatnonzero(named)[1:].tolist()}, as the recipe names them"
                what = f"label value in layer {layer}"
                raise _invalid(case, what, value, expected, "unknown_label_value")


def _invalid(
    case: CuratedCase, what: str, got: object, expected: str, code: str = "unsupported_layout"
) -> CaseRefusedError:
    return CaseRefusedError(
        f"the curated case has a wrong {what}",
        code=code,
        where=f"case {case.case}",
        got=got,
        expected=expected,
        remedy="check what the recipe says about this case's files",
    )


def _little(array: NDArray[Any]) -> NDArray[Any]:
    """The same values, contiguous and little-endian."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
