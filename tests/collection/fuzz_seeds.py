"""Small valid files of every format, for the fuzzer to damage.

A seed is a folder of files, and the one (or the folder itself) that is given to the reader.
"""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import nibabel as nib
import numpy as np
import scipy.io
import SimpleITK as sitk  # noqa: N813
import tifffile
from numpy.typing import NDArray
from outline_makers import coco, labelme
from PIL import Image
from raw_makers import nifti, png

from engine.collection.readers.base import PLAIN, How

RNG = np.random.default_rng(0)
VOLUME = RNG.integers(-500, 500, (4, 12, 10)).astype(np.int16)  # [z, y, x]
MAP = np.zeros((4, 12, 10), dtype=np.uint8)
MAP[1:3, 2:8, 3:9] = 1
MAP[2:, 8:11, 1:4] = 2
GREY = RNG.integers(0, 256, (24, 32), dtype=np.uint8)
RGB = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Seed:
    """Attributes:
    make: writes the files into an empty folder.
    target: the file to read, `""` for the folder itself, `name/` for a folder in it.
    image: file or folder of the image that labels belong to; never damaged.
    """

    make: Callable[[Path], object]
    target: str
    how: How = PLAIN
    image: str | None = None


def seeds(ending: str) -> list[Seed]:
    """Seeds of one registered ending; none where nobody has written any."""
    return list(_MAKERS[ending](ending)) if ending in _MAKERS else []


def _nifti(ending: str) -> Iterator[Seed]:
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    for array, more in (
        (VOLUME, {}),
        (MAP, {"coded": False}),
        (np.stack([VOLUME, VOLUME], axis=3).astype(np.float32), {"slope": 0.5, "inter": 3.0}),
    ):
        yield Seed(lambda d, a=array, m=more: nifti(d / f"a{ending}", a, affine, **m), f"a{ending}")
    two = nib.Nifti2Image(VOLUME, affine).to_bytes()
    packed = gzip.compress(two) if ending.endswith(".gz") else two
    yield Seed(lambda d: (d / f"a{ending}").write_bytes(packed), f"a{ending}")


def _analyze(ending: str) -> Iterator[Seed]:
    for form in (nib.AnalyzeImage, nib.Nifti1Pair):
        yield Seed(lambda d, f=form: nib.save(f(VOLUME, np.eye(4)), d / "a.img"), f"a{ending}")


def _itk(ending: str) -> Iterator[Seed]:
    for array, vector in ((VOLUME, False), (MAP, False), (RGB, True), (GREY.astype("f4"), False)):
        for packed in (False, True):
            image = sitk.GetImageFromArray(array, isVector=vector)
            yield Seed(
                lambda d, i=image, p=packed: sitk.WriteImage(i, str(d / f"a{ending}"), p),
                f"a{ending}",
            )
    if ending.endswith("nrrd"):
        for encoding, data in (
            ("hex", MAP.tobytes().hex().encode()),
            ("text", " ".join(map(str, MAP.ravel())).encode()),
            ("bzip2", bz2.compress(MAP.tobytes())),
        ):
            head = (
                "NRRD0005\ntype: uint8\ndimension: 4\nsizes: 1 10 12 4\nspace: LPS\n"
                "space directions: none (1,0,0) (0,1,0) (0,0,2)\nkinds: list domain domain domain\n"
                f"encoding: {encoding}\nSegment0_ID:=S1\nSegment0_Name:=a\nSegment0_LabelValue:=1\n"
                "Segment0_Layer:=0\nSegment1_ID:=S2\nSegment1_Name:=b\nSegment1_LabelValue:=2\n"
                "Segment1_Layer:=0\n\n"
            )
            yield Seed(
                lambda d, h=head, c=data: (d / f"a{ending}").write_bytes(h.encode() + c),
                f"a{ending}",
            )


def _numpy(ending: str) -> Iterator[Seed]:
    def one(folder: Path) -> None:
        np.save(folder / "a.npy", VOLUME)

    def many(folder: Path) -> None:
        np.savez_compressed(folder / "a.npz", imgs=VOLUME, gts=MAP, spacing=np.ones(3))

    def stored(folder: Path) -> None:
        np.savez(folder / "a.npz", x=np.asfortranarray(RGB))

    if ending == ".npy":
        yield Seed(one, "a.npy")
    else:
        yield Seed(many, "a.npz", How("imgs"))
        yield Seed(many, "a.npz", How("gts", "zyx"))
        yield Seed(stored, "a.npz")


def _hdf5(ending: str) -> Iterator[Seed]:
    def write(path: Path, userblock: int, **options: Any) -> None:
        with h5py.File(
            path, "w", userblock_size=userblock, libver=options.pop("libver", None)
        ) as f:
            f.create_dataset("g/x", data=VOLUME, **options)
            f.create_dataset("y", data=MAP, **options)

    block = 512 if ending == ".mat" else 0
    for options in (
        {},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf", "chunks": (2, 6, 5)},
        {"libver": "latest", "compression": "gzip"},
    ):
        yield Seed(
            lambda d, o=options: write(d / f"a{ending}", block, **dict(o)),
            f"a{ending}",
            How("g/x", "zyx"),
        )


