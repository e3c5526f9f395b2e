"""Near duplicates: planted copies are found, other pictures are not, and no pair is missed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from curation_makers import body, collection, jpeg, picture, resized, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from engine.collection.case import CuratedCase
from engine.collection.curation import survey
from engine.collection.curation.duplicates import Duplicates
from engine.collection.curation.neighbours import close_pairs, expand


def copies() -> Iterator[CuratedCase]:
    """What another dataset might hold of the first one's pictures."""
    yield picture("exact", texture(0), dataset="copy")
    yield picture("jpeg", jpeg(texture(1), 40), dataset="copy")
    yield picture("smaller", resized(texture(2), 80), dataset="copy")
    yield picture("larger", resized(texture(3), 200), dataset="copy")
    yield picture("brighter", (texture(4) // 2 + 90).astype(np.uint8), dataset="copy")
    yield picture("mirrored", np.ascontiguousarray(texture(5)[:, ::-1]), dataset="copy")
    yield picture("turned", np.ascontiguousarray(np.rot90(texture(6))), dataset="copy")
    yield picture("cropped", resized(texture(7)[12:-12, 12:-12], 128), dataset="copy")
    yield picture("other", texture(99), dataset="copy")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Duplicates:
    originals = [picture(f"p{seed}", texture(seed)) for seed in range(8)]
    path = tmp_path_factory.mktemp("copies") / "c.zarr"
    report, _ = survey(collection(path, originals, list(copies())), effort="all")
    assert report.duplicates is not None
    return report.duplicates


def test_copies_are_found_and_what_is_not_found_is_known(found: Duplicates) -> None:
    assert {(pair.relation, pair.one, pair.other) for pair in found.pairs} == {
        ("other_dataset", "copy/exact/00000", "ds/p0/00000"),
        ("other_dataset", "copy/jpeg/00000", "ds/p1/00000"),
        ("other_dataset", "copy/smaller/00000", "ds/p2/00000"),
        ("other_dataset", "copy/larger/00000", "ds/p3/00000"),
        ("other_dataset", "copy/brighter/00000", "ds/p4/00000"),
    }  # mirrored, turned and cropped copies are not found: the report says so
    best = found.pairs[0]
    assert (best.one, best.bits, best.correlation) == ("copy/exact/00000", 0, 1.0)


def test_counts_by_pair_of_datasets(found: Duplicates) -> None:
    (between,) = found.between
    assert (between.relation, between.dataset, between.other) == ("other_dataset", "copy", "ds")
    assert (between.case_pairs, between.slice_pairs) == (5, 5)
    assert (between.cases, between.other_cases) == (5, 5)
    assert (found.compared_slices, found.flat_slices, found.complete) == (17, 0, True)


def test_relations_and_slices_of_volumes(tmp_path: Path) -> None:
    flat = picture("flat", np.full((64, 64), 7, np.uint8))
    cases = [
        body("a", subject="s1"),
        body("b", subject="s1"),  # same subject, same pixels
        body("c", subject="s2"),  # another subject with the same pixels
        body("d", subject="s3", seed=9),
        flat,
        picture("flat2", np.full((64, 64), 9, np.uint8)),
    ]
    report, _ = survey(collection(tmp_path / "c.zarr", cases), effort="all")
    assert report.duplicates is not None
    relations = {(p.relation, p.one[:4], p.other[:4]) for p in report.duplicates.pairs}
    assert relations == {
        ("other_subject", "ds/a", "ds/c"),
        ("other_subject", "ds/b", "ds/c"),
        ("same_subject", "ds/a", "ds/b"),
    }
    assert report.duplicates.compared_slices == 24
    assert report.duplicates.flat_slices == 2  # equal in every pixel, and equal to nothing
    between = {row.relation: row for row in report.duplicates.between}
    assert between["other_subject"].case_pairs == 2
    assert between["other_subject"].cases == 3


def test_pictures_that_agree_only_coarsely_are_no_duplicates(tmp_path: Path) -> None:
    coarse = ndimage.gaussian_filter(texture(0).astype(np.float64), 6)
    coarse = 64 + 120 * (coarse - coarse.min()) / np.ptp(coarse)

    def patient(seed: int) -> CuratedCase:
        detail = np.random.default_rng(seed).normal(size=(128, 128))
        detail = ndimage.gaussian_filter(detail, 1.5) - ndimage.gaussian_filter(detail, 2.5)
        image = np.clip(coarse + 20 * detail / detail.std(), 0, 255).astype(np.uint8)
        return picture(f"p{seed}", image)

    cases = [patient(seed) for seed in range(1, 9)]
    report, _ = survey(collection(tmp_path / "c.zarr", cases), effort="all")
    assert report.duplicates is not None
    assert report.duplicates.candidates > 5  # the hash alone would claim these
    assert report.duplicates.pairs == ()


def test_fast_finds_a_volume_with_other_labels(tmp_path: Path) -> None:
    ours, theirs = body("v", slices=20), body("w", slices=20, dataset="copy")
    theirs.labels[:, 12:] = 0
    report, _ = survey(collection(tmp_path / "c.zarr", [ours], [theirs]), effort="fast")
    assert report.looked_slices == 10
    assert report.duplicates is not None
    assert [row.case_pairs for row in report.duplicates.between] == [1]


def test_off_compares_nothing(tmp_path: Path) -> None:
    report, _ = survey(collection(tmp_path / "c.zarr", [body("a"), body("b")]), effort="off")
    assert report.duplicates is None
    assert report.looked_slices == 0


def test_workers_change_nothing(tmp_path: Path) -> None:
    path = collection(tmp_path / "c.zarr", [body(f"v{k}", seed=k // 2) for k in range(6)])
    one, four = (survey(path, effort="all", workers=n)[0].numbers() for n in (1, 4))
    for numbers in (one, four):
        del numbers["seconds"]
    assert one == four


hashes = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30)


@settings(max_examples=60)
@given(hashes, st.lists(st.tuples(st.integers(0, 29), st.sets(st.integers(0, 63), max_size=6))))
def test_no_close_pair_is_missed(base: list[int], changes: list[tuple[int, set[int]]]) -> None:
    near = [base[at % len(base)] ^ sum(1 << bit for bit in bits) for at, bits in changes]
    values = np.unique(np.array(base + near, np.uint64))
    a, b, bits, complete = close_pairs(values, 4, 10**9)
    expected = {
        (i, j, (int(values[i]) ^ int(values[j])).bit_count())
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if (int(values[i]) ^ int(values[j])).bit_count() <= 4
    }
    assert complete
    found = list(zip(a.tolist(), b.tolist(), bits.tolist(), strict=True))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_giving_up_is_said() -> None:
    values = np.arange(4096, dtype=np.uint64)  # all share their upper bands
    *_, complete = close_pairs(values, 4, most_compared=1000)
    assert not complete


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_groups_expand_to_every_pair_once(sizes: list[int]) -> None:
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    members = np.arange(100, 100 + starts[-1], dtype=np.int64)
    group = np.repeat(np.arange(len(sizes)), sizes)
    n = len(sizes)
    pairs = [(g, h) for g in range(n) for h in range(g, n)]
    a, b = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    found = [
        (int(x), int(y)) for _, one, other in expand(a, b, members, starts)
        for x, y in zip(one, other, strict=True)
    ]  # fmt: skip
    total = len(group)
    assert sorted(found) == [(100 + i, 100 + j) for i in range(total) for j in range(i + 1, total)]
