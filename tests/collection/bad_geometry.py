"""Bad input: where a volume and its label lie."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from bad_entry import Accepted, Refused, Site, bad, changed
from bad_kits import DEEP, DEEP_MAP, LPS, META, NIFTI, NPZ, NRRD, PICTURE, VOLUME, put_volume, save

PAIR = "Pair the label with the image it was drawn on; nothing is resampled."
HEADER = "Repair the header."


def header(site: Site, at: int, content: bytes) -> None:
    """Bytes of the image's NIfTI header replaced."""
    whole = bytearray(site.image.read_bytes())
    whole[at : at + len(content)] = content
    site.image.write_bytes(whole)


@bad("geometry", "a label of another size", NIFTI, Refused("shape_mismatch"), PAIR)
def other_shape(site: Site) -> None:
    put_volume(site.label, DEEP_MAP[:, :-1])


@bad("geometry", "a picture's label of another size", PICTURE, Refused("shape_mismatch"), PAIR)
def other_picture_shape(site: Site) -> None:
    save(site.label, np.ones((24, 20), np.uint8))


@bad("geometry", "a label of another spacing", NIFTI, Refused("geometry_mismatch", ("spacing",)),
     PAIR)  # fmt: skip
def other_spacing(site: Site) -> None:
    put_volume(site.label, DEEP_MAP, LPS @ np.diag([1.01, 1.0, 1.0, 1.0]))


@bad("geometry", "a label of another origin", NIFTI, Refused("geometry_mismatch", ("origin",)),
     PAIR)  # fmt: skip
def other_origin(site: Site) -> None:
    moved = LPS.copy()
    moved[:3, 3] = [1.0, 0.0, 0.0]
    put_volume(site.label, DEEP_MAP, moved)


@bad("geometry", "a wrong affine: the image's says 45 degrees, the label's none", NIFTI,
     Refused("geometry_mismatch", ("direction",)), PAIR)  # fmt: skip
def wrong_affine(site: Site) -> None:
    half = np.sqrt(0.5)
    turn = np.eye(4)
    turn[:2, :2] = [[half, -half], [half, half]]
    put_volume(site.image, VOLUME, turn @ LPS)


@bad("geometry", "a label whose header is mirrored", NIFTI, Refused("geometry_mismatch"),
     "Find out which header is right. " + PAIR)  # fmt: skip
def mirrored_header(site: Site) -> None:
    put_volume(site.label, DEEP_MAP, LPS @ np.diag([-1.0, 1.0, 1.0, 1.0]))


@bad(
    "geometry",
    "a label mirrored in header and data: stored along other axes",
    NIFTI,
    Accepted(),
    "Both say where they lie and they agree: axes are turned, nothing is resampled.",
)
def stored_otherwise(site: Site) -> None:
    affine = LPS @ np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[0, 3] = LPS[0, 0] * 23
    put_volume(site.label, np.ascontiguousarray(DEEP_MAP[:, :, ::-1]), affine)


@bad("geometry", "a singular affine", NIFTI, Refused("bad_geometry"), HEADER)
def singular_affine(site: Site) -> None:
    header(site, 254, np.int16(1).tobytes())
    header(site, 280, np.array([[2, 0, 0, 0], [2, 0, 0, 0], [0, 0, 5, 0]], "f4").tobytes())


@bad("geometry", "NaN in the affine", NIFTI, Refused("bad_geometry"), HEADER)
def nan_affine(site: Site) -> None:
    header(site, 280, np.array([np.nan, 0, 0, 0], "f4").tobytes())


@bad("geometry", "an affine of zeros", NIFTI, Refused("bad_geometry"), HEADER)
def zero_affine(site: Site) -> None:
    header(site, 280, bytes(48))


@bad("geometry", "sform and qform that differ by a mirror", NIFTI,
     Refused("ambiguous_orientation"), "Find out which is right and write it to both.")  # fmt: skip
def two_orientations(site: Site) -> None:
    image = nib.Nifti1Image(np.moveaxis(VOLUME, (0, 1, 2), (2, 1, 0)), LPS)
    image.set_qform(np.diag([2.0, -2.0, 5.0, 1.0]), code=1)
    image.set_sform(LPS, code=1)
    nib.save(image, site.image)


@bad("geometry", "a NIfTI that states no orientation", NIFTI, Refused("unknown_orientation"),
     "Say `orientation: RAS` (or another) if you know it from elsewhere.")  # fmt: skip
