"""GIF, WebP, JPEG 2000 and portable maps; pictures that claim too much."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from engine.collection.readers import limits, reader_for
from engine.collection.readers.base import RawImage
from engine.errors import CaseRefusedError

RNG = np.random.default_rng(11)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
TABLE = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [9, 8, 7]], dtype=np.uint8)


def read(path: Path) -> RawImage:
    return reader_for(path).read(path)


def labels(path: Path) -> RawImage:
    raw = reader_for(path).read_labels(path)
    assert isinstance(raw, RawImage)
    return raw


def refused(path: Path) -> str:
    with pytest.raises(CaseRefusedError) as caught:
        read(path)
    with pytest.raises(CaseRefusedError) as again:
        labels(path)
    assert caught.value.code == again.value.code
    return caught.value.code


def same(raw: RawImage, expected: NDArray[np.generic]) -> None:
    np.testing.assert_array_equal(raw.array, expected)
    assert raw.array.dtype == expected.dtype
    assert raw.array.dtype.isnative
    assert raw.kind == "image"
    assert raw.channel_axis == (2 if expected.ndim == 3 else None)


def indexed(pixels: NDArray[np.uint8], table: NDArray[np.uint8] = TABLE) -> Image.Image:
    image = Image.fromarray(pixels)
    image.putpalette(table.ravel().tolist())
    return image


def test_a_gif_gives_colours_to_images_and_indices_to_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    indexed(GREY % 4).save(path)
    same(read(path), TABLE[GREY % 4])
    raw = labels(path)
    np.testing.assert_array_equal(raw.array, GREY % 4)
    assert raw.palette is not None
    np.testing.assert_array_equal(raw.palette[:4], TABLE)
    np.testing.assert_array_equal(read(path).array, imageio.imread(path, index=0)[..., :3])


def test_a_grey_gif_is_a_grey_image(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.gif")
    same(read(tmp_path / "a.gif"), GREY)
    mask = (GREY > 99).astype(np.uint8)
    table = np.array([[0, 0, 0], [255, 255, 255]], dtype=np.uint8)
    indexed(mask, table).save(tmp_path / "b.gif")  # as DRIVE stores vessels
    same(read(tmp_path / "b.gif"), mask * 255)


@pytest.mark.parametrize("ending", ["gif", "webp"])
@pytest.mark.parametrize("colour", [False, True])
def test_frames_of_an_animation(tmp_path: Path, ending: str, colour: bool) -> None:
    path = tmp_path / f"a.{ending}"
    still = np.zeros((12, 16, 3), dtype=np.uint8)
    frames = [still.copy() for _ in range(3)]
    for n, frame in enumerate(frames):
        frame[2 * n : 2 * n + 3, 4:9] = (200, 40 * n, 90) if colour else 50 * n + 20
    first, *rest = map(Image.fromarray, frames)
    exact = {"lossless": True, "exact": True} if ending == "webp" else {}
    first.save(path, save_all=True, append_images=rest, duration=40, **exact)
    raw = read(path)
    assert (raw.time_axis, raw.frames) == (0, 3)
    assert raw.channel_axis == (3 if colour else None)
    expected = np.stack(frames) if colour else np.stack(frames)[..., 0]
    np.testing.assert_array_equal(raw.array, expected)
    assert labels(path).array.shape == (3, 12, 16, 3)


def test_webp_and_jpeg_2000(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.webp", lossless=True)
    same(read(tmp_path / "a.webp"), RGB)
    for pixels in (GREY, RGB, GREY16):
        Image.fromarray(pixels).save(tmp_path / "a.jp2", irreversible=False)
        same(read(tmp_path / "a.jp2"), pixels)


@pytest.mark.parametrize("ending", ["gif", "webp", "jp2"])
@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_truncated_pictures(tmp_path: Path, ending: str, keep: float) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(RNG.integers(0, 256, (64, 64), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert refused(path) in ("truncated_file", "unreadable_file")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("ending", "pixels"),
    [("pgm", GREY), ("pgm", GREY16), ("ppm", RGB), ("ppm", RGB16), ("pnm", RGB), ("pnm", GREY)],
)
def test_portable_maps(
    tmp_path: Path, ending: str, pixels: NDArray[np.generic], packed: bool
) -> None:
    top = 65535 if pixels.dtype == np.uint16 else 255
    kind = 6 if pixels.ndim == 3 else 5
    path = tmp_path / f"a.{ending}{'.gz' if packed else ''}"
    for number, body in (
        (kind, pixels.astype(">u2" if top > 255 else "u1").tobytes()),
        (kind - 3, b"# words\n" + " ".join(map(str, pixels.ravel())).encode()),
    ):
        content = f"P{number}\n# by hand\n7 5\n{top}\n".encode() + body
        path.write_bytes(gzip.compress(content) if packed else content)
        same(read(path), pixels)
        same(labels(path), pixels)
        path.write_bytes(gzip.compress(content[:-9]) if packed else content[:-9])
        assert refused(path) == "truncated_file"


def test_portable_maps_as_pillow_writes_them(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.ppm")
    same(read(tmp_path / "a.ppm"), RGB)
    Image.fromarray(GREY > 99).save(tmp_path / "a.pbm")
    with Image.open(tmp_path / "a.pbm") as image:
        same(read(tmp_path / "a.pbm"), np.asarray(image).astype(np.uint8))
    same(read(tmp_path / "a.pbm"), (GREY > 99).astype(np.uint8))
    (tmp_path / "b.pbm").write_bytes(b"P1 4 2\n0110\n1 0 0 1")
    same(read(tmp_path / "b.pbm"), np.array([[1, 0, 0, 1], [0, 1, 1, 0]], dtype=np.uint8))


def test_a_portable_map_keeps_small_values(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 2 2 15\n" + bytes([0, 1, 7, 15]))
    same(labels(path), np.array([[0, 1], [7, 15]], dtype=np.uint8))
    with Image.open(path) as image:
        assert np.asarray(image).max() > 15  # why not Pillow


@pytest.mark.parametrize(
    "content",
    [b"", b"P7 1 1", b"P5 2 2 0\n....", b"P5 2 2 70000\n........", b"P5 2 2 3\n\1\2\3\4",
     b"P2 2 2 9\n1 2 x 4", b"P2 2 2 9\n1 2 -1 4", b"P2 1 1 9\n" + b"9" * 5000],
)  # fmt: skip
def test_damaged_portable_maps(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pgm").write_bytes(content)
    assert refused(tmp_path / "a.pgm") == "unreadable_file"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_that_claims_too_much(tmp_path: Path, depth: int) -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 90000, 90000, depth, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + body)
    assert refused(tmp_path / "a.png") == "too_large"


@pytest.mark.parametrize("ending", ["jpg", "bmp", "gif"])
def test_other_pictures_that_claim_too_much(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(GREY).save(path)
    content = bytearray(path.read_bytes())
    if ending == "jpg":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", 65000, 65000)
    elif ending == "bmp":
        content[18:26] = struct.pack("<ii", 65000, 65000)
    else:
        content[6:10] = struct.pack("<HH", 65000, 65000)
    path.write_bytes(content)
    assert refused(path) == "too_large"


def test_a_portable_map_that_claims_too_much(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 99999 99999 255\n")
    assert refused(tmp_path / "a.pgm") == "too_large"
    (tmp_path / "a.pgm").write_bytes(b"P5 9999 9999 255\n")
    assert refused(tmp_path / "a.pgm") == "truncated_file"


def test_a_tiff_that_claims_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((3000, 3000), np.uint8), compression="zlib")
    assert read(path).array.shape == (3000, 3000)
    monkeypatch.setattr(limits, "MOST_BYTES", 8 * 2**20)
    assert refused(path) == "too_large"


def test_a_long_animation_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.gif"
    frames = [Image.fromarray(np.full((50, 50), n, np.uint8)) for n in range(40)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert read(path).frames == 40
    monkeypatch.setattr(limits, "MOST_BYTES", 40 * 50 * 50 * 3)
    assert refused(path) == "too_large"


def test_an_animated_png_is_refused(tmp_path: Path) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    assert refused(tmp_path / "a.png") == "unsupported_layout"


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "pgm", "webp", "jp2", "ppm.gz"])
@pytest.mark.parametrize("content", [b"", b"x" * 500])
def test_something_else(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"a.{ending}"
    assert refused(path) == "missing_file"
    path.write_bytes(content)
    assert refused(path) == "unreadable_file"


def test_a_picture_of_another_format_is_read_by_its_content(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "PNG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    same(read(tmp_path / "a.jpg"), GREY)
    Image.fromarray(GREY).save(tmp_path / "b.png", "PCX")  # Pillow knows many more, EPS among them
    assert refused(tmp_path / "b.png") == "unreadable_file"


@pytest.mark.parametrize("big", [False, True])
def test_tiff_pages_that_run_in_circles(tmp_path: Path, big: bool) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY, GREY]), photometric="minisblack", bigtiff=big,
                     metadata=None)  # fmt: skip
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        first, last = tif.pages[0].offset, tif.pages[1].offset
    width, count, tag = (8, 8, 20) if big else (4, 2, 12)
    tags = int.from_bytes(content[last : last + count], "little")
    at = last + count + tags * tag
    assert read(path).frames == 2
    for target, code in (
        (first, "unreadable_file"),
        (last, "unreadable_file"),
        (10**6, "truncated_file"),
    ):
        content[at : at + width] = target.to_bytes(width, "little")
        path.write_bytes(content)
        assert refused(path) == code


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
@pytest.mark.parametrize("height", [33, 1000])
def test_a_tiff_higher_than_its_strips_is_refused(
    tmp_path: Path, compression: str | None, height: int
) -> None:
    """tifffile fills the missing strips with zeros."""
    path = tmp_path / "a.tif"
    noise = RNG.integers(0, 256, (24, 32), dtype=np.uint8)
    tifffile.imwrite(path, noise, compression=compression, rowsperstrip=8, metadata=None)
    with tifffile.TiffFile(path) as tif:
        at = tif.pages[0].tags["ImageLength"].valueoffset
    content = bytearray(path.read_bytes())
    content[at : at + 2] = height.to_bytes(2, "little")
    path.write_bytes(content)
    assert refused(path) == "unreadable_file"


def test_a_tiff_with_one_strip_shorter_than_its_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, metadata=None)
    with tifffile.TiffFile(path) as tif:
        places = [tif.pages[0].tags[n].valueoffset for n in ("ImageLength", "RowsPerStrip")]
    content = bytearray(path.read_bytes())
    for at in places:
        content[at : at + 2] = (9000).to_bytes(2, "little")
    path.write_bytes(content)
    assert refused(path) == "truncated_file"
