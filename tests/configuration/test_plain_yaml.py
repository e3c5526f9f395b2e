"""YAML as plain data: what is refused beside what is no YAML."""

from __future__ import annotations

import pytest
import yaml

from engine.configuration.plain_yaml import MOST_WORDS, read_plain


def test_plain_data() -> None:
    text = "a: &x {1: liver, '1': text}\nb: *x\nc: [*x, *x]\nd: {<<: *x, e: 1}\n"
    assert read_plain(text) == yaml.safe_load(text)
    assert read_plain("") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: {c: 1, d: 2, c: 3}\n", "'c' is written twice"),
        ("{1: liver, 1: spleen}", "'1' is written twice"),
        ("{1: liver, 0x1: spleen}", "'0x1' is written twice"),
        ("{1: liver, true: spleen}", "'true' is written twice"),
        ("a: !!python/name:os.system x", "python/name"),
        ("a: !secret x", "!secret"),
        ("a: &a [*a]", "within itself"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(yaml.YAMLError, match=words):
        read_plain(text)


def test_anchors_that_unfold() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(yaml.YAMLError, match="unfold"):
        read_plain("\n".join(lines))
    assert len(read_plain("\n".join(lines[:4]))) == 4
    assert MOST_WORDS > 10**5
