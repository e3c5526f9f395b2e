"""Small curated cases, and a folder of them as raw files, for the tests of the stored side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.collection.case import CuratedCase, Label, SourceFile
from engine.collection.catalog import Catalog
from engine.collection.contract import SliceRef
from engine.collection.reading import data_sha256, read_slices
from engine.collection.source import DatasetInfo
from engine.errors import CaseRefusedError

TABLES = ("datasets", "cases", "slices", "objects", "units", "exclusions")


def info(dataset: str = "ds", content: str = "c1", **changes: Any) -> DatasetInfo:
    fields: dict[str, Any] = {
        "dataset": dataset,
        "title": "A data set",
        "licence": "CC0",
        "source": "nowhere",
        "recipe_version": 1,
        "recipe_sha256": f"recipe-{content}",
        "content_sha256": content,
    }
    return DatasetInfo(**{**fields, **changes})


def case_of(
    name: str,
    image: NDArray[Any],
    labels: NDArray[Any],
    *,
    dataset: str = "ds",
    meaning: Sequence[Label] | None = None,
    sources: tuple[SourceFile, ...] | None = None,
) -> CuratedCase:
    """A case whose label values mean structures `s{layer}_{value}`, unless said otherwise."""
    if meaning is None:
        meaning = [
            Label(layer, int(value), f"s{layer}_{value}")
            for layer, stack in enumerate(labels)
            for value in np.unique(stack)
            if value
        ]
    volume = len(image) > 1
    return CuratedCase(
        dataset=dataset,
        case=name,
        subject=f"subject of {name}",
        modality="CT" if volume else "photo",
        plane="axial" if volume else "image",
        image=image,
        labels=labels,
        meaning=tuple(meaning),
        spacing_mm=(2.5, 0.75, 0.5) if volume else (None, None, None),
        affine=np.diag([2.5, 0.75, 0.5, 1.0]) if volume else None,
        sources=sources or (SourceFile(f"{name}.raw", hashlib.sha256(name.encode()).hexdigest()),),
    )


def volume(
    name: str, n: int = 5, size: int = 16, seed: int = 0, dtype: str = "int16", **more: Any
) -> CuratedCase:
    """Noise with a bright square (structure of layer 0) on all slices but the first."""
    rng = np.random.default_rng([seed, len(name), n])
    image = rng.integers(0, 100, (n, size, size)).astype(dtype)
    labels = np.zeros((1, n, size, size), np.uint8)
    labels[0, 1:, 2:10, 3:12] = 1
    return case_of(name, image, labels, **more)


def picture(
    name: str, size: int = 16, seed: int = 0, channels: int = 3, **more: Any
) -> CuratedCase:
    rng = np.random.default_rng([seed, *name.encode()])
    shape = (1, size, size, 3) if channels == 3 else (1, size, size)
    image = rng.integers(0, 256, shape).astype(np.uint8)
    labels = np.zeros((1, 1, size, size), np.uint8)
    labels[0, 0, 1:10, 1:9] = 1 + seed % 3
    return case_of(name, image, labels, **more)


@dataclass(frozen=True)
class Npz:
    case: str
    files: tuple[str, ...]


class NpzFolder:
    """A source of cases: `<case>.npz` files that hold `image`, `labels`, or a complaint.

    A file with several images (axis 0 of `frames`) yields several cases, as a 4-D file does.
    """

    def __init__(self, folder: Path, about: DatasetInfo | None = None) -> None:
        self._folder = folder
        self.info = about or info()
        self.reads: list[str] = []

    def cases(self) -> list[Npz]:
        return [Npz(p.stem, (p.name,)) for p in sorted(self._folder.glob("*.npz"))]

    def size(self, raw: Npz) -> int:  # type: ignore[override]
        return sum((self._folder / file).stat().st_size for file in raw.files)

    def version(self, path: str) -> str | None:
        return None

    def sha256(self, path: str) -> str | None:
        file = self._folder / path
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None

    def read(self, raw: Npz) -> list[CuratedCase]:  # type: ignore[override]
        self.reads.append(raw.case)
        with np.load(self._folder / raw.files[0]) as data:
            if "refuse" in data:
                raise CaseRefusedError("this file is bad", code=str(data["refuse"]), where=raw.case)
            if "crash" in data:
                raise ZeroDivisionError("a reader has a bug")
            image, labels = data["image"], data["labels"]
        digest = self.sha256(raw.files[0]) or ""
        sources = (SourceFile(raw.files[0], digest),)
        named = {"dataset": self.info.dataset, "sources": sources}
        if image.shape[0] != labels.shape[1]:
            raise CaseRefusedError("frames differ", code="frame_mismatch")
        if raw.case.startswith("time_"):  # [t, slice, y, x]
            return [
                case_of(f"{raw.case}_t{t:03d}", image[t], labels[:, t], **named)
                for t in range(len(image))
            ]
        return [case_of(raw.case, image, labels, **named)]


def put(folder: Path, case: CuratedCase) -> None:
    """Write a case as a raw file."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{case.case}.npz", image=case.image, labels=case.labels)


def put_many(folder: Path) -> None:
    """Volumes, a 4-D file, and images of two sizes: enough for every kind of commit."""
    for i in range(3):
        put(folder, volume(f"vol{i}", n=3 + i, seed=i))
    for i in range(38):
        put(folder, picture(f"img{i:02d}", size=16 if i % 4 else 24, seed=i))
    frames = [volume("x", n=3, seed=t) for t in range(3)]
    np.savez(
        folder / "time_a.npz",
        image=np.stack([frame.image for frame in frames]),
        labels=np.stack([frame.labels for frame in frames], axis=1),
    )


def tree(collection: Path) -> dict[str, bytes]:
    """Every file of a collection but the lock."""
    return {
        str(path.relative_to(collection)): path.read_bytes()
        for path in sorted(collection.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def tables(collection: Path | str) -> dict[str, list[dict[str, Any]]]:
    catalog = Catalog.open(collection)
    return {name: catalog.table(name).to_pylist() for name in TABLES}


def refs(collection: Path | str, **where: Any) -> list[SliceRef]:
    """A SliceRef without objects for every slice row that has these column values."""
    return [
        SliceRef(
            row["slice_id"], row["array_path"], row["index"], row["height"], row["width"],
            0.0, 1.0, None, None, "CT", (),
        )
        for row in Catalog.open(collection).slices.to_pylist()
        if all(row[column] == value for column, value in where.items())
    ]  # fmt: skip


def verify(collection: Path) -> int:
    """Check every unit's checksum and every object's area against the pixels; counts units."""
    found = tables(collection)
    for unit in found["units"]:
        of_unit = refs(collection, unit_id=unit["unit_id"])
        pixels = read_slices(collection, of_unit)
        assert len(pixels) == unit["n_slices"]
        assert data_sha256(pixels) == unit["data_sha256"]
        by_slice = {ref.slice_id: one for ref, one in zip(of_unit, pixels, strict=True)}
        for row in found["objects"]:
            if row["slice_id"] in by_slice:
                labels = by_slice[row["slice_id"]].labels
                assert (labels[row["layer"]] == row["value"]).sum() == row["area_px"]
    return len(found["units"])


def attributes(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "zarr.json").read_text())["attributes"]
    return found
