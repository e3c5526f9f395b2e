"""npy, npz, HDF5 and MATLAB files: which array, which axes, and every way to be bad."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from engine.collection.readers import limits, reader_for
from engine.collection.readers.base import How, RawImage
from engine.errors import CaseRefusedError

RNG = np.random.default_rng(5)
VOLUME = RNG.integers(-900, 900, (4, 5, 6)).astype(np.int16)  # [z, y, x]
IMAGE = RNG.integers(0, 255, (5, 6), dtype=np.uint8)
COLOURS = RNG.integers(0, 255, (5, 6, 3), dtype=np.uint8)
ENDINGS = [".npy", ".npz", ".h5", ".hdf5", ".mat", "v73.mat"]


def write(path: Path, **arrays: NDArray[Any]) -> Path:
    """Arrays by name; a `v73.mat` as MATLAB 7.3 writes it, axes on disk in reverse."""
    name = path.name
    if name.endswith(".npy"):
        np.save(path, next(iter(arrays.values())))
    elif name.endswith(".npz"):
        np.savez_compressed(path, **arrays)
    elif name.endswith("v73.mat"):
        with h5py.File(path, "w", userblock_size=512) as file:
            for key, array in arrays.items():
                node = file.create_dataset(key, data=array.T, compression="gzip")
                node.attrs["MATLAB_class"] = np.bytes_("double")
        with path.open("r+b") as stream:
            stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    elif name.endswith(".mat"):
        scipy.io.savemat(path, arrays, do_compression=True)
    else:
        with h5py.File(path, "w") as file:
            for key, array in arrays.items():
                file.create_dataset(key, data=array, compression="gzip" if array.ndim else None)
    return path


def read(path: Path, array: str | None = None, axes: str | None = None) -> RawImage:
    raw = reader_for(path).read(path, How(array, axes))
    labels = reader_for(path).read_labels(path, How(array, axes))
    assert isinstance(labels, RawImage)
    np.testing.assert_array_equal(raw.array, labels.array)
    assert raw.array.dtype.isnative
    return raw


def refused(path: Path, array: str | None = None, axes: str | None = None) -> CaseRefusedError:
    with pytest.raises(CaseRefusedError) as caught:
        read(path, array, axes)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("ending", ENDINGS)
def test_three_axes_are_a_volume(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", imgs=VOLUME)
    raw = read(path)
    assert (raw.kind, raw.affine, raw.spacing_mm) == ("volume", None, None)
    np.testing.assert_array_equal(raw.array, VOLUME.transpose(2, 1, 0))
    assert raw.array.dtype == np.int16


@pytest.mark.parametrize("ending", ENDINGS)
def test_pictures(tmp_path: Path, ending: str) -> None:
    raw = read(write(tmp_path / f"a{ending}", x=IMAGE))
    assert (raw.kind, raw.channel_axis) == ("image", None)
    np.testing.assert_array_equal(raw.array, IMAGE)
    raw = read(write(tmp_path / f"b{ending}", x=COLOURS))
    assert (raw.kind, raw.channel_axis) == ("image", 2)
    np.testing.assert_array_equal(raw.array, COLOURS)
    raw = read(write(tmp_path / f"c{ending}", x=np.dstack([COLOURS, IMAGE])))
    np.testing.assert_array_equal(raw.array, COLOURS)  # alpha is dropped


@pytest.mark.parametrize(
    ("axes", "kind", "order", "time", "channel"),
    [
        ("yxz", "volume", (1, 0, 2), None, None),
        ("xyz", "volume", (0, 1, 2), None, None),
        ("tyx", "image", (0, 1, 2), 0, None),
        ("yxt", "image", (2, 0, 1), 0, None),
        ("xyt", "image", (2, 1, 0), 0, None),
    ],
)
@pytest.mark.parametrize("ending", ENDINGS)
def test_axes_say_what_is_what(
    tmp_path: Path,
    ending: str,
    axes: str,
    kind: str,
    order: tuple[int, ...],
    time: int | None,
    channel: int | None,
) -> None:
    raw = read(write(tmp_path / f"a{ending}", x=VOLUME), axes=axes)
    assert (raw.kind, raw.time_axis, raw.channel_axis) == (kind, time, channel)
    np.testing.assert_array_equal(raw.array, VOLUME.transpose(order))


def test_more_axes(tmp_path: Path) -> None:
    many = RNG.integers(0, 255, (2, 4, 5, 6, 3), dtype=np.uint8)
    raw = read(write(tmp_path / "a.npy", x=many), axes="tzyxc")
    assert (raw.time_axis, raw.channel_axis) == (3, 4)
    np.testing.assert_array_equal(raw.array, many.transpose(3, 2, 1, 0, 4))
    raw = read(write(tmp_path / "b.npy", x=many[:, 0]), axes="tyxc")
    assert (raw.time_axis, raw.channel_axis) == (0, 3)
    np.testing.assert_array_equal(raw.array, many[:, 0])
    raw = read(write(tmp_path / "c.npy", x=many[:1, 0, :, :, :1]), axes="tyxc")
    np.testing.assert_array_equal(raw.array, many[0, 0, :, :, 0])
    assert (raw.time_axis, raw.channel_axis) == (None, None)


@pytest.mark.parametrize(
    ("axes", "array"),
    [("yx", VOLUME), ("zyx", IMAGE), ("tzc", VOLUME), ("yxx", VOLUME), ("yxc", VOLUME),
     (None, np.zeros((2, 3, 4, 5))), (None, np.zeros(5)), (None, np.zeros((0, 5)))],
)  # fmt: skip
def test_axes_that_do_not_fit(tmp_path: Path, axes: str | None, array: NDArray[Any]) -> None:
    assert refused(write(tmp_path / "a.npy", x=array), axes=axes).code == "unsupported_layout"


def test_files_as_medsam_has_them(tmp_path: Path) -> None:
    masks = (VOLUME > 0).astype(np.uint8)
    spacing = np.array([0.5, 0.75, 3.0])
    path = write(tmp_path / "a.npz", imgs=VOLUME, gts=masks, spacing=spacing)
    raw = read(path, "imgs")
    assert raw.spacing_mm == (0.5, 0.75, 3.0)
    np.testing.assert_array_equal(read(path, "gts").array, masks.transpose(2, 1, 0))
    error = refused(path)
    assert error.code == "no_array"
    assert "'gts' (4, 5, 6)" in str(error)


@pytest.mark.parametrize("ending", ENDINGS[1:])
def test_the_name_that_is_not_there(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", imgs=VOLUME, gts=VOLUME)
    np.testing.assert_array_equal(read(path, "gts").array, VOLUME.transpose(2, 1, 0))
    for name in ("images", "imgs/x", "../imgs"):
        error = refused(path, name)
        assert error.code == "no_array"
        assert "'imgs' (4, 5, 6)" in str(error)


def test_arrays_within_structs_and_groups(tmp_path: Path) -> None:
    inner = {"image": VOLUME, "tumorMask": VOLUME > 0, "label": 3.0, "PID": "7"}
    scipy.io.savemat(tmp_path / "a.mat", {"cjdata": inner, "deep": {"er": inner}})
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        group["image"], group["tumorMask"] = VOLUME.T, (VOLUME.T > 0).astype(np.uint8)
        group["PID"] = np.zeros((6, 1), dtype=np.uint16)
        group["PID"].attrs["MATLAB_class"] = np.bytes_("char")
    for path in (tmp_path / "a.mat", tmp_path / "b.mat"):
        raw = read(path, "cjdata/image", "yxz")
        np.testing.assert_array_equal(raw.array, VOLUME.transpose(1, 0, 2))
        mask = read(path, "cjdata/tumorMask").array
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, VOLUME.transpose(2, 1, 0) > 0)
        for wrong in ("cjdata/x", "cjdata", "cjdata/PID", "x/image", "cjdata/image/x"):
            assert refused(path, wrong).code == "no_array"
    assert read(tmp_path / "a.mat", "deep/er/image").array.shape == (6, 5, 4)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", ">i2", "float16", "float32", ">f8"])
@pytest.mark.parametrize("ending", [".npy", ".npz", ".h5"])
def test_dtypes(tmp_path: Path, ending: str, dtype: str) -> None:
    array = (VOLUME % 100).astype(dtype)
    raw = read(write(tmp_path / f"a{ending}", x=array))
    np.testing.assert_array_equal(raw.array, array.transpose(2, 1, 0))
    assert raw.array.dtype.kind in "iuf"
    assert raw.array.dtype.itemsize in (1, 2, 4, 8)


def test_fortran_order(tmp_path: Path) -> None:
    raw = read(write(tmp_path / "a.npy", x=np.asfortranarray(VOLUME)))
    np.testing.assert_array_equal(raw.array, VOLUME.transpose(2, 1, 0))


@pytest.mark.parametrize("ending", ENDINGS)
def test_values_that_are_not_finite(tmp_path: Path, ending: str) -> None:
    array = VOLUME.astype(np.float32)
    array[1, 2, 3] = np.inf
    assert refused(write(tmp_path / f"a{ending}", x=array)).code == "non_finite"


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_pickles_are_never_loaded(tmp_path: Path, ending: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    trap = np.array([[Trap()], [Trap()]], dtype=object)
    path = tmp_path / f"a{ending}"
    np.save(path, trap) if ending == ".npy" else np.savez(path, x=trap)
    assert refused(path, "x").code == ("unreadable_file" if ending == ".npy" else "no_array")
    path.write_bytes(pickle.dumps(Trap()))
    assert refused(path).code == "unreadable_file"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"x" * 600, b"\x93NUMPY\1\0"])
def test_something_else(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"a{ending}"
    assert refused(path).code == "missing_file"
    path.write_bytes(content)
    assert refused(path).code in ("unreadable_file", "truncated_file")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("keep", [0.3, 0.8])
def test_files_that_end_early(tmp_path: Path, ending: str, keep: float) -> None:
    noise = RNG.integers(0, 2**15, (20, 30, 40)).astype(np.int16)
    path = write(tmp_path / f"a{ending}", x=noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    assert refused(path).code in ("truncated_file", "unreadable_file")


def test_a_flipped_bit_in_an_npz(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", x=RNG.integers(0, 2**15, (20, 30, 40)).astype(np.int16))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)
    assert refused(path).code == "unreadable_file"
    np.savez(path, x=VOLUME)  # stored as it is: only the checksum tells
    content = bytearray(path.read_bytes())
    content[content.index(VOLUME.tobytes()) + 9] ^= 8
    path.write_bytes(content)
    assert refused(path).code == "unreadable_file"


def npy_header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    fields = {"descr": "<i2", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue()


def test_headers_that_claim_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy_header((99999, 99999, 99)))
    assert refused(path).code == "too_large"
    path.write_bytes(npy_header((999, 999)) + bytes(99))
    assert refused(path).code == "truncated_file"
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_header((99999, 99999, 99)))
    assert refused(tmp_path / "a.npz").code == "too_large"
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", shape=(99999, 99999, 99), dtype="i2", chunks=(99, 99, 99))
    assert refused(tmp_path / "a.h5").code == "too_large"
    write(tmp_path / "a.mat", x=np.zeros((2000, 2000), np.uint8))
    assert read(tmp_path / "a.mat").array.shape == (2000, 2000)
    monkeypatch.setattr(limits, "MOST_BYTES", 10**6)
    assert refused(tmp_path / "a.mat").code == "too_large"


def test_an_npz_member_longer_than_its_header_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_header((9, 9)) + bytes(9 * 9 * 2 + 1))
    assert refused(tmp_path / "a.npz").code == "unreadable_file"


def test_nothing_outside_of_an_hdf5_file_is_read(tmp_path: Path) -> None:
    write(tmp_path / "other.h5", secret=VOLUME)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = h5py.ExternalLink("other.h5", "secret")
    assert refused(tmp_path / "a.h5", "x").code == "no_array"
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("x", (4, 4), "u1", external=[("/etc/hostname", 0, 16)])
    assert refused(tmp_path / "b.h5", "x").code == "unsafe_path"
    with h5py.File(tmp_path / "c.h5", "w") as file:
        layout = h5py.VirtualLayout((4, 5, 6), "i2")
        layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (4, 5, 6))
        file.create_virtual_dataset("x", layout)
    assert refused(tmp_path / "c.h5", "x").code == "unsafe_path"


def test_groups_that_contain_themselves_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("g")
        group["again"] = group
        group["x"] = VOLUME
    assert read(tmp_path / "a.h5", "g/x").array.shape == (6, 5, 4)


def test_complex_and_sparse_values_are_no_image(tmp_path: Path) -> None:
    assert refused(write(tmp_path / "a.npy", x=VOLUME * 1j)).code == "unreadable_file"
    assert refused(write(tmp_path / "a.mat", x=VOLUME * 1j)).code == "no_array"
    assert refused(write(tmp_path / "a.h5", x=VOLUME * 1j)).code == "no_array"
    scipy.io.savemat(tmp_path / "b.mat", {"x": scipy.sparse.eye(5, format="csc")})
    assert refused(tmp_path / "b.mat", "x").code == "no_array"
