"""A local S3-compatible server for tests, on loopback."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from moto.server import ThreadedMotoServer

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
        endpoint, bucket = f"http://127.0.0.1:{port}", f"bucket{next(_NUMBER)}"
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_REGION": "us-east-1",
            }.items():
                patch.setenv(name, value)
            request = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")
            with urllib.request.urlopen(request):
                pass
            yield f"s3://{bucket}"
    finally:
        server.stop()
