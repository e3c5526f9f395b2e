"""NIfTI-1 and NIfTI-2 files (`.nii`, `.nii.gz`); nibabel interprets their headers.

A compressed stream is decompressed to its end, so that a damaged end is seen (the checksum of a
gzip file comes last and readers that stop at the last voxel miss it).
"""

from __future__ import annotations

from pathlib import Path

from engine.collection.readers.base import PLAIN, How, ImageFile, OneFile, RawImage
from engine.collection.readers.limits import (
    admit,
    bounded_memory,
    check_holds,
    gzip_start,
    opened,
    read_gzip,
)
from engine.collection.readers.nifti_header import HEADER_BYTES, nifti_header, volume


class NiftiReader(OneFile):
    """3-D and 4-D NIfTI: volumes with spacing and, where the header says it, orientation."""

    extensions = (".nii", ".nii.gz")

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """Values after slope and intercept; see `Reader.read`."""
        with bounded_memory(path):
            packed = path.name.lower().endswith(".gz")
            header = nifti_header(gzip_start(path, HEADER_BYTES) if packed else _start(path), path)
            size = admit(header.shape, header.dtype.itemsize, path)
            if not packed:
                return volume(header, read_part(path, header.offset, size), path)
            content = read_gzip(path, keep=header.offset + size)
            check_holds(header.offset + size, len(content), path)
            return volume(header, memoryview(content)[header.offset :], path)

    def read_labels(self, path: Path, how: How = PLAIN, image: ImageFile | None = None) -> RawImage:
        """Label volumes are stored like images."""
        return self.read(path)


def _start(path: Path) -> bytes:
    with opened(path) as stream:
        return stream.read(HEADER_BYTES)


def read_part(path: Path, start: int, size: int) -> bytes:
    """`size` bytes of a file from `start`. Raises CaseRefusedError `truncated_file`."""
    with opened(path) as stream:
        check_holds(start + size, path.stat().st_size, path)
        stream.seek(start)
        content = stream.read(size)
    check_holds(size, len(content), path)
    return content


NIFTI = NiftiReader()
