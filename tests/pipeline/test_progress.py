"""The rate and the remaining time of a run: what starts once is not counted again and again."""

from __future__ import annotations

from engine.pipeline.tally import Pace


def receipt(trials: int) -> dict[str, float]:
    return {"slices": 2, "done": trials - 1, "failed": 1, "seconds": 1.0}


def test_start_up_is_in_no_rate() -> None:
    pace = Pace()
    pace.add(receipt(10), now=120.0)  # two minutes until the first unit, most of it start-up
    assert (pace.rate(120.0), pace.seconds_left(100, 120.0)) == (None, None)
    pace.add(receipt(10), now=121.0)
    pace.add(receipt(30), now=124.0)
    assert pace.rate(124.0) == 1.0
    assert pace.seconds_left(100, 124.0) == 5.0  # 50 trials at 10 a second
    assert (pace.whole.units, pace.whole.trials, pace.whole.failed) == (3, 50, 3)


def test_nothing_is_known_before_a_unit_ended() -> None:
    assert (Pace().rate(9.0), Pace().seconds_left(100, 9.0)) == (None, None)
