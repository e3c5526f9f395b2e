"""Paths and addresses: where something lies, as people write it."""

from __future__ import annotations

import os
from pathlib import Path

from engine.errors import SamscopeError, UserError


class Url(str):
    """The address of a place that is not on a local disk, e.g. `s3://bucket/prefix`."""

    def resolve(self) -> Url:
        """Itself: an address is absolute."""
        return self

    @property
    def name(self) -> str:
        return self.rstrip("/").rpartition("/")[2]


Place = Path | Url


def place_of(text: str | os.PathLike[str]) -> Place:
    """A path, or an address where the text has a scheme.

    Raises:
        SamscopeError: an address with a password or a token in it: addresses are printed, and
            written into collections, results and reports.
    """
    spelled = os.fspath(text)
    if "://" not in spelled:
        return Path(spelled)
    scheme, _, rest = spelled.partition("://")
    user = rest.partition("/")[0].rpartition("@")[0]  # of abfs, the container: no secret by itself
    if ":" in user or "?" in rest:
        raise SamscopeError(
            "this address holds a password or a token",
            where=f"{scheme}://...",
            got="name:password@..." if ":" in user else "...?query",
            expected=f"{scheme}://bucket/prefix",
            remedy="give credentials in the environment: an address is printed and stored",
        )
    return Url(spelled.rstrip("/"))


def below(place: Place, name: str) -> str:
    """The path or address of a file of a place, for people."""
    return str(place / name) if isinstance(place, Path) else f"{place}/{name}"


def without(place: Place, what: str) -> str:
    """What is found where something else was sought, for people: not even a folder, or one."""
    gone = isinstance(place, Path) and not place.is_dir()
    return "no such folder" if gone else f"no {what} in it"


def local_folder(text: str | os.PathLike[str]) -> Path:
    """A path; for what cannot be done in an object store.

    Raises:
        UserError: the text is an address.
    """
    found = place_of(text)
    if isinstance(found, Path):
        return found
    raise UserError(
        "this needs a folder on a local disk",
        where=found,
        got="an address",
        expected="a path",
        remedy="copy the files, or write to a local folder and copy that",
    )
