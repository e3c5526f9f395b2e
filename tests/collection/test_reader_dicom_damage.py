"""DICOM files that lie, end early or nest without end: refused, within bounds."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
import zlib
from pathlib import Path

import dicom_makers as make
import numpy as np
import pytest
from dicom_makers import VOLUME, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate

from engine.collection.readers.base import ImageFile, RawImage
from engine.collection.readers.dicom import DICOM
from engine.collection.readers.dicom_codecs import frame_size
from engine.collection.reasons import REASONS
from engine.collection.replica.dicom import write_rtstruct, write_seg
from engine.errors import CaseRefusedError

GREY = (np.arange(64 * 48) % 251).astype(np.uint8).reshape(64, 48)


def code(path: Path) -> str:
    with pytest.raises(CaseRefusedError) as caught:
        read(path)
    assert caught.value.code in REASONS
    return caught.value.code


@pytest.fixture
def slices(tmp_path: Path) -> tuple[Path, ...]:
    return make.series(tmp_path / "ct").files


def test_an_empty_file_and_no_file(tmp_path: Path, slices: tuple[Path, ...]) -> None:
    slices[-1].write_bytes(b"")
    assert code(tmp_path / "ct") == "truncated_file"
    (tmp_path / "a.dcm").write_bytes(b"")
    assert code(tmp_path / "a.dcm") == "truncated_file"
    assert code(tmp_path / "b.dcm") == "missing_file"
    (tmp_path / "c.dcm").write_bytes(b"\x89PNG" + b"\0" * 500)
    assert code(tmp_path / "c.dcm") == "unreadable_file"


def test_a_file_cut_in_its_pixels(tmp_path: Path, slices: tuple[Path, ...]) -> None:
    slices[2].write_bytes(slices[2].read_bytes()[:-20])
    assert code(tmp_path / "ct") == "truncated_file"


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "deflated", "rle", "jpeg_ls"])
def test_a_file_cut_anywhere_is_never_another_image(tmp_path: Path, syntax: str) -> None:
    path = make.series(tmp_path / "ct", syntax=syntax).files[0]
    content = path.read_bytes()
    single = tmp_path / "a.dcm"
    for length in range(0, len(content) - 1, 3):
        single.write_bytes(content[:length])
        try:
            raw = read(single)
        except CaseRefusedError:
            pass
        else:
            np.testing.assert_array_equal(raw.array[:, :, 0].T, VOLUME[0])


def test_no_pixels(tmp_path: Path, slices: tuple[Path, ...]) -> None:
    make.set_to(slices[1], PixelData=None)
    assert code(tmp_path / "ct") == "truncated_file"


@pytest.mark.parametrize("keyword", [
    "Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel",
    "PhotometricInterpretation", "PixelRepresentation",
])  # fmt: skip
def test_missing_words(tmp_path: Path, slices: tuple[Path, ...], keyword: str) -> None:
    for path in slices:
        make.set_to(path, **{keyword: None})
    assert code(tmp_path / "ct") == "unreadable_file"


@pytest.mark.parametrize(("tags", "expected"), [
    ({"Rows": 65}, "truncated_file"), ({"Rows": 63}, "shape_mismatch"),
    ({"Columns": 47}, "shape_mismatch"), ({"NumberOfFrames": 2}, "truncated_file"),
    ({"Rows": 0}, "unsupported_layout"),
    ({"Rows": 65535, "Columns": 65535}, "truncated_file"),
    ({"NumberOfFrames": 2**31 - 1}, "too_large"), ({"NumberOfFrames": -3}, "unsupported_layout"),
    ({"BitsAllocated": 12}, "truncated_file"), ({"BitsStored": 17}, "unreadable_file"),
    ({"HighBit": 3}, "unreadable_file"), ({"SamplesPerPixel": 2}, "unsupported_layout"),
    ({"PixelRepresentation": 7}, "unreadable_file"), ({"RescaleSlope": 0}, "unreadable_file"),
])  # fmt: skip
def test_headers_that_lie(tmp_path: Path, tags: dict[str, object], expected: str) -> None:
    path = make.picture(tmp_path / "a.dcm", GREY)
    make.set_to(path, **tags)
    tracemalloc.start()
    assert code(path) == expected
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize(("tag", "vr", "value"), [
    ("Rows", "LO", b"many"), ("PixelSpacing", "LO", b"1\\x "), ("RescaleSlope", "LO", b"NaN "),
    ("ImagePositionPatient", "LO", b"1\\2\\inf "), ("ImageOrientationPatient", "SQ", b""),
    ("PixelSpacing", "FD", struct.pack("<2d", np.nan, 1)), ("RescaleIntercept", "LO", b"1e999 "),
    ("NumberOfFrames", "LO", b"1.5 "), ("Columns", "OB", b"\1\2\3\4"),
])  # fmt: skip
def test_values_of_another_kind(
    tmp_path: Path, slices: tuple[Path, ...], tag: str, vr: str, value: bytes
) -> None:
    """Written by hand: pydicom would not write them."""
    number = dcmread(slices[0]).get(tag)
    assert number is not None or tag == "NumberOfFrames"
    content = slices[0].read_bytes()
    place = {"Rows": (0x28, 0x10), "Columns": (0x28, 0x11), "PixelSpacing": (0x28, 0x30),
             "RescaleSlope": (0x28, 0x1053), "RescaleIntercept": (0x28, 0x1052),
             "ImagePositionPatient": (0x20, 0x32), "ImageOrientationPatient": (0x20, 0x37),
             "NumberOfFrames": (0x28, 0x08)}[tag]  # fmt: skip
    long = vr in ("OB", "SQ")
    size = struct.pack("<2xI", len(value)) if long else struct.pack("<H", len(value))
    element = struct.pack("<2H", *place) + vr.encode() + size + value
    start = content.find(struct.pack("<2H", *place), 132)
    if start < 0:
        start = stop = content.index(struct.pack("<2H", 0x28, 0x10), 132)
    else:
        stop = start + 8 + struct.unpack_from("<H", content, start + 6)[0]
    slices[0].write_bytes(content[:start] + element + content[stop:])
    assert code(tmp_path / "ct") in ("unreadable_file", "bad_geometry", "mixed_orientations")


@pytest.mark.parametrize("depth", [50, 5000, 100_000])
def test_sequences_within_sequences(tmp_path: Path, slices: tuple[Path, ...], depth: int) -> None:
    content = slices[0].read_bytes()
    nest = (struct.pack("<2H2s2xI", 0x5200, 0x9229, b"SQ", 2**32 - 1)
            + struct.pack("<2HI", 0xFFFE, 0xE000, 2**32 - 1)) * depth  # fmt: skip
    at = content.index(struct.pack("<2H", 0x7FE0, 0x10))
    slices[0].write_bytes(content[:at] + nest)
    assert code(slices[0]) in ("unreadable_file", "truncated_file")
    assert code(tmp_path / "ct") in ("unreadable_file", "truncated_file")


def test_a_deflated_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.collection.readers.dicom_file.MOST_BYTES", 2**22)
    path = make.series(tmp_path / "ct", syntax="deflated").files[0]
    content = path.read_bytes()
    start = 132 + 12 + int(dcmread(path).file_meta.FileMetaInformationGroupLength)
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(bytes(2**24)) + packer.flush()
    path.write_bytes(content[:start] + bomb)
    tracemalloc.start()
    assert code(path) == "too_large"
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_compressed_frame_of_another_size(tmp_path: Path) -> None:
    for syntax in ("jpeg_ls", "jpeg_lossless", "jpeg_2000"):
        path = make.picture(tmp_path / f"{syntax}.dcm", GREY, syntax=syntax)
        make.set_to(path, Rows=32, Columns=96)
        assert code(path) == "shape_mismatch"


def test_sizes_of_compressed_frames(tmp_path: Path) -> None:
    import imagecodecs
    from PIL import Image

    assert frame_size(imagecodecs.jpegls_encode(GREY)) == (64, 48)
    assert frame_size(imagecodecs.ljpeg_encode(GREY)) == (64, 48)
    assert frame_size(imagecodecs.jpeg8_encode(GREY)) == (64, 48)
    for form in ("j2k", "jp2"):
        assert frame_size(imagecodecs.jpeg2k_encode(GREY, codecformat=form)) == (64, 48)
    Image.fromarray(GREY).save(tmp_path / "a.jpg", progressive=True, comment=b"x" * 500)
    assert frame_size((tmp_path / "a.jpg").read_bytes()) == (64, 48)
    assert frame_size(b"\0" * 90) is None
    assert frame_size(b"\xff\xd8\xff") == (0, 0)


def test_a_bloated_run_length_frame(tmp_path: Path) -> None:
    """A run of 128 equal bytes takes two: what is stored can become 64 times as much."""
    path = make.picture(tmp_path / "a.dcm", GREY, syntax="rle")
    header = struct.pack("<16L", 1, 64, *[0] * 14)

    def change(data: Dataset) -> None:
        data.PixelData = encapsulate([header + b"\x81\0" * 2**16])

    make.edit(path, change)
    assert code(path) == "shape_mismatch"


@pytest.mark.parametrize("frames", [1, 3])
def test_fewer_frames_than_declared(tmp_path: Path, frames: int) -> None:
    path = make.picture(tmp_path / "a.dcm", np.stack([GREY] * frames), syntax="rle")
    make.set_to(path, NumberOfFrames=frames + 2)
    assert code(path) in ("truncated_file", "unreadable_file")


def test_a_syntax_that_is_none(tmp_path: Path) -> None:
    path = make.picture(tmp_path / "a.dcm", GREY)

    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"))
    assert code(path) in ("unsupported_layout", "unreadable_file")


def test_a_table_of_values_is_refused(tmp_path: Path) -> None:
    path = make.picture(tmp_path / "a.dcm", GREY)
    make.set_to(path, ModalityLUTSequence=[make.items(LUTExplanation="x")])
    assert code(path) == "unsupported_layout"


def _labels_of(path: Path, raw: RawImage) -> None:
    with contextlib.suppress(CaseRefusedError):
        DICOM.read_labels(path, image=ImageFile(path.parent / "ct", raw))
    with contextlib.suppress(CaseRefusedError):
        DICOM.read(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["seg", "rt", "slice"]),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6)), min_size=1, max_size=4
    ),
)
def test_any_bytes_give_a_result_or_a_refusal(
    tmp_path: Path, kind: str, changes: list[tuple[float, bytes]]
) -> None:
    if not (tmp_path / "rt.dcm").exists():
        series = make.series(tmp_path / "ct")
        write_seg(tmp_path / "seg.dcm", series, make.masks(), seed="s")
        write_rtstruct(tmp_path / "rt.dcm", series, make.masks(), seed="s")
        (tmp_path / "slice.dcm").write_bytes(series.files[0].read_bytes())
    content = bytearray((tmp_path / f"{kind}.dcm").read_bytes())
    for at, new in changes:
        start = int(at * len(content))
        content[start : start + len(new)] = new
    path = tmp_path / "damaged.dcm"
    path.write_bytes(content)
    _labels_of(path, read(tmp_path / "ct"))
