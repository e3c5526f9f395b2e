"""Bad input: pictures."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import tifffile
from bad_entry import ANY_PIXELS, Accepted, Refused, Site, bad
from bad_kits import COLOUR_PICTURE, GREY, JPEG, MAP, PICTURE, RGB, STACK, TIFF, save
from PIL import Image
from raw_makers import png


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, data: bytes) -> bytes:
    """A grey 8-bit PNG of this size, whatever its compressed data hold."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    )


@bad("pictures", "a PNG bomb: 100,000 x 100,000 pixels in a few bytes", PICTURE,
     Refused("too_large"), "Sizes are checked before memory is taken.")  # fmt: skip
def png_bomb(site: Site) -> None:
    site.image.write_bytes(png_of(100_000, 100_000, zlib.compress(bytes(1000))))


@bad("pictures", "a PNG whose data go on for 64 MiB behind its pixels", PICTURE,
     Accepted(), "Decoding ends with the last pixel.")  # fmt: skip
def long_png(site: Site) -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in GREY)
    site.image.write_bytes(png_of(24, 20, zlib.compress(rows + bytes(2**26))))


@bad("pictures", "a PNG with a compressed comment of 64 MiB", PICTURE, Refused("unreadable_file"),
     "Save it again without the comment.")  # fmt: skip
def png_comment(site: Site) -> None:
    whole = site.image.read_bytes()
    comment = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**26)))
    site.image.write_bytes(whole[:33] + comment + whole[33:])


@bad("pictures", "a TIFF that claims 2^20 x 2^20 pixels", TIFF, Refused("too_large"),
     "Sizes are checked before memory is taken.")  # fmt: skip
def tiff_bomb(site: Site) -> None:
    with tifffile.TiffFile(site.image, mode="r+b") as tif:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tag = tif.pages.first.tags.get(name)
            if tag is not None:
                tag.overwrite(2**20, dtype="I")


@bad("pictures", "a TIFF whose pages point at each other in a ring", TIFF,
     Refused("unreadable_file"), "It would be read for ever; save it again.")  # fmt: skip
