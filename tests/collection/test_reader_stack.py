"""Folders of pictures that are the slices of one volume."""

from __future__ import annotations

from pathlib import Path

import dicom_makers
import numpy as np
import pytest
import raw_makers as make
from PIL import Image

from engine.collection.raw import find_cases, read_case
from engine.collection.readers import extension_of, reader_for
from engine.collection.readers.base import RawImage
from engine.collection.readers.stack import STACK
from engine.errors import CaseRefusedError

GREY = np.random.default_rng(3).integers(0, 256, (12, 7, 9), dtype=np.uint8)  # [slice, y, x]


def pictures(folder: Path, slices: np.ndarray, ending: str = ".png", name: str = "img{}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n, pixels in enumerate(slices, 1):
        Image.fromarray(pixels).save(folder / (name.format(n) + ending))
    return folder


def refused(folder: Path) -> CaseRefusedError:
    with pytest.raises(CaseRefusedError) as caught:
        STACK.read(folder)
    return caught.value


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".TIFF", ".PNG"])
def test_slices_are_in_the_natural_order_of_names(tmp_path: Path, ending: str) -> None:
    raw = reader_for(pictures(tmp_path / "s", GREY, ending)).read(tmp_path / "s")
    assert extension_of(tmp_path / "s") == "stack/"
    assert (raw.kind, raw.affine, raw.spacing_mm) == ("volume", None, None)
    np.testing.assert_array_equal(raw.array, GREY.transpose(2, 1, 0))
    assert raw.slices is not None
    assert raw.slices.names[1:3] == (f"img2{ending}", f"img3{ending}")
    assert raw.slices.names[-1] == f"img12{ending}"


def test_colours_have_the_last_axis(tmp_path: Path) -> None:
    rgb = np.stack([GREY, GREY[:, ::-1], GREY[:, :, ::-1]], axis=-1)
    raw = STACK.read(pictures(tmp_path, rgb))
    assert raw.channel_axis == 3
    np.testing.assert_array_equal(raw.array, rgb.transpose(2, 1, 0, 3))


def test_a_grey_slice_among_colours(tmp_path: Path) -> None:
    rgb = np.stack([GREY, GREY[:, ::-1], GREY[:, :, ::-1]], axis=-1)
    pictures(tmp_path, rgb)
    for n in (1, 5):
        Image.fromarray(GREY[n - 1]).save(tmp_path / f"img{n}.png")
        rgb[n - 1] = GREY[n - 1][..., np.newaxis]
    np.testing.assert_array_equal(STACK.read(tmp_path).array, rgb.transpose(2, 1, 0, 3))


def test_grey_stored_as_colour_is_grey(tmp_path: Path) -> None:
    raw = STACK.read(pictures(tmp_path, np.repeat(GREY[..., np.newaxis], 3, axis=-1)))
    assert raw.channel_axis is None
    np.testing.assert_array_equal(raw.array, GREY.transpose(2, 1, 0))


def _palettes(folder: Path, tables: list[list[int]]) -> Path:
    folder.mkdir()
    for n, table in enumerate(tables):
        picture = Image.fromarray(GREY[n] % 3)
        picture.putpalette(table)
        picture.save(folder / f"{n}.png")
    return folder


def test_one_palette_is_kept_for_labels(tmp_path: Path) -> None:
    table = [0, 0, 0, 255, 0, 0, 0, 9, 255]
    label = STACK.read_labels(_palettes(tmp_path / "s", [table] * 3))
    np.testing.assert_array_equal(label.array, GREY[:3].transpose(2, 1, 0) % 3)
    assert label.palette is not None
    np.testing.assert_array_equal(label.palette[:3].ravel(), table)
    colours = STACK.read(tmp_path / "s")
    np.testing.assert_array_equal(colours.array, label.palette[label.array])


def test_palettes_that_differ_are_refused(tmp_path: Path) -> None:
    """The same index would mean two things."""
    folder = _palettes(
        tmp_path / "s", [[0, 0, 0, 255, 0, 0, 0, 9, 255], [0, 0, 0, 9, 9, 9, 1, 1, 1]]
    )
    assert refused(folder).code == "unsupported_layout"


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    pictures(tmp_path, GREY)
    (tmp_path / ".DS_Store").write_bytes(b"\0" * 9)
    (tmp_path / "._img1.png").write_bytes(b"\0" * 9)
    (tmp_path / "Thumbs.db").write_bytes(b"\0" * 9)
    (tmp_path / "read me.txt").write_text("x")
    (tmp_path / "more").mkdir()
    assert STACK.read(tmp_path).array.shape == (9, 7, 12)


def test_what_is_no_stack(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent").code == "missing_file"
    (tmp_path / "a.txt").write_text("x")
    assert refused(tmp_path).code == "missing_file"
    pictures(tmp_path / "two", GREY)
    pictures(tmp_path / "two", GREY, ".bmp")
    assert refused(tmp_path / "two").code == "unsupported_layout"
    pictures(tmp_path / "sizes", GREY)
    Image.fromarray(GREY[0, :5]).save(tmp_path / "sizes" / "img7.png")
    error = refused(tmp_path / "sizes")
    assert error.code == "mixed_orientations"
    assert "img7.png" in str(error)
    pictures(tmp_path / "types", GREY)
    Image.fromarray(GREY[0].astype(np.uint16)).save(tmp_path / "types" / "img7.png")
    assert refused(tmp_path / "types").code == "unsupported_layout"
    pictures(tmp_path / "broken", GREY)
    (tmp_path / "broken" / "img7.png").write_bytes(b"")
    assert refused(tmp_path / "broken").code in ("unreadable_file", "truncated_file")


def test_a_file_of_pages_is_no_slice(tmp_path: Path) -> None:
    pages = [Image.fromarray(pixels) for pixels in GREY]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert refused(tmp_path).code == "unsupported_layout"


def test_masks_follow_the_order_of_names_of_their_series(tmp_path: Path) -> None:
    """The series is sorted by place; its names run the other way, as the masks' do."""
    volume, mask = dicom_makers.VOLUME, dicom_makers.masks()["ring"]
    names = [f"IM{n}.dcm" for n in range(len(volume), 0, -1)]
    dicom_makers.series(tmp_path / "ct", volume, names=names)
    pictures(tmp_path / "masks", (mask[::-1] * 255).astype(np.uint8), name="liver_{}")
    recipe = make.recipe(make.series(
        "ct/", {"file": "masks/", "kind": "mask", "structure": "ring"}, case="one", plane="axial"
    ))  # fmt: skip
    (spec,) = find_cases(recipe, tmp_path)
    (case,) = read_case(recipe, spec, tmp_path)
    np.testing.assert_array_equal(case.image, volume)
    np.testing.assert_array_equal(case.labels[0] == 1, mask)


def test_the_result_is_an_image(tmp_path: Path) -> None:
    assert isinstance(STACK.read(pictures(tmp_path, GREY[:1])), RawImage)
    assert STACK.companions(tmp_path) == ()
