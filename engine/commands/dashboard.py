"""`samscope dashboard`: the pages of a run behind a local address, until Ctrl-C."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from dashboards.app import make_server_app, serve
from engine.commands.moved import run_beside
from engine.commands.say import out
from engine.stores import Place


def dashboard_command(
    run_dir: Path, host: str, port: int, other: Path | None, collection: Place | None = None
) -> NoReturn:
    """Serve until interrupted; the process ends with that.

    Args:
        collection: where the run's collection lies now; None: where it lay.

    Raises:
        UserError: no results to show, not the run's collection, or the address is taken.
    """
    if collection is not None:
        run_beside(run_dir, collection)
    server = serve(make_server_app(run_dir, other, collection), host, port)
    name = f"[{host}]" if ":" in host else host
    out(f"dashboard  http://{name}:{server.port}  (Ctrl-C ends it)")
    server.serve_forever()  # closes the server after Ctrl-C
    out("ended")
    # A thread that still answers may be inside DuckDB, which aborts when Python ends under it.
    sys.stdout.flush()
    os._exit(0)
