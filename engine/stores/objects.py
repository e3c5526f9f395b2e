"""Files under a prefix of an object store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import UserError
from engine.stores.local import files_of, stay_below

_SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss")
_AT_ONCE, _AHEAD = 16, 512
"""Requests under way, and results that wait, when many objects are read."""
_PIECE_BYTES, _PIECES = 8 * 2**20, 9000
"""An upload in pieces may have 10,000 of them."""
_RETRY = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}

T = TypeVar("T")
U = TypeVar("U")


class ObjectStore:
    """Files under a prefix of an object store, through obstore.

    Credentials and region come from the usual environment variables of the store's own tools
    (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, ...). An object is
    put whole or not at all, so no name is ever half written.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def __str__(self) -> str:
        return self.url

    def __getstate__(self) -> dict[str, str]:
        return {"url": self.url}  # a connection does not travel to another process

    @property
    def client(self) -> Any:
        """The obstore connection of this process."""
        if "_client" not in self.__dict__:
            self.__dict__["_client"] = _connect(self.url)
        return self.__dict__["_client"]

    def put(self, name: str, data: bytes) -> None:
        with self._reached(name):
            self.client.put(name, data)

    def create(self, name: str, data: bytes) -> bool:
        return self.put_if(name, data, "create") is not None

    def put_if(self, name: str, data: bytes, mode: str | dict[str, str]) -> str | None:
        """Write an object if it is absent (`create`) or still the one of a tag (`{"e_tag": ...}`).

        The answer may get lost after the store has written, and a client that asks again is then
        refused by its own write. So whatever is not a plain yes is settled by reading back: an
        object with exactly these bytes is ours. Where it matters who won, bytes must differ
        between writers and between writes.

        Returns:
            The new tag; None where the condition did not hold.

        Raises:
            UserError: the store does not answer; whether the object was written is not known.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            with self._reached(name):
                return str(self.client.put(name, data, mode=mode)["e_tag"])
        except (AlreadyExistsError, PreconditionError):
            return self._ours(name, data)[0]
        except FileNotFoundError:
            if mode == "create":  # no bucket
                raise
            return None  # the object of the tag is gone
        except UserError:
            ours, there = self._ours(name, data)
            before = None if isinstance(mode, str) else mode["e_tag"]
            if ours is None and there == before:  # not written, or not yet
                raise
            return ours

    def _ours(self, name: str, data: bytes) -> tuple[str | None, str | None]:
        """The tag of an object if it holds exactly these bytes, and its tag in any case."""
        try:
            found, tag = self.fetch(name)
        except FileNotFoundError:
            return None, None
        return (tag if found == data else None), tag

    def get(self, name: str) -> bytes:
        return self.fetch(name)[0]

    def fetch(self, name: str) -> tuple[bytes, str | None]:
        """The bytes of an object and the tag they came with. Raises FileNotFoundError."""
        with self._reached(name):
            found = self.client.get(name)
            return bytes(found.bytes()), found.meta["e_tag"]

    def each(self, ask: Callable[[T], U], things: Iterable[T]) -> Iterator[U]:
        """A bounded number of requests is under way, and of results waits to be taken."""
        left = iter(things)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while some := list(islice(left, _AHEAD)):
                yield from pool.map(ask, some)

    def size(self, name: str) -> int | None:
        meta = self.head(name)
        return None if meta is None else int(meta["size"])

    def head(self, name: str) -> dict[str, Any] | None:
        """Size, time and tag of an object; None when absent."""
        with self._reached(name):
            try:
                return dict(self.client.head(name))
            except FileNotFoundError:
                return None

    def list(self, folder: str) -> Iterator[str]:
        for found in self._level(folder)["objects"]:
            name = found["path"].rpartition("/")[2]
            if name and not name.startswith("."):  # "": what consoles leave for a folder
                yield found["path"]

    def folders(self, folder: str) -> Iterator[str]:
        for prefix in self._level(folder)["common_prefixes"]:
            if not prefix.rstrip("/").rpartition("/")[2].startswith("."):
                yield prefix.rstrip("/")

    def _level(self, folder: str) -> Any:
        with self._reached(folder):
            return self.client.list_with_delimiter(f"{folder}/" if folder else None)

    def walk(self, folder: str) -> Iterator[dict[str, Any]]:
        """Every object below `folder`: its `path`, `size`, `e_tag`."""
        with self._reached(folder):
            pages = list(self.client.list(f"{folder}/" if folder else None))
        for page in pages:
            for found in page:
                if found["path"].rpartition("/")[2]:
                    yield found

    def delete(self, name: str) -> None:
        if self.head(name) is not None:  # some stores complain of what is not there
            with self._reached(name):
                self.client.delete(name)

    def remove(self, folder: str) -> None:
        names = [found["path"] for found in self.walk(folder)]
        if names:
            with self._reached(folder):
                self.client.delete(names)

    def place(self, array: Path | Mapping[str, bytes], folder: str) -> None:
        """Uploaded with the group's own `zarr.json` last, so that no half of it opens."""
        files = files_of(array) if isinstance(array, Path) else array
        for name in sorted(files, key=lambda name: (name == "zarr.json", name)):
            self.put(f"{folder}/{name}", files[name])

    @contextmanager
    def local(self, names: Sequence[str]) -> Iterator[Sequence[Path]]:
        with tempfile.TemporaryDirectory(prefix="samscope-") as folder:
            paths = [Path(folder) / str(number) for number in range(len(names))]
            copies = list(zip(names, paths, strict=True))
            for _ in self.each(lambda one: self.download(*one), copies):
                pass
            yield paths

    def download(self, name: str, path: Path) -> None:
        """Copy an object to a local file, a piece at a time. Raises FileNotFoundError."""
        with self._reached(name), path.open("wb") as file:
            for piece in self.client.get(name).stream():
                file.write(piece)

    def upload(self, path: Path, name: str) -> None:
        """Copy a local file to an object, a piece at a time; it is there when all of it is."""
        piece = max(_PIECE_BYTES, path.stat().st_size // _PIECES)
        with self._reached(name):
            self.client.put(name, path, chunk_size=piece)

    def sync(self, name: str) -> None:
        """Nothing to do: a store that has answered remembers."""

    def sweep(self, folder: str) -> None:
        """Nothing to do: no object is ever half there."""

    def location(self, name: str) -> str:
        return f"{self.url}/{name}"

    @contextmanager
    def _reached(self, name: str) -> Iterator[None]:
        """Trouble with the store is for a person to repair: bucket, credentials, network.

        A missing object stays a FileNotFoundError; a missing bucket does not.
        """
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        stay_below(self.url, name)
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except (BaseError, FileNotFoundError) as error:
            text = str(error)
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in text:
                raise
            raise UserError(
                "the object store does not answer as it should",
                where=self.location(name),
                got=text.strip().splitlines()[0][:300] or type(error).__name__,
                expected="a bucket that exists and that these credentials may use",
                remedy="check the address, the credentials and the endpoint in the environment",
            ) from error


def _connect(url: str) -> Any:
    """An obstore connection. Raises UserError for an address nobody serves."""
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    options: dict[str, Any] = {"retry_config": _RETRY}
    if endpoint.startswith("http://"):
        options["client_options"] = {"allow_http": True}
    try:
        if url.partition("://")[0] not in _SCHEMES:
            raise ValueError("this kind of address is not an object store")
        return from_url(url, **options)
    except (BaseError, ValueError) as error:
        raise UserError(
            "this address cannot be opened",
            where=url,
            got=error,
            expected="s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
            remedy="check the address and the credentials in the environment",
        ) from error
