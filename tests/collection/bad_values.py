"""Bad input: values of images and of labels."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
from bad_entry import ENTRIES, Accepted, LeftOut, Refused, Site, bad, changed
from bad_kits import (
    COLOURS,
    DEEP,
    DEEP_MAP,
    FLAT,
    GREY,
    LPS,
    MAP,
    MASKS,
    NIFTI,
    NPZ,
    PACKED,
    PICTURE,
    TIFF,
    VOLUME,
    put_volume,
    save,
)
from PIL import Image

REPAIR = "Repair the file, or skip the case with this reason."


def _image(site: Site, array: np.ndarray, **more: object) -> None:  # type: ignore[type-arg]
    put_volume(site.image, array, **more)  # type: ignore[arg-type]


@bad("values", "one NaN among the voxels of an image", NIFTI, Refused("non_finite"), REPAIR)
def nan_voxel(site: Site) -> None:
    array = VOLUME.astype(np.float32)
    array[1, 2, 3] = np.nan
    _image(site, array)


@bad("values", "one infinity among the voxels of an image", PACKED, Refused("non_finite"), REPAIR)
def infinite_voxel(site: Site) -> None:
    array = VOLUME.astype(np.float64)
    array[0, 0, 0] = -np.inf
    _image(site, array)


@bad("values", "NaN in a float TIFF", TIFF, Refused("non_finite"), REPAIR)
def nan_tiff(site: Site) -> None:
    import tifffile

    array = GREY.astype(np.float32)
    array[5, 5] = np.nan
    tifffile.imwrite(site.image, array)


@bad("values", "NaN where a label has background", NIFTI, Refused("non_finite"), REPAIR)
def nan_label(site: Site) -> None:
    put_volume(site.label, np.where(DEEP_MAP == 0, np.nan, DEEP_MAP).astype(np.float32))


@bad("values", "a slope of NaN in the header", NIFTI, Accepted(),
     "By the format's own rule such a slope means: no rescaling.")  # fmt: skip
def nan_slope(site: Site) -> None:
    content = bytearray(site.image.read_bytes())
    content[112:116] = np.float32(np.nan).tobytes()
    site.image.write_bytes(content)


@bad("values", "a slope that makes the values overflow", NIFTI, Refused("non_finite"), REPAIR)
def overflowing_slope(site: Site) -> None:
    _image(site, VOLUME.astype(np.float64) * 1e300, slope=1e30)


@bad("values", "complex voxels", NIFTI, Refused("unreadable_file"), "Store their magnitude.")
def complex_voxels(site: Site) -> None:
    _image(site, VOLUME.astype(np.complex64))


@bad("values", "a slope with fractions", NIFTI,
     Accepted(image=VOLUME.astype(np.float64) * float(np.float32(0.1)) + float(np.float32(-3.7))),
     "Values become float64 after it.")  # fmt: skip
def fractional_slope(site: Site) -> None:
    _image(site, VOLUME, slope=0.1, inter=-3.7)


@bad("values", "a slope with fractions on a label", NIFTI, Refused("dtype_mismatch"),
     "Label values are those after the slope; store the label without one.")  # fmt: skip
def fractional_label_slope(site: Site) -> None:
    put_volume(site.label, DEEP_MAP, slope=0.3)


@bad("values", "big-endian voxels", NIFTI, Accepted(), "Stored in the byte order of this machine.")
def big_endian(site: Site) -> None:
    for path, array in ((site.image, VOLUME), (site.label, DEEP_MAP.astype(np.int16))):
        turned = np.moveaxis(array, (0, 1, 2), (2, 1, 0))
        header = nib.Nifti1Header(endianness=">")
        header.set_data_dtype(np.dtype(">i2"))
        nib.save(nib.Nifti1Image(turned, LPS, header), path)


def _of_dtype(name: str, stored: str, seen: str) -> None:
    values = VOLUME > 0 if name == "bool" else np.abs(VOLUME)
    image = Accepted(image=values.astype(name).astype(stored))

    @bad(
        "values",
        f"an image of {name}" + ("" if name == "bool" else ", and such a label"),
        NPZ,
        image,
        seen,
    )
    def spoil(site: Site) -> None:
        label = DEEP_MAP if name == "bool" else DEEP_MAP.astype(name)
        np.savez(site.image, imgs=values.astype(name), gts=label)

    ENTRIES[-1] = replace(ENTRIES[-1], name=f"dtype_{name}")


_of_dtype("int64", "int64", "Stored as it is.")
_of_dtype("uint64", "uint64", "Stored as it is.")
_of_dtype("float16", "float32", "Stored as float32, the same values.")
_of_dtype("bool", "uint8", "Stored as 0 and 1.")


@bad("labels", "a label value of 1.5", NIFTI, Refused("dtype_mismatch"),
     "Use the label before interpolation, or `kind: mask` with a threshold.")  # fmt: skip
def half_value(site: Site) -> None:
    put_volume(site.label, DEEP_MAP.astype(np.float32) * 1.5)


@bad(
    "labels", "whole numbers stored as floats", NIFTI, Accepted(), "They are whole: nothing to do."
)
def float_label(site: Site) -> None:
    put_volume(site.label, DEEP_MAP.astype(np.float64))


@bad("labels", "a negative label value", NIFTI, Refused("unknown_label_value", ("-1",)),
     "Name it under `structures` or `ignore`.")  # fmt: skip
def negative_value(site: Site) -> None:
    put_volume(site.label, DEEP_MAP.astype(np.int16) - (DEEP_MAP == 1) * 2)


@bad("labels", "a negative instance number",
     changed(NIFTI, {"kind": "instances", "structures": {}, "structure": "cell"}),
     Refused("unknown_label_value", ("-1",)), "Background is 0, instances count from 1.",
     alone=True)  # fmt: skip
def negative_instance(site: Site) -> None:
    put_volume(site.label, np.where(DEEP_MAP, -1, 0).astype(np.int16))


@bad("labels", "an instance number of 2^31",
     changed(NPZ, {"kind": "instances", "structures": {}, "structure": "cell"}),
     Refused("unknown_label_value", (str(2**31), str(2**31 - 1))), "Number the instances from 1.",
     alone=True)  # fmt: skip
def huge_instance(site: Site) -> None:
    np.savez(site.image, imgs=VOLUME, gts=np.where(DEEP_MAP, 2**31, 0).astype(np.int64))


@bad("labels", "a label value of 2^62", NPZ, Refused("unknown_label_value", (str(2**62),)),
     "Name it under `structures` or `ignore`.")  # fmt: skip
def huge_value(site: Site) -> None:
    np.savez(site.image, imgs=VOLUME, gts=np.where(DEEP_MAP, 2**62, 0).astype(np.int64))


@bad("labels", "label values up to 2^64 - 1", NPZ,
     Refused("unknown_label_value", (str(2**64 - 1),)),
     "Name them under `structures` or `ignore`.")  # fmt: skip
def largest_value(site: Site) -> None:
    np.savez(site.image, imgs=VOLUME, gts=np.full_like(DEEP_MAP, 2**64 - 1, dtype=np.uint64))


@bad("labels", "a float label value of 1e300", NIFTI, Refused("dtype_mismatch"),
     "From 2^53 on floats cannot tell whole numbers apart; store integers.")  # fmt: skip
def huge_float(site: Site) -> None:
    put_volume(site.label, np.where(DEEP_MAP, 1e300, 0.0))


@bad("labels", "a value the recipe does not name", PICTURE,
     Refused("unknown_label_value", ("7 (63 px)",)),
     "Name it under `structures` or `ignore`; nothing becomes background in silence.")  # fmt: skip
def unknown_value(site: Site) -> None:
    save(site.label, np.where(MAP == 1, 7, MAP).astype(np.uint8))


@bad("labels", "two masks that overlap", MASKS,
     Accepted({"disc/0": FLAT["disc/0"], "cup/0": np.ones_like(FLAT["cup/0"])}),
     "Both are kept whole, in two layers.")  # fmt: skip
def overlapping_masks(site: Site) -> None:
    save(site.label.parent / "cup.png", np.full_like(GREY, 255))


@bad("labels", "one structure in two entries of the recipe's labels",
     replace(MASKS, series={**MASKS.series, "labels": [
         *MASKS.series["labels"],
         {"file": "values/{case}.png", "kind": "values", "optional": True,
          "structures": {"disc": 1, "cup": 2}},
     ]}),
     Refused("unsupported_layout", ("masks/", "values/")),
     "Rename it in one entry, or leave one out: two truths are not united.")  # fmt: skip
def two_truths(site: Site) -> None:
    save(site.raw / f"values/{site.case}.png", MAP[::-1])


@bad("labels", "one empty mask of two", MASKS, Accepted({"disc/0": FLAT["disc/0"]}),
     "The structure is absent from this case; the other is stored.")  # fmt: skip
def one_empty_mask(site: Site) -> None:
    save(site.label.parent / "cup.png", np.zeros_like(GREY))


@bad("labels", "only empty masks", MASKS, LeftOut("empty_case"), "Left out by rule; exit code 0.")
def only_empty_masks(site: Site) -> None:
    for path in site.label.parent.iterdir():
        save(path, np.zeros_like(GREY))


@bad("labels", "no label file of any structure", MASKS, Refused("missing_label"),
     "Fetch them, or skip the case with a reason.")  # fmt: skip
def no_masks(site: Site) -> None:
    for path in site.label.parent.iterdir():
        path.unlink()


@bad("labels", "a mask of two values", MASKS, Refused("unknown_label_value"),
     "Give a threshold (grey borders), or say `kind: values` (several structures).")  # fmt: skip
def two_valued_mask(site: Site) -> None:
    save(site.label.parent / "cup.png", np.where(FLAT["cup/0"][0], 255, MAP).astype(np.uint8))


@bad("labels", "a label in colours where values are expected", PICTURE, Refused("dtype_mismatch"),
     "Say `kind: colours` and the colour of each structure.")  # fmt: skip
def colours_for_values(site: Site) -> None:
    save(site.label, np.stack([MAP * 100, MAP * 50, MAP], axis=-1))


@bad("labels", "values where colours are expected", COLOURS, Refused("unknown_label_value"),
     "Say `kind: values`.")  # fmt: skip
def values_for_colours(site: Site) -> None:
    save(site.label, MAP)


@bad("labels", "three equal colour channels where values are expected", PICTURE, Accepted(),
     "They are grey.")  # fmt: skip
def grey_as_colours(site: Site) -> None:
    save(site.label, np.stack([MAP] * 3, axis=-1))


@bad("labels", "a JPEG label with soft borders", COLOURS, Refused("unknown_label_value"),
     "Say `nearest: true`, or fetch the lossless label.")  # fmt: skip
def soft_borders(site: Site) -> None:
    soft = np.array(Image.open(site.label)).astype(np.int16)
    soft[2:9, 3] = soft[2:9, 3] // 2
    save(site.label, soft.astype(np.uint8))


def _palette(site: Site, order: list[int]) -> None:
    """The same colours behind other indices."""
    table = np.zeros((3, 3), np.uint8)
    table[order] = [[0, 0, 0], [255, 0, 0], [0, 255, 0]]
    image = Image.fromarray(np.array(order, np.uint8)[MAP])
    image.putpalette(table.ravel().tolist())
    image.save(site.label)


@bad("labels", "a palette whose colours stand in another order, read by colour", COLOURS,
     Accepted(), "Colours decide, not their order.")  # fmt: skip
def permuted_palette(site: Site) -> None:
    _palette(site, [2, 0, 1])


@bad("labels", "a palette whose colours stand in another order, read by index", PICTURE,
     Accepted({"disc/0": FLAT["cup/0"], "cup/0": FLAT["disc/0"]}),
     "**Cannot be noticed**: `kind: values` reads the indices, as nnU-Net and others do. Say "
     "`kind: colours` where the palette means something; the curation report draws labels on "
     "their images.")  # fmt: skip
def permuted_indices(site: Site) -> None:
    _palette(site, [0, 2, 1])


@bad("labels", "a mask stored inverted", MASKS,
     Accepted({"disc/0": FLAT["disc/0"], "cup/0": ~FLAT["cup/0"]}),
     "**Cannot be noticed**: a mask may fill most of its image. The curation report's rule *Masks "
     "of nearly everything* lists it.")  # fmt: skip
def inverted_mask(site: Site) -> None:
    save(site.label.parent / "cup.png", np.where(FLAT["cup/0"][0], 0, 255).astype(np.uint8))


_DEEP_RIGHT = {name: np.ascontiguousarray(mask[:, :, ::-1]) for name, mask in DEEP.items()}


@bad("labels", "a label whose data are mirrored and whose header is right", NIFTI,
     Accepted(_DEEP_RIGHT),
     "**Cannot be noticed**: the headers agree. Where structures are named left and right, the "
     "curation report's rule *Left and right* lists the case; else only a look at its "
     "pictures tells.")  # fmt: skip
def mirrored_data(site: Site) -> None:
    put_volume(site.label, np.ascontiguousarray(DEEP_MAP[:, :, ::-1]))
