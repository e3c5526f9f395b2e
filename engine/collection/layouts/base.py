"""What a look at a folder gives: a recipe as text, with comments on what was seen and was not."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import yaml

from engine.collection.layouts.listing import Listing
from engine.collection.recipe import UNKNOWN, Recipe
from engine.configuration import validate

DECIDE = "DECIDE: "
"""Begins every comment on something a look cannot decide."""


@dataclass(frozen=True)
class Part:
    """One series of a proposal: its fields and the comments above them.

    Attributes:
        tag: what tells its images from those of other series with the same names.
    """

    fields: dict[str, Any]
    comments: tuple[str, ...] = ()
    tag: str = ""


@dataclass(frozen=True)
class Proposal:
    """A layout that fits a folder.

    Attributes:
        layout: its name for people.
        certainty: 0..1, to choose between layouts that fit.
        found: sentences about what was found.
        parts: series of the recipe.
        words: fields of the data set that the files themselves state (title, licence, ...).
    """

    layout: str
    certainty: float
    found: tuple[str, ...]
    parts: tuple[Part, ...]
    words: dict[str, str]

    @property
    def decisions(self) -> list[str]:
        """What a person has to decide, each once."""
        asked = [ask for name, ask in _ASK.items() if name not in self.words]
        comments = [comment for part in self.parts for comment in part.comments]
        asked += [comment.partition(DECIDE)[2] for comment in comments if DECIDE in comment]
        return list(dict.fromkeys(asked))

    def with_distinct_cases(self) -> Proposal:
        """The same for series that share names of cases: those are tagged, or numbered.

        Images told apart by tags (`a_t1`, `a_t2`) are of one subject.
        """
        tags = [part.tag for part in self.parts]
        if all(tags) and len(set(tags)) == len(tags):
            return replace(self, parts=tuple(_tagged(part) for part in self.parts))
        parts = tuple(
            replace(p, fields={**p.fields, "case": f"{n}_{p.fields.get('case', '{case}')}"})
            for n, p in enumerate(self.parts, 1)
        )
        return replace(self, parts=parts)


def _tagged(part: Part) -> Part:
    case = part.fields.get("case", "{case}")
    fields = dict(part.fields)
    if "{subject}" not in fields["images"]:
        text = yaml.safe_dump(fields, sort_keys=False)
        fields = yaml.safe_load(text.replace("{case}", "{subject}"))
        for word in ("where", "unless"):
            if word in fields:
                fields[word] = {"subject": fields[word].get("case")}
        case = case.replace("{case}", "{subject}")
    head = {"images": fields.pop("images"), "case": f"{case}_{part.tag}"}
    return replace(part, fields={**head, **{k: v for k, v in fields.items() if k != "case"}})


class Layout(Protocol):
    """One way in which data sets are laid out."""

    def __call__(self, listing: Listing) -> Proposal | None:
        """The proposal for a folder of this layout; None where it is another."""
        ...


def recipe_text(proposal: Proposal, dataset: str, others: Sequence[str] = ()) -> str:
    """The proposal as a recipe with comments; loads as one.

    Raises:
        UserError: the proposal is no valid recipe (a bug of the layout).
    """
    lines = [f"# Proposed by a look at the files; layout: {proposal.layout}."]
    lines += [line for found in proposal.found for line in _comment(found)]
    lines += [f"# Would fit too, less surely: {', '.join(others)}."] if others else []
    lines += ["# Lines with DECIDE need a person; then run `samscope validate` on it."]
    for name in ("dataset", "title", "licence", "source"):
        value = dataset if name == "dataset" else proposal.words.get(name)
        lines.append(_word(name, value))
    lines += ["version: 1", "series:"]
    for part in proposal.parts:
        lines += [line for comment in part.comments for line in _comment(comment, "  ")]
        lines += ["  " + line for line in _dump([part.fields])]
    text = "\n".join(lines) + "\n"
    validate(yaml.safe_load(text), Recipe, "recipe", where="proposal")
    return text


def undecided(recipe: str) -> list[str]:
    """What the text of a recipe still leaves to a person: its comments that begin with `DECIDE`."""
    asks: list[str] = []
    goes_on = False
    for line in recipe.splitlines():
        _, begins, ask = line.partition(f"# {DECIDE}")
        more = line.strip().partition("#   ")
        if begins:
            asks.append(ask.strip())
        elif goes_on and not more[0] and more[2]:
            asks[-1] += f" {more[2].strip()}"
        goes_on = bool(begins) or (goes_on and not more[0])
    return asks


def _comment(text: str, indent: str = "") -> list[str]:
    """Comment lines of at most 100 characters; further ones are indented."""
    first = f"{indent}# "
    return textwrap.wrap(
        text, 100, initial_indent=first, subsequent_indent=f"{first}  ", break_long_words=False
    )


def _word(name: str, value: str | None) -> str:
    line = _dump({name: value or UNKNOWN}, False)[0]
    return line if value else f"{line}  # {DECIDE}{_ASK[name]}"


_ASK = {
    "title": "a name for people",
    "licence": "may it be used, and how?",
    "source": "where do the files come from?",
}


class _Plain(yaml.SafeDumper):
    """Repeats what is said twice instead of pointing at it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dump(value: Any, leaves_in_line: bool | None = None) -> list[str]:
    """YAML lines; None writes lists and mappings of plain values in one line each."""
    text = yaml.dump(
        value,
        Dumper=_Plain,
        sort_keys=False,
        allow_unicode=True,
        width=96,
        default_flow_style=leaves_in_line,
    )
    return str(text).splitlines()


def count(number: int, noun: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def one_line(text: str, limit: int = 160) -> str:
    """Text of a file or a message as (part of) a comment."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."
