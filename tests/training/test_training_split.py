"""Subjects are on one side, whatever the seed, the shares and the other subjects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.small import population

from engine.errors import UserError
from engine.training.config import Data
from engine.training.split import Split, split_subjects

PARTS = ("train", "validation", "test")


def parts_of(split: Split) -> list[tuple[str, ...]]:
    return [split.train, split.validation, split.test]


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(5, 40), min_size=1),
    st.floats(0.01, 0.3),
    st.floats(0.01, 0.3),
    st.integers(0, 1000),
)
def test_disjoint_whole_and_every_dataset_everywhere(
    datasets: dict[str, int], validation: float, test: float, seed: int
) -> None:
    people = population(datasets)
    data = Data(validation=validation, test=test, split_seed=seed)
    split = split_subjects(people, data)
    assert sorted(sum(parts_of(split), ())) == list(people.subjects)
    for part in parts_of(split):
        assert {subject.split("/")[0] for subject in part} == set(datasets)
    for name, n in datasets.items():
        held = [sum(s.startswith(name + "/") for s in part) for part in parts_of(split)[1:]]
        assert held == [max(1, round(n * validation)), max(1, round(n * test))]
    slices = [m.ref.slice_id for name in PARTS for m in split.members(people, name)]
    assert sorted(slices) == sorted(m.ref.slice_id for m in people.members)


@given(st.integers(5, 40), st.integers(1, 20), st.integers(0, 50))
def test_what_is_added_moves_no_more_than_the_borders(n: int, more: int, seed: int) -> None:
    """The order of the old subjects stays: no old one overtakes another on its way to training."""
    data = Data(validation=0.2, test=0.1, split_seed=seed)
    rank = {"test": 0, "validation": 1, "train": 2}
    before = split_subjects(population({"a": n}), data)
    after = split_subjects(population({"a": n + more, "b": 9}), data)
    old = {s: rank[p] for p in PARTS for s in getattr(before, p)}
    new = {s: rank[p] for p in PARTS for s in getattr(after, p) if s in old}
    assert not any(old[s] < old[t] and new[s] > new[t] for s in old for t in old)
    alone = split_subjects(population({"b": 9}), data)
    assert [tuple(s for s in part if s[0] == "b") for part in parts_of(after)] == parts_of(alone)


def test_another_seed_is_another_split_and_no_test_is_no_test() -> None:
    people = population({"a": 30})
    splits = {split_subjects(people, Data(split_seed=seed)).validation for seed in range(5)}
    assert len(splits) > 1
    assert split_subjects(people, Data()).test == ()


def test_a_split_that_would_share_a_subject_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        split_subjects(population({"a": 20, "few": 2}), Data(validation=0.1, test=0.1))
    assert "'few'" in str(caught.value)
    assert "2 subject(s)" in str(caught.value)
    split_subjects(population({"few": 3}), Data(validation=0.1, test=0.1))
