"""The interactive dashboard over a run: pages of figures and tables, down to single masks.

`view.py` is what a URL says, `data.py` answers it from the newest database, `pages/` make the
answer a page, `server.py` puts them behind an address. Figures are those of `dashboards.figures`.
"""

from dashboards.app.server import make_app, make_server_app, serve

__all__ = ["make_app", "make_server_app", "serve"]
