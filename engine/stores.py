"""A place for whole files: a folder of a local disk, or a prefix of an object store.

The ledgers of collections and runs need few operations: put, create-if-absent, get, size, list,
delete. Names use `/` and are relative to the store's root.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from engine.errors import CorruptDataError, SamscopeError, UserError
from engine.files import TEMPORARY, claim, replace_file, sync_folder, write_temporary

_SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss")
_RETRY = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}


class Store(Protocol):
    """A place for whole, immutable files."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file; after the return it is durable."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless the name is taken; False when it is. Never half a file."""
        ...

    def get(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        ...

    def size(self, name: str) -> int | None:
        """Size in bytes; None when absent."""
        ...

    def list(self, folder: str) -> Iterator[str]:
        """Names of the files directly in `folder`, in no order; temporary files left out."""
        ...

    def folders(self, folder: str) -> Iterator[str]:
        """Names of the folders directly in `folder` (`""`: the root), in no order."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; absent is fine."""
        ...

    def remove(self, folder: str) -> None:
        """Remove all files below `folder`; absent is fine."""
        ...

    def place(self, array: Path | Mapping[str, bytes], folder: str) -> None:
        """Take over a local folder, or files by name, as `folder`, which must not exist."""
        ...

    def sync(self, name: str) -> None:
        """Make the removal of a file durable."""
        ...

    def sweep(self, folder: str) -> None:
        """Remove what killed writers left directly in `folder`."""
        ...

    def location(self, name: str) -> str:
        """What a Parquet reader can open: a path or an address."""
        ...


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


def store_of(place: str | os.PathLike[str]) -> Store:
    """The store at a path or an address."""
    found = place_of(place)
    return LocalStore(found) if isinstance(found, Path) else ObjectStore(found)


class LocalStore:
    """Files under a folder of a local disk.

    Names come from catalogs and manifests, which may come from anyone: one that leads out of the
    folder is a CorruptDataError in every verb.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def _at(self, name: str) -> Path:
        if name.startswith("/") or ".." in name.split("/"):
            raise CorruptDataError(
                "a name leads out of its folder",
                where=str(self.root),
                got=name,
                expected="a name below the folder",
                remedy="take this collection or run from a source you trust",
            )
        return self.root / name

    def put(self, name: str, data: bytes) -> None:
        replace_file(self._at(name), data)

    def create(self, name: str, data: bytes) -> bool:
        target = self._at(name)
        temporary = write_temporary(target, data)
        try:
            return claim(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def get(self, name: str) -> bytes:
        return self._at(name).read_bytes()

    def size(self, name: str) -> int | None:
        try:
            return self._at(name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, folder: str) -> Iterator[str]:
        yield from self._entries(folder, folders=False)

    def folders(self, folder: str) -> Iterator[str]:
        yield from self._entries(folder, folders=True)

    def _entries(self, folder: str, *, folders: bool) -> Iterator[str]:
        try:
            entries = os.scandir(self._at(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        with entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_dir() == folders:
                    yield f"{folder}/{entry.name}" if folder else entry.name

    def delete(self, name: str) -> None:
        self._at(name).unlink(missing_ok=True)

    def remove(self, folder: str) -> None:
        """The folder leaves its place in one step, its files then follow."""
        place = self._at(folder)
        if place.exists():
            doomed = place.with_name(f".{place.name}.removed")
            shutil.rmtree(doomed, ignore_errors=True)
            place.rename(doomed)
            shutil.rmtree(doomed)

    def place(self, array: Path | Mapping[str, bytes], folder: str) -> None:
        """A folder of the same disk leaves its place in one step."""
        if not isinstance(array, Path):
            for name, data in array.items():
                self.put(f"{folder}/{name}", data)
            return
        final = self._at(folder)
        array.rename(final)
        sync_folder(final.parent)

    def location(self, name: str) -> str:
        return str(self._at(name))

    def sync(self, name: str) -> None:
        sync_folder(self._at(name).parent)

    def sweep(self, folder: str) -> None:
        for left in self._at(folder).glob(TEMPORARY):
            left.unlink(missing_ok=True)
        for left in self._at(folder).glob(".*.removed"):
            shutil.rmtree(left, ignore_errors=True)


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

        Returns:
            The new tag; None where the condition did not hold.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._reached(name):
            try:
                return str(self.client.put(name, data, mode=mode)["e_tag"])
            except (AlreadyExistsError, PreconditionError):
                return None
            except FileNotFoundError:
                if mode == "create":  # no bucket
                    raise
                return None  # the object of the tag is gone

    def get(self, name: str) -> bytes:
        return self.fetch(name)[0]

    def fetch(self, name: str) -> tuple[bytes, str | None]:
        """The bytes of an object and the tag they came with. Raises FileNotFoundError."""
        with self._reached(name):
            found = self.client.get(name)
            return bytes(found.bytes()), found.meta["e_tag"]

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
        from obstore.exceptions import BaseError

        try:
            yield
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


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name relative to it."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


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