def no_orientation(site: Site) -> None:
    for path, array in ((site.image, VOLUME), (site.label, DEEP_MAP)):
        put_volume(path, array, coded=False)


@bad("geometry", "a label that states no orientation beside an image that does", NIFTI,
     Refused("geometry_mismatch"), PAIR)  # fmt: skip
def label_without_orientation(site: Site) -> None:
    put_volume(site.label, DEEP_MAP, coded=False)


@bad("geometry", "an array file without orientation, and a recipe that gives none",
     changed(NPZ, orientation=None), Refused("unknown_orientation"),
     "Say `orientation: RAS` (or another) if you know it from elsewhere.", alone=True)  # fmt: skip
def array_without_orientation(site: Site) -> None:
    return


@bad("geometry", "a spacing of 0 in an MHD", META, Refused("bad_geometry"), HEADER)
def zero_spacing(site: Site) -> None:
    text = site.image.read_text()
    site.image.write_text(text.replace("ElementSpacing = 2 2 5", "ElementSpacing = 0 2 5"))


@bad("geometry", "singular space directions in an NRRD", NRRD, Refused("bad_geometry"), HEADER)
def singular_nrrd(site: Site) -> None:
    content = site.image.read_bytes()
    site.image.write_bytes(content.replace(b"(1,0,0) (0,1,0)", b"(1,0,0) (1,0,0)"))


_TIMES = tuple(f"bad_t{t:03d}" for t in range(3))


@bad(
    "geometry",
    "a 4-D image with a 3-D label",
    NIFTI,
    Accepted(),
    "One label for all frames: every frame is a case and has its objects.",
    stored=_TIMES,
)
def one_label_for_all(site: Site) -> None:
    put_volume(site.image, np.stack([VOLUME] * 3, axis=-1))


@bad("geometry", "a 4-D image with a label of another number of frames", NIFTI,
     Refused("frame_mismatch"), PAIR)  # fmt: skip
def other_frames(site: Site) -> None:
    put_volume(site.image, np.stack([VOLUME] * 3, axis=-1))
    put_volume(site.label, np.stack([DEEP_MAP] * 2, axis=-1))


@bad("geometry", "a 3-D image with a 4-D label", NIFTI, Refused("frame_mismatch"), PAIR)
def frames_in_label(site: Site) -> None:
    put_volume(site.label, np.stack([DEEP_MAP] * 2, axis=-1))


@bad("geometry", "a 5-D NIfTI", NIFTI, Refused("unsupported_layout"),
     "Split it into one file per volume or series.")  # fmt: skip
def five_axes(site: Site) -> None:
    put_volume(site.image, np.stack([np.stack([VOLUME] * 2, axis=-1)] * 2, axis=-1))


@bad("geometry", "a channel the recipe does not name", changed(NIFTI, channels={0: "t1w"}),
     Refused("frame_mismatch"), "Name every channel of the file.", alone=True)  # fmt: skip
def unnamed_channel(site: Site) -> None:
    put_volume(site.image, np.stack([VOLUME] * 2, axis=-1))


@bad("geometry", "an RGB NIfTI", NIFTI,
     Accepted(image=np.stack([np.full_like(DEEP_MAP, 7), DEEP_MAP, 0 * DEEP_MAP], axis=-1)),
     "Stored in colour.")  # fmt: skip
def rgb_nifti(site: Site) -> None:
    rgb = np.zeros((24, 20, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["R"], rgb["G"] = 7, np.moveaxis(DEEP_MAP, (0, 1, 2), (2, 1, 0))
    nib.save(nib.Nifti1Image(rgb, LPS), site.image)


@bad("geometry", "a volume of one slice", NIFTI,
     Accepted({name: mask[:1] for name, mask in DEEP.items()}, VOLUME[:1]), "Stored.")  # fmt: skip
def one_slice(site: Site) -> None:
    put_volume(site.image, VOLUME[:1])
    put_volume(site.label, DEEP_MAP[:1])


@bad("geometry", "a picture as the label of a volume",
     changed(NIFTI, {"file": "labels/{case}.png"}), Refused("geometry_mismatch"), PAIR,
     alone=True)  # fmt: skip
def picture_for_volume(site: Site) -> None:
    save(site.label, DEEP_MAP[0])