def _mat(ending: str) -> Iterator[Seed]:
    yield from _hdf5(ending)
    content = {"cjdata": {"image": VOLUME, "name": "x", "deep": {"er": MAP}}, "y": MAP, "z": RGB}
    for packed in (False, True):
        for name in ("cjdata/image", "y", "cjdata/deep/er", "z"):
            yield Seed(
                lambda d, p=packed: scipy.io.savemat(d / "a.mat", content, do_compression=p),
                "a.mat",
                How(name),
            )


def _pillow(ending: str) -> Iterator[Seed]:
    table = [0, 0, 0, 128, 0, 0, 0, 128, 0, 9, 8, 7]
    palette = Image.fromarray(GREY % 4)
    palette.putpalette(table)
    pictures = [Image.fromarray(GREY), Image.fromarray(RGB)]
    if ending in (".png", ".gif", ".bmp"):
        pictures += [palette, Image.fromarray(GREY > 99)]
    if ending in (".jpg", ".jpeg"):
        pictures += [pictures[1].convert("CMYK")]
    exif = Image.Exif()
    exif[274] = 6
    for picture in pictures:
        options = {"exif": exif} if ending in (".png", ".jpg", ".jpeg", ".webp") else {}
        yield Seed(lambda d, i=picture, o=options: i.save(d / f"a{ending}", **o), f"a{ending}")
    if ending in (".gif", ".webp"):
        more = [Image.fromarray(RGB[::-1].copy())]
        yield Seed(
            lambda d: pictures[1].save(d / f"a{ending}", save_all=True, append_images=more),
            f"a{ending}",
        )
    if ending == ".jpg":
        yield Seed(lambda d: pictures[1].save(d / "a.jpg", progressive=True), "a.jpg")
    if ending == ".jp2":
        wide = Image.fromarray(GREY.astype(np.uint16) * 200)
        yield Seed(lambda d: wide.save(d / "a.jp2"), "a.jp2")
    if ending == ".png":
        for depth, colour, samples in ((16, 2, RGB), (16, 0, GREY), (4, 0, GREY >> 4)):
            yield Seed(
                lambda d, s=samples, b=depth, c=colour: png(d / "a.png", s.astype("u2"), b, c),
                "a.png",
            )


def _pnm(ending: str) -> Iterator[Seed]:
    kinds = {"b": (1, 4), "g": (2, 5), "p": (3, 6), "n": (2, 3, 5, 6)}[ending[2]]
    for kind in kinds:
        pixels = RGB if kind in (3, 6) else GREY
        if kind < 4:
            body = " ".join(map(str, ((pixels > 99) * 1 if kind == 1 else pixels).ravel()))
            data = body.encode()
        else:
            data = np.packbits(GREY > 99, axis=1).tobytes() if kind == 4 else pixels.tobytes()
        top = b"" if kind in (1, 4) else b"255\n"
        content = b"P%d\n# x\n32 24\n" % kind + top + data
        if ending.endswith(".gz"):
            content = gzip.compress(content)
        yield Seed(lambda d, c=content: (d / f"a{ending}").write_bytes(c), f"a{ending}")


def _tiff(ending: str) -> Iterator[Seed]:
    def write(path: Path, array: NDArray[Any], **options: Any) -> None:
        tifffile.imwrite(path, array, **options)

    pages = np.stack([GREY, GREY[::-1]])
    for array, options in (
        (GREY, {}),
        (RGB, {"photometric": "rgb", "compression": "zlib"}),
        (RGB, {"photometric": "rgb", "compression": "jpeg"}),
        (RGB, {"photometric": "rgb", "compression": "lzw", "predictor": True}),
        (GREY.astype("u2"), {"tile": (16, 16), "compression": "packbits", "byteorder": ">"}),
        (GREY.astype("f4"), {"bigtiff": True}),
        (pages, {"photometric": "minisblack", "compression": "zstd"}),
        (RGB, {"photometric": "rgb", "compression": "jpeg2000"}),
        (GREY, {"metadata": {"axes": "YX"}, "ome": True}),
    ):
        yield Seed(lambda d, a=array, o=options: write(d / f"a{ending}", a, **o), f"a{ending}")
    bits = Image.fromarray(GREY > 99)
    yield Seed(lambda d: bits.save(d / f"a{ending}", compression="group4"), f"a{ending}")
    palette = Image.fromarray(GREY % 4)
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 9, 8, 7])
    yield Seed(lambda d: palette.save(d / f"a{ending}"), f"a{ending}")


