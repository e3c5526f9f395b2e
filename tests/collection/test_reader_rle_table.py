"""Tables of run-length codes: which column, which order, from where the starts count."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collection.outline_makers import full, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.collection.readers.base import How, RawObjects
from engine.collection.readers.rle_table import RLE_TABLE
from engine.errors import CaseRefusedError

SIZE = (5, 7)
PLAIN = How()


def table(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def read(path: Path, how: How = PLAIN, name: str = "a.png") -> RawObjects:
    return RLE_TABLE.read_labels(path, how, picture(f"/raw/{name}", *SIZE))


def refused(path: Path, how: How = PLAIN, name: str = "a.png") -> str:
    with pytest.raises(CaseRefusedError) as caught:
        read(path, how, name)
    return caught.value.code


def runs(flat: Any) -> list[tuple[int, int]]:
    """(start from 0, length) of each run, one pixel after the other."""
    found: list[tuple[int, int]] = []
    for place, inside in enumerate(flat.tolist()):
        if inside and found and sum(found[-1]) == place:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        elif inside:
            found.append((place, 1))
    return found


def absolute(mask: Any, order: str) -> str:
    """Starts from 1, as most competitions write them."""
    return " ".join(f"{start + 1} {length}" for start, length in runs(mask.ravel(order=order)))


def relative(mask: Any) -> str:
    """Each start from the end of the run before, down the columns, as SIIM-ACR writes them."""
    words, end = [], 0
    for start, length in runs(mask.ravel(order="F")):
        words += [str(start - end), str(length)]
        end = start + length
    return " ".join(words)


masks = arrays(np.bool_, SIZE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(masks)
def test_every_known_column_gives_the_mask_it_was_made_of(tmp_path: Path, mask: Any) -> None:
    files = [
        ("ImageId, EncodedPixels", f"a, {relative(mask) or '-1'}", PLAIN),
        ("id,rle_mask", f"a,{absolute(mask, 'F')}", PLAIN),
        ("id,class,segmentation", f"a,bowel,{absolute(mask, 'C')}", PLAIN),
        ("id,annotation,cell_type", f"a,{absolute(mask, 'C')},cort", PLAIN),
        ("id,code", f"a,{absolute(mask, 'C')}", How("code", "yx")),
        ("id,code", f"a,{absolute(mask, 'F')}", How("code", "xy")),
        ("id,code", f"a,{absolute(mask, 'F')}", How("code")),
    ]
    for number, (header, row, how) in enumerate(files):
        path = table(tmp_path / f"{number}.csv", header, row)
        np.testing.assert_array_equal(full(read(path, how), 1, SIZE), mask, err_msg=header)


def test_a_header_without_the_space_is_decided_by_its_codes(tmp_path: Path) -> None:
    mask = np.zeros(SIZE, bool)
    mask[1:4, 2:4] = True
    other = f"b,{relative(mask)}"
    path = table(tmp_path / "r.csv", "ImageId,EncodedPixels", f"a,{relative(mask)}", "c,-1")
    np.testing.assert_array_equal(full(read(path), 1, SIZE), mask)
    path = table(tmp_path / "a.csv", "ImageId,EncodedPixels", f"a,{absolute(mask, 'F')}", "c,-1")
    np.testing.assert_array_equal(full(read(path), 1, SIZE), mask)
    path = table(tmp_path / "s.csv", "ImageId,EncodedPixels", "a,3 2", other)
    one_run = full(read(path), 1, SIZE)
    assert np.flatnonzero(one_run.ravel(order="F")).tolist() == [3, 4]  # relative: from 0
    path = table(tmp_path / "d.csv", "ImageId,EncodedPixels", "a,3 2", "b,9 1")
    assert refused(path) == "unsupported_layout"


def test_the_first_run_of_the_published_example_starts_where_it_says(tmp_path: Path) -> None:
    code = "387620 23 996 33 986 43"
    path = table(tmp_path / "s.csv", "ImageId, EncodedPixels", f"1.2.3,{code}")
    objects = RLE_TABLE.read_labels(path, PLAIN, picture("/r/1.2.3.dcm", 1024, 1024))
    flat = full(objects, 1, (1024, 1024)).ravel(order="F")
    assert flat.sum() == 23 + 33 + 43
    assert np.flatnonzero(np.diff(flat.astype(int)) == 1).tolist() == [387619, 388638, 389657]


def test_rows_are_objects_named_by_their_class(tmp_path: Path) -> None:
    path = table(tmp_path / "c.csv", "ImageId,ClassId,rle", "a,2,1 3", "b,2,1 3", "a,4,", "a,2,8 2")
    objects = read(path)
    assert [(o.name, o.number) for o in objects.objects] == [("2", 1), ("2", 3)]
    assert objects.names == ("2", "4")
    joined = table(tmp_path / "j.csv", "Image_Label,rle", "a.png_Fish,1 3", "a.png_Gravel,-1")
    assert read(joined).names == ("Fish", "Gravel")
    plain = table(tmp_path / "p.csv", "ImageId, EncodedPixels", "a, -1")
    assert read(plain) == RawObjects((), ("EncodedPixels",))


@pytest.mark.parametrize(
    ("header", "row", "code"),
    [
        ("ImageId, EncodedPixels", "b, -1", "foreign_reference"),
        ("name, EncodedPixels", "a, -1", "no_array"),
        ("ImageId,pixels", "a,-1", "no_array"),
        ("ImageId,rle,rle_mask", "a,-1,-1", "no_array"),
        ("ImageId,rle", "a", "truncated_file"),
        ("ImageId,rle", "a,1 2 3", "unreadable_file"),
        ("ImageId,rle", "a,1 -2", "unreadable_file"),
        ("ImageId,rle", "a,1 1e9", "unreadable_file"),
        ("ImageId,rle", "a,1 " + "9" * 40, "unreadable_file"),
        ("ImageId,rle", "a,x", "unreadable_file"),
        ("ImageId,rle", "a,35 2", "shape_mismatch"),
        ("ImageId,rle", "a,0 2", "shape_mismatch"),
        ("ImageId,rle", "a,1 999999999999", "shape_mismatch"),
        ("ImageId, EncodedPixels", "a,30 2 3 1", "shape_mismatch"),
        ("ImageId,rle", 'a,"1 2', "unreadable_file"),
    ],
)
def test_a_broken_table_refuses(tmp_path: Path, header: str, row: str, code: str) -> None:
    assert refused(table(tmp_path / "t.csv", header, row)) == code


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_give_objects_or_a_refusal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    for start in (b"", b"ImageId,EncodedPixels\na,"):
        path.write_bytes(start + content)
        with contextlib.suppress(CaseRefusedError):
            assert isinstance(read(path), RawObjects)


def test_long_codes_of_large_images_are_read(tmp_path: Path) -> None:
    code = " ".join(f"{start} 1" for start in range(1, 200_001, 2))
    path = table(tmp_path / "t.csv", "ImageId,rle", f"a,{code}")
    objects = RLE_TABLE.read_labels(path, PLAIN, picture("/raw/a.png", 500, 500))
    assert objects.objects[0].mask.sum() == 100_000
