"""Which names of two folders belong together, and when their numbers object."""

from __future__ import annotations

import pytest

from engine.collection.slice_names import check_pairs, natural, natural_order
from engine.errors import CaseRefusedError


def test_natural_order() -> None:
    names = ["b1", "a10", "a2", "a", "2"]
    assert sorted(names, key=natural) == ["2", "a", "a2", "a10", "b1"]
    assert natural_order(names, "masks/") == [4, 3, 2, 1, 0]


def test_names_that_differ_in_leading_zeros_have_no_order() -> None:
    with pytest.raises(CaseRefusedError, match=r"img1\.png and img01\.png") as caught:
        natural_order(["img2.png", "img1.png", "img01.png"], "masks/")
    assert caught.value.code == "shape_mismatch"
    assert "masks/" in str(caught.value)


def test_frames_of_one_file_keep_their_order() -> None:
    assert natural_order(["all.dcm", "all.dcm", "all.dcm"], "masks/") == [0, 1, 2]


FITTING = {
    "the same numbers, a gap on both sides": (["a1", "a2", "a4"], ["m1", "m2", "m4"]),
    "another start, a gap on both sides": (["a1", "a2", "a4"], ["m0", "m1", "m3"]),
    "steps of two and of one": (["a2.png", "a4.png", "a6.png"], ["m0.png", "m1.png", "m2.png"]),
    "no digits in the masks": (["a1", "a2", "a4"], ["x", "y", "z"]),
    "names on both sides, with gaps": (
        ["a1.dcm", "a2.dcm", "a4.dcm"],
        ["a1.png", "a2.png", "a4.png"],
    ),
    "counted from 1 and from 0": (
        ["0001.dcm", "0002.dcm", "0003.dcm"],
        ["0000.png", "0001.png", "0002.png"],
    ),
    "a number beside a time": (["a_001_0815", "a_002_0911", "a_004_0811"], ["m1", "m2", "m4"]),
    "a number before another that varies": (
        ["s1", "s2", "s3"],
        ["s1_a10", "s2_a13", "s3_a11"],
    ),
    "a slice and a repetition": (["p1_s1", "p1_s2", "p1_s4"], ["m1_s1_r1", "m1_s2_r1", "m1_s4_r2"]),
    "a number that is the same everywhere": (["a1_v2", "a2_v2", "a3_v2"], ["m5", "m6", "m7"]),
    "the number of CHAOS is not the last": (
        ["i0000,0000b.dcm", "i0001,0000b.dcm", "i0002,0000b.dcm"],
        ["liver_GT_000.png", "liver_GT_001.png", "liver_GT_002.png"],
    ),
    "a number longer than 64 bits": ([f"1.2.{10**30 + k}" for k in range(3)], ["m1", "m2", "m3"]),
    "an ending with a digit": (["a1.jp2", "a2.jp2", "a4.jp2"], ["a1.png", "a2.png", "a4.png"]),
    "several numbers": (["s1_1", "s1_2", "s2_1"], ["m1_1", "m1_2", "m2_1"]),
    "one slice": (["a7"], ["m1"]),
    "two slices have no gap": (["a1", "a5"], ["m1", "m2"]),
}


@pytest.mark.parametrize("name", FITTING)
def test_numbers_that_fit(name: str) -> None:
    check_pairs(*FITTING[name], "masks/")


WRONG = {
    "another file is missing on each side": (
        ["IMG-001", "IMG-002", "IMG-004", "IMG-005"],
        ["IMG-001", "IMG-002", "IMG-003", "IMG-005"],
        "slice IMG-004 beside label IMG-003",
    ),
    "the missing files are at both ends": (
        ["IMG-001.dcm", "IMG-002.dcm", "IMG-003.dcm"],
        ["IMG-002.png", "IMG-003.png", "IMG-004.png"],
        "IMG-001.dcm beside label IMG-002.png",
    ),
    "even steps, and names on both sides": (
        ["I-2", "I-4", "I-6"],
        ["I-4", "I-5", "I-6"],
        "I-2 beside",
    ),
    "two names": (["I-1", "I-5"], ["I-1", "I-2"], "I-5 beside label I-2"),
    "a name without digits among names on both sides": (
        ["I-1", "I-2", "I-4", "I-5"],
        ["I-1", "I-2", "I-3", "mask"],
        "I-4 beside label I-3",
    ),
    "one mask without digits": (["a1", "a2", "a4"], ["m", "m1", "m2"], "a1 beside label m"),
    "only the slices have a gap": (["a1", "a2", "a4"], ["m1", "m2", "m3"], "a4 beside label m3"),
    "only the masks have a gap": (["a1", "a2", "a3"], ["m1", "m3", "m4"], "a2 beside label m3"),
    "the first of the slices": (["a2", "a3", "a5"], ["m1", "m3", "m5"], "a3 beside label m3"),
    "the number of CHAOS is not the last": (
        ["i0000,0000b.dcm", "i0001,0000b.dcm", "i0003,0000b.dcm"],
        ["liver_GT_000.png", "liver_GT_001.png", "liver_GT_002.png"],
        "i0003,0000b.dcm beside label liver_GT_002.png",
    ),
    "the earlier of two numbers": (
        ["s1_1", "s2_1", "s3_1", "s5_2"],
        ["s1_1", "s2_1", "s4_1", "s5_2"],
        "s3_1 beside label s4_1",
    ),
    "a number that is the same in every pair, but not another in each": (
        ["p1_1", "p1_2", "p2_4"],
        ["m1_1", "m1_2", "m2_3"],
        "p2_4 beside label m2_3",
    ),
    "an UID ends in its number": (["1.2.1", "1.2.2", "1.2.9"], ["m1", "m2", "m3"], "1.2.9 beside"),
    "an ending with a digit": (["a1.jp2", "a2.jp2", "a4.jp2"], ["a1", "a2", "a3"], "a4.jp2 beside"),
}


@pytest.mark.parametrize("name", WRONG)
def test_numbers_that_object(name: str) -> None:
    slices, labels, says = WRONG[name]
    with pytest.raises(CaseRefusedError) as caught:
        check_pairs(slices, labels, "masks/")
    assert caught.value.code == "shape_mismatch"
    assert says in str(caught.value)
    assert "masks/" in str(caught.value)