def _video(ending: str) -> Iterator[Seed]:
    codecs = {".avi": ("MJPG", "FFV1", "XVID"), ".mkv": ("MJPG", "FFV1", "VP80"),
              ".mpg": ("MPG1",), ".mpeg": ("MPG1",)}.get(ending, ("mp4v", "MJPG"))  # fmt: skip
    for codec in codecs:

        def write(folder: Path, codec: str = codec) -> None:
            code = cv2.VideoWriter_fourcc(*codec)
            made = folder / ("a.mpg" if ending == ".mpeg" else f"a{ending}")
            writer = cv2.VideoWriter(str(made), cv2.CAP_FFMPEG, code, 25.0, (32, 24))
            for n in range(6):
                writer.write(np.roll(RGB, n, axis=0))
            writer.release()
            made.rename(folder / f"a{ending}")

        yield Seed(write, f"a{ending}", How(every=2))


def _json(ending: str) -> Iterator[Seed]:
    outline = [1, 1, 1, 12, 14, 12, 14, 1]
    drawn = [
        {"segmentation": [outline], "bbox": [1, 1, 14, 12], "area": 150},
        {"segmentation": {"size": [24, 32], "counts": [30, 200, 538]}, "iscrowd": 1},
    ]
    yield Seed(lambda d: _with_picture(d, coco(d / "a.json", drawn, (24, 32))), "a.json",
               image="a.png")  # fmt: skip
    shapes = [
        {"shape_type": "polygon", "points": [[1, 1], [9, 2], [8, 12]]},
        {"shape_type": "rectangle", "points": [[3, 3], [20, 12]]},
        {"shape_type": "circle", "points": [[13, 13], [16, 12]]},
    ]
    yield Seed(lambda d: _with_picture(d, labelme(d / "a.json", shapes, (24, 32))), "a.json",
               image="a.png")  # fmt: skip


def _csv(ending: str) -> Iterator[Seed]:
    for text in (
        "ImageId,EncodedPixels\na,3 20 60 10\na,200 5\nb,-1\n",
        "ImageId,ClassId,rle\na,2,1 3\nb,2,1 3\na,4,\n",
        "Image_Label,rle\na.png_Fish,1 3\na.png_Gravel,-1\n",
    ):
        yield Seed(
            lambda d, t=text: _with_picture(d, (d / "t.csv").write_text(t)), "t.csv", image="a.png"
        )


def _with_picture(folder: Path, _made: object) -> None:
    Image.fromarray(GREY).save(folder / "a.png")


def _dicom(ending: str) -> Iterator[Seed]:
    from engine.collection.replica import dicom

    def series(folder: Path, syntax: str = "explicit") -> dicom.WrittenSeries:
        return dicom.write_series(folder, VOLUME, (3.0, 2.0, 2.0), seed="s", syntax=syntax)

    if ending == "dicom/":
        for syntax in dicom.SYNTAXES:
            yield Seed(lambda d, s=syntax: series(d / "ct", s), "ct/")
        return
    for syntax in dicom.SYNTAXES:
        for pixels in (GREY, RGB, np.stack([GREY, GREY])):
            if pixels is GREY or syntax in ("explicit", "rle"):
                yield Seed(
                    lambda d, s=syntax, p=pixels: dicom.write_picture(
                        d / f"a{ending}", p, seed="p", syntax=s
                    ),
                    f"a{ending}",
                )
    masks = {"one": MAP == 1, "two": MAP == 2}
    for kind in ("BINARY", "FRACTIONAL", "LABELMAP"):
        yield Seed(
            lambda d, k=kind: dicom.write_seg(
                d / f"a{ending}", series(d / "ct"), masks, seed="g", kind=k
            ),
            f"a{ending}",
            image="ct/",
        )
    yield Seed(
        lambda d: dicom.write_rtstruct(d / f"a{ending}", series(d / "ct"), masks, seed="r"),
        f"a{ending}",
        image="ct/",
    )


def _stack(_ending: str) -> Iterator[Seed]:
    for form in ("png", "bmp", "tif"):

        def write(folder: Path, form: str = form) -> None:
            (folder / "s").mkdir()
            for n in range(3):
                Image.fromarray(np.roll(GREY, n)).save(folder / "s" / f"{n}.{form}")

        yield Seed(write, "s/")


_MAKERS: dict[str, Callable[[str], Iterator[Seed]]] = {
    ".nii": _nifti, ".nii.gz": _nifti, ".hdr": _analyze, ".img": _analyze,
    ".nrrd": _itk, ".nhdr": _itk, ".seg.nrrd": _itk, ".mha": _itk, ".mhd": _itk,
    ".npy": _numpy, ".npz": _numpy, ".h5": _hdf5, ".hdf5": _hdf5, ".mat": _mat,
    ".tif": _tiff, ".tiff": _tiff, ".json": _json, ".csv": _csv,
    "dicom/": _dicom, ".dcm": _dicom, ".dicom": _dicom, ".ima": _dicom, "stack/": _stack,
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".jp2"), _pillow),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".mpg", ".mpeg"), _video),
    **{f".p{k}m{gz}": _pnm for k in "bgpn" for gz in ("", ".gz")},
}  # fmt: skip

__all__ = ["Seed", "seeds"]
