"""The demo's raw files: four small data sets as scanners, cameras and microscopes do."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from engine.collection.phantoms.cells import culture
from engine.collection.phantoms.ct import SPACING_MM as CT_SPACING_MM
from engine.collection.phantoms.ct import abdomen
from engine.collection.phantoms.fundus import eye
from engine.collection.phantoms.mr import SPACING_MM as MR_SPACING_MM
from engine.collection.phantoms.mr import head

N_FUNDUS = 3
N_CELLS = 2

# End of an axis -> (array axis of [z, y, x], direction along it).
_TOWARDS = {"S": (0, 1), "I": (0, -1), "P": (1, 1), "A": (1, -1), "L": (2, 1), "R": (2, -1)}
# Where z, y and x point in the coordinates of a NIfTI header, which ascend in R, A and S.
_RAS_OF = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])


def write_demo(raw_dir: Path, seed: int = 0) -> list[tuple[str, Path]]:
    """Write all four data sets below `raw_dir`; equal seeds give equal bytes.

    Returns:
        (recipe name, its raw folder), in order: `demo_ct`, `demo_mr`, `demo_fundus`, `demo_cells`.
    """
    folders = []
    for number, (name, write) in enumerate(
        (("ct", write_ct), ("mr", write_mr), ("fundus", write_fundus), ("cells", write_cells))
    ):
        folder = raw_dir / name
        write(folder, np.random.Generator(np.random.PCG64([seed, number])))
        folders.append((f"demo_{name}", folder))
    return folders


def write_ct(folder: Path, rng: np.random.Generator) -> None:
    """One CT volume and one label map, stored with axes ascending in R, A and S."""
    drawn = abdomen(rng)
    for name, array in (("images/abdomen_01", drawn.image), ("labels/abdomen_01", drawn.labels)):
        write_nifti(folder / f"{name}.nii.gz", array, CT_SPACING_MM, "RAS")


def write_mr(folder: Path, rng: np.random.Generator) -> None:
    """One MR volume and a file per structure, stored with axes ascending in P, L and I."""
    drawn = head(rng)
    case = folder / "head_01"
    write_nifti(case / "t1.nii.gz", drawn.image, MR_SPACING_MM, "PLI")
    for structure, mask in drawn.masks.items():
        path = case / "structures" / f"{structure}.nii.gz"
        write_nifti(path, mask.astype(np.uint8), MR_SPACING_MM, "PLI")


def write_fundus(folder: Path, rng: np.random.Generator) -> None:
    """Photographs and their colour-coded masks, PNG."""
    for number in range(1, N_FUNDUS + 1):
        drawn = eye(rng)
        for kind, array in (("images", drawn.image), ("masks", drawn.mask)):
            path = folder / kind / f"eye_{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)


def write_cells(folder: Path, rng: np.random.Generator) -> None:
    """Micrographs and their instance maps, 16-bit TIFF."""
    for number in range(1, N_CELLS + 1):
        drawn = culture(rng)
        for kind, array in (("images", drawn.image), ("instances", drawn.instances)):
            path = folder / kind / f"well_{number:02d}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, array, compression="zlib", software=False, metadata=None)


def write_nifti(
    path: Path,
    array: NDArray[np.generic],
    spacing_mm: tuple[float, float, float],
    codes: str,
) -> None:
    """Store an axial volume with its axes in another order, centred on the origin.

    Args:
        array: [z, y, x], ascending in S, P and L.
        spacing_mm: (z, y, x).
        codes: the end each stored axis points to, e.g. `RAS`.
    """
    axes, signs = zip(*(_TOWARDS[code] for code in codes), strict=True)
    stored = array.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[:3, column] = sign * spacing_mm[axis] * _RAS_OF[axis]
    affine[:3, 3] = -affine[:3, :3] @ (np.array(stored.shape) - 1) / 2
    image: Any = nib.Nifti1Image(stored, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))
