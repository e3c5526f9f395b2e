"""Writers: one file per format family, found by the ending of the path. The inverse of `readers`.

They store what was drawn as data sets store it and share no code with the readers, so that a
replica that reads back right says something about both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from engine.collection.replica.files import Done, Piece
from engine.errors import UserError
from engine.registry import Registry

Writer = Callable[[Path, Sequence[Piece], Done], None]
"""(file or folder to make, what goes into it, what there is); the parent folder exists."""

_HERE = "engine.collection.replica.writers"

_ENDINGS = {
    "volumes:write_nifti": (".nii", ".nii.gz"),
    "volumes:write_itk": (".nrrd", ".mha", ".mhd"),
    "volumes:write_segments": (".seg.nrrd",),
    "volumes:write_analyze": (".hdr", ".img"),
    "pictures:write_picture": (
        ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".ppm.gz", ".pgm", ".pgm.gz",
        ".tif", ".tiff",
    ),
    "arrays:write_npz": (".npz",),
    "arrays:write_npy": (".npy",),
    "arrays:write_hdf5": (".h5", ".hdf5"),
    "arrays:write_mat": (".mat",),
    "video:write_video": (".avi", ".mp4"),
    "tables:write_json": (".json",),
    "tables:write_table": (".csv",),
    "folders:write_folder": ("/",),
    "folders:write_dicom_file": (".dcm",),
}  # fmt: skip

WRITERS: Registry[Writer] = Registry(
    "writer of replicas",
    {ending: f"{_HERE}.{target}" for target, endings in _ENDINGS.items() for ending in endings},
)

LOSSY = (".jpg", ".jpeg", ".avi", ".mp4")
"""Images come back changed; labels are never written so, masks with a threshold excepted."""

VOLUMES = (".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".mha", ".mhd", ".hdr", ".img")


def ending_of(path: str) -> str:
    """The longest ending a writer knows.

    Raises:
        UserError: none fits.
    """
    fitting = [ending for ending in WRITERS if path.lower().endswith(ending)]
    if not fitting:
        raise UserError(
            "replicas of this kind of file cannot be written",
            where=path,
            expected=", ".join(sorted(WRITERS)),
        )
    return max(fitting, key=len)


def write(root: Path, path: str, pieces: Sequence[Piece], done: Done) -> None:
    """Write one file or folder of a replica."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    WRITERS.get(ending_of(path))(place, pieces, done)