def tiff_ring(site: Site) -> None:
    content = bytearray(site.image.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    struct.pack_into("<I", content, start + 2 + 12 * count, start)
    site.image.write_bytes(content)


@bad("pictures", "a TIFF that points to data beyond its end", TIFF, Refused("truncated_file"),
     "Missing parts are not taken for zeros; fetch it again.")  # fmt: skip
def short_tiff(site: Site) -> None:
    site.image.write_bytes(site.image.read_bytes()[:-100])


@bad("pictures", "a TIFF with pictures of two sizes", TIFF, Refused("unsupported_layout"),
     "Split it into one file per picture.")  # fmt: skip
def mixed_tiff(site: Site) -> None:
    with tifffile.TiffWriter(site.image) as tif:
        tif.write(GREY)
        tif.write(GREY[:10])


@bad("pictures", "a TIFF with minimum-is-white values", TIFF, Accepted(image=255 - GREY[None]),
     "Inverted, as every viewer shows it.")  # fmt: skip
def white_tiff(site: Site) -> None:
    tifffile.imwrite(site.image, GREY, photometric="miniswhite")


@bad("pictures", "a PNG named `.jpg`", JPEG, Accepted(),
     "The content decides among the formats of pictures.")  # fmt: skip
def png_as_jpg(site: Site) -> None:
    whole = Image.open(site.image)
    whole.save(site.image, format="PNG")


@bad("pictures", "a JPEG named `.png`", PICTURE, Accepted(image=ANY_PIXELS),
     "The content decides among the formats of pictures.")  # fmt: skip
def jpg_as_png(site: Site) -> None:
    save(site.image, GREY, format="JPEG")


@bad("pictures", "a JPEG cut off half way", JPEG, Refused("truncated_file"),
     "Its grey rest is not taken for pixels; fetch it again.")  # fmt: skip
def half_jpeg(site: Site) -> None:
    content = site.image.read_bytes()
    site.image.write_bytes(content[: len(content) // 2])


@bad("pictures", "a PostScript file named `.png`", PICTURE, Refused("unreadable_file"),
     "Only picture formats are decoded, and no program is run.")  # fmt: skip
def postscript(site: Site) -> None:
    site.image.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 20\nshowpage\n")


@bad("pictures", "an SVG with a file in it, named `.png`", PICTURE, Refused("unreadable_file"),
     "Only picture formats are decoded.")  # fmt: skip
def svg(site: Site) -> None:
    site.image.write_text(f'<svg><image href="file://{site.outside}/secret.png"/></svg>')


@bad("pictures", "a JPEG turned by its EXIF tag, its label not", JPEG, Refused("shape_mismatch"),
     "The picture is turned as viewers do; turn the label too.")  # fmt: skip
def turned_jpeg(site: Site) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.open(site.image).save(site.image, exif=exif)


@bad("pictures", "16-bit colours in a PNG", COLOUR_PICTURE,
     Accepted(image=RGB[None].astype(np.uint16) * 257), "All 16 bits are kept.")  # fmt: skip
def deep_colours(site: Site) -> None:
    png(site.image, RGB.astype(np.uint16) * 257, 16, 2)


@bad("pictures", "a label with an alpha channel", PICTURE, Accepted(), "Alpha is dropped.")
def alpha_label(site: Site) -> None:
    save(site.label, np.stack([MAP, MAP, MAP, np.full_like(MAP, 9)], axis=-1))


@bad("pictures", "an animated GIF behind the name `.png`", PICTURE, Accepted(image=ANY_PIXELS),
     "Every frame is a case.", stored=("bad_t000", "bad_t001"))  # fmt: skip
def animation(site: Site) -> None:
    one, two = (Image.fromarray(np.roll(RGB, n, axis=0)) for n in (0, 5))
    held = io.BytesIO()
    one.save(held, format="GIF", save_all=True, append_images=[two])
    site.image.write_bytes(held.getvalue())


@bad("pictures", "a folder of slices that differ in size", STACK, Refused("mixed_orientations"),
     "Leave in the folder what belongs to one volume.")  # fmt: skip
def mixed_stack(site: Site) -> None:
    save(site.image / "01.png", GREY[:10])


@bad("pictures", "a folder of slices in two formats", STACK, Refused("unsupported_layout"),
     "Move the others elsewhere.")  # fmt: skip
def two_formats(site: Site) -> None:
    save(site.image / "03.bmp", GREY)


@bad("pictures", "fewer label slices than image slices", STACK, Refused("shape_mismatch"),
     "Complete the folder; which slice a mask belongs to cannot be guessed.")  # fmt: skip
def fewer_labels(site: Site) -> None:
    (site.label / "01.png").unlink()


@bad("pictures", "a folder without a picture", STACK, Refused("missing_file"), "Fetch its files.")
def empty_folder(site: Site) -> None:
    for path in site.image.iterdir():
        path.unlink()


@bad("pictures", "slices numbered 1, 2, 10", STACK, Accepted(), "Numbers count as numbers.")
def natural_order(site: Site) -> None:
    for folder in (site.image, site.label):
        for number, path in zip(("1", "2", "10"), sorted(folder.iterdir()), strict=True):
            path.rename(folder / f"{number}.png")


@bad("pictures", "another slice missing than the mask that is missing", STACK,
     Refused("shape_mismatch", ("slice 3.png beside label 2.png",)),
     "Complete the folders; which slice a mask belongs to cannot be guessed.")  # fmt: skip
def shifted_masks(site: Site) -> None:
    for folder, names in ((site.image, ("1", "3", "4")), (site.label, ("1", "2", "4"))):
        for name, path in zip(names, sorted(folder.iterdir()), strict=True):
            path.rename(folder / f"{name}.png")
