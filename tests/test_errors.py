"""Errors keep what they say, also across processes."""

from __future__ import annotations

import pickle

from engine.errors import CaseRefusedError, UserError, nearest


def test_an_error_says_what_where_got_expected_remedy() -> None:
    text = str(UserError("wrong", where="w", got=1, expected=2, remedy="r"))
    assert text.splitlines() == ["wrong", "  where: w", "  got: 1", "  expected: 2", "  remedy: r"]


def test_errors_survive_pickling() -> None:
    error = CaseRefusedError("x", code="c", where="w", got=object, remedy="r")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.code == "c"
    assert type(again) is CaseRefusedError


def test_nearest_names_the_closest_word_or_all() -> None:
    assert nearest("boks", ["box", "point"]) == "did you mean 'box'?"
    assert nearest("qqq", ["b", "a"]) == "use one of: a, b"
