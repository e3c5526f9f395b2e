"""What every report is made of: one self-contained page that loads nothing from anywhere.

A report's template extends `base.html` (head, header, banner, footer, plotly.js) and prints tables,
links and figures with `macros.html`; `page.css` is how it looks, `script.html` draws its figures.
`render.py` fills it in from what `tables.py` and `drawing.py` make ready.
"""

from dashboards.page.drawing import Drawing
from dashboards.page.render import render
from dashboards.page.tables import HtmlTable, html_table
from dashboards.page.uri import data_uri

__all__ = ["Drawing", "HtmlTable", "data_uri", "html_table", "render"]
