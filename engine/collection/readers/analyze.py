"""Analyze 7.5 and NIfTI-1 pairs: a header `.hdr` and its data `.img`, either may be named.

Analyze has no agreed orientation (programs differ in whether x runs to the left), so none is
reported; a recipe may state it. A NIfTI-1 pair carries its affine.
"""

from __future__ import annotations

from pathlib import Path

from engine.collection.readers.base import PLAIN, How, ImageFile, RawImage
from engine.collection.readers.limits import admit, bounded_memory, opened
from engine.collection.readers.nifti import read_part
from engine.collection.readers.nifti_header import HEADER_BYTES, analyze_header, volume

_OTHER = {".hdr": ".img", ".img": ".hdr"}


class AnalyzeReader:
    """Volumes [i, j, k] with spacing; values after the slope and intercept of a NIfTI pair."""

    extensions = (".hdr", ".img")

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """See `Reader.read`."""
        header_file, data_file = sorted((path, _other(path)), key=lambda p: p.suffix.lower())
        with bounded_memory(path):
            with opened(header_file) as stream:
                content = stream.read(HEADER_BYTES)
            header = analyze_header(content, header_file)
            size = admit(header.shape, header.dtype.itemsize, path)
            return volume(header, read_part(data_file, header.offset, size), path)

    def read_labels(self, path: Path, how: How = PLAIN, image: ImageFile | None = None) -> RawImage:
        """Label volumes are stored like images."""
        return self.read(path)

    def companions(self, path: Path) -> tuple[Path, ...]:
        """The other file of the pair."""
        return (_other(path),)


def _other(path: Path) -> Path:
    """The pair's other file, its ending in the same case of letters."""
    ending = _OTHER[path.suffix.lower()]
    return path.with_suffix(ending.upper() if path.suffix.isupper() else ending)


ANALYZE = AnalyzeReader()
