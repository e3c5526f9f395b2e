"""Reads damaged files one after the other, in a process of its own: it may die, the fuzzer not.

One line of JSON in, one out: what `read` and `read_labels` made of the file.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers import reader_for
from engine.collection.readers.base import How, ImageFile, RawImage, RawObjects
from engine.collection.reasons import REASONS
from engine.errors import CaseRefusedError


def outcome(read: Callable[[], RawImage | RawObjects]) -> str:
    """`ok`, `refused <code>`, or what is wrong with the reader."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = read()
    except CaseRefusedError as error:
        text = str(error)
        text.encode("utf-8")
        if error.code not in REASONS:
            return f"bug: the code '{error.code}' is none"
        return f"refused {error.code}"
    except BaseException as error:  # noqa: BLE001  whatever comes is a finding
        lines = traceback.format_exception(error)
        return f"bug: {''.join(lines)[-2500:]}"
    wrong = flaw(found)
    return f"bug: {wrong}" if wrong else "ok"


def flaw(found: RawImage | RawObjects) -> str | None:
    """What breaks the promise of `RawImage` or `RawObjects`."""
    if isinstance(found, RawObjects):
        for one in found.objects:
            shape = tuple(s.stop - s.start for s in one.box)
            if one.mask.dtype != np.bool_ or one.mask.shape != shape or not one.mask.any():
                return f"object {one.name!r} has {one.mask.shape} at {one.box}"
            if any(s.start < 0 for s in one.box) or one.name not in found.names:
                return f"object {one.name!r} at {one.box}"
        return None
    array = found.array
    axes = (
        (3 if found.kind == "volume" else 2)
        + (found.channel_axis is not None)
        + (found.time_axis is not None)
    )
    if array.ndim != axes or not array.size or array.dtype.kind not in "uif":
        return f"{found.kind} {array.dtype} {array.shape}"
    if not array.dtype.isnative or array.dtype.itemsize > 8:
        return f"dtype {array.dtype}"
    if found.channel_axis is not None and array.shape[found.channel_axis] != 3:
        return f"{array.shape} with colours on axis {found.channel_axis}"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return "values that are not finite"
    if found.spacing_mm is not None and not all(0 < s < np.inf for s in found.spacing_mm):
        return f"spacing {found.spacing_mm}"
    if found.affine is not None and not _is_placing(found.affine):
        return f"affine {found.affine}"
    if found.palette is not None and int(array.max()) >= len(found.palette):
        return f"index {array.max()} of {len(found.palette)} colours"
    return None


def main() -> None:
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what C libraries print is no answer
    images: dict[str, RawImage] = {}
    for line in sys.stdin:
        answers.write(json.dumps(_read(json.loads(line), images)) + "\n")
        answers.flush()


def _read(task: dict[str, str], images: dict[str, RawImage]) -> dict[str, object]:
    path, how = Path(task["path"]), How(task["array"], task["axes"], every=int(task["every"]))
    image = None
    if task["image"] is not None:
        where = Path(task["image"])
        if task["seed"] not in images:
            images[task["seed"]] = reader_for(where).read(where)
        image = ImageFile(where, images[task["seed"]])
    reader = reader_for(path)
    _forget_peak()
    return {
        "read": outcome(lambda: reader.read(path, how)),
        "labels": outcome(lambda: reader.read_labels(path, how, image)),
        "companions": _companions(reader.companions, path),
        "peak_mb": _peak_mb(),
    }


def _is_placing(affine: NDArray[np.float64]) -> bool:
    if not np.isfinite(affine).all():
        return False
    columns = affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    return bool((lengths > 0).all() and abs(np.linalg.det(columns / lengths)) > 1e-9)


def _forget_peak() -> None:
    """Largest resident size so far := resident size now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next((int(line.split()[1]) // 1024 for line in status.splitlines()
                 if line.startswith("VmHWM")), 0)  # fmt: skip


def _companions(companions: Callable[[Path], tuple[Path, ...]], path: Path) -> str:
    try:
        for other in companions(path):
            if other.parent != path.parent:
                return f"bug: companion {other}"
    except CaseRefusedError as error:
        return f"refused {error.code}"
    except Exception as error:  # noqa: BLE001
        return f"bug: {type(error).__name__} of companions: {error}"
    return "ok"


if __name__ == "__main__":
    main()
