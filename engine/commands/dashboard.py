"""`samscope dashboard`: the pages of a run behind a local address, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path

from dashboards.app import make_server_app, serve
from engine.commands.say import out


def dashboard_command(run_dir: Path, host: str, port: int, other: Path | None) -> int:
    """Serve until interrupted.

    Raises:
        UserError: no results to show, or the address is taken.
    """
    server = serve(make_server_app(run_dir, other), host, port)
    name = f"[{host}]" if ":" in host else host
    out(f"dashboard  http://{name}:{server.port}  (Ctrl-C ends it)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        out("ended")
    finally:
        server.server_close()
    return 0
