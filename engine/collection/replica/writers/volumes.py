"""NIfTI, NRRD, MetaImage and Analyze."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK
from numpy.typing import NDArray

from engine.collection.replica.files import Done, Piece

sitk: Any = SimpleITK  # its wrappers carry no types
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_nifti(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """NIfTI-1; codes of 0 where the file is not to say where its axes point."""
    (piece,) = pieces
    array = _flat(piece)
    spacing = _spacing(piece)
    affine = np.diag([*spacing, 1.0])
    if piece.grid.volume:
        affine = _LPS_TO_RAS @ piece.grid.affine
    image: Any = nib.Nifti1Image(array, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm", "sec")
    content = bytearray(image.to_bytes())
    if not piece.grid.stated or not piece.grid.volume:
        content[252:256] = bytes(4)  # qform_code, sform_code
    packed = path.name.lower().endswith(".gz")
    path.write_bytes(gzip.compress(content, 4, mtime=0) if packed else content)


def write_itk(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """NRRD, MHA, or MHD with a .raw file beside it; frames as a fourth axis."""
    (piece,) = pieces
    _save(_itk(piece, _flat(piece)), path)


def write_segments(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """A segmentation of 3D Slicer: segments with names, overlapping ones in layers of their own."""
    (piece,) = pieces
    layers: list[NDArray[np.uint8]] = []
    fields: dict[str, str] = {}
    for index, one in enumerate(piece.objects):
        mask = np.asarray(piece.grid.stored(one.mask), dtype=np.bool_)
        home = next((n for n, layer in enumerate(layers) if not layer[mask].any()), len(layers))
        if home == len(layers):
            layers.append(np.zeros(mask.shape, dtype=np.uint8))
        value = int(layers[home].max()) + 1
        layers[home][mask] = value
        low, high = np.argwhere(mask).min(axis=0), np.argwhere(mask).max(axis=0)
        extent = " ".join(f"{a} {b}" for a, b in zip(low, high, strict=True))
        fields |= {
            f"Segment{index}_ID": f"Segment_{index + 1}",
            f"Segment{index}_Name": one.name,
            f"Segment{index}_Color": f"{0.2 + 0.1 * (index % 8):.1f} 0.5 0.3",
            f"Segment{index}_Extent": extent,
            f"Segment{index}_LabelValue": str(value),
            f"Segment{index}_Layer": str(home),
        }
    array = layers[0] if len(layers) == 1 else np.stack(layers, axis=-1)
    image = _itk(piece, array, vector=len(layers) > 1)
    for name, text in fields.items():
        image.SetMetaData(name, text)
    _save(image, path)
    # Slicer says list; a vector of three bytes would be a colour
    path.write_bytes(path.read_bytes().replace(b"\nkinds: vector ", b"\nkinds: list ", 1))


def write_analyze(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """Analyze 7.5: a header that knows sizes and spacing only, and pixels beside it."""
    (piece,) = pieces
    array = _flat(piece)
    header: Any = nib.AnalyzeHeader()  # type: ignore[no-untyped-call]
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape)
    header.set_zooms((*_spacing(piece), 1.0, 1.0)[: array.ndim])
    stem = path.with_suffix("")
    stem.with_suffix(".hdr").write_bytes(header.binaryblock)
    stem.with_suffix(".img").write_bytes(array.tobytes(order="F"))


def _flat(piece: Piece) -> NDArray[np.generic]:
    """[i, j, k(, t)]; of a picture in a volume format [x, y, 1]: the first axis is x."""
    array = piece.stored
    if piece.grid.volume:
        return array
    return np.ascontiguousarray(np.swapaxes(array, 0, 1)[:, :, np.newaxis])


def _spacing(piece: Piece) -> tuple[float, ...]:
    stored = piece.grid.stored_spacing_mm or (1.0, 1.0, 1.0)
    return stored if piece.grid.volume else (stored[-1], stored[-2], 1.0)


def _itk(piece: Piece, array: NDArray[np.generic], *, vector: bool = False) -> Any:
    """A SimpleITK image of [i, j, k(, t or layer)]."""
    if array.ndim == 4 and not vector:
        frames = [_itk(piece, array[..., t]) for t in range(array.shape[3])]
        return sitk.JoinSeries(frames)
    order = (2, 1, 0, 3)[: array.ndim]
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(order)), isVector=vector)
    image.SetSpacing(_spacing(piece))
    if piece.grid.volume:
        affine = piece.grid.affine
        directions = affine[:3, :3] / np.array(_spacing(piece))
        image.SetDirection(directions.ravel().tolist())
        image.SetOrigin(affine[:3, 3].tolist())
    return image


def _save(image: Any, path: Path) -> None:
    sitk.WriteImage(image, str(path), useCompression=path.suffix == ".nrrd")
