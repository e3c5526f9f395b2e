"""A lease: who gets it, who is refused, who loses it; the token only rises."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from object_store import answers_lost, serve_s3

from engine.errors import CorruptDataError, UserError
from engine.locks import Fence, Holder, Lease, held, read_lease, renewed
from engine.stores import ObjectStore

NAME = "driver.lease"
LONG_S, SHORT_S = 600.0, 1.0


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with serve_s3() as address:
        yield address


@pytest.fixture
def store(bucket: str, request: pytest.FixtureRequest) -> ObjectStore:
    return ObjectStore(f"{bucket}/{request.node.name.translate({ord(c): '-' for c in '[]/ '})}")


def lease(store: ObjectStore, ttl_s: float = LONG_S, above: int = 0) -> Lease:
    return Lease(store, NAME, lambda got: UserError("taken", got=got), ttl_s, above)


def left_by_a_killed_one(store: ObjectStore, ttl_s: float, token: int = 3) -> Holder:
    gone = Holder(token, "lost-host", 4711, "2999-01-01T00:00:00+00:00", ttl_s)
    store.put(NAME, gone.to_bytes())
    return gone


def test_a_token_only_rises(store: ObjectStore) -> None:
    for token in (1, 2, 3):
        with held(lease(store)) as mine:
            mine.check()
            assert mine.token == token
            found = read_lease(store, NAME)
            assert found is not None
            assert (found[0].token, found[0].held) == (token, True)
    store.delete(NAME)
    with held(lease(store, above=7)) as mine:
        assert mine.token == 8, "what was published under 7 is older"


def test_a_second_one_is_refused_and_told_who_holds_it(store: ObjectStore) -> None:
    with held(lease(store, SHORT_S)) as first:
        with pytest.raises(UserError, match="taken") as caught:
            lease(store, SHORT_S).take()
        first.check()
    told = str(caught.value.got)
    assert f"process {os.getpid()} on {platform.node()}, since 20" in told


def test_the_lease_of_a_killed_one_is_taken_over_after_its_time_and_not_before(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the newcomer's monotonic clock: no wall clock, the store's included, is asked."""
    gone = left_by_a_killed_one(store, SHORT_S)
    waited: list[float] = []
    real = time.sleep
    monkeypatch.setattr(time, "time", lambda: 4e9)
    monkeypatch.setattr(time, "sleep", lambda s: (waited.append(s), real(s)))
    began = time.monotonic()
    with held(lease(store)) as mine:
        assert time.monotonic() - began >= SHORT_S, "its own time to live, not ours"
        assert sum(waited) <= SHORT_S
        assert mine.token == gone.token + 1


def test_of_two_newcomers_one_gets_it(store: ObjectStore) -> None:
    left_by_a_killed_one(store, SHORT_S)
    got: list[str] = []

    def come() -> None:
        try:
            with held(lease(store, SHORT_S)) as mine:
                got.append(f"token {mine.token}")
                time.sleep(2 * SHORT_S)
        except UserError as error:
            got.append(error.what)

    both = [threading.Thread(target=come) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(got) == ["taken", "token 4"]


def test_one_that_gives_back_while_it_is_watched_is_followed_at_once(store: ObjectStore) -> None:
    first = lease(store)
    first.take()
    timer = threading.Timer(0.3, first.give_back)
    timer.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.locks.RENEWALS", 6000)  # look more often
        with held(lease(store)) as second:
            assert second.token == 2
    timer.join()


def test_one_that_was_overtaken_learns_it_and_changes_nothing(store: ObjectStore) -> None:
    mine = lease(store)
    mine.take()
    left_by_a_killed_one(store, LONG_S, token=9)
    before = store.get(NAME)
    with pytest.raises(UserError, match="taken") as caught:
        mine.give_back()
    assert "changed hands" in str(caught.value.got)
    assert store.get(NAME) == before


def test_one_that_slept_over_its_lease_asks_before_it_goes_on(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = lease(store)
    mine.take()
    left_by_a_killed_one(store, LONG_S, token=9)
    mine.check()  # nothing is known of it yet: the fence is for that
    mine._renewed -= LONG_S
    with pytest.raises(UserError, match="taken"):
        mine.check()


def test_an_error_within_is_told_before_a_lost_lease(store: ObjectStore) -> None:
    def work() -> None:
        with held(lease(store)):
            left_by_a_killed_one(store, LONG_S)
            raise KeyError

    with pytest.raises(KeyError):
        work()


def test_a_store_that_is_silent_for_a_moment_costs_no_lease(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = lease(store)
    mine.take()

    def silent(self: ObjectStore, *given: object) -> str:
        raise UserError("no answer", got="timeout")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "put_if", silent)
        mine._renewed -= LONG_S * 0.6
        mine.check()
        mine._renewed -= LONG_S
        with pytest.raises(UserError, match="taken") as caught:
            mine.check()
    assert "could not be renewed: timeout" in str(caught.value.got)


def test_a_fence_lets_pass_while_its_driver_holds_the_lease(store: ObjectStore) -> None:
    with held(lease(store)) as mine:
        fence = Fence(store, NAME, mine.token)
        fence.check()
    with pytest.raises(UserError, match="does not hold the run"):
        fence.check()
    with held(lease(store)), pytest.raises(UserError, match="does not hold the run") as caught:
        fence.check()
    assert "token 2" in str(caught.value.got)
    store.delete(NAME)
    with pytest.raises(UserError, match="does not hold the run"):
        fence.check()


@pytest.mark.parametrize("writes", [lambda n: n == 1, lambda n: n == 2, lambda n: n == 3])
def test_a_lost_answer_is_settled_by_reading_back(
    store: ObjectStore, writes: Callable[[int], bool]
) -> None:
    """Of taking it, renewing it, giving it back: the store has written, nobody told us."""
    count = 0

    def lose(method: str, path: str) -> bool:
        nonlocal count
        count += method == "PUT"
        return method == "PUT" and writes(count)

    with answers_lost(lose) as lost:
        far = ObjectStore(store.url)
        with held(lease(far)) as mine:
            mine._renewed -= LONG_S / 2
            mine.check()
        assert lost
    found = read_lease(store, NAME)
    assert found is not None
    assert (found[0].token, found[0].held) == (1, False)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", Holder(0, "h", 1, "s", 9.0).to_bytes(),
                Holder(1, "h", 1, "s", float("inf")).to_bytes()],
)  # fmt: skip
def test_something_else_under_its_name_is_refused(store: ObjectStore, content: bytes) -> None:
    store.put(NAME, content)
    with pytest.raises(CorruptDataError, match="no lease"):
        lease(store).take()


def test_who_only_looks_sees_a_sign_of_life_or_none(store: ObjectStore) -> None:
    assert renewed(store, NAME) == (None, False)
    with held(lease(store, SHORT_S)) as mine:
        holder, alive = renewed(store, NAME)
        assert holder is not None
        assert (holder.token, alive) == (mine.token, True)
    assert renewed(store, NAME)[1] is False
    left_by_a_killed_one(store, SHORT_S)
    assert renewed(store, NAME)[1] is False
