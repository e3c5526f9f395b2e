"""Whole cases of many layouts, small: what the entries of the table of bad input spoil."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import SimpleITK as sitk  # noqa: N813
import tifffile
from bad_entry import Kit, Pixels, squares
from numpy.typing import NDArray
from outline_makers import labelme
from PIL import Image
from raw_makers import nifti, series

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 256, (20, 24), dtype=np.uint8)
RGB = RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)
VOLUME = RNG.integers(-500, 500, (3, 20, 24)).astype(np.int16)
"""[slice, y, x]."""

FLAT = squares({"disc/0": (2, 9, 3, 12), "cup/0": (12, 18, 14, 22)}, (1, 20, 24))
DEEP = squares({"liver/0": (2, 9, 3, 12), "tumour/0": (12, 18, 14, 22)}, (3, 20, 24))
MAP = (FLAT["disc/0"] + 2 * FLAT["cup/0"])[0].astype(np.uint8)
DEEP_MAP = (DEEP["liver/0"] + 2 * DEEP["tumour/0"]).astype(np.uint8)
LPS = np.diag([-2.0, -2.0, 5.0, 1.0])
"""Affine to RAS of a grid that runs along L, P, S: nothing is turned on the way in."""

FLAT_VALUES = {"kind": "values", "structures": {"disc": 1, "cup": 2}}
DEEP_VALUES = {"kind": "values", "structures": {"liver": 1, "tumour": 2}}


def save(path: Path, pixels: Pixels, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def put_volume(path: Path, array: Pixels, affine: NDArray[np.float64] = LPS, **more: Any) -> Path:
    """A NIfTI of [slice, y, x(, frame)]."""
    return nifti(path, np.moveaxis(array, (0, 1, 2), (2, 1, 0)), affine, **more)


def _picture_kit(ending: str, image: Pixels) -> Kit:
    def write(raw: Path, case: str) -> None:
        save(raw / f"images/{case}{ending}", image)
        save(raw / f"masks/{case}.png", MAP)

    label = {"file": "masks/{case}.png", **FLAT_VALUES}
    return Kit(series(f"images/{{case}}{ending}", label), write, image[np.newaxis], FLAT)


def _volume_kit(ending: str) -> Kit:
    def write(raw: Path, case: str) -> None:
        put_volume(raw / f"images/{case}{ending}", VOLUME)
        put_volume(raw / f"labels/{case}{ending}", DEEP_MAP)

    label = {"file": f"labels/{{case}}{ending}", **DEEP_VALUES}
    return Kit(series(f"images/{{case}}{ending}", label), write, VOLUME, DEEP)


PICTURE = _picture_kit(".png", GREY)
COLOUR_PICTURE = _picture_kit(".png", RGB)
PACKED = _volume_kit(".nii.gz")
NIFTI = _volume_kit(".nii")


def _put_meta(raw: Path, case: str) -> None:
    for folder, array in (("images", VOLUME), ("labels", DEEP_MAP)):
        (raw / folder).mkdir(parents=True, exist_ok=True)
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((2.0, 2.0, 5.0))
        sitk.WriteImage(image, str(raw / folder / f"{case}.mhd"))


META = Kit(
    series("images/{case}.mhd", {"file": "labels/{case}.mhd", **DEEP_VALUES}),
    _put_meta,
    VOLUME,
    DEEP,
)


def _put_nrrd(raw: Path, case: str) -> None:
    for folder, array in (("images", VOLUME), ("labels", DEEP_MAP)):
        (raw / folder).mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.GetImageFromArray(array), str(raw / folder / f"{case}.nrrd"))


NRRD = Kit(
    series("images/{case}.nrrd", {"file": "labels/{case}.nrrd", **DEEP_VALUES}),
    _put_nrrd,
    VOLUME,
    DEEP,
)


def _put_tiff(raw: Path, case: str) -> None:
    for folder, array in (("images", GREY), ("masks", MAP)):
        (raw / folder).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(raw / folder / f"{case}.tif", array)


TIFF = Kit(
    series("images/{case}.tif", {"file": "masks/{case}.tif", **FLAT_VALUES}),
    _put_tiff,
    GREY[np.newaxis],
    FLAT,
)


def _put_masks(raw: Path, case: str) -> None:
    save(raw / f"images/{case}.png", GREY)
    for name, mask in FLAT.items():
        save(raw / f"masks/{case}/{name[:-2]}.png", mask[0].astype(np.uint8) * 255)


MASKS = Kit(
    series("images/{case}.png", {"file": "masks/{case}/{structure}.png", "kind": "mask"}),
    _put_masks,
    GREY[np.newaxis],
    FLAT,
)


def _put_colours(raw: Path, case: str) -> None:
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    save(raw / f"images/{case}.png", GREY)
    save(raw / f"masks/{case}.png", table[MAP])


COLOURS = Kit(
    series(
        "images/{case}.png",
        {
            "file": "masks/{case}.png",
            "kind": "colours",
            "structures": {"disc": [255, 0, 0], "cup": [0, 255, 0]},
        },
    ),
    _put_colours,
    GREY[np.newaxis],
    FLAT,
)

_NAMED = {"array": "imgs", "axes": "zyx", "orientation": "LPS", "spacing_mm": [5.0, 2.0, 2.0]}
_NAMED_LABEL = {"array": "gts", "axes": "zyx", **DEEP_VALUES}


def _put_npz(raw: Path, case: str) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    np.savez(raw / f"{case}.npz", imgs=VOLUME, gts=DEEP_MAP)


NPZ = Kit(
    series("{case}.npz", {"file": "{case}.npz", **_NAMED_LABEL}, **_NAMED), _put_npz, VOLUME, DEEP
)


def _put_hdf5(raw: Path, case: str) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    with h5py.File(raw / f"{case}.h5", "w") as file:
        file["imgs"], file["gts"] = VOLUME, DEEP_MAP


HDF5 = Kit(
    series("{case}.h5", {"file": "{case}.h5", **_NAMED_LABEL}, **_NAMED), _put_hdf5, VOLUME, DEEP
)

FRAMES = np.stack([np.roll(RGB, n, axis=0) for n in range(2)])


def _put_video(raw: Path, case: str) -> None:
    save(raw / f"{case}.png", MAP)
    code = cv2.VideoWriter_fourcc(*"FFV1")  # type: ignore[attr-defined]
    film = cv2.VideoWriter(str(raw / f"{case}.avi"), cv2.CAP_FFMPEG, code, 25.0, (24, 20))
    for frame in FRAMES:
        film.write(np.ascontiguousarray(frame[..., ::-1]))
    film.release()


VIDEO = Kit(
    series("{case}.avi", {"file": "{case}.png", **FLAT_VALUES}),
    _put_video,
    FRAMES,
    FLAT,
    ("_t000", "_t001"),
)

_RING = [[3, 2], [12, 2], [12, 9], [3, 9]]
_OTHER = [[14, 12], [22, 12], [22, 18], [14, 18]]


def _put_labelme(raw: Path, case: str) -> None:
    save(raw / f"{case}.png", GREY)
    drawn = [{"label": "disc", "points": _RING}, {"label": "cup", "points": _OTHER}]
    labelme(raw / f"{case}.json", drawn, (20, 24), imagePath=f"{case}.png")


NAMES = {"kind": "objects", "structures": {"disc": "disc", "cup": "cup"}}
LABELME = Kit(
    series("{case}.png", {"file": "{case}.json", **NAMES}), _put_labelme, GREY[np.newaxis], FLAT
)


def _put_coco(raw: Path, case: str) -> None:
    save(raw / f"{case}.png", GREY)
    content = {
        "images": [{"id": 1, "file_name": f"{case}.png", "height": 20, "width": 24}],
        "categories": [{"id": 1, "name": "disc"}, {"id": 2, "name": "cup"}],
        "annotations": [
            {
                "id": n,
                "image_id": 1,
                "category_id": n,
                "iscrowd": 0,
                "segmentation": [np.ravel(ring).tolist()],
            }
            for n, ring in enumerate((_RING, _OTHER), 1)
        ],
    }
    (raw / f"{case}.json").write_text(json.dumps(content))


COCO = replace(LABELME, write=_put_coco)


def _put_table(raw: Path, case: str) -> None:
    save(raw / f"{case}.png", GREY)
    rows = ["ImageId,EncodedPixels,ClassId"]
    for number, name in enumerate(("disc/0", "cup/0"), 1):
        column = np.flatnonzero(FLAT[name][0].T.ravel()) + 1
        starts = column[np.flatnonzero(np.diff(column, prepend=-1) > 1)]
        runs = " ".join(f"{start} {FLAT[name][0].any(axis=1).sum()}" for start in starts)
        rows.append(f"{case},{runs},{number}")
    (raw / f"{case}.csv").write_text("\n".join(rows) + "\n")


RUNS = Kit(
    series("{case}.png", {"file": "{case}.csv", "kind": "objects",
           "structures": {"disc": "1", "cup": "2"}}),
    _put_table,
    GREY[np.newaxis],
    FLAT,
)  # fmt: skip


def _jpeg_kit() -> Kit:
    """JPEG loses: what is stored is what the decoder gives."""
    held = io.BytesIO()
    Image.fromarray(GREY).save(held, format="JPEG")

    def write(raw: Path, case: str) -> None:
        save(raw / f"masks/{case}.png", MAP)
        (raw / "images").mkdir(exist_ok=True)
        (raw / f"images/{case}.jpg").write_bytes(held.getvalue())

    label = {"file": "masks/{case}.png", **FLAT_VALUES}
    decoded = np.array(Image.open(held))[np.newaxis]
    return Kit(series("images/{case}.jpg", label), write, decoded, FLAT)


JPEG = _jpeg_kit()


def _put_stack(raw: Path, case: str) -> None:
    for n in range(3):
        save(raw / f"{case}/slices/{n:02d}.png", np.roll(GREY, n, axis=0))
        save(raw / f"{case}/masks/{n:02d}.png", DEEP_MAP[n])


STACK = Kit(
    series("{case}/slices/", {"file": "{case}/masks/", **DEEP_VALUES},
           orientation="LPS", spacing_mm=[5.0, 2.0, 2.0]),
    _put_stack,
    np.stack([np.roll(GREY, n, axis=0) for n in range(3)]),
    DEEP,
)  # fmt: skip
