"""Units shared out between pools: each begun once, held up by nobody."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st
from worlds import ONLY_FAKE, STUDY, write_study

from engine.admission import projected
from engine.models.numerics import numerics_of
from engine.pipeline.actor import Assignment
from engine.pipeline.cluster import Pool, _without_gpu, connected
from engine.pipeline.run import _pools
from engine.pipeline.shares import Shares
from engine.pipeline.stream import _away_from, stream
from engine.planning import plan_study, read_study
from engine.results.query import run_sql
from engine.runs import RunDir, finalise
from engine.study import Runtime


def units(number: int) -> dict[str, bytes]:
    return {f"u{place}": f"p{place}".encode() for place in range(number)}


@given(
    number=st.integers(0, 12),
    most=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    choices=st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=80),
)
def test_every_unit_is_begun_once_and_again_only_by_others(
    number: int, most: list[int], choices: list[tuple[int, bool]]
) -> None:
    """Pools take and finish in any order; then each does what it can until all is done."""

    async def play() -> None:
        shares, finished = Shares(units(number), most), set()
        hands: list[list[str]] = [[] for _ in most]
        begun: Counter[str] = Counter()
        had: list[set[str]] = [set() for _ in most]
        readers = Counter[int]()

        async def take(pool: int) -> bool:
            readers[pool] += 1
            found = await shares.take(pool, readers[pool])
            assert await shares.take(pool, readers[pool]) == found  # a reader that begins anew
            if found is None:
                return False
            unit = found.packed.decode().replace("p", "u")
            assert unit not in had[pool]
            assert unit not in finished
            assert found.again == any(unit in hand for hand in hands)
            assert found.again or begun[unit] == 0
            begun[unit] += 1
            had[pool].add(unit)
            hands[pool].append(unit)
            return True

        async def finish(pool: int) -> None:
            unit = hands[pool].pop(0)
            finished.add(unit)
            await shares.done(unit)
            for hand in hands:
                if unit in hand:
                    hand.remove(unit)

        for wanted, taking in choices:
            pool = wanted % len(most)
            if not taking and hands[pool]:
                await finish(pool)
            elif len(hands[pool]) < most[pool]:
                await take(pool)
        # Pool 0 alone goes on: the others are lost with what they have in hand.
        for _ in range(2 * number + 2):
            if len(hands[0]) < most[0] and await take(0):
                continue
            if hands[0]:
                await finish(0)
        assert finished == set(units(number)), "a lost pool holds up the end"
        assert await take(0) is False

    asyncio.run(play())


def test_a_pool_waits_while_its_hand_is_full() -> None:
    async def play() -> None:
        shares = Shares(units(5), [1, 1])
        first = await shares.take(0, 0)
        assert first is not None
        waiting = asyncio.create_task(shares.take(0, 1))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        other = await shares.take(1, 0)
        assert other is not None
        assert other.packed == b"p1"
        await shares.done("u0")
        found = await asyncio.wait_for(waiting, 1)
        assert found is not None
        assert (found.packed, found.again) == (b"p2", False)

    asyncio.run(play())


def machine(name: str, *, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "Alive": alive, "Resources": {"memory": 100.0, **resources}}


def test_machines_without_a_gpu_give_their_cpus() -> None:
    there = [
        machine("head"), machine("a", CPU=4.0, GPU=1.0), machine("b", CPU=8.0),
        machine("c", CPU=2.0), machine("gone", alive=False, CPU=64.0),
        machine("lost", alive=False, CPU=4.0, GPU=1.0),
    ]  # fmt: skip
    assert _without_gpu(there, 0) == [Pool("cpu", 10, ("a",))]
    assert _without_gpu(there, 30) == [Pool("cpu", 3 + 2, ("a",), 30)]  # b has memory for three
    assert _without_gpu(there, 101) == []
    assert _without_gpu([machine("a", CPU=4.0, GPU=1.0), machine("head")], 0) == []


def test_only_a_mixed_study_uses_them(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster of a GPU and a CPU machine, as Ray would describe it."""
    there = [machine("a", CPU=4.0, GPU=1.0), machine("b", CPU=8.0, memory=16.0 * 2**30)]
    monkeypatch.setattr(ray, "nodes", lambda: there)
    monkeypatch.setattr("engine.pipeline.run.BESIDE_GPUS", True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"GPU": 1.0, "CPU": 12.0})
    for text, runtime, pools in [
        (STUDY, Runtime(), 1),
        (STUDY + "mixed_numerics: true\n", Runtime(), 2),
        (STUDY + "mixed_numerics: true\n", Runtime(device="cuda"), 1),
    ]:
        study = read_study(write_study(tmp_path, text))
        planning = plan_study(study, collection, numerics_of("cpu"))
        first, *others = _pools(planning, runtime, "cuda")
        assert first == Pool("cuda", 1)
        assert len(others) == pools - 1
        for other in others:
            need = projected(planning)
            assert need is not None
            assert other == Pool("cpu", 8, ("a",), need.total)


@pytest.mark.ray
def test_evaluators_stay_away_from_the_machines_they_are_told(ray_session: str) -> None:
    (here,) = (node["NodeID"] for node in ray.nodes() if node["Alive"])
    ask = ray.remote(num_cpus=0)(lambda: ray.get_runtime_context().get_node_id())
    elsewhere = _away_from(["f" * 56, "e" * 56])
    assert ray.get(ask.options(label_selector=elsewhere).remote()) == here
    nowhere = ask.options(label_selector=_away_from(["f" * 56, here])).remote()
    assert ray.wait([nowhere], timeout=1)[0] == []
    ray.cancel(nowhere)


@pytest.mark.ray
def test_two_pools_do_each_unit_and_the_results_are_those_of_one(
    ray_session: str, collection: Path, plain: Path, tmp_path: Path
) -> None:
    """Two evaluators, each a pool; one may have begun when the other has done nearly all."""
    study = write_study(tmp_path, ONLY_FAKE + "mixed_numerics: true\n")
    planning = plan_study(read_study(study), collection, numerics_of("cpu"))
    plan, run = planning.plan, RunDir.prepare(tmp_path / "run", collection)
    run.begin(plan.study)
    given = Assignment(plan.study, "cpu", str(run.path), plan.cards, plan.numerics)
    with connected(Runtime()):
        receipts = list(
            stream(str(collection), plan.units, given, [Pool("cpu", 1), Pool("cpu", 1)])
        )
    assert sorted(one["unit_id"] for one in receipts) == sorted(t.unit_id for t in plan.units)
    assert all(not one["lost"] and not one["failed"] for one in receipts)
    finalise(run, planning)
    found, wanted = (run_sql(r, "FROM results ORDER BY ALL") for r in (run.path, plain))
    assert found.equals(wanted)
