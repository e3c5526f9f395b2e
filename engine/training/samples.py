"""Training images: a slice as the model sees it and the masks of its objects, read on demand."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from engine.collection.catalog import Catalog
from engine.collection.contract import SliceRef
from engine.collection.intensity import to_uint8
from engine.collection.reading import read_slices
from engine.collection.sample import sample_units
from engine.errors import UserError, nearest
from engine.stores import Place
from engine.study import Intensity
from engine.training.config import Data, TrainingConfig

CACHE_BYTES = 4 * 2**30
"""Decoded slices a process keeps; beyond it the longest unused are read again."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One image and its objects.

    Attributes:
        image: uint8[y, x] or uint8[y, x, 3].
        masks: bool[n, y, x].
        object_ids: n names.
    """

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    object_ids: tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """A slice of the training's population and whose it is."""

    ref: SliceRef
    subject_id: str
    dataset: str


@dataclass(frozen=True)
class Population:
    """All slices a training may use, sorted by slice id.

    Attributes:
        data_sha256: of the members' names, subjects and modalities, and of the stored values of the
            units they come from.
    """

    members: tuple[Member, ...]
    data_sha256: str

    @property
    def subjects(self) -> tuple[str, ...]:
        """Sorted subject ids."""
        return tuple(sorted({member.subject_id for member in self.members}))


def population_of(config: TrainingConfig, collection: Place) -> Population:
    """The slices a configuration selects.

    Raises:
        UserError: no such collection, dataset or modality, or nothing is selected.
    """
    catalog = Catalog.open(collection)
    cases = catalog.table("cases")
    _check_modalities(config.data, set(cases["modality"].to_pylist()))
    units = sample_units(catalog, config.population()).units
    subject = dict(zip(cases["case_id"].to_pylist(), cases["subject_id"].to_pylist(), strict=True))
    dataset = dict(zip(cases["case_id"].to_pylist(), cases["dataset"].to_pylist(), strict=True))
    members, digest = [], hashlib.sha256()
    for unit in units:
        wanted = [ref for ref in unit.slices if _wanted(config.data, ref.modality)]
        if wanted:
            digest.update(f"{unit.unit_id}|{unit.data_sha256}\n".encode())
        for ref in wanted:
            case = ref.slice_id.rpartition("/")[0]
            members.append(Member(ref, subject[case], dataset[case]))
            digest.update(f"{ref.slice_id}|{subject[case]}|{ref.modality}\n".encode())
    if not members:
        raise UserError(
            "the training selects no slice of the collection",
            where="data",
            got=f"{cases.num_rows} cases, none of the wanted modalities",
            remedy="widen datasets or modalities",
        )
    members.sort(key=lambda member: member.ref.slice_id)
    return Population(tuple(members), digest.hexdigest())


def _wanted(data: Data, modality: str) -> bool:
    chosen = data.modalities is None or modality in data.modalities
    return chosen and modality not in data.without_modalities


def _check_modalities(data: Data, known: set[str]) -> None:
    for field, names in (
        ("modalities", data.modalities or ()),
        ("without_modalities", data.without_modalities),
    ):
        for name in names:
            if name not in known:
                raise UserError(
                    f"the collection has no modality '{name}'",
                    where=f"data.{field}",
                    got=name,
                    remedy=nearest(name, known),
                )


class Shelf:
    """Slices of a collection by number, decoded when first asked for."""

    def __init__(self, collection: Place, refs: Sequence[SliceRef], intensity: Intensity) -> None:
        self._collection = collection
        self._refs = tuple(refs)
        self._intensity = intensity
        self._kept: OrderedDict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._refs)

    def ref(self, number: int) -> SliceRef:
        return self._refs[number]

    def __getitem__(self, number: int) -> Sample:
        """Read slice `number`.

        Raises:
            CorruptDataError: its pixels cannot be read.
        """
        ref = self._refs[number]
        ids = tuple(wanted.object_id for wanted in ref.objects)
        with self._lock:
            kept = self._kept.get(number)
            if kept is not None:
                self._kept.move_to_end(number)
        if kept is None:
            kept = self._read(ref)
            self._keep(number, kept)
        image, packed = kept
        masks = np.unpackbits(packed, axis=-1, count=ref.width).astype(np.bool_)
        return Sample(image, masks, ids)

    def _read(self, ref: SliceRef) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        pixels = read_slices(self._collection, [ref])[0]
        rendered = to_uint8(pixels.image, self._intensity, ref.volume_lo, ref.volume_hi)
        masks = np.stack([pixels.mask(wanted) for wanted in ref.objects])
        return rendered.image, np.packbits(masks, axis=-1)

    def _keep(self, number: int, value: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
        with self._lock:
            if number in self._kept:
                return
            self._kept[number] = value
            self._bytes += value[0].nbytes + value[1].nbytes
            while self._bytes > CACHE_BYTES and len(self._kept) > 1:
                _, (image, masks) = self._kept.popitem(last=False)
                self._bytes -= image.nbytes + masks.nbytes
