"""Embeddings of a frozen encoder: computed once, kept on disk in float16, read as needed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import UserError, system_words
from engine.files import replace_file
from engine.identity import fingerprint
from engine.training.network import Trainee
from engine.training.samples import Shelf

_KEEP = 16
"""Slices between two records of how far the file is filled."""


class EmbeddingStore:
    """One array `embeddings.npy`, float16[slice, channels, h, w], filled in order.

    `embeddings.done` names the content, counts the slices that are safely in it and holds the
    CRC-32 of their values; a file of other weights, slices or preprocessing, or a damaged one, is
    begun anew.
    """

    def __init__(
        self, folder: Path, trainee: Trainee, slice_ids: Sequence[str], training: str
    ) -> None:
        """
        Args:
            training: identity of the training, which names data, preprocessing and first weights.
        """
        self._path = folder / "embeddings.npy"
        self._mark = folder / "embeddings.done"
        self._trainee = trainee
        self._key = fingerprint(
            [
                training,
                trainee.started_from.sha256,
                trainee.device.type,
                torch.__version__,
                *slice_ids,
            ]
        )
        self._n = len(slice_ids)

    def fill(self, shelf: Shelf, told: Callable[[int, int], None]) -> None:
        """Encode what is missing; `told(done, of)` after every slice.

        Raises:
            UserError: the disk is full, or the folder cannot be written.
        """
        done, crc = self._done()
        with self._room():
            array = self._open("r+") if done else self._begun()
        for number in range(done, self._n):
            array[number] = self.compute(shelf[number].image)
            crc = zlib.crc32(array[number], crc)
            if (number + 1) % _KEEP == 0 or number + 1 == self._n:
                with self._room():
                    array.flush()
                    replace_file(self._mark, f"{self._key} {number + 1} {crc}\n".encode())
            told(number + 1, self._n)

    @contextmanager
    def _room(self) -> Iterator[None]:
        """The disk's errors in words."""
        try:
            yield
        except OSError as error:
            raise UserError(
                "cannot keep the embeddings",
                where=str(self._path),
                got=system_words(error),
                expected=f"room for {self._bytes / 2**30:.1f} GiB",
                remedy="make room, or train on fewer slices; what is done is kept",
            ) from error

    def __getitem__(self, number: int) -> torch.Tensor:
        """float32[channels, h, w]."""
        values: NDArray[np.float16] = np.array(self._open("r")[number])
        return torch.from_numpy(values).float()

    def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float16]:
        """float16[channels, h, w] of one image."""
        with torch.inference_mode():
            features = self._trainee.encode(self._trainee.inputs([image]))[0]
        values: NDArray[np.float16] = features.float().cpu().numpy().astype(np.float16)
        return values

    @property
    def _shape(self) -> tuple[int, ...]:
        side = self._trainee.config.input_size // self._trainee.config.patch_size
        return (self._n, self._trainee.config.decoder.width, side, side)

    @property
    def _bytes(self) -> int:
        return 2 * int(np.prod(self._shape))

    def _done(self) -> tuple[int, int]:
        """Slices that are whole in the file, and the CRC of their values."""
        nothing = 0, 0
        try:
            key, *numbers = self._mark.read_text(errors="replace").split()
            count, crc = map(int, numbers)
            if key != self._key or not 0 < count <= self._n:
                return nothing
            array = np.load(self._path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):  # missing, cut short or damaged
            return nothing
        if array.shape != self._shape or array.dtype != np.float16:
            return nothing
        found = 0
        for values in array[:count]:
            found = zlib.crc32(values, found)
        return (count, found) if found == crc else nothing

    def _begun(self) -> np.memmap[Any, np.dtype[np.float16]]:
        """A new file with all its room: a full disk under a sparse one would end the process."""
        self._mark.unlink(missing_ok=True)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        array = np.lib.format.open_memmap(
            self._path, mode="w+", dtype=np.float16, shape=self._shape
        )
        with self._path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, self._path.stat().st_size)
        return array

    def _open(self, mode: str) -> np.memmap[Any, np.dtype[np.float16]]:
        return np.lib.format.open_memmap(self._path, mode=mode)
