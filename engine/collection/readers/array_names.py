"""Which array of a container is meant: by the recipe's name, or because there is only one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.collection.readers.base import refuse

_MOST_SHOWN = 20
Shape = tuple[int, ...]


def chosen(arrays: Mapping[str, Shape], name: str | None, path: Path) -> str:
    """The name of the array to read.

    Args:
        arrays: shapes of the numeric arrays of a file, by name.
        name: as the recipe says it.

    Raises:
        CaseRefusedError: `no_array`, listing what there is.
    """
    if name is not None:
        plain = name.strip("/")
        if plain in arrays:
            return plain
        raise no_array(path, arrays, f"no array '{plain[:100]}'")
    wide = [own for own, shape in arrays.items() if len(shape) > 1]
    if len(wide) == 1:
        return wide[0]
    raise no_array(path, arrays, f"{len(wide)} arrays with two axes or more, and none is named")


def no_array(path: Path, arrays: Mapping[str, Shape], got: str) -> Exception:
    """The refusal of a file without the array that is asked for."""
    shown = [f"{own[:60]!r} {shape}" for own, shape in list(arrays.items())[:_MOST_SHOWN]]
    more = [f"and {len(arrays) - _MOST_SHOWN} more"] if len(arrays) > _MOST_SHOWN else []
    return refuse(
        "no_array",
        "the file has not the array that is asked for",
        path,
        got=got,
        expected="one of: " + (", ".join(shown + more) or "(the file holds no numeric array)"),
        remedy="say array: <its name> in the recipe",
    )


def is_numeric(dtype: np.dtype[np.generic]) -> bool:
    """Whether values are truth values, whole or real numbers."""
    return dtype.names is None and dtype.subdtype is None and dtype.kind in "buif"
