"""Bad input: files, and streams that are compressed."""

from __future__ import annotations

import gzip
import os
import stat
import struct
from pathlib import Path

import numpy as np
from bad_entry import Accepted, LeftOut, PassedOver, Refused, Site, bad, changed, nothing
from bad_kits import COCO, FLAT, GREY, LABELME, MASKS, META, NIFTI, NPZ, PACKED, PICTURE, save

FETCH = "Fetch the file again."


def cut(path: Path, keep: float) -> None:
    """Only the first part of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def replace_by(path: Path, kind: int) -> None:
    """Something else of the same name: a pipe, a socket."""
    path.unlink()
    os.mknod(path, kind | 0o600)


@bad("files", "a picture of zero bytes", PICTURE, Refused("unreadable_file"), FETCH)
def empty_picture(site: Site) -> None:
    site.image.write_bytes(b"")


@bad("files", "a NIfTI of zero bytes", NIFTI, Refused("unreadable_file"), FETCH)
def empty_nifti(site: Site) -> None:
    site.image.write_bytes(b"")


@bad("files", "a label file of zero bytes", PICTURE, Refused("unreadable_file"), FETCH)
def empty_label(site: Site) -> None:
    site.label.write_bytes(b"")


@bad("files", "a PNG that ends half way", PICTURE, Refused("truncated_file"), FETCH)
def half_png(site: Site) -> None:
    cut(site.image, 0.5)


@bad("files", "a NIfTI that ends within its voxels", NIFTI, Refused("truncated_file"), FETCH)
def half_nifti(site: Site) -> None:
    cut(site.image, 0.9)


@bad("files", "a NIfTI that ends within its header", NIFTI, Refused("truncated_file"), FETCH)
def half_header(site: Site) -> None:
    site.image.write_bytes(site.image.read_bytes()[:200])


@bad("files", "the raw half of an MHD cut short", META, Refused("truncated_file"), FETCH)
def half_raw(site: Site) -> None:
    cut(site.image.with_suffix(".raw"), 0.5)


@bad("files", "an npz that ends half way", NPZ, Refused("unreadable_file"), FETCH)
def half_npz(site: Site) -> None:
    cut(site.image, 0.5)


@bad("files", "a JSON of outlines that ends half way", COCO, Refused("truncated_file"), FETCH)
def half_json(site: Site) -> None:
    cut(site.label, 0.6)


@bad(
    "files", "a PNG with one byte changed", PICTURE, Refused("unreadable_file"),
    "Its checksum tells; fetch the file again.",
)  # fmt: skip
def damaged_png(site: Site) -> None:
    content = bytearray(site.image.read_bytes())
    content[len(content) // 2] ^= 0xFF
    site.image.write_bytes(content)


@bad(
    "files", "a text file named `.nii.gz`", PACKED, Refused("unreadable_file"),
    "Often a web page that says the download failed; fetch the file again.",
)  # fmt: skip
def text_as_nifti(site: Site) -> None:
    site.image.write_text("<html>404 not found</html>")


@bad(
    "files", "a text file named `.png`", PICTURE, Refused("unreadable_file"),
    "The message shows how the file begins.",
)  # fmt: skip
def text_as_png(site: Site) -> None:
    site.image.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


@bad(
    "files", "a plain NIfTI named `.nii.gz`", PACKED, Refused("unreadable_file"),
    "Correct the ending.",
)  # fmt: skip
def plain_as_packed(site: Site) -> None:
    site.image.write_bytes(gzip.decompress(site.image.read_bytes()))


@bad(
    "files", "a folder where a picture is expected", PICTURE, PassedOver(),
    "A folder is no picture: there is no such case, and `samscope validate` does not list it.",
)  # fmt: skip
def folder_as_picture(site: Site) -> None:
    site.image.unlink()
    site.image.mkdir()


@bad(
    "files", "a folder where a label is expected", PICTURE, Refused("missing_label"),
    "The case has no label file; put it there.",
)  # fmt: skip
def folder_as_label(site: Site) -> None:
    site.label.unlink()
    site.label.mkdir()


@bad(
    "files", "a file where a folder of slices is expected",
    changed(MASKS, images="images/{case}.png"), Refused("missing_label"),
    "The case has no label files; put the folder there.",
)  # fmt: skip
def file_as_folder(site: Site) -> None:
    folder = site.label.parent
    for mask in folder.iterdir():
        mask.unlink()
    folder.rmdir()
    folder.write_bytes(b"")


@bad(
    "files", "a label file that is missing", PICTURE, Refused("missing_label"),
    "Fetch it, or say `optional: true`, or skip the case with a reason.",
)  # fmt: skip
def missing_label(site: Site) -> None:
    site.label.unlink()


@bad(
    "files", "a label file without an image", PICTURE, PassedOver(),
    "Cases are found by their images: there is no such case.",
)  # fmt: skip
def missing_image(site: Site) -> None:
    site.image.unlink()


@bad(
    "files", "an MHD without its raw file", META, Refused("missing_file"), "Fetch it.",
)  # fmt: skip
def missing_raw(site: Site) -> None:
    site.image.with_suffix(".raw").unlink()


@bad(
    "files", "a pipe named like an image", PICTURE, PassedOver(),
    "Only regular files are images; it is not opened, so nothing hangs.",
)  # fmt: skip
def pipe_as_image(site: Site) -> None:
    replace_by(site.image, stat.S_IFIFO)


@bad(
    "files", "a pipe named like a label", PICTURE, Refused("missing_label"),
    "It is not opened; put the label file there.",
)  # fmt: skip
def pipe_as_label(site: Site) -> None:
    replace_by(site.label, stat.S_IFIFO)


@bad(
    "files", "a pipe named like the raw half of an MHD", META, Refused("unreadable_file"),
    "It is not opened; put the file there.",
)  # fmt: skip
def pipe_as_raw(site: Site) -> None:
    replace_by(site.image.with_suffix(".raw"), stat.S_IFIFO)


@bad(
    "files", "a socket named like an image", PICTURE, PassedOver(),
    "Only regular files are images.",
)  # fmt: skip
def socket_as_image(site: Site) -> None:
    replace_by(site.image, stat.S_IFSOCK)


@bad(
    "files", "an image that is a link to the endless device `/dev/zero`", PICTURE, PassedOver(),
    "Only regular files are images; it is not opened.",
)  # fmt: skip
def device_as_image(site: Site) -> None:
    site.image.unlink()
    site.image.symlink_to("/dev/zero")


@bad(
    "files", "a raw half that is a link to `/dev/zero`", META, Refused("unreadable_file"),
    "It is not opened; put the file there.",
)  # fmt: skip
def device_as_raw(site: Site) -> None:
    site.image.with_suffix(".raw").unlink()
    site.image.with_suffix(".raw").symlink_to("/dev/zero")


@bad(
    "files", "a file nobody may read (mode 000)", PICTURE, Refused("unreadable_file"),
    "Give yourself permission to read it. (An administrator reads it all the same.)",
    not_as_root=True,
)  # fmt: skip
def no_permission(site: Site) -> None:
    site.image.chmod(0)


@bad(
    "files", "an image that vanishes after it was found", PICTURE, Refused("missing_file"),
    "Fetch it and run the command again.",
    meddle=lambda site: site.image.unlink(),
)  # fmt: skip
def vanishing_image(site: Site) -> None:
    nothing(site)


@bad(
    "files", "a label that vanishes after it was found", PICTURE, Refused("missing_file"),
    "Fetch it and run the command again.",
    meddle=lambda site: site.label.unlink(),
)  # fmt: skip
def vanishing_label(site: Site) -> None:
    nothing(site)


@bad(
    "files", "a file that is still being written when its case is found", PICTURE, Accepted(),
    "It is read as it is when its turn comes, and a file that changes while it is read "
    "is refused and tried again.",
    meddle=lambda site: save(site.image, GREY),
)  # fmt: skip
def growing_image(site: Site) -> None:
    cut(site.image, 0.5)


@bad(
    "files", "a picture without one labelled pixel", PICTURE, LeftOut("empty_case"),
    "Left out by rule: there is nothing to evaluate, and exit code 0.",
)  # fmt: skip
def empty_mask(site: Site) -> None:
    save(site.label, np.zeros_like(GREY))


@bad(
    "files", "a picture of 1 x 1 pixels", PICTURE,
    Accepted({"disc/0": np.ones((1, 1, 1), np.bool_)}, GREY[None, :1, :1]),
    "Stored; the study's minimum area leaves its object out.",
)  # fmt: skip
def one_pixel(site: Site) -> None:
    save(site.image, GREY[:1, :1])
    save(site.label, np.ones((1, 1), np.uint8))


@bad("gzip", "a gzip stream that ends half way", PACKED, Refused("truncated_file"), FETCH)
def half_gzip(site: Site) -> None:
    cut(site.image, 0.5)


@bad(
    "gzip", "a gzip stream with a wrong checksum at its very end", PACKED,
    Refused("unreadable_file"), "The stream is read to its end although the voxels come before it.",
)  # fmt: skip
def gzip_checksum(site: Site) -> None:
    content = bytearray(site.image.read_bytes())
    content[-8] ^= 1
    site.image.write_bytes(content)


@bad("gzip", "a gzip stream with a byte changed in it", PACKED, Refused("unreadable_file"), FETCH)
def damaged_gzip(site: Site) -> None:
    content = bytearray(site.image.read_bytes())
    content[len(content) // 2] ^= 0xFF
    site.image.write_bytes(content)


@bad("gzip", "a gzip stream with bytes after its end", PACKED, Refused("unreadable_file"), FETCH)
def gzip_with_tail(site: Site) -> None:
    site.image.write_bytes(site.image.read_bytes() + b"not gzip")


@bad(
    "gzip", "a gzip bomb: 64 MiB of zeros in 64 kB behind a small volume", PACKED,
    Refused("too_large"),
    "Decompression stops at 8 GiB a file (the test sets 16 MiB).", most_bytes=2**24,
)  # fmt: skip
def gzip_bomb(site: Site) -> None:
    content = gzip.decompress(site.image.read_bytes())
    site.image.write_bytes(gzip.compress(content + bytes(2**26)))


@bad(
    "gzip", "a NIfTI header that claims 30,000 voxels along each axis", NIFTI,
    Refused("too_large"), "Sizes are checked before memory is taken.",
)  # fmt: skip
def huge_claim(site: Site) -> None:
    content = bytearray(site.image.read_bytes())
    content[40:48] = struct.pack("<4h", 3, 30000, 30000, 30000)
    site.image.write_bytes(content)


@bad(
    "files", "two label files that a template with `{any}` gives to one image",
    changed(PICTURE, {"file": "masks/{case}{any}"}),
    Accepted({"disc/0": FLAT["disc/0"] | FLAT["cup/0"], "cup/0": FLAT["cup/0"]}),
    "Structures are united over both; where they are two opinions, let the template fit one.",
)  # fmt: skip
def two_labels(site: Site) -> None:
    second = np.where(FLAT["cup/0"][0], 1, 0).astype(np.uint8)
    save(site.raw / f"masks/{site.case}_second.png", second)


@bad("files", "JSON in another form", LABELME, Refused("unreadable_file"), "It is no outline file.")
def other_json(site: Site) -> None:
    site.label.write_text('{"hello": [1, 2, 3]}')
