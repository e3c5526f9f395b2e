"""PNG, JPEG, BMP and TIFF in every encoding the collection accepts."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps
from raw_makers import png

from engine.collection.readers import reader_for
from engine.collection.readers.base import RawImage
from engine.errors import CaseRefusedError

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (5, 7, 1), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)


def read(path: Path) -> RawImage:
    return reader_for(path).read(path)


def labels(path: Path) -> RawImage:
    return reader_for(path).read_labels(path)


def refused(path: Path) -> CaseRefusedError:
    with pytest.raises(CaseRefusedError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return caught.value


def same(raw: RawImage, expected: NDArray[np.generic]) -> None:
    np.testing.assert_array_equal(raw.array, expected)
    assert raw.array.dtype == expected.dtype
    assert raw.kind == "image"
    assert raw.channel_axis == (2 if expected.ndim == 3 else None)
    assert (raw.affine, raw.spacing_mm, raw.time_axis) == (None, None, None)


@pytest.mark.parametrize("ending", ["png", "PNG", "bmp", "tif", "tiff"])
def test_grey_and_rgb(tmp_path: Path, ending: str) -> None:
    for name, pixels in (("grey", GREY), ("rgb", RGB)):
        path = tmp_path / f"{name}.{ending}"
        Image.fromarray(pixels).save(path)
        same(read(path), pixels)
        same(labels(path), pixels)


@pytest.mark.parametrize("pixels", [GREY, RGB])
def test_jpeg(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path, quality=95)
    same(read(path), np.asarray(Image.open(path)))


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "a.jpeg"
    flat = np.full((16, 16, 3), (200, 40, 90), dtype=np.uint8)
    Image.fromarray(flat).convert("CMYK").save(path, quality=100)
    raw = read(path)
    assert raw.array.shape == (16, 16, 3)
    assert np.abs(raw.array.astype(int) - flat).max() <= 3


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_alpha_is_dropped(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(np.concatenate([RGB, ALPHA], axis=2)).save(path)
    same(read(path), RGB)
    Image.fromarray(np.concatenate([GREY[..., None], ALPHA], axis=2)).save(path)
    same(read(path), GREY)


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_three_identical_channels_are_one_grey_channel_in_images_only(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    thrice = np.stack([GREY] * 3, axis=-1)
    Image.fromarray(thrice).save(path)
    same(read(path), GREY)
    same(labels(path), thrice)


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_palette_gives_colours_to_images_and_indices_to_labels(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    indices = (GREY % 4).astype(np.uint8)
    image = Image.fromarray(indices)
    table = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [9, 8, 7]], dtype=np.uint8)
    image.putpalette(table.ravel().tolist())
    image.save(path)
    same(read(path), table[indices])
    raw = labels(path)
    np.testing.assert_array_equal(raw.array, indices)
    assert raw.palette is not None
    np.testing.assert_array_equal(raw.palette[:4], table)


def test_a_grey_palette_is_a_grey_image(tmp_path: Path) -> None:
    image = Image.fromarray((GREY % 2).astype(np.uint8))
    image.putpalette([255, 255, 255, 10, 10, 10])
    image.save(tmp_path / "a.png")
    same(read(tmp_path / "a.png"), np.where(GREY % 2, 10, 255).astype(np.uint8))


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_one_bit(tmp_path: Path, ending: str) -> None:
    path, bits = tmp_path / f"a.{ending}", GREY > 99
    Image.fromarray(bits).save(path)
    same(labels(path), bits.astype(np.uint8)) if ending != "bmp" else None
    raw = read(path)
    np.testing.assert_array_equal(raw.array > 0, bits)
    assert raw.array.dtype == np.uint8


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_png_grey_of_any_depth_keeps_its_values(tmp_path: Path, depth: int) -> None:
    samples = (GREY16 >> (16 - depth)).astype(np.uint16 if depth == 16 else np.uint8)
    same(labels(png(tmp_path / "a.png", samples, depth, 0)), samples)
    same(read(tmp_path / "a.png"), samples)


def test_sixteen_bit_png(tmp_path: Path) -> None:
    same(read(png(tmp_path / "rgb.png", RGB16, 16, 2)), RGB16)
    alpha = np.concatenate([RGB16, GREY16[..., None]], axis=2)
    same(read(png(tmp_path / "rgba.png", alpha, 16, 6)), RGB16)
    grey_alpha = np.stack([GREY16, GREY16], axis=-1)
    same(read(png(tmp_path / "la.png", grey_alpha, 16, 4)), GREY16)
    assert np.asarray(Image.open(tmp_path / "rgb.png")).dtype == np.uint8  # why not Pillow


def test_sixteen_bit_png_by_another_writer(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(RGB16))
    same(read(tmp_path / "a.png"), RGB16)


@pytest.mark.parametrize("code", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_exif_rotation_is_applied(tmp_path: Path, ending: str, code: int) -> None:
    path, exif = tmp_path / f"a.{ending}", Image.Exif()
    exif[274] = code
    Image.fromarray(RGB).save(path, exif=exif)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    same(read(path), upright)
    same(labels(path), upright)


def test_broken_exif_costs_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(GREY).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert read(path).array.shape == GREY.shape


TIFF_KINDS = {
    "uint8": GREY,
    "uint16": GREY16,
    "int16": GREY16.astype(np.int16),
    "uint32": GREY16.astype(np.uint32) * 7,
    "float32": GREY16.astype(np.float32) / 3,
    "rgb8": RGB,
    "rgb16": RGB16,
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("kind", TIFF_KINDS)
def test_tiff_kinds(tmp_path: Path, kind: str, compression: str | None, order: str) -> None:
    pixels, path = TIFF_KINDS[kind], tmp_path / "a.tif"
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(
        path, pixels, photometric=photometric, compression=compression, byteorder=order
    )
    same(read(path), pixels)
    assert read(path).array.dtype.isnative


def test_tiff_with_separate_planes_and_tiles(tmp_path: Path) -> None:
    big = np.tile(RGB16, (8, 8, 1))
    tifffile.imwrite(tmp_path / "a.tif", big, photometric="rgb", tile=(16, 16))
    same(read(tmp_path / "a.tif"), big)
    planes = big.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate")
    same(read(tmp_path / "b.tif"), big)


def test_tiff_white_is_zero_becomes_light_is_high(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, photometric="miniswhite")
    same(read(path), 255 - GREY)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), 255 - GREY)
    tifffile.imwrite(path, GREY16, photometric="miniswhite")
    same(read(path), 65535 - GREY16)


def test_tiff_cmyk(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(RGB).convert("CMYK").save(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read(path).array.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("pixels", [GREY16, RGB])
def test_tiff_pages_are_frames(tmp_path: Path, pixels: NDArray[np.generic]) -> None:
    stack = np.stack([pixels, pixels[::-1], pixels[:, ::-1]])
    path = tmp_path / "a.tif"
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(path, stack, photometric=photometric)
    raw = read(path)
    assert (raw.time_axis, raw.frames) == (0, 3)
    assert raw.channel_axis == (3 if pixels.ndim == 3 else None)
    np.testing.assert_array_equal(raw.array, stack)
    np.testing.assert_array_equal(raw.frame(1), pixels[::-1])


def test_tiff_that_is_not_finite(tmp_path: Path) -> None:
    pixels = np.ones((4, 4), dtype=np.float32)
    pixels[1, 2] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    assert refused(tmp_path / "a.tif").code == "non_finite"


def test_tiff_with_images_of_different_size_is_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(GREY)
        tif.write(GREY[:3, :3])
    assert refused(tmp_path / "a.tif").code == "unsupported_layout"


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif"])
@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_truncated_images_are_refused(tmp_path: Path, ending: str, keep: float) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert refused(path).code == "truncated_file"


@pytest.mark.parametrize("keep", [0.3, 0.9])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_tiff_is_refused(tmp_path: Path, compression: str | None, keep: float) -> None:
    path = tmp_path / "a.tif"
    noise = RNG.integers(0, 65536, (64, 64), dtype=np.uint16)
    tifffile.imwrite(path, noise, compression=compression, rowsperstrip=8)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert refused(path).code == "truncated_file"


def test_truncated_sixteen_bit_png_is_refused(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", RNG.integers(0, 65536, (64, 64, 3), dtype=np.uint16), 16, 2)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert refused(path).code == "truncated_file"


def test_a_flipped_bit_in_a_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RNG.integers(0, 256, (64, 64), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    assert refused(path).code in ("unreadable_file", "truncated_file")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif"])
@pytest.mark.parametrize("content", [b"", b"x" * 500])
def test_something_else_is_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    (tmp_path / f"a.{ending}").write_bytes(content)
    assert refused(tmp_path / f"a.{ending}").code == "unreadable_file"


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_missing_file_is_refused(tmp_path: Path, ending: str) -> None:
    assert refused(tmp_path / f"a.{ending}").code == "missing_file"
