"""Folders that are one volume: DICOM series, stacks of pictures; and single DICOM files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.replica import dicom
from engine.collection.replica.files import Done, Piece
from engine.collection.replica.writers.pictures import as_colours, encode
from engine.errors import UserError

_FORMS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "tif": "TIFF"}
_TAGS = {
    "CT": "CT", "PET": "PT", "ultrasound": "US", "X-ray": "DX", "fundus": "OP",
    "colonoscopy": "ES", "endoscopy": "ES", "mammography": "MG",
}  # fmt: skip
_MR = ("MR", "T1", "T2", "FLAIR", "DW", "ADC", "CMR")
_CT_ZERO = -1024


def write_folder(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """A DICOM series, or pictures in the same order of names as the series they belong to."""
    (piece,) = pieces
    path.mkdir(parents=True, exist_ok=True)
    form = piece.write.label_stack if piece.role == "label" else piece.write.stack
    if form == "dicom":
        done[piece.path] = _series(path, piece)
        return
    slices = np.moveaxis(piece.stored, 2, 0).swapaxes(1, 2)  # [k, row, column(, 3)]
    for name, pixels in zip(_names(piece, form), slices, strict=True):
        array = np.ascontiguousarray(pixels)
        if piece.role == "label" and piece.write.label_colour and not piece.colour:
            array = as_colours(array)
        (path / name).write_bytes(encode(array, _FORMS[form], path / name, piece))


def write_dicom_file(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """A picture, or the segments or regions drawn on a series."""
    (piece,) = pieces
    if piece.role == "image":
        dicom.write_picture(
            path,
            piece.stored,
            seed=piece.path,
            spacing_mm=_two(piece.grid.spacing_mm),
            modality=_modality(piece.modality),
            syntax=piece.write.syntax,
            tags=_tags(piece),
        )
        return
    if piece.image not in done:
        raise UserError(
            "a DICOM label needs a DICOM series to point at",
            where=str(path),
            got=piece.image,
            expected="images: a template that ends in /",
        )
    masks = {one.name: _in_series(piece, one.mask) for one in piece.objects}
    series, seed = done[piece.image], piece.path
    if piece.write.dicom_label == "rtstruct":
        dicom.write_rtstruct(path, series, masks, seed=seed)
    else:
        dicom.write_seg(path, series, masks, seed=seed)


def _series(path: Path, piece: Piece) -> dicom.WrittenSeries:
    volume = np.moveaxis(piece.stored, 3, 0) if piece.time else piece.stored
    order = (0, 3, 2, 1) if piece.time else (2, 1, 0)
    affine, spacing = piece.grid.affine, piece.grid.stored_spacing_mm or (1.0, 1.0, 1.0)
    directions = affine[:3, :3] / np.array(spacing)
    modality = _modality(piece.modality)
    stored = np.ascontiguousarray(volume.transpose(order))
    zero = _CT_ZERO if modality == "CT" and piece.role == "image" else 0
    if zero:
        stored = (stored.astype(np.int32) - zero).astype(np.int16)
    place = (float(affine[0, 3]), float(affine[1, 3]), float(affine[2, 3]))
    steps, turn = (spacing[2], spacing[1], spacing[0]), directions[:, :2].T.ravel().tolist()
    if piece.write.other_series and piece.role == "image":
        _write_other(path, piece, stored, steps)
    return dicom.write_series(
        path,
        stored,
        steps,
        seed=piece.path,
        origin_mm=place,
        orientation=turn,
        names=None if piece.time else _names(piece, "dcm"),
        modality=modality,
        intercept=zero,
        syntax=piece.write.syntax,
        tags=_tags(piece),
    )


def _write_other(
    path: Path, piece: Piece, stored: NDArray[np.generic], spacing: tuple[float, float, float]
) -> None:
    """A localiser in the same folder: what `pick` has to pass over."""
    names = [f"scout_{n}.dcm" for n in range(2)]
    dicom.write_series(
        path, stored[..., :2, :, :] if stored.ndim == 3 else stored[0, :2], spacing,
        seed=piece.path + "scout", names=names, tags={"SeriesDescription": "scout"},
    )  # fmt: skip


def _in_series(piece: Piece, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[z, y, x] as drawn -> [slice, row, column] of the series."""
    return np.asarray(piece.grid.stored(mask).transpose(2, 1, 0), dtype=np.bool_)


def _names(piece: Piece, ending: str) -> list[str]:
    """Names per slice; of every other DICOM series in falling order, as some scanners number.

    Pictures have no place but that in the order of their names.
    """
    n = piece.stored.shape[2]
    falling = piece.write.stack == "dicom" and piece.number % 2
    numbers = range(n, 0, -1) if falling else range(1, n + 1)
    return [f"IMG-{number:04d}.{ending}" for number in numbers]


def _tags(piece: Piece) -> Mapping[str, object]:
    picked = {keyword: text.replace("*", "") for keyword, text in piece.how.pick.items()}
    return {**picked, **piece.write.tags}


def _modality(words: str) -> str:
    return _TAGS.get(words) or ("MR" if any(part in words for part in _MR) else "OT")


def _two(spacing: tuple[float, ...] | None) -> tuple[float, float] | None:
    return None if spacing is None else (spacing[-2], spacing[-1])
