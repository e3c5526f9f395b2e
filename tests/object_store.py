"""A local S3-compatible server for tests, on loopback."""

from __future__ import annotations

import http.client
import logging
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from moto.server import ThreadedMotoServer

from engine.stores import LocalStore, ObjectStore

_NUMBER = count()


@contextmanager
def serve_s3() -> Iterator[str]:
    """Start a server and point the environment to it.

    Yields:
        The address of a fresh bucket, `s3://...`.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_REGION": "us-east-1",
            }.items():
                patch.setenv(name, value)
            yield fresh_bucket()
    finally:
        server.stop()


def fresh_bucket() -> str:
    """The address of a new bucket on the server that the environment points to."""
    bucket = f"bucket{next(_NUMBER)}"
    address = f"{os.environ['AWS_ENDPOINT_URL']}/{bucket}"
    with urllib.request.urlopen(urllib.request.Request(address, method="PUT")):
        pass
    return f"s3://{bucket}"


def upload(folder: Path, address: str) -> None:
    """Put every file of a folder under an address."""
    store = ObjectStore(address)
    for file in folder.rglob("*"):
        if file.is_file():
            store.put(file.relative_to(folder).as_posix(), file.read_bytes())


def contents(store: ObjectStore | LocalStore, folder: str = "") -> dict[str, bytes]:
    """Every file below a folder of a store, by name."""
    found = {name: store.get(name) for name in store.list(folder)}
    for inner in store.folders(folder):
        found.update(contents(store, inner))
    return found


@contextmanager
def answers_lost(lose: Callable[[str, str], bool]) -> Iterator[list[str]]:
    """Put a proxy before the server: it passes every request on, and some answers not back.

    Args:
        lose: given method and path, whether the answer is lost; the server has acted then.

    Yields:
        What was lost so far. Stores opened within use the proxy.
    """
    server = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    lost: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream = http.client.HTTPConnection(server.hostname or "", server.port)
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            data = answer.read()
            upstream.close()
            if lose(self.command, self.path):
                lost.append(f"{self.command} {self.path}")
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on  # noqa: N815

        def log_message(self, *words: object) -> None:
            """Nothing is printed."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_port}")
            yield lost
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
