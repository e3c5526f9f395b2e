"""Arrays on disk: what goes in comes out, in plain zarr-python and in our reader."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from stored_makers import attributes, case_of, info, picture, refs, tables, verify, volume

from engine.collection import store
from engine.collection.case import CuratedCase, Label
from engine.collection.contract import SliceRef
from engine.collection.ingest import ingest_cases
from engine.collection.layout import case_path, folder_name
from engine.collection.reading import read_slices
from engine.errors import CorruptDataError

DTYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
          "float16", "float32", "float64", ">i2", ">f4", ">u2")  # fmt: skip


@st.composite
def curated(draw: st.DrawFn) -> CuratedCase:
    n, h, w = draw(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)))
    layers = draw(st.integers(1, 3))
    channels = draw(st.sampled_from([(), (3,)]))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    finite: dict[str, Any] = {"allow_nan": False, "allow_infinity": False}
    elements = npst.from_dtype(dtype, **(finite if dtype.kind == "f" else {}))
    image = draw(npst.arrays(dtype, (n, h, w, *channels), elements=elements))
    labels = draw(
        npst.arrays(
            draw(st.sampled_from([np.uint8, np.uint16])),
            (layers, n, h, w),
            elements=st.sampled_from([0, 0, 0, 1, 2, 255]),
        )
    )
    return case_of(draw(st.sampled_from(["a", "b/c", "..", "d%e", "é ü"])), image, labels)


@settings(max_examples=25)
@given(curated(), st.integers(1, 4), st.sampled_from([1, 200, 2**25]))
def test_any_case_comes_back(case: CuratedCase, unit_slices: int, shard_bytes: int) -> None:
    if not case.meaning:
        return
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "SHARD_BYTES", shard_bytes)
        out = Path(folder) / "c.zarr"
        report = ingest_cases(info(), [case], out, unit_slices=unit_slices)
        assert (report.stored, report.slices) == (1, len(case.image))
        everything = refs(out)
        for index, pixels in enumerate(read_slices(out, everything)):
            np.testing.assert_array_equal(pixels.image, case.image[index])
            np.testing.assert_array_equal(pixels.labels, case.labels[:, index])
            assert pixels.image.dtype == case.image.dtype.newbyteorder("=")
            assert pixels.labels.dtype == case.labels.dtype
            if case.image.dtype.kind == "f":  # -0.0 stays -0.0
                same = np.signbit(pixels.image) == np.signbit(case.image[index])
                assert same.all()
        verify(out)
        _check_rows(case, out)


def _check_rows(case: CuratedCase, out: Path) -> None:
    """Slice and object rows against the plainest computation."""
    found = tables(out)
    for row in found["slices"]:
        image = case.image[row["slice"]]
        assert (row["lo"], row["hi"]) == (float(image.min()), float(image.max()))
        assert row["flags"] == (["flat"] if (image == image[0, 0]).all() else [])
        assert row["channels"] == (3 if image.ndim == 3 else 1)
    expected = {}
    for label in case.meaning:
        for index in range(len(case.image)):
            ys, xs = np.nonzero(case.labels[label.layer, index] == label.value)
            if len(ys):
                key = (index, label.structure)
                expected[key] = (len(ys), xs.min(), ys.min(), xs.max(), ys.max())
    rows = {
        (int(row["object_id"].split("/")[-3]), row["structure"]): (
            row["area_px"], *(row["bbox"][k] for k in ("x0", "y0", "x1", "y1")),
        )
        for row in found["objects"]
    }  # fmt: skip
    assert rows == expected
    without = {row["slice_id"] for row in found["exclusions"]}
    assert without == {row["slice_id"] for row in found["slices"]} - {
        row["slice_id"] for row in found["objects"]
    }


def test_plain_zarr_opens_a_volume(tmp_path: Path) -> None:
    out = tmp_path / "c.zarr"
    case = volume("case/1", n=5)
    ingest_cases(info(), [case], out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # zarr warns of folders that are no part of a hierarchy
        root = zarr.open_group(str(out), mode="r")
        assert sorted(name for name, _ in root.members()) == ["catalog", "ds"]
        assert [name for name, _ in root["ds"].members()] == ["case%2F1"]
    group = root["ds/case%2F1"]
    assert group["image"].metadata.dimension_names == ("slice", "y", "x")
    assert group["labels"].metadata.dimension_names == ("layer", "slice", "y", "x")
    assert group["image"].chunks == (1, 16, 16)
    assert group["labels"].chunks == (1, 1, 16, 16)
    np.testing.assert_array_equal(group["image"][:], case.image)
    assert group.attrs["plane"] == "axial"
    assert group.attrs["spacing_mm"] == [2.5, 0.75, 0.5]
    assert case.affine is not None
    assert group.attrs["affine"] == case.affine.tolist()
    assert group.attrs["sources"] == [
        {"path": case.sources[0].path, "sha256": case.sources[0].sha256}
    ]
    assert group.attrs["recipe"] == {"dataset": "ds", "version": 1, "sha256": "recipe-c1"}


def test_only_core_codecs_are_used(tmp_path: Path) -> None:
    out = tmp_path / "c.zarr"
    ingest_cases(info(), [picture("a")], out)
    text = (out / "ds/_16x16_0/image/zarr.json").read_text()
    names = {part.split('"')[1] for part in text.split('"name": ')[1:]}
    assert names == {"regular", "default", "sharding_indexed", "bytes", "blosc", "crc32c"}
    assert zarr.open_array(str(out / "ds/_16x16_0/image"), mode="r").metadata.dimension_names == (
        "slice", "y", "x", "c",
    )  # fmt: skip


@pytest.mark.parametrize("module", ["xarray", "tensorstore"])
def test_other_readers_open_it(module: str, tmp_path: Path) -> None:
    reader = pytest.importorskip(module, reason=f"{module} is not installed")
    out = tmp_path / "c.zarr"
    case = volume("a")
    ingest_cases(info(), [case], out)
    if module == "xarray":
        found = reader.open_zarr(out / "ds/a", consolidated=False)["image"]
        assert found.dims == ("slice", "y", "x")
        np.testing.assert_array_equal(found.to_numpy(), case.image)
    else:
        place = {"driver": "file", "path": str(out / "ds/a/image")}
        opened = reader.open({"driver": "zarr3", "kvstore": place}).result()
        np.testing.assert_array_equal(opened.read().result(), case.image)


def test_shards_hold_many_slices_and_are_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.slices_per_shard(130, 512 * 512 * 2) == 44
    assert store.slices_per_shard(3, 2**30) == 1
    assert store.slices_per_shard(7, 1) == 7
    monkeypatch.setattr(store, "SHARD_BYTES", 4 * 16 * 16 * 2)
    out = tmp_path / "c.zarr"
    ingest_cases(info(), [volume("a", n=10)], out)
    array = zarr.open_array(str(out / "ds/a/image"), mode="r")
    assert array.shards == (4, 16, 16)
    assert sorted(p.name for p in (out / "ds/a/image/c").iterdir()) == ["0", "1", "2"]


def test_group_pads_layers_and_takes_the_widest_label_dtype(tmp_path: Path) -> None:
    out = tmp_path / "c.zarr"
    plain = picture("a", channels=1)
    labels = np.zeros((2, 1, 16, 16), np.uint16)
    labels[0, 0, :4, :4], labels[1, 0, 2:8, 2:8] = 700, 1
    rich = case_of("b", picture("b", channels=1).image, labels,
                   meaning=[Label(0, 700, "cell", 700), Label(1, 1, "tissue")])  # fmt: skip
    ingest_cases(info(), [plain, rich], out)
    array = zarr.open_array(str(out / "ds/_16x16_0/labels"), mode="r")
    assert (array.shape, array.dtype) == ((2, 2, 16, 16), np.dtype(np.uint16))
    objects = {row["object_id"]: row for row in tables(out)["objects"]}
    assert set(objects) == {"ds/a/00000/s0_1/0", "ds/b/00000/cell/700", "ds/b/00000/tissue/0"}
    assert objects["ds/b/00000/tissue/0"]["layer"] == 1
    verify(out)
    entries = attributes(out / "ds/_16x16_0")["images"]
    assert [entry["case"] for entry in entries] == ["a", "b"]


NASTY = [
    "..",
    ".",
    "a/b",
    "_16x16_0",
    "zarr.json",
    "%2E",
    "é",
    "e\u0301",
    "x" * 300,
    "c",
    " ",
    "|\n",
]


def test_no_name_escapes_or_collides(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "c.zarr"
    cases = [volume(name, n=2, seed=i) for i, name in enumerate(NASTY)]
    report = ingest_cases(info(), cases, out)
    assert report.stored == len(NASTY)
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["c.zarr"]
    assert len({case_path("ds", name) for name in NASTY}) == len(NASTY)
    assert len(tables(out)["slices"]) == 2 * len(NASTY)
    verify(out)


@given(st.text(max_size=300), st.text(max_size=300))
def test_folder_names_are_safe_and_distinct(a: str, b: str) -> None:
    for name in (folder_name(a), folder_name(b)):
        assert name not in ("", ".", "..", "catalog", "zarr.json")
        assert "/" not in name
        assert name[0] not in "._"
        assert len(name.encode(errors="surrogatepass")) <= 160
    assert (folder_name(a) == folder_name(b)) == (a == b)


def test_reads_any_list_of_slices(tmp_path: Path) -> None:
    out = tmp_path / "c.zarr"
    cases = {"a": volume("a", n=9, seed=1), "b": volume("b", n=4, seed=2)}
    ingest_cases(info(), list(cases.values()), out)
    everything = refs(out)
    rng = np.random.default_rng(0)
    for size in (0, 1, 5, 30):
        wanted: list[SliceRef] = [everything[i] for i in rng.integers(0, len(everything), size)]
        for ref, pixels in zip(wanted, read_slices(out, wanted), strict=True):
            case = cases[ref.array_path[-1]]
            np.testing.assert_array_equal(pixels.image, case.image[ref.index])
            np.testing.assert_array_equal(pixels.labels, case.labels[:, ref.index])


@pytest.mark.parametrize("part", ["image", "labels"])
def test_no_damage_becomes_an_image(tmp_path: Path, part: str) -> None:
    """Every flipped byte of a shard is an error or changes nothing; never other values."""
    out = tmp_path / "c.zarr"
    case = volume("a", n=3, size=12)
    ingest_cases(info(), [case], out)
    (shard,) = [p for p in (out / "ds/a" / part / "c").rglob("*") if p.is_file()]
    good = shard.read_bytes()
    everything = refs(out)
    caught = 0
    for place in range(0, len(good), 7):
        shard.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        try:
            found = read_slices(out, everything)
        except CorruptDataError:
            caught += 1
            continue
        for index, pixels in enumerate(found):
            np.testing.assert_array_equal(pixels.image, case.image[index])
            np.testing.assert_array_equal(pixels.labels, case.labels[:, index])
    assert caught > 0.9 * len(range(0, len(good), 7))


@pytest.mark.parametrize("cut", [0, 1, 40, 10**6])
def test_truncated_missing_and_short_arrays(tmp_path: Path, cut: int) -> None:
    out = tmp_path / "c.zarr"
    ingest_cases(info(), [volume("a", n=3)], out)
    everything = refs(out)
    shard = out / "ds/a/image/c/0/0/0"
    if cut == 10**6:
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:cut])
    with pytest.raises(CorruptDataError, match="cannot be read"):
        read_slices(out, everything)


def test_absent_array_and_absent_slice(tmp_path: Path) -> None:
    out = tmp_path / "c.zarr"
    ingest_cases(info(), [volume("a", n=3)], out)
    (first, *_) = refs(out)
    for changes in ({"array_path": "ds/z"}, {"index": 3}):
        ref = SliceRef(**{**first.__dict__, **changes})
        with pytest.raises(CorruptDataError, match="cannot be read"):
            read_slices(out, [ref])
    (out / "ds/a/labels/zarr.json").write_text("{")
    with pytest.raises(CorruptDataError, match="cannot be read"):
        read_slices(out, [first])
